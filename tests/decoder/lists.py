"""The list of a round, sections 7.8 and 7.9 of wire-spec.md, and the checks of list.json."""

import codec
import layouts
import messages
import onion
import primitives
from layouts import fixed, layout, u8, u32, u64
from mismatch import Mismatch, only, same, unhex

RECORD, MAC, ROW = 52, 16, 68


# ---- Section 7.8: records and their MACs -------------------------------------------------

def round_fields(value):
    """What every layout here begins with."""
    only("context", value, "network", "epoch", "round")
    return fixed(value["network"]) + u64(value["epoch"]) + u64(value["round"])


def list_key(secret, network, epoch, client_key, mix_key):
    return onion.H("ListMac", secret + network + u64(epoch) + client_key + mix_key)


def record(index, packet, commitment):
    return u32(index) + onion.H("Onion", packet) + commitment


def mac_of(key, round_, record_):
    if len(record_) != RECORD:
        raise ValueError("a record has 52 bytes")
    return onion.PRF(key, u64(round_) + record_)


def records_signed(context_, records):
    return layout("mixnet v1 records", context_, u32(len(records)), *records)


# ---- Section 7.9: the list ---------------------------------------------------------------

def client_signature(value):
    only("signature", value, "index", "signature")
    return u32(value["index"]) + fixed(value["signature"], 64)


def root(context_, records, signatures):
    return onion.H("List", context_ + u32(len(records)) + b"".join(records) + b"".join(signatures))


def header_signed(header):
    return layout("mixnet v1 list header", round_fields(header["context"]), u8(header["attempt"]), u32(header["count"]),
                  u32(header["signed"]), fixed(header["root"]))


def complaint_signed(complaint):
    clients = unhex(complaint["clients"])
    return layout("mixnet v1 list complaint", round_fields(complaint["context"]), u8(complaint["hop"]),
                  fixed(complaint["root"]), layouts.members(clients),
                  u32(bin(int.from_bytes(clients, "little")).count("1")))


def root_signed(context_, root_):
    return layout("mixnet v1 list signature", context_, root_)


# ---- list.json ---------------------------------------------------------------------------

def check_list(vector):
    fields = {name: value for name, value in vector.items() if name not in ("kind", "name")}
    if vector["kind"] not in KINDS:
        raise Mismatch("unknown kind %s" % vector["kind"])
    KINDS[vector["kind"]](**fields)


def check_message(kind, message, value):
    same("message", message, kind.encode(value))
    same("value", value, codec.read_all(kind, unhex(message)))


def check_key(network, epoch, client_secret, client_key, mix_secret, mix_key, shared_secret, key):
    client, mix = unhex(client_secret, 32), unhex(mix_secret, 32)
    same("client's key", client_key, onion.public_key(client))
    same("mix's key", mix_key, onion.public_key(mix))
    for own, peer in ((client, mix_key), (mix, client_key)):
        onion.check_point(unhex(peer, 32))
        secret = onion.x25519(own, unhex(peer, 32))
        same("shared secret", shared_secret, secret)
        same("key", key, list_key(secret, unhex(network, 32), epoch, unhex(client_key, 32), unhex(mix_key, 32)))


def check_submission(context, index, packets, echoes, keys, seed, identity, records, macs, signed, signature, behind):
    place = onion.Context(unhex(context["network"], 32), context["epoch"], context["round"])
    commitments = [onion.commitment(place, index, unhex(echo, 16)) for echo in echoes]
    if len(packets) != len(echoes):
        raise Mismatch("not one echo per packet")
    made = [record(index, unhex(packet), h) for packet, h in zip(packets, commitments)]
    same("records", records, [each.hex() for each in made])
    made_macs = [[mac_of(unhex(key, 32), context["round"], each) for key in keys] for each in made]
    same("MACs", macs, [[each.hex() for each in row] for row in made_macs])
    signer = {"seed": seed, "identity": identity, "signature": signature}
    messages.check_signers(signed, records_signed(round_fields(context), made), [signer])
    each = b"".join(h + b"".join(row) for h, row in zip(commitments, made_macs))
    same("bytes behind the packets", behind, each + unhex(signature, 64))


