"""Frames and messages, sections 5 and 6 of wire-spec.md: a strict codec driven by a table of types.

Decoded values are plain JSON values: bytes are hexadecimal strings, a struct is an object, a variant without fields is
its name, one with fields is {name: fields}.
"""

MAX_MESSAGE = 1 << 20


class BadFrame(Exception):
    """`reason` is the word of section 5."""

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n > len(self.data) - self.at:
            raise BadFrame("malformed")
        self.at += n
        return self.data[self.at - n:self.at]

    def varint(self, size):
        first = self.take(1)[0]
        if first <= 250:
            return first
        n = {251: 2, 252: 4, 253: 8}.get(first)
        if n is None or n > size:
            raise BadFrame("malformed")
        return int.from_bytes(self.take(n), "little")


def write_varint(value, size):
    if not 0 <= value < 1 << (8 * size):
        raise ValueError("integer out of range")
    if value <= 250:
        return bytes([value])
    for marker, n in ((251, 2), (252, 4), (253, 8)):
        if value < 1 << (8 * n):
            return bytes([marker]) + value.to_bytes(n, "little")


# ---- Section 5.2: types ------------------------------------------------------------------

class Int:
    def __init__(self, size):
        self.size = size

    def decode(self, reader):
        return reader.take(1)[0] if self.size == 1 else reader.varint(self.size)

    def encode(self, value):
        return bytes([value]) if self.size == 1 else write_varint(value, self.size)


class Fixed:
    def __init__(self, size):
        self.size = size

    def decode(self, reader):
        return reader.take(self.size).hex()

    def encode(self, value):
        data = bytes.fromhex(value)
        if len(data) != self.size:
            raise ValueError("wrong number of bytes")
        return data


class Bytes:
    def decode(self, reader):
        return reader.take(reader.varint(8)).hex()

    def encode(self, value):
        data = bytes.fromhex(value)
        return write_varint(len(data), 8) + data


class List:
    def __init__(self, item):
        self.item = item

    def decode(self, reader):
        count = reader.varint(8)
        if count > len(reader.data) - reader.at:  # every element has at least one byte
            raise BadFrame("malformed")
        return [self.item.decode(reader) for _ in range(count)]

    def encode(self, value):
        return write_varint(len(value), 8) + b"".join(self.item.encode(item) for item in value)


class Option:
    def __init__(self, item):
        self.item = item

    def decode(self, reader):
        tag = reader.take(1)[0]
        if tag > 1:
            raise BadFrame("malformed")
        return self.item.decode(reader) if tag else None

    def encode(self, value):
        return b"\0" if value is None else b"\1" + self.item.encode(value)


class Struct:
    def __init__(self, **fields):
        self.fields = fields

    def decode(self, reader):
        return {name: field.decode(reader) for name, field in self.fields.items()}

    def encode(self, value):
        if value.keys() != self.fields.keys():
            raise ValueError("wrong fields")
        return b"".join(field.encode(value[name]) for name, field in self.fields.items())


class Enum:
    """Variants in order of their discriminants: (name, type of the fields or None)."""

    def __init__(self, *variants):
        self.variants = [(v, None) if isinstance(v, str) else v for v in variants]

    def decode(self, reader):
        number = reader.varint(4)
        if number >= len(self.variants):
            raise BadFrame("malformed")
        name, fields = self.variants[number]
        return name if fields is None else {name: fields.decode(reader)}

    def encode(self, value):
        wanted, inner = (value, None) if isinstance(value, str) else next(iter(value.items()))
        for number, (name, fields) in enumerate(self.variants):
            if name == wanted:
                return write_varint(number, 4) + (b"" if fields is None else fields.encode(inner))
        raise ValueError("no such variant")


# ---- Section 6: messages -----------------------------------------------------------------

U8, U32, U64 = Int(1), Int(4), Int(8)
B16, DIGEST, KEY, SIGNATURE = Fixed(16), Fixed(32), Fixed(32), Fixed(64)
MEMBERS = Bytes()

MIX_KEYS = Struct(boot=B16, list_key=KEY, onion_keys=List(KEY), dealing=DIGEST)
EPOCH_DOCUMENT = Struct(
    network=DIGEST, epoch=U64, previous=DIGEST, first_round=U64, rounds=U32, members=U32, parameters=DIGEST,
    roster=DIGEST, mailboxes=DIGEST, proposed_at_ms=U64, mixes=List(MIX_KEYS), envelope_keys=List(KEY))
