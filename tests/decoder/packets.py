"""Checks of packet.json, noise.json and reject.json."""

import onion
from mismatch import Mismatch, only, same, unhex
from onion import ENVELOPE_HOP, LETTER_HOP, NO_EXTRA, O, Refused


# ---- packet.json, noise.json -------------------------------------------------------------

class Network:
    """The secrets of a packet vector, in the hands of mixes and recipient."""

    def __init__(self, inputs):
        self.sizes = onion.Sizes(inputs["mixes"], inputs["payload"])
        self.context = onion.Context(unhex(inputs["network"], 32), inputs["epoch"], inputs["round"])
        self.index = inputs["index"]
        hops = range(inputs["first"], self.sizes.mixes + 1)
        secrets = [unhex(secret, 32) for secret in inputs["onion_secrets"]]
        self.onion = dict(zip(hops, secrets))
        self.envelope = unhex(inputs["envelope_secret"], 32)
        self.letter = unhex(inputs["letter_secret"], 32)
        if len(hops) != len(secrets):
            raise Mismatch("not one onion key per hop")

    def extra(self, hop, index):
        return index if hop == 1 else NO_EXTRA


def check_packet(vector):
    only("vector", vector, "name", "inputs", "sizes", "body", "letter", "envelope", "hops", "peeled", "echo",
         "commitment")
    network = Network(vector["inputs"])
    check_sizes(vector["sizes"], network.sizes)
    check_built(vector, network, build(vector["inputs"], network))
    check_peeled(vector, network)


def check_sizes(found, sizes):
    same("sizes", found, {name: getattr(sizes, name) for name in ("body", "letter", "envelope", "packet")})


def build(inputs, network):
    """Section 4.4.1 from the vector's secrets."""
    fields = inputs["body"]
    only("body", fields, "kind", "message", "index", "count", "expiry", "sender", "data")
    sender = inputs["sender_secret"]
    letter_key = onion.public_key(network.letter)

    def make_body(eph):
        values = [fields["kind"], unhex(fields["message"], 16), fields["index"], fields["count"], fields["expiry"],
                  unhex(fields["sender"], 16) if fields["sender"] else None, unhex(fields["data"])]
        body = onion.write_body(network.sizes, *values)
        if sender is None:
            return body
        ss = onion.x25519(unhex(sender, 32), letter_key)
        key = onion.public_key(unhex(sender, 32))
        tag = onion.sender_tag(network.context, ss, key, letter_key, eph, body)
        return onion.write_body(network.sizes, *values, tag)

    if (inputs["first"] == 1) != (inputs["index"] is not None):
        raise Mismatch("a client has an index and noise has none")
    layers = [unhex(secret, 32) for secret in inputs["layer_ephemerals"]]
    ephemerals = (unhex(inputs["letter_ephemeral"], 32), unhex(inputs["envelope_ephemeral"], 32), layers)
    return onion.Built(
        network.sizes, network.context, inputs["first"], inputs["index"],
        {hop: onion.public_key(secret) for hop, secret in network.onion.items()}, onion.public_key(network.envelope),
        letter_key, unhex(inputs["mailbox"], 16), make_body, ephemerals, unhex(inputs["capability"], 32),
        unhex(inputs["tail"]))


def check_built(vector, network, built):
    """What the sender computes."""
    same("body", vector["body"], built.body)
    same("letter", vector["letter"]["bytes"], built.letter)
    same("envelope", vector["envelope"]["bytes"], built.envelope)
    same("number of hops", len(vector["hops"]), len(built.seals))
    for at, hop in enumerate(vector["hops"]):
        what = "hop %d: " % hop["hop"]
        same(what + "kdf as built", hop["kdf"], built.seals[at].kdf)
        same(what + "T", hop["tail"], built.tails[at])
        same(what + "packet as built", hop["packet"], built.packets[at])
        same(what + "echo as built", hop["echo"], built.echoes[at])
    same("echo", vector["echo"], built.echoes[0])
    foretold = None
    if network.index is not None:
        foretold = onion.commitment(network.context, network.index, built.echoes[0])
    same("commitment", vector["commitment"], foretold)


def check_peeled(vector, network):
    """What mixes, exit and recipient compute, from the first packet in the file on."""
    sizes, context = network.sizes, network.context
    packet = unhex(vector["hops"][0]["packet"])
    echo_keys = []
    for number, hop in enumerate(vector["hops"], start=vector["inputs"]["first"]):
        only("hop", hop, "hop", "onion_key", "ephemeral_key", "shared_secret", "kdf", "k", "ek", "rk", "filler", "tail",
             "packet", "echo")
        what = "hop %d: " % number
        same("hop", hop["hop"], number)
        same(what + "packet", hop["packet"], packet)
        extra = network.extra(number, network.index)
        seal, packet = onion.peel(sizes, context, number, network.onion[number], packet, extra, set())
        check_seal(what, hop, seal, "onion_key")
        for name in ("k", "ek", "rk", "filler"):
            same(what + name, hop[name], getattr(seal, name))
        echo_keys.append(seal.ek)
    same("peeled", vector["peeled"], packet)

    seal, mailbox, capability, letter = onion.open_envelope(sizes, context, network.envelope, packet)
    only("envelope", vector["envelope"], "recipient_key", "ephemeral_key", "shared_secret", "kdf", "bytes")
    check_seal("envelope: ", vector["envelope"], seal, "recipient_key")
    same("envelope", vector["envelope"]["bytes"], packet[:sizes.envelope])
    same("mailbox", vector["inputs"]["mailbox"], mailbox)
    same("capability field", vector["inputs"]["capability"], capability)
    same("echo by the mixes", vector["echo"], onion.echoes(context, echo_keys, packet[:sizes.envelope])[0])

    seal, body = onion.open_letter(context, network.letter, letter)
    only("letter", vector["letter"], "recipient_key", "ephemeral_key", "shared_secret", "kdf", "bytes")
    check_seal("letter: ", vector["letter"], seal, "recipient_key")
    same("letter", vector["letter"]["bytes"], letter)
    same("body", vector["body"], body)
    check_body(vector["inputs"], network, seal.eph, body)


