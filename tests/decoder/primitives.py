"""Reference implementations of the cryptographic primitives used by the test vectors.

Standard library only, Python 3.9 or later.  Everything here is written from the public
specifications, for reading and for checking; none of it runs in constant time, so it must
never be used with secrets that matter.

A wrong-sized key, nonce or point raises ValueError.  Only what an attacker chooses freely is
judged instead: a wrong-sized tag raises BadTag, and ed25519_verify answers False.
"""

import hashlib
import struct

P = 2**255 - 19  # the prime of Curve25519 and edwards25519

def _require_length(name, value, length):
    if len(value) != length:
        raise ValueError("%s must be %d bytes, not %d" % (name, length, len(value)))


# ---- X25519 (RFC 7748) -----------------------------------------------------------------

A24 = 121665  # (486662 - 2) / 4, section 5

def _decode_scalar(scalar):
    """decodeScalar25519 of section 5: the "clamping"."""
    _require_length("scalar", scalar, 32)
    k = int.from_bytes(scalar, "little")
    k &= 2**254 - 8  # clear the lowest three bits and the highest two
    return k | 2**254

def _decode_u(u):
    """decodeUCoordinate of section 5: the top bit is ignored, larger values are reduced."""
    _require_length("u-coordinate", u, 32)
    return (int.from_bytes(u, "little") & (2**255 - 1)) % P

def x25519(scalar: bytes, u: bytes) -> bytes:
    """The X25519 function of section 5.

    A low-order u gives 32 zero bytes; refusing that result (section 6.1) is the caller's job.
    """
    k = _decode_scalar(scalar)
    x_1 = _decode_u(u)
    x_2, z_2, x_3, z_3, swap = 1, 0, x_1, 1, 0
    for t in range(254, -1, -1):
        k_t = (k >> t) & 1
        if swap ^ k_t:
            x_2, z_2, x_3, z_3 = x_3, z_3, x_2, z_2
        swap = k_t
        a, b = x_2 + z_2, x_2 - z_2
        c, d = x_3 + z_3, x_3 - z_3
        aa, bb = a * a % P, b * b % P
        da, cb = d * a % P, c * b % P
        e = aa - bb
        x_3 = (da + cb) ** 2 % P
        z_3 = x_1 * (da - cb) ** 2 % P
        x_2 = aa * bb % P
        z_2 = e * (aa + A24 * e) % P
    if swap:
        x_2, z_2, x_3, z_3 = x_3, z_3, x_2, z_2
    return (x_2 * pow(z_2, P - 2, P) % P).to_bytes(32, "little")

def x25519_base(scalar: bytes) -> bytes:
    """The public key of a scalar: the base point has u = 9 (section 4.1)."""
    return x25519(scalar, (9).to_bytes(32, "little"))

def is_canonical(u: bytes) -> bool:
    """True if u is the one proper encoding of its value: top bit clear and below p."""
    _require_length("u-coordinate", u, 32)
    return int.from_bytes(u, "little") < P  # a set top bit makes the integer >= 2^255 > p

def is_low_order(u: bytes) -> bool:
    """True if 8 times the point is the point at infinity.

    Non-canonical encodings are decoded as x25519 decodes them, not refused.  Both the curve
    (cofactor 8) and its twist (cofactor 4) are covered: the u-only doubling serves both.
    """
    x, z = _decode_u(u), 1
    for _ in range(3):  # double three times: the doubling half of the ladder step above
        aa = (x + z) ** 2 % P
        bb = (x - z) ** 2 % P
        e = (aa - bb) % P
        x, z = aa * bb % P, e * (aa + A24 * e) % P
    return z == 0


# ---- ChaCha20, Poly1305 and their AEAD (RFC 8439) --------------------------------------

MASK32 = 0xFFFFFFFF

class BadTag(Exception):
    """The authentication tag does not match."""

def _rotate_left(x, n):
    return ((x << n) & MASK32) | (x >> (32 - n))

