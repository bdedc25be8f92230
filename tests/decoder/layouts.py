"""Signed layouts and digests, section 7 of wire-spec.md, from JSON values as in codec.py."""

import codec
from mismatch import unhex
from onion import H, le


def layout(label, *fields):
    return label.encode("ascii") + b"\0" + b"".join(fields)


def u8(value):
    return le(value, 1)


def u32(value):
    return le(value, 4)


def u64(value):
    return le(value, 8)


def fixed(text, size=32):
    data = bytes.fromhex(text)
    if len(data) != size:
        raise ValueError("wrong number of bytes")
    return data


def variable(data):
    return u32(len(data)) + data


def text(value):
    return variable(value.encode("utf-8"))


# ---- 7.1 ---------------------------------------------------------------------------------

def network(name):
    return H("Network", name.encode("utf-8"))


def mailbox_id(network_id, capability):
    return H("Mailbox", fixed(network_id) + fixed(capability))[:16]


# Each law's number, and which fields it has, in order; those it has not are zero.
NOISE_LAWS = {"Constant": (0, []), "None": (1, []), "Poisson": (2, ["mean"]), "Laplace": (3, ["mean", "scale"])}


DUMMIES = {"Uniform": 0, "Dropped": 1, "Own": 2}


def noise(law):
    name, fields = (law, {}) if isinstance(law, str) else next(iter(law.items()))
    kind, names = NOISE_LAWS[name]
    if not isinstance(law, str) and len(law) != 1 or sorted(fields) != sorted(names):
        raise ValueError("other fields than its law has")
    return u8(kind) + u32(fields.get("mean", 0)) + u32(fields.get("scale", 0))


def parameters(p):
    low, high = p["mix_delay_ms"]
    return H("Parameters", layout(
        "mixnet v1 parameters", text(p["network"]), u32(p["messages_per_round"]), u32(p["start_clients"]),
        u32(p["min_clients"]), u32(p["min_share_permille"]), u32(p["round_ms"]), u32(p["submit_ms"]), u32(low),
        u32(high), u32(p["payload"]), u32(p["packets_per_client"]), variable(bytes.fromhex(p["dummy_payload"])),
        u64(p["max_message"]), u32(p["epoch_rounds"]), u32(p["verdict_rounds"]), u32(p["retention_epochs"]),
        u32(p["poll_letters"]), u32(p["mailbox_letters"]), u32(p["history_rounds"]), u32(p["threshold"]), u8(1 if p["sealed"] is True else 0 if p["sealed"] is False else 2),
        u32(p["noise_packets"]), noise(p["noise"]), u8(DUMMIES[p["dummies"]])))


def roster(mixes, clients):
    return H("Roster", layout(
        "mixnet v1 roster", u32(len(mixes)), u32(len(clients)),
        *(text(mix["id"]) + fixed(mix["identity"]) for mix in mixes),
        *(text(client["id"]) + fixed(client["identity"]) + fixed(client["list_key"]) for client in clients)))


def mailboxes(entries):
    rows = [fixed(entry["id"], 16) + fixed(entry["letter_key"]) for entry in entries]
    if rows != sorted(rows):
        raise ValueError("mailboxes are not sorted")
    return H("Mailboxes", layout("mixnet v1 mailboxes", u32(len(rows)), *rows))


# ---- 7.2 ---------------------------------------------------------------------------------

def epoch(d):
    def keys(those):
        return u32(len(those)) + b"".join(fixed(key) for key in those)

    mixes = b"".join(
        fixed(mix["boot"], 16) + fixed(mix["list_key"]) + keys(mix["onion_keys"]) + fixed(mix["dealing"])
        for mix in d["mixes"])
    return H("Epoch", layout(
        "mixnet v1 epoch document", fixed(d["network"]), u64(d["epoch"]), fixed(d["previous"]), u64(d["first_round"]),
        u32(d["rounds"]), u32(d["members"]), fixed(d["parameters"]), fixed(d["roster"]), fixed(d["mailboxes"]),
        u64(d["proposed_at_ms"]), u32(len(d["mixes"])), mixes, keys(d["envelope_keys"])))


