"""Checks of evidence.json: sections 7.12 and 8.9 of wire-spec.md. The names of steps are the ones there."""

import codec
import joint
import layouts
import lists
import onion
import primitives
from codec import DIGEST, SIGNATURE, Bytes, Enum, Fixed, List, Option, Struct, U8, U32, U64
from mismatch import Mismatch, only, same, unhex
from onion import NO_EXTRA, O, Refused

MAGIC = b"mixnet v1 evidence\0"
MAX_EVIDENCE = 64 << 20

# ---- Section 7.12 ------------------------------------------------------------------------

KEY, RECORD, ROW, ECHO = Fixed(32), Fixed(52), Fixed(68), Fixed(16)
ACCUSATION = codec.ACCUSATION
STATEMENT = Enum(
    ("List", codec.SIGNED_LIST_HEADER),
    ("Batch", codec.SIGNED_BATCH_HEADER),
    ("Echo", codec.SIGNED_ECHO_HEADER),
    ("Confirm", Struct(hop=U8, confirm=codec.CONFIRM, signature=SIGNATURE)),
    ("Document", Struct(hop=U8, document=codec.EPOCH_DOCUMENT, signature=SIGNATURE)),
    ("Verdict", Struct(hop=U8, verdict=codec.VERDICT, signature=SIGNATURE)),
)
LIST = Struct(records=List(RECORD), signatures=List(ROW))
SOURCE = Enum(("List", Struct(list=LIST, signature=SIGNATURE)), ("Batch", List(DIGEST)))
TAKEN = Struct(hop=U8, key=KEY, packet=Bytes(), place=U32, source=SOURCE)
PASSED = Struct(header=codec.SIGNED_BATCH_HEADER, hashes=List(DIGEST))
RIGHT_NOISE = Struct(passed=PASSED, packet=Bytes(), keys=List(KEY), header=codec.ECHO_HEADER, echoes=List(ECHO), root=DIGEST)
PROOF = Enum(
    ("Client", Struct(records=List(RECORD), signature=SIGNATURE, which=U32, onion=Bytes(), keys=List(KEY))),
    ("Dropped", Struct(taken=TAKEN, passed=PASSED)),
    ("Echo", Struct(taken=TAKEN, header=codec.SIGNED_ECHO_HEADER, echoes=List(ECHO),
                    onward=Option(Struct(passed=PASSED, place=U32, echoes=List(ECHO))))),
    ("FalseAccusation", Struct(hop=U8, accusation=ACCUSATION, signature=SIGNATURE, shown=Enum(
        "Nothing",
        ("Layer", Struct(header=codec.BATCH_HEADER, taken=TAKEN)),
        ("Batch", Struct(header=codec.BATCH_HEADER, hashes=List(DIGEST))),
        ("Noise", Struct(declared=codec.ONION_KEY, signature=SIGNATURE, right=Option(RIGHT_NOISE))),
        ("Echo", Struct(header=codec.ECHO_HEADER, echoes=List(ECHO), list=LIST)),
    ))),
    ("Header", Struct(header=codec.SIGNED_BATCH_HEADER, source=Option(SOURCE))),
    ("Noise", Struct(passed=PASSED, declared=codec.ONION_KEY, signature=SIGNATURE, wrong=Enum(
        ("Places", SOURCE),
        ("Taken", TAKEN),
        ("Layer", Struct(place=U32, packet=Bytes(), keys=List(KEY))),
    ))),
    ("Confirm", Struct(hop=U8, confirm=codec.CONFIRM, signature=SIGNATURE, grounds=codec.GROUNDS)),
    ("Share", Struct(hop=U8, transcript=DIGEST, share=KEY, signature=SIGNATURE, openings=List(Bytes()))),
)
EVIDENCE = Enum(
    ("Equivocation", Struct(document=Option(codec.EPOCH_DOCUMENT), first=STATEMENT, second=STATEMENT)),
    ("Round", Struct(document=codec.SIGNED_EPOCH, round=U64, proof=PROOF)),
    ("SubShare", Struct(dealer=U8, receiver=U8, first_round=U64, rounds=U32, round=U64, opening=Bytes(), dealt=codec.SUB_SHARES)),
)


