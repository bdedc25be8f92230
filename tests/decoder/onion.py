"""Packets, section 4 of wire-spec.md: build, peel, open, and what is refused.

Standard library only, and far from constant time: for checking test vectors, never for traffic.
"""

import functools

import primitives

O = 48
HEADER = 72
ENVELOPE_HOP = 254
LETTER_HOP = 255
NO_EXTRA = 0xFFFFFFFF
PRIME = 2**255 - 19

LABELS = {
    "Hop": "mixnet v1 hop",
    "Network": "mixnet v1 network",
    "Mailbox": "mixnet v1 mailbox",
    "Sender": "mixnet v1 sender",
    "Envelope": "mixnet v1 envelope",
    "Commit": "mixnet v1 commit",
    "Parameters": "mixnet v1 parameters",
    "Roster": "mixnet v1 roster",
    "Mailboxes": "mixnet v1 mailboxes",
    "Epoch": "mixnet v1 epoch",
    "Batch": "mixnet v1 batch",
    "Members": "mixnet v1 members",
    "Submission": "mixnet v1 submission",
    "Dealing": "mixnet v1 dealing",
    "Possession": "mixnet v1 possession",
    "SubShares": "mixnet v1 sub-shares",
    "Echoes": "mixnet v1 echoes",
    "Onion": "mixnet v1 onion",
    "Subject": "mixnet v1 subject",
    "List": "mixnet v1 list",
    "ListMac": "mixnet v1 list mac",
    "Transcript": "mixnet v1 transcript",
    "Grounds": "mixnet v1 grounds",
}