def epoch_signed(digest):
    return layout("mixnet v1 epoch signature", digest)


def sub_shares(network, dealt, receiver):
    values = H("SubShares", b"".join(fixed(value) for value in dealt["values"]))
    return layout("mixnet v1 sub-shares", fixed(network), u64(dealt["epoch"]), fixed(dealt["dealing"]), u8(receiver), values)


# ---- 7.3 ---------------------------------------------------------------------------------

def bitmap(size, indices):
    data = bytearray((size + 7) // 8)
    for index in indices:
        data[index // 8] |= 1 << (index % 8)
    return bytes(data)


def members(data):
    return H("Members", data)


# ---- 7.4 and 7.5 --------------------------------------------------------------------------

def verdict(v):
    outcome = v["outcome"]
    if outcome == "OpenedNotStored":
        kind, detail = 2, 0
    elif "Aborted" in outcome:
        kind, detail = 1, codec.ABORT_REASON.encode(outcome["Aborted"])[0]
    else:
        kind, detail = 0, outcome["Stored"]["refused"]
    return layout("mixnet v1 verdict", fixed(v["network"]), u64(v["epoch"]), u64(v["round"]),
                  members(bytes.fromhex(v["members"])), u32(bin(int(v["members"], 16)).count("1")), u8(kind), u32(detail))


def batch_header(h):
    return layout("mixnet v1 batch header", fixed(h["network"]), fixed(h["epoch"]), u64(h["round"]), u8(h["hop"]),
                  u32(h["count"]), u32(h["noise"]), members(bytes.fromhex(h["members"])), fixed(h["input"]),
                  fixed(h["output"]))


def batch_digest(packets):
    return H("Batch", b"".join(H("Onion", packet) for packet in packets))


def echo_header(network_id, document, round_, hop, input_, count, digest):
    return layout("mixnet v1 echo header", fixed(network_id), fixed(document), u64(round_), u8(hop), input_, u32(count), digest)


# ---- 7.6 and 7.11 ------------------------------------------------------------------------

def receipt(network_id, round_, index, digest):
    return layout("mixnet v1 receipt", fixed(network_id), u64(round_), u32(index), digest)


def attach(network_id, client, binding):
    return layout("mixnet v1 attach", fixed(network_id), u32(client), fixed(binding))


def transcript(document, list, batches, echoes):
    headers = [b"".join([u8(len(part))] + [variable(bytes.fromhex(signed)) for signed in part]) for part in (batches, echoes)]
    return H("Transcript", layout("mixnet v1 transcript", fixed(document), fixed(list), *headers))


def statement(kind, network, epoch, round, rest):
    return layout("mixnet v1 " + kind, fixed(network), u64(epoch), u64(round), rest)


def confirm(network, epoch, round, transcript, grounds):
    return statement("confirm", network, epoch, round, fixed(transcript) + fixed(grounds))


def release(network, epoch, round, transcript, share):
    return statement("release", network, epoch, round, fixed(transcript) + fixed(share))


# Kind, and which of the fields the kind has; the other is zero.
MISMATCHES = {
    "layer": (0, {"hop", "place"}),
    "replay": (1, {"hop", "place"}),
    "noise": (2, {"hop", "place"}),
    "echo": (3, {"place"}),
    "equivocation": (4, {"hop"}),
    "transcript": (5, {"hop"}),
    "header": (6, {"hop"}),
}


def accusation(network, epoch, round, mismatch, subject, **where):
    kind, named = MISMATCHES[mismatch]
    if set(where) != named:
        raise ValueError("other fields than its kind has")
    return statement("accusation", network, epoch, round,
                     u8(kind) + u8(where.get("hop", 0)) + u32(where.get("place", 0)) + fixed(subject))


def burnt(network, epoch, round):
    return statement("burnt", network, epoch, round, b"")


def onion_key(network, epoch, round, key, noise):
    return statement("onion key", network, epoch, round, fixed(key) + u32(len(noise)) + b"".join(map(u32, noise)))