class Unproven(Exception):
    """Evidence that proves nothing; `reason` is the word of section 8.9."""

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


def need(condition, reason):
    if not condition:
        raise Unproven(reason)


def at(values, place):
    need(place < len(values), "packet")
    return values[place]


def read(data):
    need(data.startswith(MAGIC), "malformed")
    need(len(data) - len(MAGIC) <= MAX_EVIDENCE, "too_long")
    try:
        return codec.read_all(EVIDENCE, data[len(MAGIC):])
    except codec.BadFrame as refusal:
        raise Unproven(refusal.reason) from refusal


# ---- Section 8.9 -------------------------------------------------------------------------

def onion_digest(packet):
    return onion.H("Onion", packet)


def batch_digest(hashes):
    return onion.H("Batch", b"".join(map(bytes.fromhex, hashes)))


def echoes_digest(echoes):
    return onion.H("Echoes", b"".join(map(bytes.fromhex, echoes)))


def echo_signed(header):
    return layouts.echo_header(header["network"], header["epoch"], header["round"], header["hop"],
                               bytes.fromhex(header["input"]), header["count"], bytes.fromhex(header["digest"]))


class Network:
    """A network file, as far as evidence needs it."""

    def __init__(self, value):
        self.id = onion.H("Network", value["parameters"]["network"].encode("utf-8")).hex()
        self.digests = {
            "parameters": layouts.parameters(value["parameters"]).hex(),
            "roster": layouts.roster(value["mixes"], value["clients"]).hex(),
            "mailboxes": layouts.mailboxes(value["mailboxes"]).hex(),
        }
        self.packets_per_client = value["parameters"]["packets_per_client"]
        self.noise_packets = value["parameters"]["noise_packets"]
        self.threshold = value["parameters"]["threshold"]
        self.mixes = [unhex(mix["identity"], 32) for mix in value["mixes"]]
        self.clients = [unhex(client["identity"], 32) for client in value["clients"]]
        self.sizes = onion.Sizes(len(self.mixes), value["parameters"]["payload"])

    def signed(self, hop, layout, signature, reason="signature"):
        need(1 <= hop <= len(self.mixes), "slot")
        need(primitives.ed25519_verify(self.mixes[hop - 1], layout, bytes.fromhex(signature)), reason)