SUB_SHARES = Struct(epoch=U64, dealing=DIGEST, values=List(Fixed(32)), signature=SIGNATURE)
SIGNED_EPOCH = Struct(document=EPOCH_DOCUMENT, signatures=List(SIGNATURE))
ABORT_REASON = Enum("TooFewClients", "LinkDown", "Lost", "BadLayer", "Replay", "SecondBatch", "BadBatch", "Timeout",
                    "Stopping", "WrongShare", "BadList", "BadEcho", "Transcript", "LeftOut")
OUTCOME = Enum(("Stored", Struct(refused=U32)), ("Aborted", ABORT_REASON), "OpenedNotStored")
VERDICT = Struct(network=DIGEST, epoch=U64, round=U64, members=MEMBERS, outcome=OUTCOME)
SIGNED_VERDICT = Struct(verdict=VERDICT, signatures=List(SIGNATURE))
BATCH_HEADER = Struct(network=DIGEST, epoch=DIGEST, round=U64, hop=U8, count=U32, noise=U32, members=MEMBERS,
                      input=DIGEST, output=DIGEST)
SIGNED_BATCH_HEADER = Struct(header=BATCH_HEADER, signature=SIGNATURE)
LIST_CONTEXT = Struct(network=DIGEST, epoch=U64, round=U64)
LIST_HEADER = Struct(context=LIST_CONTEXT, attempt=U8, count=U32, signed=U32, root=DIGEST)
SIGNED_LIST_HEADER = Struct(header=LIST_HEADER, signature=SIGNATURE)
LIST_COMPLAINT = Struct(context=LIST_CONTEXT, hop=U8, root=DIGEST, clients=MEMBERS)
SIGNED_LIST_COMPLAINT = Struct(complaint=LIST_COMPLAINT, signature=SIGNATURE)
SECOND_LIST = Struct(header=SIGNED_LIST_HEADER, complaints=List(SIGNED_LIST_COMPLAINT))
LIST_SIGNATURE = Struct(round=U64, root=DIGEST, signature=SIGNATURE)
LIST_COMPLETE = Struct(round=U64, root=DIGEST, signatures=List(SIGNATURE))
PIECE = Struct(number=U32, bytes=Bytes())
SLOT = Struct(network=DIGEST, epoch=U64, round=U64)
ECHO_HEADER = Struct(network=DIGEST, epoch=DIGEST, round=U64, hop=U8, input=DIGEST, count=U32, digest=DIGEST)
SIGNED_ECHO_HEADER = Struct(header=ECHO_HEADER, signature=SIGNATURE)
HEADERS = Struct(round=U64, batches=List(SIGNED_BATCH_HEADER), echoes=List(SIGNED_ECHO_HEADER))
GROUNDS = Struct(list=LIST_COMPLETE, headers=HEADERS)
CONFIRM = Struct(slot=SLOT, transcript=DIGEST, grounds=DIGEST)
REFUSAL = Enum("Malformed", "WrongRound", "Late", "Duplicate", "Full", "NotOnRoster", "NotRegistered", "WrongMix",
               "Stopping", "Evicted")
PLACE = Struct(hop=U8, place=U32)
MISMATCH = Enum(("Layer", PLACE), ("Replay", PLACE), ("Noise", PLACE), ("Echo", Struct(place=U32)),
                ("Equivocation", Struct(hop=U8)), ("Transcript", Struct(hop=U8)), ("Header", Struct(hop=U8)))
ACCUSATION = Struct(slot=SLOT, mismatch=MISMATCH, subject=DIGEST)
ONION_KEY = Struct(slot=SLOT, key=Fixed(32), noise=List(U32))
EXHIBIT = Enum(("Batch", Struct(hop=U8)), ("Echoes", Struct(hop=U8)), "Signatures", ("Onions", Struct(segment=U32)),
               ("Noise", Struct(hop=U8)), ("Submission", Struct(client=U32)))

