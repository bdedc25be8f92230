"""Comparing what stands in a file with what the specification says."""

import json
import os


class Mismatch(Exception):
    """A vector and the specification disagree."""


def same(what, found, computed):
    if isinstance(computed, bytes):
        computed = computed.hex()
    if type(found) is not type(computed) or found != computed:
        raise Mismatch("%s is %s in the file and %s by the specification" % (what, *shortened(found, computed)))


def shortened(a, b):
    """Both in words; of two long strings what begins where they differ."""
    if not (isinstance(a, str) and isinstance(b, str) and min(len(a), len(b)) > 80):
        return json.dumps(a), json.dumps(b)
    at = len(os.path.commonprefix([a, b])) // 2 * 2
    return tuple("%s... from byte %d on" % (text[at:at + 32], at // 2) for text in (a, b))


def unhex(text, size=None):
    data = bytes.fromhex(text)
    if data.hex() != text:
        raise Mismatch("%s is not lower-case hexadecimal" % text)
    if size is not None and len(data) != size:
        raise Mismatch("%s has not %d bytes" % (text, size))
    return data


def only(what, value, *keys):
    """No field stands in a vector that nobody checks."""
    if set(value) != set(keys):
        raise Mismatch("%s has the fields %s" % (what, sorted(value)))