class Round:
    def __init__(self, network, signed, round_):
        document = signed["document"]
        self.network, self.sizes, self.document = network, network.sizes, document
        self.check_document(document, signed["signatures"])
        self.round = round_
        number = round_ - document["first_round"]
        need(0 <= number < document["rounds"], "slot")
        self.keys = [bytes.fromhex(mix["onion_keys"][number]) for mix in document["mixes"]]
        self.digest = layouts.epoch(document).hex()
        self.slot = {"network": network.id, "epoch": document["epoch"], "round": round_}
        self.context = onion.Context(bytes.fromhex(network.id), document["epoch"], round_)

    def check_document(self, document, signatures):
        network, rounds = self.network, document["rounds"]
        need(document["network"] == network.id, "document")
        need(1 <= rounds <= 240 and document["first_round"] + rounds < 1 << 64, "document")
        need(len(document["mixes"]) == len(network.mixes) == len(signatures), "document")
        need(len(document["envelope_keys"]) == rounds, "document")
        keys = list(document["envelope_keys"])
        for mix in document["mixes"]:
            need(len(mix["onion_keys"]) == rounds, "document")
            keys += mix["onion_keys"] + [mix["list_key"]]
        for key in keys:
            try:
                onion.check_point(bytes.fromhex(key))
            except Refused as refusal:
                raise Unproven("document") from refusal
        need(all(document[name] == digest for name, digest in network.digests.items()), "document")
        layout = layouts.epoch_signed(layouts.epoch(document))
        for hop, signature in enumerate(signatures, start=1):
            network.signed(hop, layout, signature, "document")

    def secret(self, hop, key):
        need(1 <= hop <= len(self.keys), "slot")
        need(onion.public_key(bytes.fromhex(key)) == self.keys[hop - 1], "key")
        return bytes.fromhex(key)

    def check_header(self, header, last):
        own = (header["network"], header["epoch"], header["round"]) == (self.network.id, self.digest, self.round)
        need(own and 1 <= header["hop"] <= last, "slot")

    def check_batch(self, header):
        self.check_header(header, len(self.keys) - 1)

    def check_signed(self, signed):
        self.check_batch(signed["header"])
        self.network.signed(signed["header"]["hop"], layouts.batch_header(signed["header"]), signed["signature"])

    def list_context(self):
        return lists.round_fields(self.slot)

    def root(self, list_):
        return lists.root(self.list_context(), *(list(map(bytes.fromhex, list_[name])) for name in ("records", "signatures")))

    # What a mix took in.

    def check_taken(self, taken, header):
        kind, content = next(iter(taken["source"].items()))
        need((kind == "List") == (taken["hop"] == 1) and taken["hop"] >= 1, "slot")
        if kind == "Batch":
            return self.check_input(taken, header["input"])
        record = bytes.fromhex(at(content["list"]["records"], taken["place"]))
        need(onion_digest(bytes.fromhex(taken["packet"])) == record[4:36], "packet")
        self.network.signed(1, lists.root_signed(self.list_context(), self.root(content["list"])), content["signature"])

    def check_input(self, taken, digest):
        need("Batch" in taken["source"], "slot")
        hashes = taken["source"]["Batch"]
        need(batch_digest(hashes).hex() == digest, "digest")
        need(at(hashes, taken["place"]) == onion_digest(bytes.fromhex(taken["packet"])).hex(), "packet")

    def check_shown(self, passed):
        header = passed["header"]["header"]
        self.check_signed(passed["header"])
        need(batch_digest(passed["hashes"]).hex() == header["output"], "digest")
        return header

    def check_passed(self, passed, taken):
        header = self.check_shown(passed)
        need(taken["hop"] == header["hop"], "slot")
        self.check_taken(taken, header)

    def peel(self, taken):
        """The echo key, and the packet that is handed on."""
        secret = self.secret(taken["hop"], taken["key"])
        extra, packet = NO_EXTRA, bytes.fromhex(taken["packet"])
        if "List" in taken["source"]:
            record = at(taken["source"]["List"]["list"]["records"], taken["place"])
            extra = int.from_bytes(bytes.fromhex(record)[:4], "little")
        need(len(packet) == self.sizes.packet, "packet")
        try:
            seal, packet = onion.peel(self.sizes, self.context, taken["hop"], secret, packet, onion.extra_at(taken["hop"], extra), set())
        except Refused as refusal:
            raise Unproven("layer") from refusal
        return seal.ek, packet

    # The proofs.

    def client(self, proof):
        records = list(map(bytes.fromhex, proof["records"]))
        need(proof["which"] < len(records), "records")
        named = records[proof["which"]]
        index = int.from_bytes(named[:4], "little")
        need(len(records) == self.network.packets_per_client and index < len(self.network.clients)
             and all(record[:4] == named[:4] for record in records), "records")
        signed = lists.records_signed(self.list_context(), records)
        need(primitives.ed25519_verify(self.network.clients[index], signed, bytes.fromhex(proof["signature"])), "client_signature")
        packet = bytes.fromhex(proof["onion"])
        need(len(packet) == self.sizes.packet and onion_digest(packet) == named[4:36], "packet")
        need(1 <= len(proof["keys"]) <= len(self.keys), "key")
        secrets = [self.secret(hop, key) for hop, key in enumerate(proof["keys"], start=1)]
        echo_keys = []
        for hop, secret in enumerate(secrets, start=1):
            try:
                seal, packet = onion.peel(self.sizes, self.context, hop, secret, packet, onion.extra_at(hop, index), set())
            except Refused as refusal:
                if hop != len(secrets):
                    raise Unproven("layer") from refusal
                return "client", index, "layer"
            echo_keys.append(seal.ek)
        need(len(secrets) == len(self.keys), "innocent")
        echo = onion.echoes(self.context, echo_keys, packet[:self.sizes.envelope])[0]
        need(onion.commitment(self.context, index, echo) != named[36:], "innocent")
        return "client", index, "commitment"

    def dropped(self, proof):
        self.check_passed(proof["passed"], proof["taken"])
        _, packet = self.peel(proof["taken"])
        need(onion_digest(packet).hex() not in proof["passed"]["hashes"], "innocent")
        return "mix", proof["taken"]["hop"], "dropped"

    def echo(self, proof):
        header, taken, onward = proof["header"]["header"], proof["taken"], proof["onward"]
        self.check_header(header, len(self.keys))
        self.network.signed(header["hop"], echo_signed(header), proof["header"]["signature"])
        need(echoes_digest(proof["echoes"]).hex() == header["digest"], "digest")
        need(taken["hop"] == header["hop"], "slot")
        handed_back = bytes.fromhex(at(proof["echoes"], taken["place"]))
        ek, packet = self.peel(taken)
        if onward is None:
            need(header["hop"] == len(self.keys), "slot")
            self.check_input(taken, header["input"])
            expected = onion.echoes(self.context, [ek], packet[:self.sizes.envelope])[0]
        else:
            self.check_passed(onward["passed"], taken)
            need(echoes_digest(onward["echoes"]).hex() == header["input"], "digest")
            echo = bytes.fromhex(at(onward["echoes"], onward["place"]))
            need(at(onward["passed"]["hashes"], onward["place"]) == onion_digest(packet).hex(), "packet")
            expected = onion.PRF(ek, echo)
        need(expected != handed_back, "innocent")
        return "mix", header["hop"], "echo"

    def header(self, proof):
        header, source = proof["header"]["header"], proof["source"]
        self.check_signed(proof["header"])
        fits = True
        if source is not None:
            count, members = self.took_in(header, source)
            fits = 0 <= header["count"] - count <= self.network.noise_packets and header["members"] == members
        clients = sum(bin(byte).count("1") for byte in bytes.fromhex(header["members"]))
        fits = (fits and header["count"] == clients * self.network.packets_per_client + header["noise"]
                and header["noise"] <= header["hop"] * self.network.noise_packets)
        need(not fits, "innocent")
        return "mix", header["hop"], "header"

    def took_in(self, header, source):
        """How many packets, and of which members; of a batch whatever the header says."""
        kind, content = next(iter(source.items()))
        need((kind == "List") == (header["hop"] == 1), "slot")
        if kind == "Batch":
            need(batch_digest(content).hex() == header["input"], "digest")
            return len(content), header["members"]
        records = content["list"]["records"]
        self.network.signed(1, lists.root_signed(self.list_context(), self.root(content["list"])), content["signature"])
        members = {int.from_bytes(bytes.fromhex(record)[:4], "little") for record in records}
        need(all(index < len(self.network.clients) for index in members), "records")
        return len(records), layouts.bitmap(len(self.network.clients), members).hex()

    def check_declared(self, hop, declared, signature):
        need(declared["slot"] == self.slot, "slot")
        self.network.signed(hop, layouts.onion_key(**self.slot, key=declared["key"], noise=declared["noise"]), signature)

    def check_packet(self, passed, place, packet):
        need(len(packet) == self.sizes.packet, "packet")
        need(at(passed["hashes"], place) == onion_digest(packet).hex(), "packet")

    def open_behind(self, hop, packet, keys):
        """Opens what `hop` handed on: the echo keys, what is left, and whether all layers have opened."""
        need(keys and hop + len(keys) <= len(self.keys), "key")
        secrets = [self.secret(hop + number, key) for number, key in enumerate(keys, start=1)]
        echo_keys = []
        for number, secret in enumerate(secrets, start=1):
            try:
                seal, packet = onion.peel(self.sizes, self.context, hop + number, secret, packet, NO_EXTRA, set())
            except Refused:
                return echo_keys, packet, False
            echo_keys.append(seal.ek)
        return echo_keys, packet, True

    def noise(self, proof):
        passed, declared = proof["passed"], proof["declared"]
        header = self.check_shown(passed)
        hop, hashes, places = header["hop"], passed["hashes"], declared["noise"]
        self.check_declared(hop, declared, proof["signature"])
        kind, content = next(iter(proof["wrong"].items()))
        if kind == "Places":
            added = header["count"] - self.took_in(header, content)[0]
            right = (added == len(places) and all(place < len(hashes) for place in places)
                     and all(a < b for a, b in zip(places, places[1:]))
                     and all(hashes.count(hashes[place]) == 1 for place in places))
        elif kind == "Taken":
            self.check_passed(passed, content)
            _, packet = self.peel(content)
            right = onion_digest(packet).hex() not in [hashes[place] for place in places if place < len(hashes)]
        else:
            need(content["place"] in places, "packet")
            packet = bytes.fromhex(content["packet"])
            self.check_packet(passed, content["place"], packet)
            echo_keys, _, right = self.open_behind(hop, packet, content["keys"])
            need(right or len(echo_keys) + 1 == len(content["keys"]), "layer")
        need(not right, "innocent")
        return "mix", hop, "noise"

    def right_noise(self, accuser, where, subject, right):
        """Whether what came back for an accuser's own noise was wrong after all."""
        header, passed = right["header"], right["passed"]
        self.check_header(header, len(self.keys))
        need(onion.H("Subject", echo_signed(header) + bytes.fromhex(right["root"])).hex() == subject, "digest")
        need(header["hop"] == where["hop"], "slot")
        need(self.check_shown(passed)["hop"] == accuser, "slot")
        need(echoes_digest(right["echoes"]).hex() == header["digest"], "digest")
        packet = bytes.fromhex(right["packet"])
        self.check_packet(passed, where["place"], packet)
        echo_keys, packet, opened = self.open_behind(accuser, packet, right["keys"])
        need(opened, "layer")
        need(accuser + len(right["keys"]) == len(self.keys), "key")
        expected = onion.echoes(self.context, echo_keys, packet[:self.sizes.envelope])[0]
        echoes = right["echoes"]
        return where["place"] >= len(echoes) or bytes.fromhex(echoes[where["place"]]) != expected

    def false_accusation(self, proof):
        accusation, accuser = proof["accusation"], proof["hop"]
        need(accusation["slot"] == self.slot, "slot")
        kind, where = next(iter(accusation["mismatch"].items()))
        layout = layouts.accusation(*(self.slot[name] for name in ("network", "epoch", "round")), kind.lower(),
                                    accusation["subject"], **where)
        self.network.signed(accuser, layout, proof["signature"])
        shown = proof["shown"]
        right = (self.is_possible(kind, where, accuser) if shown == "Nothing"
                 else self.is_right(kind, where, accuser, accusation["subject"], *next(iter(shown.items()))))
        need(not right, "innocent")
        return "mix", accuser, "false_accusation"

    def is_possible(self, kind, where, accuser):
        hop = where.get("hop")
        other = hop is not None and hop != accuser and 1 <= hop <= len(self.keys)
        return {
            "Layer": lambda: hop >= 1 and hop + 1 == accuser,
            "Replay": lambda: hop >= 1 and hop + 1 == accuser,
            "Noise": lambda: hop == accuser + 1 and other,
            "Echo": lambda: True,
            "Equivocation": lambda: other,
            "Transcript": lambda: other,
            "Header": lambda: other and 2 <= hop < len(self.keys),
        }[kind]()

    def is_right(self, kind, where, accuser, subject, what, shown):
        def check_subject(signed):
            need(onion.H("Subject", signed).hex() == subject, "digest")

        if what in ("Layer", "Batch") and kind in ("Layer", "Replay") and (what, kind) != ("Layer", "Replay"):
            header = shown["header"]
            self.check_batch(header)
            check_subject(layouts.batch_header(header))
            if what == "Layer":
                taken = shown["taken"]
                need((header["hop"], taken["hop"], taken["place"]) == (where["hop"], accuser, where["place"]), "slot")
                self.check_input(taken, header["output"])
                try:
                    self.peel(taken)
                except Unproven as unproven:
                    if unproven.reason != "layer":
                        raise
                    return True
                return False
            need(header["hop"] == where["hop"], "slot")
            hashes = shown["hashes"]
            need(batch_digest(hashes).hex() == header["output"], "digest")
            there = where["place"] < len(hashes)
            return there and (kind == "Layer" or hashes[where["place"]] in hashes[:where["place"]])
        if (what, kind) == ("Noise", "Noise"):
            self.check_declared(accuser, shown["declared"], shown["signature"])
            if shown["right"] is None:
                return where["place"] in shown["declared"]["noise"]
            return self.right_noise(accuser, where, subject, shown["right"])
        if (what, kind) == ("Echo", "Echo"):
            header, echoes, records = shown["header"], shown["echoes"], shown["list"]["records"]
            self.check_header(header, len(self.keys))
            check_subject(echo_signed(header) + self.root(shown["list"]))
            need(header["hop"] == 1, "slot")
            need(echoes_digest(echoes).hex() == header["digest"], "digest")
            place = where["place"]
            if place >= min(len(echoes), len(records)):
                return False
            record = bytes.fromhex(records[place])
            index = int.from_bytes(record[:4], "little")
            return onion.commitment(self.context, index, bytes.fromhex(echoes[place])) != record[36:]
        raise Unproven("slot")

    def confirm(self, proof):
        confirm, grounds, hop = proof["confirm"], proof["grounds"], proof["hop"]
        need(confirm["slot"] == self.slot, "slot")
        signed = layouts.confirm(*self.slot.values(), confirm["transcript"], confirm["grounds"])
        self.network.signed(hop, signed, proof["signature"])
        need(onion.H("Grounds", codec.GROUNDS.encode(grounds)).hex() == confirm["grounds"], "digest")
        need(not self.makes(grounds, confirm["transcript"]), "innocent")
        return "mix", hop, "confirm"

    def makes(self, grounds, transcript):
        """Whether these grounds make a transcript and are signed by all that should."""
        mixes, list_ = len(self.keys), grounds["list"]
        batches, echoes = grounds["headers"]["batches"], grounds["headers"]["echoes"]
        if (len(batches), len(echoes), len(list_["signatures"])) != (mixes - 1, mixes, mixes) or list_["round"] != self.round:
            return False
        headers = [layouts.batch_header(signed["header"]).hex() for signed in batches]
        back = [echo_signed(signed["header"]).hex() for signed in reversed(echoes)]
        if layouts.transcript(self.digest, list_["root"], headers, back).hex() != transcript:
            return False
        root = lists.root_signed(self.list_context(), bytes.fromhex(list_["root"]))
        try:
            for hop, signature in enumerate(list_["signatures"], start=1):
                self.network.signed(hop, root, signature)
            for hop, signed in enumerate(batches, start=1):
                need(signed["header"]["hop"] == hop, "slot")
                self.check_signed(signed)
            for hop, signed in enumerate(echoes, start=1):
                need(signed["header"]["hop"] == hop, "slot")
                self.check_header(signed["header"], mixes)
                self.network.signed(hop, echo_signed(signed["header"]), signed["signature"])
        except Unproven:
            return False
        return True

    def share(self, proof):
        hop, document = proof["hop"], self.document
        self.network.signed(hop, layouts.release(*self.slot.values(), proof["transcript"], proof["share"]), proof["signature"])
        keys = joint.Keys(self.network, document["epoch"], document["first_round"], document["rounds"])
        openings = list(map(bytes.fromhex, proof["openings"]))
        whose = [hop] if keys.coefficients == 1 else range(1, keys.mixes + 1)
        for number, opening in zip(whose, openings):
            need(keys.dealing(number, opening).hex() == document["mixes"][number - 1]["dealing"], "digest")
        owed = keys.owed_share(openings, keys.place(self.round), hop)
        need(owed is not None, "digest")
        need(not joint.is_share(proof["share"], owed), "innocent")
        return "mix", hop, "share"


