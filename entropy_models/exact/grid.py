"""Numbers on a grid: the one rule by which float64 arithmetic becomes exact.

Tensors of the frozen entropy path are float64 and hold multiples of 2^-bits inside a known range. Sums of products of
such numbers are themselves multiples of a power of two; while every possible partial sum stays below 2^53
of those units, float64 holds each one exactly, so neither the order of summation, nor the number of
threads, nor the instruction set can change a result. Everything else on the path is one correctly rounded
operation at a time.

Training runs the same modules in float32, where `snap` only bounds the range: a tensor's type says which
arithmetic it takes part in.
"""

from __future__ import annotations

import torch
from torch import Tensor

ACTIVATION_BITS = 10  # an activation is a multiple of 2^-10
ACTIVATION_LIMIT = 64.0  # and at most this in magnitude
WEIGHT_BITS = 14
DOUBLE_UNITS = 2.0**53  # integers that float64 holds exactly
SINGLE_UNITS = 2.0**24  # integers that float32 holds exactly
# Beside a number of 2^52 units a float64 has no room for fractions of a unit: adding it and taking it away rounds.
GRID_SHIFT = 1.5 * 2.0 ** (52 - ACTIVATION_BITS)


def snap(x: Tensor, bits: int = ACTIVATION_BITS, limit: float = ACTIVATION_LIMIT) -> Tensor:
    """x rounded to multiples of 2^-bits (half to even) and held in [-limit, limit].

    In float32 nothing is rounded, and only limits below the general one are kept: a trained network stays
    inside that by itself, and on two cores the clamps would cost a tenth of a training step.
    """
    if x.dtype == torch.float64:
        # Beside a number of 2^52 units a float64 has no room for fractions of a unit: the addition itself rounds.
        shift = 1.5 * 2.0 ** (52 - bits)
        return x.clamp(-limit, limit).add_(shift).sub_(shift)
    return torch.clamp(x, -limit, limit) if limit < ACTIVATION_LIMIT else x


def is_exact(x: Tensor) -> bool:
    """Whether x belongs to the exact path."""
    return x.dtype == torch.float64
