"""The code for symbols outside their probability table: Elias gamma of the distance beyond its edge.

A symbol below the table or above it is numbered u = 2 d + (1 if below), where d = 0, 1, ... is how far past
the first value outside it lies. u + 1 = 2^L + mantissa; the class L is coded with probability about 2^-(L+1),
which is the unary part of the Elias gamma code (Elias 1975), and the mantissa as L plain bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .precision import TOTAL

SYMBOL_MIN, SYMBOL_MAX = -(2**31), 2**31 - 1

# d < 2^32 for 32-bit symbols and tables, so u + 1 <= 2^33 and the classes are 0..33.
CLASS_COUNT = 34


def class_frequencies() -> NDArray[np.int64]:
    """Return the integer frequencies of the classes, summing to TOTAL: half, a quarter, ... and never 0."""
    frequencies = np.maximum(1, (TOTAL // 2) >> np.arange(CLASS_COUNT))
    frequencies[0] += TOTAL - int(frequencies.sum())
    return frequencies


def split(
    symbols: NDArray[np.int64], first: NDArray[np.int64], last: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (classes, mantissas) of `symbols`, each outside its table's `first`..`last`, elementwise."""
    below = symbols < first
    distance = np.where(below, first - symbols, symbols - last) - 1
    number = 2 * distance + below + 1
    classes = np.frexp(number.astype(np.float64))[1].astype(np.int64) - 1
    return classes, number - (np.int64(1) << classes)


def join(
    classes: NDArray[np.int64],
    mantissas: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Invert `split`. Hostile classes and mantissas can give values outside SYMBOL_MIN..SYMBOL_MAX."""
    number = (np.int64(1) << classes) + mantissas - 1
    distance = number >> 1
    return np.where(number & 1, first - 1 - distance, last + 1 + distance)


def ideal_bits(classes: NDArray[np.int64]) -> float:
    """Return the bits that escapes of these `classes` cost beside their tables' escape slot."""
    frequencies = class_frequencies()[classes]
    return float(np.sum(np.log2(TOTAL / frequencies) + classes))
