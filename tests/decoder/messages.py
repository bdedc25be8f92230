"""Checks of wire.json, signed.json and seal.json."""

import codec
import layouts
import onion
import primitives
from mismatch import Mismatch, only, same, unhex


# ---- wire.json ---------------------------------------------------------------------------

def check_frame(vector):
    only("frame", vector, "name", "type", "frame", "value")
    same("value", vector["value"], codec.read_frame(vector["type"], unhex(vector["frame"])))
    same("frame", vector["frame"], codec.write_frame(vector["type"], vector["value"]))


def check_malformed(vector):
    only("malformed frame", vector, "name", "type", "base", "edit", "prefix", "frame", "error")
    base, edit = unhex(vector["base"]), vector["edit"]
    codec.read_frame(vector["type"], base)
    body, removed, at = base[4:], unhex(edit["removed"]), edit["at"]
    if at > len(body) or body[at:at + len(removed)] != removed:
        raise Mismatch("the edit does not fit the base")
    body = body[:at] + unhex(edit["inserted"]) + body[at + len(removed):]
    prefix = len(body).to_bytes(4, "little") if vector["prefix"] is None else unhex(vector["prefix"], 4)
    same("frame", vector["frame"], prefix + body)
    try:
        codec.read_frame(vector["type"], prefix + body)
    except codec.BadFrame as refusal:
        return same("error", vector["error"], refusal.reason)
    raise Mismatch("the frame is accepted")


# ---- signed.json -------------------------------------------------------------------------

def check_signed(vector):
    fields = {name: value for name, value in vector.items() if name != "kind"}
    if vector["kind"] not in SIGNED:
        raise Mismatch("unknown kind %s" % vector["kind"])
    SIGNED[vector["kind"]](**fields)


def check_digest(compute):
    return lambda digest, **fields: same("digest", digest, compute(**fields))


def check_signers(signed, computed, signers):
    same("signed bytes", signed, computed)
    for signer in signers:
        only("signer", signer, "seed", "identity", "signature")
        seed, identity, signature = unhex(signer["seed"]), unhex(signer["identity"]), unhex(signer["signature"])
        same("identity", signer["identity"], primitives.ed25519_public(seed))
        if not primitives.ed25519_verify(identity, computed, signature):
            raise Mismatch("the signature of %s does not hold" % signer["identity"])
        same("signature", signer["signature"], primitives.ed25519_sign(seed, computed))


def check_members(size, indices, bitmap, digest):
    same("bitmap", bitmap, layouts.bitmap(size, indices))
    same("digest", digest, layouts.members(unhex(bitmap)))


def check_epoch(document, digest, signed, signers):
    computed = layouts.epoch(document)
    same("digest", digest, computed)
    check_signers(signed, layouts.epoch_signed(computed), signers)


def check_sub_shares(network, receiver, sub_shares, signed, signers):
    check_signers(signed, layouts.sub_shares(network, sub_shares, receiver), signers)
    same("signature", sub_shares["signature"], signers[0]["signature"])


def check_verdict(verdict, signed, signers):
    check_signers(signed, layouts.verdict(verdict), signers)


def check_batch_header(header, packets, signed, signers):
    same("count", header["count"], len(packets))
    same("output", header["output"], layouts.batch_digest(map(unhex, packets)))
    check_signers(signed, layouts.batch_header(header), signers)


def check_receipt(network, round, index, packets, digest, signed, signers):
    computed = onion.H("Submission", b"".join(onion.H("Onion", unhex(packet)) for packet in packets))
    same("digest", digest, computed)
    check_signers(signed, layouts.receipt(network, round, index, computed), signers)


def check_attach(network, client, binding, signed, signers):
    check_signers(signed, layouts.attach(network, client, binding), signers)


def check_statement(compute):
    return lambda fields, signed, signers: check_signers(signed, compute(**fields), signers)


def check_onion_key(fields, signed, signers):
    key = {name: value for name, value in fields.items() if name != "public"}
    same("public key", fields["public"], onion.public_key(unhex(fields["key"], 32)))
    check_signers(signed, layouts.onion_key(**key), signers)


SIGNED = {
    "network": check_digest(layouts.network),
    "parameters": check_digest(lambda fields: layouts.parameters(fields)),
    "roster": check_digest(layouts.roster),
    "mailboxes": check_digest(lambda mailboxes: layouts.mailboxes(mailboxes)),
    "mailbox": lambda network, capability, id: same("id", id, layouts.mailbox_id(network, capability)),
    "members": check_members,
    "epoch": check_epoch,
    "sub_shares": check_sub_shares,
    "verdict": check_verdict,
    "batch_header": check_batch_header,
    "receipt": check_receipt,
    "attach": check_attach,
    # seal.json
    "transcript": check_digest(layouts.transcript),
    "confirm": check_statement(layouts.confirm),
    "release": check_statement(layouts.release),
    "accusation": check_statement(layouts.accusation),
    "burnt": check_statement(layouts.burnt),
    "onion_key": check_onion_key,
}