# Section 3, "Points", rule 2.
LOW_ORDER = {
    bytes(32),
    (1).to_bytes(32, "little"),
    (PRIME - 1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
}


class Refused(Exception):
    """A seal or a body is refused; `reason` is the word of the specification."""

    def __init__(self, reason, k=None):
        super().__init__(reason)
        self.reason = reason
        self.k = k  # the AEAD key, if the refusal came after its derivation


# ---- Section 3: primitives ---------------------------------------------------------------

# The same agreements recur in peeling, building and mutating one vector.
x25519 = functools.lru_cache(maxsize=4096)(primitives.x25519)
public_key = functools.lru_cache(maxsize=4096)(primitives.x25519_base)
keystream = functools.lru_cache(maxsize=4096)(primitives.payload_keystream)


def H(label, material, length=32):
    return primitives.blake3_derive_key(LABELS[label], material, length)


def PRF(key, message):
    return primitives.blake3_keyed(key, message, 16)


def aead(k, message):
    return primitives.chacha20_poly1305_seal(k, bytes(12), b"", message)


def aead_open(k, tag, ciphertext):
    return primitives.chacha20_poly1305_open(k, bytes(12), b"", tag, ciphertext)


def check_point(u):
    if int.from_bytes(u, "little") >= PRIME:
        raise Refused("malformed")
    if u in LOW_ORDER:
        raise Refused("low_order")


def le(value, size):
    return value.to_bytes(size, "little")


# ---- Section 4.1 -------------------------------------------------------------------------

class Sizes:
    def __init__(self, mixes, payload):
        if not (2 <= mixes <= 7 and 256 <= payload <= 4194304):
            raise ValueError("no such network")
        self.mixes, self.payload = mixes, payload
        self.body = HEADER + payload
        self.letter = O + self.body
        self.envelope = O + 16 + 32 + self.letter
        self.packet = O * mixes + self.envelope


# ---- Section 4.3: keys of a seal ---------------------------------------------------------

class Context:
    def __init__(self, network, epoch, round_):
        self.network, self.epoch, self.round = network, epoch, round_

    def kdf(self, ss, hop, eph, pk, extra):
        material = (ss + bytes([1]) + self.network + le(self.epoch, 8) + le(self.round, 8)
                    + bytes([hop]) + eph + pk + le(extra, 4))
        assert len(material) == 150
        return H("Hop", material, 144)


class Seal:
    """One seal as its maker or its receiver computes it."""

    def __init__(self, context, ss, hop, eph, pk, extra):
        self.ss, self.eph, self.pk = ss, eph, pk
        self.kdf = context.kdf(ss, hop, eph, pk, extra)
        self.k, self.ek, self.rk = self.kdf[:32], self.kdf[32:64], self.kdf[64:96]
        self.filler = self.kdf[96:]

    @classmethod
    def make(cls, context, secret, hop, pk, extra=NO_EXTRA):
        return cls(context, x25519(secret, pk), hop, public_key(secret), pk, extra)

    @classmethod
    def receive(cls, context, secret, hop, eph, extra=NO_EXTRA):
        check_point(eph)
        ss = x25519(secret, eph)
        if ss == bytes(32):
            raise Refused("low_order")
        return cls(context, ss, hop, eph, public_key(secret), extra)

    def close(self, message):
        tag, ciphertext = aead(self.k, message)
        return self.eph + tag + ciphertext

    def open(self, sealed):
        try:
            return aead_open(self.k, sealed[32:48], sealed[48:])
        except primitives.BadTag:
            raise Refused("bad_tag", self.k) from None


def open_sealed(context, secret, hop, sealed, extra=NO_EXTRA):
    seal = Seal.receive(context, secret, hop, sealed[:32], extra)
    return seal, seal.open(sealed)


# ---- Section 4.2: body -------------------------------------------------------------------

def write_body(sizes, kind, message, index, count, expiry, sender, data, tag=bytes(16)):
    if len(data) > sizes.payload or len(message) != 16:
        raise ValueError("no such body")
    header = (bytes([kind]) + bytes(3) + message + le(index, 4) + le(count, 4) + le(len(data), 4)
              + le(expiry, 8) + (sender or bytes(16)) + tag)
    assert len(header) == HEADER
    return header + data + bytes(sizes.payload - len(data))


def parse_body(sizes, body):
    kind, index, count, length = body[0], *(int.from_bytes(body[at:at + 4], "little") for at in (20, 24, 28))
    if kind not in (0, 1):
        raise Refused("kind")
    if any(body[1:4]):
        raise Refused("padding")
    if index >= count:
        raise Refused("index")
    if length > sizes.payload:
        raise Refused("length")
    if any(body[HEADER + length:]):
        raise Refused("padding")
    return {
        "kind": kind,
        "message": body[4:20],
        "index": index,
        "count": count,
        "expiry": int.from_bytes(body[32:40], "little"),
        "sender": body[40:56] if any(body[40:56]) else None,
        "tag": body[56:72],
        "data": body[HEADER:HEADER + length],
    }


# ---- Section 4.4: operations -------------------------------------------------------------

def sender_tag(context, ss, sender_key, recipient_key, eph, body):
    key = H("Sender", ss + context.network + sender_key + recipient_key)
    return PRF(key, eph + body[:56] + bytes(16) + body[72:])


def extra_at(hop, index):
    return index if hop == 1 else NO_EXTRA


class Built:
    """Section 4.4.1, with everything random given and every intermediate kept."""

    def __init__(self, sizes, context, first, index, onion_keys, envelope_key, letter_key, mailbox,
                 make_body, ephemerals, capability, tail):
        letter_secret, envelope_secret, layer_secrets = ephemerals
        if len(layer_secrets) != sizes.mixes - first + 1 or len(tail) != O * (first - 1):
            raise ValueError("wrong number of layers")
        # Steps 1 to 3.
        self.body = make_body(public_key(letter_secret))
        self.letter = Seal.make(context, letter_secret, LETTER_HOP, letter_key).close(self.body)
        self.envelope = Seal.make(context, envelope_secret, ENVELOPE_HOP, envelope_key).close(
            mailbox + capability + self.letter)
        # Steps 4 to 6.
        w = sizes.packet
        self.seals, self.tails = [], []
        for hop, secret in zip(range(first, sizes.mixes + 1), layer_secrets):
            seal = Seal.make(context, secret, hop, onion_keys[hop], extra_at(hop, index))
            n = O * (hop - 1)
            assert len(tail) == n
            stream = keystream(seal.k, w - O - n, n)
            tail = bytes(a ^ b for a, b in zip(tail, stream)) + seal.filler
            self.seals.append(seal)
            self.tails.append(tail)
        # Steps 7 and 8.
        message = self.envelope + tail[:-O]
        self.packets = []
        for at in reversed(range(len(self.seals))):
            assert len(message) == w - O
            packet = self.seals[at].close(message)
            self.packets.insert(0, packet)
            if at > 0:
                assert packet[-O:] == self.seals[at - 1].filler
                message = packet[:-O]
        # Section 4.4.6; x of the first hop is the echo.
        self.echoes = echoes(context, [seal.ek for seal in self.seals], self.envelope)


def echoes(context, echo_keys, envelope):
    """x behind each hop's step, first hop first."""
    x = le(context.round, 8) + H("Envelope", envelope)
    all_x = []
    for ek in reversed(echo_keys):
        x = PRF(ek, x)
        all_x.insert(0, x)
    return all_x


def commitment(context, index, x):
    return H("Commit", context.network + le(context.epoch, 8) + le(context.round, 8) + le(index, 4) + x)[:16]


def peel(sizes, context, hop, secret, packet, extra, seen):
    """Section 4.4.2: the seal and the packet to forward."""
    if len(packet) != sizes.packet:
        raise Refused("malformed")
    seal, message = open_sealed(context, secret, hop, packet, extra)
    if seal.eph in seen:
        raise Refused("replay", seal.k)
    seen.add(seal.eph)
    return seal, message + seal.filler


def open_envelope(sizes, context, secret, packet):
    """Section 4.4.3: seal, mailbox id, capability field, letter."""
    seal, plain = open_sealed(context, secret, ENVELOPE_HOP, packet[:sizes.envelope])
    return seal, plain[:16], plain[16:48], plain[48:]


def open_letter(context, secret, letter):
    """Section 4.4.4, step 1: seal and body."""
    return open_sealed(context, secret, LETTER_HOP, letter)
