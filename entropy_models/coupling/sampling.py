"""Drawing Y from q(y|t) with integers only, so that every machine draws the same Y.

Philox4x64-10 (Salmon et al., SC 2011), keyed by the seed, gives one 64-bit word u for each symbol. With
label t of integer mass P the point r = floor(u P / 2^64) of 0..P-1 falls into one of the label's cells. A
cell of mass c is drawn with probability c/P to within 2^-64. No floating-point number takes part.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .greedy import greedy_cells
from .laws import Ints, entropy

Words = NDArray[np.uint64]

MAX_TOTAL = 1 << 62
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


def integer_masses(law: ArrayLike, total: int) -> Ints:
    """Round a law to integers that sum to `total`, by largest remainder, at least 1 where it is positive.

    Raises `ValueError` where `total` is smaller than the support.
    """
    values = np.asarray(law, dtype=np.float64)
    values = values / values.sum()
    support = np.flatnonzero(values)
    spare = total - len(support)
    if spare < 0:
        raise ValueError(f"{len(support)} positive masses do not fit a total of {total}")
    share = values[support] * spare
    whole = np.floor(share).astype(np.int64)
    left = spare - int(whole.sum())
    whole[np.argsort(whole - share, kind="stable")[:left]] += 1
    masses = np.zeros(len(values), dtype=np.int64)
    masses[support] = whole + 1
    return masses


class Sampler:
    """Draws outputs for labels from integer cells (label, output, mass), one word of randomness a symbol."""

    def __init__(self, labels: ArrayLike, outputs: ArrayLike, masses: ArrayLike) -> None:
        """Take the cells, arrays of shape (cells,); their order within a label decides what a word draws."""
        labels = np.asarray(labels, dtype=np.int64)
        masses = np.asarray(masses, dtype=np.int64)
        order = np.argsort(labels, kind="stable")
        self._outputs = np.asarray(outputs, dtype=np.int64)[order]
        self._ends = np.cumsum(masses[order])
        totals = np.zeros(int(labels.max()) + 1, dtype=np.int64)
        np.add.at(totals, labels, masses)
        self._totals = totals.astype(np.uint64)
        self._starts = np.cumsum(totals) - totals

    @classmethod
    def greedy(cls, label_masses: Ints, output_masses: Ints) -> Sampler:
        """The greedy coupling of two integer laws; brought to one total by crosswise multiplication.

        The product of the two totals must stay below 2^62.
        """
        label_total, output_total = int(label_masses.sum()), int(output_masses.sum())
        if label_total * output_total >= MAX_TOTAL:
            raise ValueError(f"totals of {label_total} and {output_total} are too large together")
        return cls(*greedy_cells(label_masses * output_total, output_masses * label_total))

    @classmethod
    def posterior(cls, label_of: Ints, masses: Ints) -> Sampler:
        """Draw a symbol again from the source law given its label; `label_of` is -1 for unused symbols."""
        symbols = np.flatnonzero(masses)
        return cls(label_of[symbols], symbols, masses[symbols])

    @property
    def entropy(self) -> float:
        """H(T,Y) of the cells, in bits."""
        masses = np.diff(self._ends, prepend=0)
        return entropy(masses / self._ends[-1])

    def draw(self, labels: Ints, words: Words) -> Ints:
        """Outputs for labels (n,) and words of 64 random bits (n,)."""
        point = _multiply_high(words, self._totals[labels]).astype(np.int64)
        drawn: Ints = self._outputs[np.searchsorted(self._ends, self._starts[labels] + point, side="right")]
        return drawn


class WordStream:
    """The raw 64-bit outputs of Philox4x64-10 with key (seed, 0) and the counter starting at 1, in order."""

    def __init__(self, seed: int) -> None:
        """Start the stream of a seed of 0 .. 2^64-1."""
        self._generator = np.random.Philox(key=np.array([seed, 0], dtype=np.uint64))

    def take(self, count: int) -> Words:
        """The next `count` words."""
        words: Words = self._generator.random_raw(count)
        return words


def _multiply_high(a: Words, b: Words) -> Words:
    """floor(a b / 2^64) of unsigned 64-bit integers, from four 32-bit products."""
    a_high, a_low, b_high, b_low = a >> _HALF, a & _LOW, b >> _HALF, b & _LOW
    middle = a_high * b_low + ((a_low * b_low) >> _HALF)
    other = a_low * b_high + (middle & _LOW)
    return a_high * b_high + (middle >> _HALF) + (other >> _HALF)