def _quarter_round(s, a, b, c, d):
    """Section 2.1, on the state words s[a], s[b], s[c], s[d]."""
    s[a] = (s[a] + s[b]) & MASK32
    s[d] = _rotate_left(s[d] ^ s[a], 16)
    s[c] = (s[c] + s[d]) & MASK32
    s[b] = _rotate_left(s[b] ^ s[c], 12)
    s[a] = (s[a] + s[b]) & MASK32
    s[d] = _rotate_left(s[d] ^ s[a], 8)
    s[c] = (s[c] + s[d]) & MASK32
    s[b] = _rotate_left(s[b] ^ s[c], 7)

def chacha20_block(key: bytes, counter: int, nonce: bytes) -> bytes:
    """The 64-byte block function, section 2.3."""
    _require_length("key", key, 32)
    _require_length("nonce", nonce, 12)
    if not 0 <= counter <= MASK32:
        raise ValueError("the ChaCha20 block counter has 32 bits")
    initial = list(struct.unpack("<4I", b"expand 32-byte k"))
    initial += struct.unpack("<8I", key)
    initial += [counter]
    initial += struct.unpack("<3I", nonce)
    s = list(initial)
    for _ in range(10):
        _quarter_round(s, 0, 4, 8, 12)
        _quarter_round(s, 1, 5, 9, 13)
        _quarter_round(s, 2, 6, 10, 14)
        _quarter_round(s, 3, 7, 11, 15)
        _quarter_round(s, 0, 5, 10, 15)
        _quarter_round(s, 1, 6, 11, 12)
        _quarter_round(s, 2, 7, 8, 13)
        _quarter_round(s, 3, 4, 9, 14)
    return struct.pack("<16I", *((x + y) & MASK32 for x, y in zip(s, initial)))

def chacha20_keystream(key: bytes, counter: int, nonce: bytes, offset: int, n: int) -> bytes:
    """n bytes of keystream, starting `offset` bytes into the block numbered `counter`."""
    if offset < 0 or n < 0:
        raise ValueError("offset and length must not be negative")
    first_block, skip = divmod(offset, 64)
    blocks_needed = (skip + n + 63) // 64
    first = counter + first_block
    blocks = [chacha20_block(key, i, nonce) for i in range(first, first + blocks_needed)]
    return b"".join(blocks)[skip:skip + n]

def chacha20_xor(key: bytes, counter: int, nonce: bytes, data: bytes) -> bytes:
    """Encrypt or decrypt, section 2.4."""
    stream = chacha20_keystream(key, counter, nonce, 0, len(data))
    return bytes(x ^ y for x, y in zip(data, stream))

def payload_keystream(key: bytes, offset: int, n: int) -> bytes:
    """n bytes, from byte `offset`, of the keystream that the AEAD puts over its payload.

    The nonce is all zero.  Block 0 makes the Poly1305 key, so the payload begins at block 1.
    """
    return chacha20_keystream(key, 1, bytes(12), offset, n)

def poly1305(key: bytes, message: bytes) -> bytes:
    """The one-time authenticator, section 2.5."""
    _require_length("key", key, 32)
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    s = int.from_bytes(key[16:], "little")
    accumulator = 0
    for i in range(0, len(message), 16):
        block = int.from_bytes(message[i:i + 16] + b"\x01", "little")
        accumulator = (accumulator + block) * r % (2**130 - 5)
    return ((accumulator + s) % 2**128).to_bytes(16, "little")

def _aead_tag(key, nonce, aad, ciphertext):
    """Sections 2.6 (one-time key from block 0) and 2.8 (what is authenticated)."""
    def padding(data):
        return bytes(-len(data) % 16)

    one_time_key = chacha20_block(key, 0, nonce)[:32]
    lengths = struct.pack("<QQ", len(aad), len(ciphertext))
    return poly1305(one_time_key, aad + padding(aad) + ciphertext + padding(ciphertext) + lengths)

def chacha20_poly1305_seal(key: bytes, nonce: bytes, aad: bytes, plaintext: bytes):
    """AEAD encryption, section 2.8.  Returns (tag, ciphertext)."""
    ciphertext = chacha20_xor(key, 1, nonce, plaintext)
    return _aead_tag(key, nonce, aad, ciphertext), ciphertext

def chacha20_poly1305_open(key: bytes, nonce: bytes, aad: bytes, tag: bytes,
                           ciphertext: bytes) -> bytes:
    """AEAD decryption, section 2.8.  Raises BadTag and reveals nothing if the tag is wrong."""
    if _aead_tag(key, nonce, aad, ciphertext) != tag:
        raise BadTag()
    return chacha20_xor(key, 1, nonce, ciphertext)