def check_seal(what, found, seal, key):
    same(what + "recipient's key", found[key], seal.pk)
    same(what + "ephemeral key", found["ephemeral_key"], seal.eph)
    same(what + "shared secret", found["shared_secret"], seal.ss)
    same(what + "kdf", found["kdf"], seal.kdf)


def check_body(inputs, network, eph, body):
    """What the recipient reads; a sender tag by the recipient's own computation."""
    fields = onion.parse_body(network.sizes, body)
    for name, value in inputs["body"].items():
        same("body, " + name, value, fields[name])
    tag = bytes(16)
    if inputs["sender_secret"] is not None:
        sender = onion.public_key(unhex(inputs["sender_secret"]))
        ss = onion.x25519(network.letter, sender)
        tag = onion.sender_tag(network.context, ss, sender, onion.public_key(network.letter), eph, body)
    same("sender tag", fields["tag"].hex(), tag)


# ---- reject.json -------------------------------------------------------------------------

def check_case(honest, case):
    """A forgery is made from the honest packet, and refused where and why the vector says."""
    only("case", case, "forgery", "packet", "refused_at", "error", "k")
    network, forgery = Network(honest["inputs"]), case["forgery"]
    unknown = set(forgery) - {"name", "base", "outer", "patches", "length", "from", "index", "network", "epoch",
                              "round", "seen"}
    if unknown:
        raise Mismatch("unknown fields %s" % unknown)
    packet = forge(honest, network, forgery)
    same("packet", case["packet"], packet)
    hop, refusal = refused(honest, network, forgery, packet)
    same("refusing hop", case["refused_at"], hop)
    same("error", case["error"], refusal.reason)
    same("k", case["k"], refusal.k)


def at_hop(honest, hop):
    if hop in (ENVELOPE_HOP, LETTER_HOP):
        return unhex(honest["envelope" if hop == ENVELOPE_HOP else "letter"]["bytes"])
    return unhex(next(found["packet"] for found in honest["hops"] if found["hop"] == hop))


def forge(honest, network, forgery):
    packet = at_hop(honest, forgery["base"])
    if "outer" in forgery:
        outer = forgery["outer"]
        pk = onion.public_key(network.onion[1])
        secret = unhex(outer["ephemeral"], 32)
        packet = onion.Seal.make(network.context, secret, 1, pk, outer["index"]).close(packet[:-O])
    packet = patched(packet, forgery.get("patches", []))
    length = forgery.get("length", len(packet))
    return packet[:length] + bytes(max(0, length - len(packet)))


def patched(data, patches):
    data = bytearray(data)
    for patch in patches:
        new = unhex(patch["bytes"])
        if patch["at"] + len(new) > len(data) or data[patch["at"]:patch["at"] + len(new)] == new:
            raise Mismatch("a patch changes nothing")
        data[patch["at"]:patch["at"] + len(new)] = new
    return bytes(data)


def refused(honest, network, forgery, packet):
    """Hands the packet on until a hop refuses it: that hop and the refusal."""
    own = network.context
    context = onion.Context(
        unhex(forgery["network"], 32) if "network" in forgery else own.network,
        forgery.get("epoch", own.epoch), forgery.get("round", own.round))
    index = forgery.get("index", network.index)
    hop = forgery.get("from", forgery["base"])
    seen = {at_hop(honest, forgery["base"])[:32]} if forgery.get("seen") else set()
    while True:
        try:
            if hop == LETTER_HOP:
                onion.open_letter(context, network.letter, packet)
                raise Mismatch("nobody refuses it")
            if hop == ENVELOPE_HOP:
                packet = onion.open_envelope(network.sizes, context, network.envelope, packet)[3]
                hop = LETTER_HOP
                continue
            extra = network.extra(hop, index)
            packet = onion.peel(network.sizes, context, hop, network.onion[hop], packet, extra, seen)[1]
            hop = hop + 1 if hop < network.sizes.mixes else ENVELOPE_HOP
            seen = set()
        except Refused as refusal:
            return hop, refusal


def check_body_case(honest, case):
    only("case", case, "name", "patches", "body", "error")
    body = patched(unhex(honest["body"]), case["patches"])
    same("body", case["body"], body)
    try:
        onion.parse_body(Network(honest["inputs"]).sizes, body)
    except Refused as refusal:
        return same("error", case["error"], refusal.reason)
    raise Mismatch("the body is accepted")