def parts(statement):
    """Where its signer signs once; what is signed, by whom, with which signature."""
    kind, value = next(iter(statement.items()))
    hop, signature = value.get("hop"), value["signature"]
    if kind == "List":
        header = value["header"]
        context = header["context"]
        place = (context["network"], context["epoch"], context["round"], 1, header["attempt"])
        return (kind, *place), lists.header_signed(header), signature
    if kind in ("Batch", "Echo"):
        header = value["header"]
        signed = layouts.batch_header(header) if kind == "Batch" else echo_signed(header)
        return (kind, header["network"], header["epoch"], header["round"], header["hop"]), signed, signature
    if kind == "Confirm":
        slot = value["confirm"]["slot"]
        confirm = value["confirm"]
        signed = layouts.confirm(*slot.values(), confirm["transcript"], confirm["grounds"])
        return (kind, *slot.values(), hop), signed, signature
    if kind == "Document":
        document = value["document"]
        signed = layouts.epoch_signed(layouts.epoch(document))
        return (kind, document["network"], document["epoch"], 0, hop), signed, signature
    verdict = value["verdict"]
    return (kind, verdict["network"], verdict["epoch"], verdict["round"], hop), layouts.verdict(verdict), signature


def equivocation(network, claim):
    (place, signed, signature), (other, signed_2, signature_2) = parts(claim["first"]), parts(claim["second"])
    need(place == other and place[1] == network.id, "slot")
    kind, _, epoch, round_, hop = place[:5]
    document = claim["document"]
    named = epoch if kind in ("Batch", "Echo") else None
    need((None if document is None else layouts.epoch(document).hex()) == named, "digest")
    network.signed(hop, signed, signature)
    network.signed(hop, signed_2, signature_2)
    if kind == "Confirm":
        # Of two confirms only what they confirm counts.
        signed, signed_2 = (claim[which]["Confirm"]["confirm"]["transcript"] for which in ("first", "second"))
    need(signed != signed_2, "innocent")
    return "mix", hop, "equivocation", epoch if document is None else document["epoch"], round_