REQUEST = Enum(
    "Register",
    ("WaitForStart", Struct(epoch=U64)),
    ("NextRound", Struct(epoch=U64, after=U64, unsettled=U64)),
    ("Submit", Struct(round=U64)),
    ("PollMessages", Struct(round=U64, capability=Fixed(32), acknowledged=Fixed(8), after=Fixed(8))),
    ("Attach", Struct(client=U32, signature=SIGNATURE)),
    ("As", Struct(client=Fixed(4))),
    ("HandOver", Struct(round=U64)),
)
REPLY = Enum(
    ("Registered", Struct(index=U32)),
    ("Start", Struct(chain=List(SIGNED_EPOCH), round=U64, starts_in_ms=U64, round_ms=U32)),
    ("Ticket", Struct(round=U64, closes_in_ms=U64, chain=List(SIGNED_EPOCH), verdicts=List(SIGNED_VERDICT))),
    ("Receipt", Struct(round=U64, signature=SIGNATURE)),
    ("Letters", Struct(count=Fixed(4), cursor=Fixed(8))),
    ("Refused", REFUSAL),
    ("Attached", Struct(index=U32)),
    ("HandedOver", Struct(round=U64)),
)
PEER_MESSAGE = Enum(
    ("Hello", Struct(boot=B16, epoch=U64)),
    ("EpochCall", Struct(epoch=U64, previous=Option(SIGNED_EPOCH), first_round=U64, rounds=U32)),
    ("EpochKeys", Struct(epoch=U64, keys=MIX_KEYS)),
    ("EpochCommitments", Struct(epoch=U64, dealings=List(DIGEST))),
    ("EpochOpening", Struct(epoch=U64, opening=Bytes())),
    ("EpochSubShares", SUB_SHARES),
    ("EpochProposal", Struct(document=EPOCH_DOCUMENT, openings=List(Bytes()))),
    ("EpochSignature", Struct(epoch=U64, digest=DIGEST, signature=SIGNATURE)),
    ("EpochRefusal", Struct(epoch=U64, reason=Enum("Parameters", "Stale", "Signed", "Document", "Dealing"),
                            newest=Option(SIGNED_EPOCH))),
    ("EpochComplete", SIGNED_EPOCH),
    ("ForwardBatch", SIGNED_BATCH_HEADER),
    ("BatchAccepted", Struct(round=U64, digest=DIGEST)),
    ("List", Struct(header=SIGNED_LIST_HEADER, piece=PIECE)),
    ("SecondList", SECOND_LIST),
    ("ListSignature", LIST_SIGNATURE),
    ("ListComplaint", SIGNED_LIST_COMPLAINT),
    ("ListComplete", LIST_COMPLETE),
    ("BatchHeader", SIGNED_BATCH_HEADER),
    ("Echoes", Struct(header=SIGNED_ECHO_HEADER, piece=PIECE)),
    ("EchoHeader", SIGNED_ECHO_HEADER),
    ("Confirm", Struct(confirm=CONFIRM, grounds=GROUNDS, signature=SIGNATURE)),
    ("Release", Struct(epoch=U64, round=U64, transcript=DIGEST, share=Fixed(32), signature=SIGNATURE)),
    ("Abort", Struct(epoch=U64, round=U64, reason=ABORT_REASON)),
    ("Decision", Struct(verdict=VERDICT, signature=SIGNATURE)),
    ("VerdictSignature", Struct(round=U64, signature=SIGNATURE)),
    ("VerdictComplete", SIGNED_VERDICT),
    ("Accusation", Struct(accusation=ACCUSATION, signature=SIGNATURE)),
    ("Burnt", Struct(burnt=Struct(slot=SLOT), signature=SIGNATURE)),
    ("OnionKey", Struct(key=ONION_KEY, signature=SIGNATURE)),
    ("Headers", HEADERS),
    ("Ask", Struct(round=U64, exhibit=EXHIBIT, number=U32)),
    ("Show", Struct(round=U64, exhibit=EXHIBIT, piece=PIECE)),
    ("Evidence", Struct(file=Bytes())),
    ("RoundOpened", Struct(epoch=U64, round=U64)),
    ("HandedOver", Struct(round=U64, clients=MEMBERS)),
    ("ListHeader", SIGNED_LIST_HEADER),
)
MESSAGES = {"Request": REQUEST, "Reply": REPLY, "PeerMessage": PEER_MESSAGE}


def read_all(kind, data):
    """Exactly one value of a type, from all of the bytes."""
    reader = Reader(data)
    value = kind.decode(reader)
    if reader.at != len(data):
        raise BadFrame("trailing")
    if kind.encode(value) != data:
        raise BadFrame("not_canonical")
    return value


# ---- Section 5.1: frames -----------------------------------------------------------------

def write_frame(kind, value):
    body = MESSAGES[kind].encode(value)
    return len(body).to_bytes(4, "little") + body


def read_frame(kind, frame):
    n = int.from_bytes(frame[:4], "little")
    if len(frame) < 4 or not 1 <= n <= MAX_MESSAGE or n != len(frame) - 4:
        raise BadFrame("length")
    return read_all(MESSAGES[kind], frame[4:])
