"""Known-answer tests for primitives.py: python3 tests/decoder/test_primitives.py"""

import hashlib
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import primitives as p  # noqa: E402


def unhex(*parts):
    return bytes.fromhex("".join(parts))


def pattern(n):
    """The input of the BLAKE3 test vectors; used for other made-up inputs as well."""
    return bytes(i % 251 for i in range(n))


def le32(value):
    return value.to_bytes(32, "little")


class X25519(unittest.TestCase):
    def test_rfc7748_5_2_single(self):
        for scalar, u, expected in (
            ("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
             "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
             "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"),
            ("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
             "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
             "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"),
        ):
            self.assertEqual(p.x25519(unhex(scalar), unhex(u)).hex(), expected)

    def test_rfc7748_5_2_iterated(self):
        k = u = le32(9)
        for i in range(1, 1001):
            k, u = p.x25519(k, u), k
            if i == 1:
                self.assertEqual(
                    k.hex(), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
        self.assertEqual(
            k.hex(), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")

    def test_rfc7748_6_1_diffie_hellman(self):
        a = unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
        b = unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
        public_a = unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
        public_b = unhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
        shared = unhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
        self.assertEqual(p.x25519_base(a), public_a)
        self.assertEqual(p.x25519_base(b), public_b)
        self.assertEqual(p.x25519(a, public_b), shared)
        self.assertEqual(p.x25519(b, public_a), shared)

    def test_non_canonical_inputs_are_reduced(self):
        # The first two are one value (2^255 - 1 reduces to 18), with and without the top bit.
        scalar = pattern(32)
        for u, expected in (
            (b"\xff" * 32,
             "b7c00165f547d5da679dda0bda98e41ef283d0eb8959e8b7fbec591f1a0db64c"),
            (le32(2**255 - 1),
             "b7c00165f547d5da679dda0bda98e41ef283d0eb8959e8b7fbec591f1a0db64c"),
            (le32(18),
             "b7c00165f547d5da679dda0bda98e41ef283d0eb8959e8b7fbec591f1a0db64c"),
            (le32(2**255 - 16),
             "8f35d60d433a8cec6112ff4b88dbce86de8144e57755d566faebe8c7bc3e1c5f"),
        ):
            self.assertEqual(p.x25519(scalar, u).hex(), expected)

    def test_is_canonical(self):
        for value in (0, 1, 9, 2**254, p.P - 1):
            self.assertTrue(p.is_canonical(le32(value)))
        for value in (p.P, p.P + 1, 2**255 - 1, 2**255, 2**255 + 9, 2**256 - 1):
            self.assertFalse(p.is_canonical(le32(value)))

    def test_is_low_order(self):
        low = [0, 1, p.P - 1]
        for order_8 in ("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"):
            low.append(int.from_bytes(unhex(order_8), "little"))
        low += [p.P, p.P + 1]
        for value in low + [value + 2**255 for value in low]:
            self.assertTrue(p.is_low_order(le32(value)), value)
            self.assertEqual(p.x25519(pattern(32), le32(value)), bytes(32))
        for value in (2, 3, 4, 9, p.P - 2, p.P + 2, 2**255 - 1, 2**256 - 1):
            self.assertFalse(p.is_low_order(le32(value)), value)
            self.assertNotEqual(p.x25519(pattern(32), le32(value)), bytes(32))

    def test_sizes(self):
        for function in (p.x25519_base, p.is_canonical, p.is_low_order):
            with self.assertRaises(ValueError):
                function(bytes(31))
        with self.assertRaises(ValueError):
            p.x25519(bytes(32), bytes(33))


SUNSCREEN = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for "
             b"the future, sunscreen would be it.")


class ChaCha20Poly1305(unittest.TestCase):
    def test_rfc8439_2_1_1_quarter_round(self):
        state = [0x11111111, 0x01020304, 0x9B8D6F43, 0x01234567]
        p._quarter_round(state, 0, 1, 2, 3)
        self.assertEqual(state, [0xEA2A92F4, 0xCB1CF8CE, 0x4581472E, 0x5881C4BB])

    def test_rfc8439_2_3_2_block(self):
        self.assertEqual(
            p.chacha20_block(pattern(32), 1, unhex("000000090000004a00000000")).hex(),
            "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
            "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e")

    def test_rfc8439_2_4_2_encryption(self):
        self.assertEqual(
            p.chacha20_xor(pattern(32), 1, unhex("000000000000004a00000000"), SUNSCREEN).hex(),
            "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b"
            "f91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8"
            "07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736"
            "5af90bbf74a35be6b40b8eedf2785e42874d")

    def test_counter_does_not_wrap(self):
        p.chacha20_xor(bytes(32), 2**32 - 1, bytes(12), bytes(64))
        with self.assertRaises(ValueError):
            p.chacha20_xor(bytes(32), 2**32 - 1, bytes(12), bytes(65))

    def test_rfc8439_poly1305(self):
        ff, zero = "ff" * 16, "00" * 16
        r_1, r_2 = "01" + "00" * 15, "02" + "00" * 15
        for key, message, tag in (
            # Section 2.5.2
            ("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b",
             b"Cryptographic Forum Research Group".hex(), "a8061dc1305136c6c22b8baf0c0127a9"),
            # Appendix A.3, numbers 1 and 5 to 11: carries and reductions
            (zero + zero, zero * 4, zero),
            (r_2 + zero, ff, "03" + "00" * 15),
            (r_2 + ff, r_2, "03" + "00" * 15),
            (r_1 + zero, ff + "f0" + "ff" * 15 + "11" + "00" * 15, "05" + "00" * 15),
            (r_1 + zero, ff + "fb" + "fe" * 15 + "01" * 16, zero),
            (r_2 + zero, "fd" + "ff" * 15, "fa" + "ff" * 15),
            ("01000000000000000400000000000000" + zero,
             "e33594d7505e43b900000000000000003394d7505e4379cd0100000000000000" + zero + r_1,
             "14000000000000005500000000000000"),
            ("01000000000000000400000000000000" + zero,
             "e33594d7505e43b900000000000000003394d7505e4379cd0100000000000000" + zero,
             "13" + "00" * 15),
        ):
            self.assertEqual(p.poly1305(unhex(key), unhex(message)).hex(), tag)

    def test_rfc8439_2_6_2_one_time_key(self):
        block = p.chacha20_block(bytes(range(0x80, 0xA0)), 0, unhex("000000000001020304050607"))
        self.assertEqual(
            block[:32].hex(), "8ad5a08b905f81cc815040274ab29471a833b637e3fd0da508dbb8e2fdd1a646")

    def test_rfc8439_2_8_2_aead(self):
        key = bytes(range(0x80, 0xA0))
        nonce = unhex("070000004041424344454647")
        aad = unhex("50515253c0c1c2c3c4c5c6c7")
        tag, ciphertext = p.chacha20_poly1305_seal(key, nonce, aad, SUNSCREEN)
        self.assertEqual(tag.hex(), "1ae10b594f09e26a7e902ecbd0600691")
        self.assertEqual(
            ciphertext.hex(),
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
            "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
            "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
            "3ff4def08e4b7a9de576d26586cec64b6116")
        self.assertEqual(p.chacha20_poly1305_open(key, nonce, aad, tag, ciphertext), SUNSCREEN)

    def test_aead_of_many_blocks(self):
        # Answers of another implementation (Python's "cryptography" package).
        tag, ciphertext = p.chacha20_poly1305_seal(
            pattern(32), bytes(range(12)), pattern(20), pattern(1000))
        self.assertEqual(tag.hex(), "f53df0901d629e86d502ecc257c90993")
        self.assertEqual(
            p.blake3(ciphertext).hex(),
            "ab8f7b365ac93fe0edc0aae08ba43de7e25dbc92020cd446ff4f1f1567e50272")

    def test_open_refuses_any_change(self):
        key, nonce, aad = pattern(32), pattern(12), b"header"
        tag, ciphertext = p.chacha20_poly1305_seal(key, nonce, aad, b"payload")
        for bad in (
            (bytes(32), nonce, aad, tag, ciphertext),
            (key, bytes(12), aad, tag, ciphertext),
            (key, nonce, b"Header", tag, ciphertext),
            (key, nonce, aad + b"\0", tag, ciphertext),
            (key, nonce, aad, bytes(16), ciphertext),
            (key, nonce, aad, tag[:15], ciphertext),
            (key, nonce, aad, tag, ciphertext + b"\0"),
            (key, nonce, aad, tag, ciphertext[:-1]),
        ):
            with self.assertRaises(p.BadTag):
                p.chacha20_poly1305_open(*bad)

    def test_payload_keystream(self):
        # Answer of another implementation: the ciphertext of 200 zero bytes.
        expected = unhex(
            "18b84231ade6a6d113615c61af434e27f8b1f3f5e1ad5b5cecf8fc122a35755c"
            "7208086dd1ee3c5d9d815824640e003c9ba0f65ede5d59ce0d2a4a7f31955acd"
            "42f22ddca74a92d56ca78aef298e723b60237f3647eabeb7f3e09c30ce80e3e2"
            "84a8021b8a5c0b2494cd3c8d5b13507ec7e7a0784df4a3e2ea8162d261c59d23"
            "e7ab11c0f73c3b7eb0983950b3e2c4a08f843da95fb7fcb3f13456816b51b782"
            "4df2f9bd5613d4b4ed952fd858cd1b984acbf8ff1fd1a7c806d81ca8e4ae3b2c"
            "ffdba11827588c43")
        for offset in range(140):
            for n in (0, 1, 31, 60):
                self.assertEqual(p.payload_keystream(pattern(32), offset, n),
                                 expected[offset:offset + n])
        self.assertEqual(p.payload_keystream(pattern(32), 0, 200), expected)
        self.assertEqual(
            p.chacha20_poly1305_seal(pattern(32), bytes(12), b"", bytes(200))[1], expected)
        for offset, n in ((-1, 1), (0, -1)):
            with self.assertRaises(ValueError):
                p.payload_keystream(pattern(32), offset, n)


BLAKE3_KEY = b"whats the Elvish word for friend"
BLAKE3_CONTEXT = "BLAKE3 2019-12-27 16:29:52 test vectors context"

# Input length, then the output of hash, keyed hash and key derivation.  These are official
# test vectors, except for the lengths 63, 64, 65 and 5000: those come from the official
# implementation.
BLAKE3_VECTORS = (
    (0,
     "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
     "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26",
     "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"),
    (1,
     "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
     "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b",
     "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c"),
    (63,
     "e9bc37a594daad83be9470df7f7b3798297c3d834ce80ba85d6e207627b7db7b",
     "bb1eb5d4afa793c1ebdd9fb08def6c36d10096986ae0cfe148cd101170ce37ae",
     "b6451e30b953c206e34644c6803724e9d2725e0893039cfc49584f991f451af3"),
    (64,
     "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98",
     "ba8ced36f327700d213f120b1a207a3b8c04330528586f414d09f2f7d9ccb7e6",
     "a5c4a7053fa86b64746d4bb688d06ad1f02a18fce9afd3e818fefaa7126bf73e"),
    (65,
     "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee",
     "c0a4edefa2d2accb9277c371ac12fcdbb52988a86edc54f0716e1591b4326e72",
     "51fd05c3c1cfbc8ed67d139ad76f5cf8236cd2acd26627a30c104dfd9d3ff8a8"),
    (1023,
     "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
     "c951ecdf03288d0fcc96ee3413563d8a6d3589547f2c2fb36d9786470f1b9d6e",
     "74a16c1c3d44368a86e1ca6df64be6a2f64cce8f09220787450722d85725dea5"),
    (1024,
     "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
     "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4",
     "7356cd7720d5b66b6d0697eb3177d9f8d73a4a5c5e968896eb6a689684302706"),
    (1025,
     "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
     "357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69",
     "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb"),
    (2048,
     "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a",
     "879cf1fa2ea0e79126cb1063617a05b6ad9d0b696d0d757cf053439f60a99dd1",
     "7b2945cb4fef70885cc5d78a87bf6f6207dd901ff239201351ffac04e1088a23"),
    (2049,
     "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030",
     "9f29700902f7c86e514ddc4df1e3049f258b2472b6dd5267f61bf13983b78dd5",
     "2ea477c5515cc3dd606512ee72bb3e0e758cfae7232826f35fb98ca1bcbdf273"),
    (3072,
     "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2",
     "044a0e7b172a312dc02a4c9a818c036ffa2776368d7f528268d2e6b5df191770",
     "050df97f8c2ead654d9bb3ab8c9178edcd902a32f8495949feadcc1e0480c46b"),
    (5000,
     "ee78d92070de3df1c57c37002abf0a6b1a6589acdeef4d8ffac7cf3d9e8f2836",
     "27dc394fb01f055606c3aedde3a8c3694c34a8c514cc61a27279f1417cc385e0",
     "0a1cafd7b26d6de6b85fd0aa7e6c8c12da6bcc602bbd8907896e91bba35952ec"),
    (31744,
     "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
     "efa53b389ab67c593dba624d898d0f7353ab99e4ac9d42302ee64cbf9939a419",
     "39772aef80e0ebe60596361e45b061e8f417429d529171b6764468c22928e28e"),
    (102400,
     "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
     "1c35d1a5811083fd7119f5d5d1ba027b4d01c0c6c49fb6ff2cf75393ea5db4a7",
     "4652cff7a3f385a6103b5c260fc1593e13c778dbe608efb092fe7ee69df6e9c6"),
)

# The full 131 bytes of output of the official vectors for 2049 bytes of input.
BLAKE3_EXTENDED = (
    unhex("5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"
          "96de31d71d74103403822a2e0bc1eb193e7aecc9643a76b7bbc0c9f9c52e8783"
          "aae98764ca468962b5c2ec92f0c74eb5448d519713e09413719431c802f948dd"
          "5d90425a4ecdadece9eb178d80f26efccae630734dff63340285adec2aed3b51"
          "073ad3"),
    unhex("9f29700902f7c86e514ddc4df1e3049f258b2472b6dd5267f61bf13983b78dd5"
          "f9a88abfefdfa1e00b418971f2b39c64ca621e8eb37fceac57fd0c8fc8e117d4"
          "3b81447be22d5d8186f8f5919ba6bcc6846bd7d50726c06d245672c2ad4f6170"
          "2c646499ee1173daa061ffe15bf45a631e2946d616a4c345822f1151284712f7"
          "6b2b0e"),
    unhex("2ea477c5515cc3dd606512ee72bb3e0e758cfae7232826f35fb98ca1bcbdf273"
          "16d8e9e79081a80b046b60f6a263616f33ca464bd78d79fa18200d06c7fc9bff"
          "d808cc4755277a7d5e09da0f29ed150f6537ea9bed946227ff184cc66a72a5f8"
          "c1e4bd8b04e81cf40fe6dc4427ad5678311a61f4ffc39d195589bdbc670f63ae"
          "70f4b6"),
)


class Blake3(unittest.TestCase):
    def check(self, data, length, expected):
        self.assertEqual(p.blake3(data, length), expected[0])
        self.assertEqual(p.blake3_keyed(BLAKE3_KEY, data, length), expected[1])
        self.assertEqual(p.blake3_derive_key(BLAKE3_CONTEXT, data, length), expected[2])

    def test_vectors(self):
        for n, *expected in BLAKE3_VECTORS:
            with self.subTest(input_length=n):
                self.check(pattern(n), 32, [unhex(e) for e in expected])

    def test_extended_output(self):
        for length in (0, 1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 131):
            with self.subTest(output_length=length):
                self.check(pattern(2049), length, [e[:length] for e in BLAKE3_EXTENDED])

    def test_context_of_several_chunks(self):
        # Answer of the official implementation.
        self.assertEqual(
            p.blake3_derive_key("long context " * 100, b"material").hex(),
            "93592e387c1e14c9237badd61d94fd062f710996efe77fc15de296703562bec7")

    def test_default_length(self):
        self.assertEqual(len(p.blake3(b"")), 32)
        self.assertEqual(len(p.blake3_keyed(bytes(32), b"")), 32)
        self.assertEqual(len(p.blake3_derive_key("", b"")), 32)

    def test_key_size(self):
        with self.assertRaises(ValueError):
            p.blake3_keyed(bytes(31), b"")


class Ed25519(unittest.TestCase):
    SEED = unhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")

    def check(self, seed, public, message, signature):
        self.assertEqual(p.ed25519_public(seed), public)
        self.assertEqual(p.ed25519_sign(seed, message), signature)
        self.assertTrue(p.ed25519_verify(public, message, signature))
        self.assertFalse(p.ed25519_verify(public, message + b"\0", signature))

    def test_rfc8032_7_1(self):
        for seed, public, message, signature in (
            ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
             "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
             "",
             "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
             "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
            ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
             "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
             "72",
             "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
             "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
            ("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
             "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
             "af82",
             "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
             "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
            ("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
             "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
             hashlib.sha512(b"abc").hexdigest(),
             "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
             "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"),
        ):
            self.check(unhex(seed), unhex(public), unhex(message), unhex(signature))

    def test_longer_message(self):
        # Answers of another implementation (Python's "cryptography" package).
        self.check(
            pattern(32),
            unhex("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"),
            pattern(1000),
            unhex("e8c3a5dac0694bafd5f4fa08275b3eab9d5930e2a55850b982b1c739df6d1cea"
                  "ce231c9ca4bc288ab82772452fce5f4f0e12dabfc4a40d24429cf99f6e442504"))

    def test_refuses_changed_signatures(self):
        public, signature = p.ed25519_public(self.SEED), p.ed25519_sign(self.SEED, b"message")
        self.assertTrue(p.ed25519_verify(public, b"message", signature))
        for position in range(0, 64, 7):
            bad = bytearray(signature)
            bad[position] ^= 1
            self.assertFalse(p.ed25519_verify(public, b"message", bytes(bad)))
        self.assertFalse(p.ed25519_verify(p.ed25519_public(bytes(32)), b"message", signature))
        self.assertFalse(p.ed25519_verify(public, b"message", signature[:63]))
        self.assertFalse(p.ed25519_verify(public, b"message", signature + b"\0"))
        self.assertFalse(p.ed25519_verify(public[:31], b"message", signature))

    def test_refuses_large_s(self):
        public, signature = p.ed25519_public(self.SEED), p.ed25519_sign(self.SEED, b"message")
        s = int.from_bytes(signature[32:], "little")
        self.assertFalse(p.ed25519_verify(public, b"message", signature[:32] + le32(s + p.L)))

    def test_point_decoding(self):
        self.assertEqual(
            p.point_encode(p.BASE).hex(),
            "5866666666666666666666666666666666666666666666666666666666666666")
        self.assertIsNotNone(p.point_decode(le32(1)))
        self.assertIsNone(p.point_decode(le32(1 + 2**255)))  # x = 0 has no negative
        self.assertIsNone(p.point_decode(le32(2)))  # no such x
        self.assertIsNone(p.point_decode(le32(p.P)))  # y is not reduced
        self.assertIsNone(p.point_decode(le32(p.P + 1)))


if __name__ == "__main__":
    unittest.main()
