"""Tables for the tests of the range coder, and a decoder to compare it with."""

import numpy as np

from bitfloor.entropy_models.coding.tables import ProbabilityTables

TOTAL = 2**24


def small_tables():
    """Two narrow tables that escape often, one of them with a very improbable slot."""
    return ProbabilityTables(
        np.array([2**22, 2**22, 2**23, 1, TOTAL - 1 - 2**20, 2**20]), np.array([3, 3]), np.array([-1, 100])
    )


class TextbookDecoder:
    """Range decoding in Python's integers: 64-bit state, 32-bit words, 24-bit frequencies, zeros after."""

    def __init__(self, data):
        self.data, self.read = data, 0
        self.low, self.range = 0, 2**64 - 1
        self.point = self.word() << 32 | self.word()

    def word(self):
        word = self.data[self.read : self.read + 4].ljust(4, b"\x00")
        self.read += 4
        return int.from_bytes(word, "big")

    def symbol(self, frequencies):
        scale = self.range >> 24
        quantile = (self.point - self.low) % 2**64 // scale
        slot = 0
        while quantile >= frequencies[slot]:
            quantile -= frequencies[slot]
            slot += 1
        self.low = (self.low + scale * sum(frequencies[:slot])) % 2**64
        self.range = scale * frequencies[slot]
        if self.range < 2**32:
            self.low = self.low << 32 & (2**64 - 1)
            self.range <<= 32
            self.point = self.point << 32 & (2**64 - 1) | self.word()
        return slot