def check_header(header, records, macs, signatures, bodies, signed, signers, message):
    rows = [unhex(each, RECORD) for each in records]
    carried = [client_signature(each) for each in signatures]
    same("count", header["count"], len(rows))
    same("signed", header["signed"], len(carried))
    same("root", header["root"], root(round_fields(header["context"]), rows, carried))
    if header["attempt"] not in (0, 1) or header["attempt"] == 1 and macs:
        raise Mismatch("rows follow a second list")
    if len(macs) != len(bodies):
        raise Mismatch("not one body per mix")
    for body, of_mix in zip(bodies, macs):
        if len(of_mix) != len(rows):
            raise Mismatch("not one MAC per record")
        same("body", body, b"".join(a + unhex(b, MAC) for a, b in zip(rows, of_mix)) + b"".join(carried))
        same("length of the body", len(unhex(body)), ROW * (len(rows) + len(carried)))
    messages.check_signers(signed, header_signed(header), signers)
    check_message(codec.SIGNED_LIST_HEADER, message, {"header": header, "signature": signers[0]["signature"]})


def check_complaint(complaint, indices, roster, signed, signers, message):
    same("clients", complaint["clients"], layouts.bitmap(roster, indices))
    messages.check_signers(signed, complaint_signed(complaint), signers)
    check_message(codec.SIGNED_LIST_COMPLAINT, message, {"complaint": complaint, "signature": signers[0]["signature"]})


def check_second(second, identities, message):
    check_message(codec.SECOND_LIST, message, second)
    header, (complaint,) = second["header"], second["complaints"]
    verify(identities[0], header_signed(header["header"]), header["signature"])
    verify(identities[complaint["complaint"]["hop"] - 1], complaint_signed(complaint["complaint"]),
           complaint["signature"])


def verify(identity, signed, signature):
    if not primitives.ed25519_verify(unhex(identity, 32), signed, unhex(signature, 64)):
        raise Mismatch("the signature of %s does not hold" % identity)


def check_signature(context, root, signed, signers, message):
    messages.check_signers(signed, root_signed(round_fields(context), fixed(root)), signers)
    value = {"round": context["round"], "root": root, "signature": signers[0]["signature"]}
    check_message(codec.LIST_SIGNATURE, message, value)


def check_complete(context, root, signed, signers, message):
    messages.check_signers(signed, root_signed(round_fields(context), fixed(root)), signers)
    signatures = [signer["signature"] for signer in signers]
    check_message(codec.LIST_COMPLETE, message, {"round": context["round"], "root": root, "signatures": signatures})


def check_refused_row(base, flip, key, round, row, mac):
    only("base", base, "key", "round", "row")
    good, found = unhex(base["row"], ROW), unhex(row, ROW)
    same("the good MAC", good[RECORD:].hex(), mac_of(unhex(base["key"], 32), base["round"], good[:RECORD]))
    changed = bytearray(good)
    if flip is not None:
        changed[flip] ^= 1
    same("row", row, bytes(changed))
    same("MAC", mac, mac_of(unhex(key, 32), round, found[:RECORD]))
    if found[RECORD:] == unhex(mac, MAC):
        raise Mismatch("the row is good")


def check_refused_signature(context, records, identity, signature, round, count, signed):
    rows = [unhex(each, RECORD) for each in records]
    if not 0 < count <= len(rows):
        raise Mismatch("there are not so many records")
    verify(identity, records_signed(round_fields(context), rows), signature)
    claimed = records_signed(round_fields({**context, "round": round}), rows[:count])
    same("signed bytes", signed, claimed)
    if primitives.ed25519_verify(unhex(identity, 32), claimed, unhex(signature, 64)):
        raise Mismatch("the signature holds")


KINDS = {
    "list_key": check_key,
    "submission": check_submission,
    "list": check_header,
    "list_complaint": check_complaint,
    "second_list": check_second,
    "list_signature": check_signature,
    "list_complete": check_complete,
    "refused_row": check_refused_row,
    "refused_signature": check_refused_signature,
}
