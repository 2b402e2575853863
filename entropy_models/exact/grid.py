"""Numbers on a grid: the one rule by which floating-point arithmetic becomes exact.

Tensors of the frozen entropy path hold multiples of 2^-bits inside a known range. Sums of products of such numbers are
themselves multiples of a power of two; while every possible partial sum stays below 2^53 of those units, float64
holds each one exactly (float32 below 2^24), so neither the order of summation, nor the number of threads, nor the
instruction set can change a result. Everything else on the path is one correctly rounded operation at a time.

Training runs the same modules in float32, where `snap` only bounds the range. So a tensor's type says which arithmetic
it takes part in: float64 is the exact path. A model whose grids are narrow enough runs that path in float32 instead,
within `float32_path()`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor

ACTIVATION_BITS = 10  # an activation is a multiple of 2^-10, if its layer has no grid of its own
ACTIVATION_LIMIT = 64.0  # and at most this in magnitude
WEIGHT_BITS = 14
DOUBLE_UNITS = 2.0**53  # integers that float64 holds exactly
SINGLE_UNITS = 2.0**24  # integers that float32 holds exactly
# Beside a number of 2^52 units a float64 has no room for fractions of a unit: adding it and taking it away rounds.
GRID_SHIFT = 1.5 * 2.0 ** (52 - ACTIVATION_BITS)

_float32_is_exact: ContextVar[bool] = ContextVar("float32_is_exact", default=False)


@dataclass(frozen=True)
class Grid:
    """The multiples of 2^-bits in [-2^reach, 2^reach]."""

    bits: int
    reach: int

    @property
    def limit(self) -> float:
        """Largest number of the grid."""
        return math.ldexp(1.0, self.reach)

    @property
    def unit(self) -> float:
        """Distance of neighbouring numbers."""
        return math.ldexp(1.0, -self.bits)

    @property
    def units(self) -> float:
        """`limit` in units."""
        return math.ldexp(1.0, self.bits + self.reach)

    def holds(self, other: Grid) -> bool:
        """Whether every number of the other grid lies on this one, too."""
        return self.bits >= other.bits and self.reach >= other.reach

    def snap(self, x: Tensor) -> Tensor:
        """`snap` onto this grid."""
        return snap(x, self.bits, self.limit)


ACTIVATION = Grid(ACTIVATION_BITS, 6)


def snap(x: Tensor, bits: int = ACTIVATION_BITS, limit: float = ACTIVATION_LIMIT) -> Tensor:
    """x rounded to multiples of 2^-bits (half to even) and held in [-limit, limit]; limit * 2^bits at most 2^51.

    In training nothing is rounded, and only limits below the general one are kept: a trained network stays
    inside that by itself, and on two cores the clamps would cost a tenth of a training step.
    """
    if is_exact(x):
        return _round_(x.clamp(-limit, limit), bits, limit)
    return torch.clamp(x, -limit, limit) if limit < ACTIVATION_LIMIT else x


def snap_(x: Tensor, bits: int = ACTIVATION_BITS, limit: float = ACTIVATION_LIMIT) -> Tensor:
    """`snap` that may overwrite x: for a tensor that nobody else reads, such as a layer's result."""
    if is_exact(x):
        return _round_(x.clamp_(-limit, limit), bits, limit)
    return snap(x, bits, limit)


def is_exact(x: Tensor) -> bool:
    """Whether x belongs to the exact path."""
    return x.dtype == torch.float64 or (_float32_is_exact.get() and x.dtype == torch.float32)


@contextmanager
def float32_path() -> Iterator[None]:
    """Inside, float32 tensors belong to the exact path, as float64 ones always do.

    For a frozen model whose layers nearly all run in float32 (`layers.freeze`): half the memory for every operation.
    Results may differ from those in float64, where two exact sums are added, so the choice is part of the model.
    """
    token = _float32_is_exact.set(True)
    try:
        yield
    finally:
        _float32_is_exact.reset(token)


def divide(x: Tensor, by: float) -> Tensor:
    """x / by, correctly rounded on every device: for a Python number GPUs multiply by its reciprocal instead."""
    return x / torch.full((), by, dtype=x.dtype, device=x.device)


def _round_(x: Tensor, bits: int, limit: float) -> Tensor:
    """x rounded to multiples of 2^-bits in place."""
    mantissa = 52 if x.dtype == torch.float64 else 23
    if math.ldexp(limit, bits) > 2.0 ** (mantissa - 1):
        # The shift below would lose a bit. Multiplying by powers of two is exact.
        return x.mul_(2.0**bits).round_().mul_(2.0**-bits)
    shift = math.ldexp(1.5, mantissa - bits)
    return x.add_(shift).sub_(shift)
