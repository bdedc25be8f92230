"""Joint round keys: section 7.7 of wire-spec.md, as far as evidence needs it."""

import onion
from primitives import BASE, L, point_add, point_decode, point_encode, point_equal, point_multiply

IDENTITY = (0, 1, 1, 0)


def decode(encoded):
    """A point of order l, canonically encoded, that is not the identity; else None."""
    point = point_decode(encoded)
    if point is None or point_encode(point) != encoded or point_equal(point, IDENTITY):
        return None
    return point if point_equal(point_multiply(L, point), IDENTITY) else None


def is_share(value, owed):
    """Whether a number, in hex, is below l and makes this point."""
    number = int.from_bytes(bytes.fromhex(value), "little")
    return number < L and point_equal(point_multiply(number, BASE), owed)


class Keys:
    """What openings of an epoch say of its rounds."""

    def __init__(self, network, epoch, first_round, rounds):
        self.context = (bytes.fromhex(network.id) + epoch.to_bytes(8, "little") + first_round.to_bytes(8, "little")
                        + rounds.to_bytes(4, "little"))
        self.first_round, self.rounds = first_round, rounds
        self.threshold, self.mixes = network.threshold, len(network.mixes)
        self.coefficients = 1 if self.threshold == self.mixes else self.threshold

    def place(self, round_):
        place = round_ - self.first_round
        return place if 0 <= place < self.rounds else None

    def dealing(self, mix, opening):
        return onion.H("Dealing", self.context + bytes([self.threshold, self.mixes, mix]) + opening)

    def polynomial(self, opening, place):
        """The committed coefficients of a round, the constant one first; None if the opening is none."""
        part = 32 * self.coefficients + 64
        if len(opening) != part * self.rounds:
            return None
        points = [decode(opening[place * part + 32 * k:][:32]) for k in range(self.coefficients)]
        return None if None in points else points

    def at(self, opening, place, mix):
        points = self.polynomial(opening, place)
        if points is None:
            return None
        value = points[-1]
        for point in reversed(points[:-1]):
            value = point_add(point_multiply(mix, value), point)
        return value

    def owed_sub_share(self, opening, place, receiver):
        return None if self.coefficients == 1 else self.at(opening, place, receiver)

    def owed_share(self, openings, place, mix):
        """With t = L from the mix's own opening, else from those of all."""
        if len(openings) != (1 if self.coefficients == 1 else self.mixes):
            return None
        owed = IDENTITY
        for opening in openings:
            part = self.at(opening, place, mix)
            if part is None:
                return None
            owed = point_add(owed, part)
        return owed
