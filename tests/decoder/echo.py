"""Checks of echo.json: the echo pass, sections 8.6 and 8.7 of wire-spec.md."""

import layouts
import onion
import primitives
from mismatch import Mismatch, only, same, unhex
from onion import NO_EXTRA


class Noticed(Exception):
    """An echo differs; what the specification calls it."""

    def __init__(self, noise=None, record=None):
        super().__init__()
        self.noise, self.record = noise, record


class Pass:
    """What mixes and list know of a round, from the inputs of a vector."""

    def __init__(self, inputs):
        only("inputs", inputs, "mixes", "payload", "network", "epoch", "document", "round", "onion_secrets", "seeds",
             "submissions", "noise", "orders")
        self.sizes = onion.Sizes(inputs["mixes"], inputs["payload"])
        self.context = onion.Context(unhex(inputs["network"], 32), inputs["epoch"], inputs["round"])
        self.secrets = [unhex(secret, 32) for secret in inputs["onion_secrets"]]
        for submission in inputs["submissions"]:
            only("submission", submission, "client", "packets", "commitments")
            same("commitments", len(submission["commitments"]), len(submission["packets"]))
        # Each packet in order of arrival: client, which of its packets, bytes, commitment.
        self.arrived = [
            (submission["client"], number, unhex(packet), unhex(committed, 16))
            for submission in inputs["submissions"]
            for number, (packet, committed) in enumerate(zip(submission["packets"], submission["commitments"]))]
        self.noise = inputs["noise"]
        self.orders = inputs["orders"]
        if not len(self.secrets) - 1 == len(self.noise) == len(self.orders) == self.sizes.mixes - 1:
            raise Mismatch("not one onion key per mix, one list of noise and one order per mix before the exit")

    def forward(self):
        """Every hop's echo keys, in order of arrival; and what the exit peeled."""
        seen = set()
        peeled, keys = [], []
        for client, _, packet, _ in self.arrived:
            seal, packet = onion.peel(self.sizes, self.context, 1, self.secrets[0], packet, client, seen)
            keys.append(seal.ek)
            peeled.append(packet)
        yield keys
        for hop, (noise, order) in enumerate(zip(self.noise, self.orders), start=2):
            peeled += [unhex(own["packet"]) for own in noise]
            same("order, sorted", sorted(order), list(range(len(peeled))))
            seen, keys, taken_in = set(), [], [peeled[place] for place in order]
            self.taken_in = taken_in
            peeled = []
            for packet in taken_in:
                seal, packet = onion.peel(self.sizes, self.context, hop, self.secrets[hop - 1], packet, NO_EXTRA, seen)
                keys.append(seal.ek)
                peeled.append(packet)
            yield keys
        self.peeled = peeled

    def back(self, first, keys, change=lambda hop, echoes: None):
        """Every hop's echoes in order of arrival, from the exit's on, and the published ones."""
        hop = self.sizes.mixes
        echoes = list(first)
        change(hop, echoes)
        all_echoes = [echoes]
        for noise, order in zip(reversed(self.noise), reversed(self.orders)):
            hop -= 1
            returned = [None] * len(order)
            for place, origin in enumerate(order):
                own = origin - (len(order) - len(noise))
                if own >= 0 and echoes[place] != unhex(noise[own]["echo"], 16):
                    raise Noticed(noise=[hop, place])
                returned[origin] = echoes[place]
            echoes = [onion.PRF(ek, x) for ek, x in zip(keys[hop - 1], returned)]
            change(hop, echoes)
            all_echoes.insert(0, echoes)
        rows = sorted((client, number, committed, x)
                      for (client, number, _, committed), x in zip(self.arrived, echoes))
        for client, number, committed, x in rows:
            if onion.commitment(self.context, client, x) != committed:
                raise Noticed(record=[client, number])
        return all_echoes, [x for _, _, _, x in rows]


def check_round(round_):
    only("round", round_, "name", "inputs", "hops", "published")
    inputs = round_["inputs"]
    pass_ = Pass(inputs)
    same("hops", len(round_["hops"]), pass_.sizes.mixes)
    same("seeds", len(inputs["seeds"]), pass_.sizes.mixes)
    for noise in inputs["noise"]:
        for own in noise:
            only("noise", own, "packet", "echo")
    keys = list(pass_.forward())
    first = [onion.PRF(ek, onion.le(pass_.context.round, 8) + onion.H("Envelope", packet[:pass_.sizes.envelope]))
             for ek, packet in zip(keys[-1], pass_.peeled)]
    try:
        all_echoes, published = pass_.back(first, keys)
    except Noticed as noticed:
        raise Mismatch("an echo differs: noise %s, record %s" % (noticed.noise, noticed.record)) from noticed
    same("published", round_["published"], [x.hex() for x in published])
    for number, (hop, seed) in enumerate(zip(round_["hops"], inputs["seeds"]), start=1):
        only("hop", hop, "hop", "echo_keys", "echoes", "digest", "signed", "identity", "signature")
        what = "hop %d: " % number
        same("hop", hop["hop"], number)
        same(what + "echo keys", hop["echo_keys"], [ek.hex() for ek in keys[number - 1]])
        same(what + "echoes", hop["echoes"], [x.hex() for x in all_echoes[number - 1]])
        handed_back = published if number == 1 else all_echoes[number - 1]
        digest = onion.H("Echoes", b"".join(handed_back))
        same(what + "digest", hop["digest"], digest)
        made_from = (onion.H("Echoes", b"".join(all_echoes[number])) if number < pass_.sizes.mixes
                     else layouts.batch_digest(pass_.taken_in))
        signed = layouts.echo_header(inputs["network"], inputs["document"], inputs["round"], number, made_from,
                                     len(handed_back), digest)
        same(what + "signed bytes", hop["signed"], signed)
        identity = primitives.ed25519_public(unhex(seed, 32))
        same(what + "identity", hop["identity"], identity)
        signature = unhex(hop["signature"], 64)
        if not primitives.ed25519_verify(identity, signed, signature):
            raise Mismatch(what + "the signature does not hold")
        same(what + "signature", hop["signature"], primitives.ed25519_sign(unhex(seed, 32), signed))


def check_failure(round_, failure):
    """An echo with its first bit flipped; the round has been checked."""
    only("failure", failure, "hop", "place", "changed", "noise", "record")
    if not (1 <= failure["hop"] <= len(round_["hops"]) and failure["place"] >= 0):
        raise Mismatch("no such echo")
    changed = []

    def change(hop, echoes):
        if hop == failure["hop"]:
            x = echoes[failure["place"]]
            echoes[failure["place"]] = bytes([x[0] ^ 1]) + x[1:]
            changed.append(echoes[failure["place"]])

    hops = round_["hops"]
    keys = [[unhex(ek, 32) for ek in hop["echo_keys"]] for hop in hops]
    try:
        Pass(round_["inputs"]).back([unhex(x, 16) for x in hops[-1]["echoes"]], keys, change)
    except Noticed as noticed:
        same("changed", failure["changed"], changed[0])
        same("noise", failure["noise"], noticed.noise)
        same("record", failure["record"], noticed.record)
        return
    raise Mismatch("nobody notices")
