"""Integer frequencies from base-2 logarithms on the grid, by table and shift."""

from __future__ import annotations

from functools import cache
from math import isqrt

import torch
from torch import Tensor

from .grid import ACTIVATION_BITS

FREQUENCY_BITS = 18  # of the largest frequency; rows of up to 1024 then sum to 2^28 at most
_POINTS = 2**ACTIVATION_BITS


def frequencies(log2: Tensor) -> Tensor:
    """Frequencies (..., K) int32 in proportion to 2^log2, for float64 multiples of 2^-10 (..., K).

    The largest of a row becomes 2^18, each other 2^(18 - n) times a table value for the fraction, rounded
    down. What lies more than 18 below the largest becomes 0, which the range coder takes as its least
    frequency.
    """
    below = (log2.amax(-1, keepdim=True) - log2).clamp_(max=FREQUENCY_BITS + 1)
    units = below.mul_(_POINTS).to(torch.int32)
    return halvings().to(units.device)[units & (_POINTS - 1)] >> (units >> ACTIVATION_BITS)


@cache
def halvings() -> Tensor:
    """2^(18 - i / 1024) for i in 0..1023, rounded, int32: by integer square roots, so by no mathematical library."""
    values = []
    for i in range(_POINTS):
        root = 1 << ((FREQUENCY_BITS + 1) * _POINTS - i)  # one bit more than is kept, to round with
        for _ in range(ACTIVATION_BITS):
            root = isqrt(root)
        values.append((root + 1) >> 1)
    return torch.tensor(values, dtype=torch.int32)