def sub_share(network, claim):
    dealt, dealer, receiver = claim["dealt"], claim["dealer"], claim["receiver"]
    keys = joint.Keys(network, dealt["epoch"], claim["first_round"], claim["rounds"])
    need(1 <= receiver <= len(network.mixes) and receiver != dealer, "slot")
    network.signed(dealer, layouts.sub_shares(network.id, dealt, receiver), dealt["signature"])
    opening = bytes.fromhex(claim["opening"])
    need(keys.dealing(dealer, opening).hex() == dealt["dealing"], "digest")
    place = keys.place(claim["round"])
    need(place is not None and len(dealt["values"]) == claim["rounds"], "slot")
    owed = keys.owed_sub_share(opening, place, receiver)
    need(owed is not None, "digest")
    need(not joint.is_share(dealt["values"][place], owed), "innocent")
    return "mix", dealer, "sub_share", dealt["epoch"], claim["round"]


def verify(network, data):
    """Party, number, offence, epoch and round; raises Unproven."""
    kind, claim = next(iter(read(data).items()))
    if kind == "Equivocation":
        return equivocation(network, claim)
    if kind == "SubShare":
        return sub_share(network, claim)
    round_ = Round(network, claim["document"], claim["round"])
    proof, content = next(iter(claim["proof"].items()))
    proofs = {"Client": round_.client, "Dropped": round_.dropped, "Echo": round_.echo, "FalseAccusation": round_.false_accusation,
              "Header": round_.header, "Noise": round_.noise, "Confirm": round_.confirm, "Share": round_.share}
    return (*proofs[proof](content), round_.slot["epoch"], round_.slot["round"])


