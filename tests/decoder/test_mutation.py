#!/usr/bin/env python3
"""Shows that the decoder notices: every field of a vector is changed, one at a time, and each change must fail.

    test_mutation.py DIR

In bytes one hexadecimal digit is flipped, numbers grow by 8, words get a letter more, what is absent becomes 8. Names
of vectors mean nothing and stay.
"""

import copy
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from decode import FILES, checks, run
from mismatch import Mismatch

# All vectors of the other files are changed; of these, which are alike and slow, the first.
FIRST_ONLY = {"packet.json": 1, "noise.json": 1}
NAMES = {("name",), ("forgery", "name")}


def leaves(value, path=()):
    """Every place in a JSON value that holds no list and no object."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield path, value
    else:
        for key, item in items:
            yield from leaves(item, path + (key,))


def changes(value):
    if isinstance(value, str):
        if value and all(digit in "0123456789abcdef" for digit in value):
            for at in sorted({0, len(value) // 2, len(value) - 1}):
                yield value[:at] + "%x" % (int(value[at], 16) ^ 1) + value[at + 1:]
        else:
            yield value + ("0" * 16 if not value else "x")
    elif isinstance(value, bool):
        yield not value
    elif value is None:
        yield 8
    else:
        yield value + 8


def means_nothing(name, vector, path):
    """Names; and a key seen before does not change why a forgery under it fails."""
    if name != "signed.json" and path in NAMES:
        return True
    if name == "evidence.json" and path in {("of",), ("at",)}:
        return True  # other evidence, or another byte of it, may be refused for the same reason
    return path == ("forgery", "seen") and vector["error"] != "replay"


def survivors(name, content):
    """How many changes there were in a file, and those that the decoder did not notice."""
    tried, unnoticed = 0, []
    for place, check, arguments in select(name, checks(name, content)):
        run(check, arguments)  # it holds unchanged
        *context, vector = arguments
        for path, value in leaves(vector):
            if means_nothing(name, vector, path):
                continue
            for changed in changes(value):
                mutated = copy.deepcopy(vector)
                *parents, last = path
                target = mutated
                for key in parents:
                    target = target[key]
                target[last] = changed
                tried += 1
                try:
                    run(check, (*context, mutated))
                    unnoticed.append("%s, %s: %r" % (name, list(place + path), changed))
                except Mismatch:
                    pass
    return tried, unnoticed


def select(name, all_checks):
    if name not in FIRST_ONLY:
        return all_checks
    return list(all_checks)[:FIRST_ONLY[name]]


def main(arguments):
    if len(arguments) != 1:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    failed = False
    for name in FILES:
        with open(os.path.join(arguments[0], name), encoding="utf-8") as file:
            content = json.load(file)
        tried, unnoticed = survivors(name, content)
        for line in unnoticed:
            print("not noticed: " + line, file=sys.stderr)
        failed = failed or bool(unnoticed) or tried == 0
        print("%s: %d changes, %d noticed" % (name, tried, tried - len(unnoticed)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