# ---- BLAKE3 (section numbers are those of the BLAKE3 paper) ----------------------------

# Section 2.2: the initial value, which is that of BLAKE2s and SHA-256.
BLAKE3_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
             0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
# Section 2.2: how the message words are permuted between rounds.
BLAKE3_PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
# Section 2.2: domain separation flags.
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
KEYED_HASH, DERIVE_KEY_CONTEXT, DERIVE_KEY_MATERIAL = 16, 32, 64

BLOCK_LEN = 64
CHUNK_LEN = 1024

def _blake3_g(v, a, b, c, d, mx, my):
    """Section 2.2: the quarter round, here with two message words (right rotations)."""
    v[a] = (v[a] + v[b] + mx) & MASK32
    x = v[d] ^ v[a]
    v[d] = (x >> 16) | ((x << 16) & MASK32)
    v[c] = (v[c] + v[d]) & MASK32
    x = v[b] ^ v[c]
    v[b] = (x >> 12) | ((x << 20) & MASK32)
    v[a] = (v[a] + v[b] + my) & MASK32
    x = v[d] ^ v[a]
    v[d] = (x >> 8) | ((x << 24) & MASK32)
    v[c] = (v[c] + v[d]) & MASK32
    x = v[b] ^ v[c]
    v[b] = (x >> 7) | ((x << 25) & MASK32)

def _blake3_compress(h, m, counter, block_len, flags):
    """Section 2.2: chaining value h (8 words) and block m (16 words) to 16 output words."""
    v = list(h) + list(BLAKE3_IV[:4]) + [counter & MASK32, counter >> 32, block_len, flags]
    for _ in range(7):
        _blake3_g(v, 0, 4, 8, 12, m[0], m[1])
        _blake3_g(v, 1, 5, 9, 13, m[2], m[3])
        _blake3_g(v, 2, 6, 10, 14, m[4], m[5])
        _blake3_g(v, 3, 7, 11, 15, m[6], m[7])
        _blake3_g(v, 0, 5, 10, 15, m[8], m[9])
        _blake3_g(v, 1, 6, 11, 12, m[10], m[11])
        _blake3_g(v, 2, 7, 8, 13, m[12], m[13])
        _blake3_g(v, 3, 4, 9, 14, m[14], m[15])
        m = [m[i] for i in BLAKE3_PERMUTATION]
    return [v[i] ^ v[i + 8] for i in range(8)] + [v[i + 8] ^ h[i] for i in range(8)]

# A "node" below is the list of arguments for one last, not yet made, compression: only when
# we know whether the node is the root can its flags, and thus its output, be settled.

def _chunk_node(chunk, index, key, flags):
    """Section 2.4: a chunk is a chain of up to 16 blocks, all with the chunk's index."""
    h = key
    blocks = [chunk[i:i + BLOCK_LEN] for i in range(0, len(chunk), BLOCK_LEN)] or [b""]
    for i, block in enumerate(blocks):
        block_flags = flags | (CHUNK_START if i == 0 else 0)
        words = struct.unpack("<16I", block.ljust(BLOCK_LEN, b"\0"))
        if i == len(blocks) - 1:
            return h, words, index, len(block), block_flags | CHUNK_END
        h = _blake3_compress(h, words, index, len(block), block_flags)[:8]

def _tree_node(data, index, key, flags):
    """Sections 2.1 and 2.5: the node of the subtree over data, whose first chunk is `index`."""
    if len(data) <= CHUNK_LEN:
        return _chunk_node(data, index, key, flags)
    # The left subtree is full: as many chunks as possible, a power of two, leaving at
    # least one byte for the right subtree.
    left_chunks = 1
    while left_chunks * 2 * CHUNK_LEN < len(data):
        left_chunks *= 2
    split = left_chunks * CHUNK_LEN
    left = _blake3_compress(*_tree_node(data[:split], index, key, flags))[:8]
    right = _blake3_compress(*_tree_node(data[split:], index + left_chunks, key, flags))[:8]
    return key, left + right, 0, BLOCK_LEN, flags | PARENT