# ---- evidence.json -----------------------------------------------------------------------

def check_network(value):
    only("network", value, "parameters", "mixes", "clients", "mailboxes", "id", "parameters_digest", "roster_digest",
         "mailboxes_digest")
    network = Network(value)
    same("id", value["id"], network.id)
    for name, digest in network.digests.items():
        same(name, value[name + "_digest"], digest)


def check_proven(network, vector):
    only("evidence", vector, "name", "file", "party", "number", "offence", "network", "epoch", "round")
    try:
        found = verify(Network(network), unhex(vector["file"]))
    except Unproven as unproven:
        raise Mismatch("it proves nothing: %s" % unproven.reason) from unproven
    for name, value in zip(("party", "number", "offence", "epoch", "round"), found):
        same(name, vector[name], value)
    same("network", vector["network"], Network(network).id)


def check_refused(network, data, reason):
    try:
        found = verify(Network(network), data)
    except Unproven as unproven:
        return same("refused", reason, unproven.reason)
    raise Mismatch("it proves %s" % (found,))


def check_changed(network, proven, vector):
    only("change", vector, "name", "of", "at", "refused")
    data = bytearray(unhex(next(known for known in proven if known["name"] == vector["of"])["file"]))
    data[vector["at"]] ^= 1
    check_refused(network, bytes(data), vector["refused"])


def check_innocent(network, vector):
    only("evidence", vector, "name", "file", "refused")
    check_refused(network, unhex(vector["file"]), vector["refused"])
