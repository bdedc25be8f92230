#!/usr/bin/env python3
"""Writes the seeds, fuzz/target/seeds/TARGET/NAME, from the test vectors and the example configuration."""

import hashlib
import json
import pathlib

FUZZ = pathlib.Path(__file__).resolve().parent
ROOT = FUZZ.parent
SEEDS = FUZZ / "target/seeds"
KINDS = {"Request": 0, "Reply": 1, "PeerMessage": 2}
# Control messages have no vectors: their first bytes are their variants, as the codec numbers them.
ASKS = [b"\0", b"\1\5alice\1\0\0\5", b"\1\5alice\0\1\1a\5", b"\2" + 16 * b"\7", b"\3\1\xfb\xe8\3", b"\4\1" + 16 * b"\7"]
ANSWERS = [b"\0\2{}", b"\1" + 16 * b"\7" + b"\3\2", b"\2\1\2\1\2\1\1\4\0", b"\3" + 16 * b"\7" + b"\0\0\0\1\1\1\4\5", b"\4", b"\6\0"]


def vectors(name):
    return json.loads((ROOT / "tests/vectors" / f"{name}.json").read_text())


def seed(target, data):
    directory = SEEDS / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def messages():
    wire = vectors("wire")
    smallest = {}
    for entry in wire["frames"] + wire["malformed"]:
        frame = bytes.fromhex(entry["frame"])
        if len(frame) > 8192:
            continue
        kind = bytes([KINDS[entry["type"]]])
        seed("frame", kind + frame)
        seed("codec", kind + frame[4:])
        smallest.setdefault(entry["type"], frame)
    for kind, frame in smallest.items():
        seed("frame", bytes([KINDS[kind]]) + frame + frame)
    for kind, texts in ((3, ASKS), (4, ANSWERS)):
        for text in texts:
            seed("codec", bytes([kind]) + text)


def parts():
    """Documents, verdicts and headers by themselves: what follows the variant of the message that carries them."""
    for entry in vectors("wire")["frames"]:
        value, body = entry["value"], bytes.fromhex(entry["frame"])[4:]
        variant = next(iter(value)) if isinstance(value, dict) else value
        kind = {"EpochComplete": 5, "VerdictComplete": 6, "ForwardBatch": 7}.get(variant)
        if kind is not None and len(body) <= 8192:
            seed("codec", bytes([kind]) + body[1:])


def records():
    """What follows a submission's packets; the vectors' network has as many mixes and packets as the target's."""
    for entry in vectors("list"):
        if entry["kind"] == "submission":
            seed("codec", bytes([9]) + bytes.fromhex(entry["behind"]))


def packets():
    reject = vectors("reject")
    for place in range(5):
        seed("peel", bytes([3 * place + 1]))
        seed("peel", bytes([3 * place + 1]) + b"\x1f\0\x80")
        seed("peel", bytes([3 * place + 1]) + b"\x20\0\1\x40\0\1")
    for place, case in zip(range(5), vectors("packet")):
        seed("peel", bytes([3 * place]) + bytes.fromhex(case["hops"][0]["packet"]))
    for case in reject["bodies"]:
        seed("peel", bytes([2]) + bytes.fromhex(case["body"])[:336])
    seed("peel", bytes([2]) + bytes.fromhex(reject["honest"]["body"])[:336])
    header = b"\1" + bytes(3) + 16 * b"\4" + bytes(4) + b"\1\0\0\0" + b"\x0d\0\0\0" + 8 * b"\1" + bytes(32)
    seed("peel", bytes([2]) + header + b"\2\6\0../a.b" + b"data")


def texts():
    for name in ("network.example.yaml", "testnet.yaml"):
        seed("configuration", b"\0" + (ROOT / "config" / name).read_bytes())
    seed("configuration", b"\2" + (ROOT / "config/home.example.yaml").read_bytes())
    key, mailbox = b"%064x" % 9, b"%032x" % 7
    contact = b"mixnet-contact-v1 alice %s %s\n" % (mailbox, key)
    seed("configuration", b"\1" + contact)
    seed("configuration", b"\1# friends\n" + contact + contact.replace(b"alice", b"bob"))
    seed("configuration", b"\3mixnet-mix-v1 mix-1 " + key)
    seed("configuration", b"\3mixnet-client-v1 mix-1 %s %s" % (key, key))
    for text in (b"log-level=debug", b"listen=127.0.0.1:7001", b"metrics=off", b"ephemeral=true", b"nothing=1"):
        seed("configuration", b"\4" + text)


def agreements():
    """Every eighth of Wycheproof's, by itself and together with those behind it, under their own scalars."""
    lines = (ROOT / "tests/wycheproof/x25519.txt").read_text().splitlines()
    pairs = [[bytes.fromhex(word) for word in line.split()[1:3]] for line in lines if not line.startswith("#")]
    for i in range(0, len(pairs), 8):
        scalars, points = zip(*pairs[i:i + 12])
        seed("x25519", b"\0" + scalars[0] + b"".join(points))
        seed("x25519", b"\1" + b"".join(scalars) + b"".join(points))


if __name__ == "__main__":
    agreements()
    messages()
    parts()
    packets()
    texts()
    records()