def _blake3(data, key, flags, length):
    """Section 2.6: extendable output repeats the root compression, counting output blocks."""
    h, words, _, block_len, node_flags = _tree_node(bytes(data), 0, key, flags)
    output = b""
    for i in range((length + 63) // 64):
        root = _blake3_compress(h, words, i, block_len, node_flags | ROOT)
        output += struct.pack("<16I", *root)
    return output[:length]

def blake3(data: bytes, length: int = 32) -> bytes:
    return _blake3(data, BLAKE3_IV, 0, length)

def blake3_keyed(key: bytes, data: bytes, length: int = 32) -> bytes:
    _require_length("key", key, 32)
    return _blake3(data, struct.unpack("<8I", key), KEYED_HASH, length)

def blake3_derive_key(context: str, material: bytes, length: int = 32) -> bytes:
    context_key = _blake3(context.encode("utf-8"), BLAKE3_IV, DERIVE_KEY_CONTEXT, 32)
    return _blake3(material, struct.unpack("<8I", context_key), DERIVE_KEY_MATERIAL, length)


# ---- Ed25519 (RFC 8032, section 5.1) ---------------------------------------------------

L = 2**252 + 27742317777372353535851937790883648493  # the order of the base point
D = -121665 * pow(121666, P - 2, P) % P  # the curve is -x^2 + y^2 = 1 + d x^2 y^2
SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)

def point_add(p, q):
    """Section 5.1.4.  Points are (X, Y, Z, T): x = X/Z, y = Y/Z, x*y = T/Z.  Also doubles."""
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P

def point_multiply(scalar, point):
    """Double and add, from the lowest bit."""
    result = (0, 1, 1, 0)  # the neutral element
    while scalar > 0:
        if scalar & 1:
            result = point_add(result, point)
        point = point_add(point, point)
        scalar >>= 1
    return result

def point_equal(p, q):
    """x and y are the same: compare X/Z and Y/Z without dividing."""
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0

def point_encode(point):
    """Section 5.1.2: y, with the lowest bit of x as the top bit."""
    z_inverse = pow(point[2], P - 2, P)
    x, y = point[0] * z_inverse % P, point[1] * z_inverse % P
    return (y | ((x & 1) << 255)).to_bytes(32, "little")

def point_decode(encoded):
    """Section 5.1.3.  Returns None where the RFC says that decoding fails."""
    value = int.from_bytes(encoded, "little")
    sign, y = value >> 255, value & (2**255 - 1)
    if y >= P:
        return None
    # x^2 = (y^2 - 1) / (d y^2 + 1), and the denominator is never zero
    x_squared = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x_squared, (P + 3) // 8, P)
    if x * x % P != x_squared:
        x = x * SQRT_MINUS_1 % P
    if x * x % P != x_squared or (x == 0 and sign == 1):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P

# Section 5.1: the base point has y = 4/5 and an even x.
BASE = point_decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))

def _sha512_int(data):
    return int.from_bytes(hashlib.sha512(data).digest(), "little")

def _expand_seed(seed):
    """Section 5.1.5: the secret scalar (clamped as in X25519) and the nonce prefix."""
    _require_length("seed", seed, 32)
    h = hashlib.sha512(seed).digest()
    return _decode_scalar(h[:32]), h[32:]

def ed25519_public(seed: bytes) -> bytes:
    """Section 5.1.5."""
    return point_encode(point_multiply(_expand_seed(seed)[0], BASE))

def ed25519_sign(seed: bytes, message: bytes) -> bytes:
    """Section 5.1.6."""
    a, prefix = _expand_seed(seed)
    public = point_encode(point_multiply(a, BASE))
    r = _sha512_int(prefix + message) % L
    encoded_r = point_encode(point_multiply(r, BASE))
    k = _sha512_int(encoded_r + public + message) % L
    return encoded_r + ((r + k * a) % L).to_bytes(32, "little")

def ed25519_verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Section 5.1.7, with the check [S]B = R + [k]A (without the cofactor) that it allows.

    Low-order public keys are not refused, as the RFC does not ask for it.
    """
    if len(public) != 32 or len(signature) != 64:
        return False
    a = point_decode(public)
    r = point_decode(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    k = _sha512_int(signature[:32] + public + message) % L
    return point_equal(point_multiply(s, BASE), point_add(r, point_multiply(k, a)))
