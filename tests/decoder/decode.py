#!/usr/bin/env python3
"""Checks the test vectors in DIR against wire-spec.md, whose text it follows; it shares no code with the library.

    decode.py DIR

One line per file and exit code 0 if all hold; a message and exit code 1 at the first that does not.
"""

import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import codec
import echo
import evidence
import lists
import messages
import packets
from mismatch import Mismatch, only
from onion import Refused

FILES = ("packet.json", "noise.json", "reject.json", "wire.json", "signed.json", "list.json", "echo.json", "seal.json",
         "evidence.json")
# What reading a vector of another shape, or with other values, raises.
NOT_A_VECTOR = (ArithmeticError, AssertionError, AttributeError, LookupError, StopIteration, TypeError, ValueError)


def checks(name, content):
    """Every vector of a file: where it stands, and the check of it."""
    if name in ("packet.json", "noise.json"):
        for at, vector in enumerate(content):
            yield (at,), packets.check_packet, (vector,)
    elif name == "reject.json":
        only("file", content, "honest", "cases", "bodies")
        yield ("honest",), packets.check_packet, (content["honest"],)
        for at, case in enumerate(content["cases"]):
            yield ("cases", at), packets.check_case, (content["honest"], case)
        for at, case in enumerate(content["bodies"]):
            yield ("bodies", at), packets.check_body_case, (content["honest"], case)
    elif name == "wire.json":
        only("file", content, "frames", "malformed")
        for at, vector in enumerate(content["frames"]):
            yield ("frames", at), messages.check_frame, (vector,)
        for at, vector in enumerate(content["malformed"]):
            yield ("malformed", at), messages.check_malformed, (vector,)
    elif name in ("signed.json", "seal.json"):
        for at, vector in enumerate(content):
            yield (at,), messages.check_signed, (vector,)
    elif name == "echo.json":
        only("file", content, "round", "failures")
        yield ("round",), echo.check_round, (content["round"],)
        for at, failure in enumerate(content["failures"]):
            yield ("failures", at), echo.check_failure, (content["round"], failure)
    elif name == "evidence.json":
        only("file", content, "network", "proven", "changed", "innocent")
        network = content["network"]
        yield ("network",), evidence.check_network, (network,)
        for at, vector in enumerate(content["proven"]):
            yield ("proven", at), evidence.check_proven, (network, vector)
        for at, vector in enumerate(content["changed"]):
            yield ("changed", at), evidence.check_changed, (network, content["proven"], vector)
        for at, vector in enumerate(content["innocent"]):
            yield ("innocent", at), evidence.check_innocent, (network, vector)
    elif name == "list.json":
        for at, vector in enumerate(content):
            yield (at,), lists.check_list, (vector,)
    else:
        raise Mismatch("unknown file")


def run(check, arguments):
    """The check; whatever goes wrong with a vector's shape or values is a mismatch."""
    try:
        check(*arguments)
    except Mismatch:
        raise
    except Refused as refusal:
        raise Mismatch("refused: %s" % refusal.reason) from refusal
    except codec.BadFrame as refusal:
        raise Mismatch("frame refused: %s" % refusal.reason) from refusal
    except NOT_A_VECTOR as error:
        raise Mismatch("not a vector: %s: %s" % (type(error).__name__, error)) from error


def main(arguments):
    if len(arguments) != 1:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    directory = arguments[0]
    found = sorted(name for name in os.listdir(directory) if name.endswith(".json"))
    if found != sorted(FILES):
        print("%s holds %s instead of %s" % (directory, found, sorted(FILES)), file=sys.stderr)
        return 1
    for name in FILES:
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            content = json.load(file)
        number = 0
        for place, check, vector in checks(name, content):
            try:
                run(check, vector)
            except Mismatch as mismatch:
                title = vector[-1].get("name") or vector[-1].get("forgery", {}).get("name") or vector[-1].get("kind")
                print("%s, %s (%s): %s" % (name, list(place), title, mismatch), file=sys.stderr)
                return 1
            number += 1
        print("%s: %d vectors checked" % (name, number))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
