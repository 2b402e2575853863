"""Sums whose length the data decide: matrix products and sums over positions, proved exact from their shapes.

A layer's weights are known when it is frozen, so `layers` proves its sums once. Here both factors are activations and
the number of terms is that of a tile's positions: the proof is one multiplication of integers at every call.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .backend import single_precision_is_exact
from .grid import DOUBLE_UNITS, SINGLE_UNITS, Grid, is_exact


class BoundError(ValueError):
    """A sum that could leave the range in which it is exact."""


def matmul(left: Tensor, right: Tensor, left_grid: Grid, right_grid: Grid) -> Tensor:
    """left (..., M, N) times right (..., N, K), exact where the operands are.

    Both must lie on the grids that are named. On the float32 path a product that needs more than 24 bits is computed in
    float64 and rounded once to float32, so the result does not depend on which of the two a backend can be trusted
    with.

    Raises:
        BoundError: when N products of the two limits could reach 2^53 units.
    """
    if not is_exact(left):
        return torch.matmul(left, right)
    dtype = arithmetic(left.shape[-1], left_grid.units * right_grid.units, left)
    return torch.matmul(left.to(dtype), right.to(dtype)).to(left.dtype)


def total(x: Tensor, dims: int | tuple[int, ...], grid: Grid) -> Tensor:
    """Sum of x over `dims`, which stay with length 1; exact where x is. See `matmul`.

    Raises:
        BoundError: when that many numbers of the grid could reach 2^53 units.
    """
    if not is_exact(x):
        return x.sum(dims, keepdim=True)
    axes = (dims,) if isinstance(dims, int) else dims
    terms = math.prod(x.shape[axis] for axis in axes)
    return x.to(arithmetic(terms, grid.units, x)).sum(axes, keepdim=True).to(x.dtype)


def arithmetic(terms: int, units: float, x: Tensor) -> torch.dtype:
    """The type in which `terms` numbers of at most `units` add up exactly, not below that of x.

    Raises:
        BoundError: when float64 does not hold their sum.
    """
    bound = terms * units
    if bound >= DOUBLE_UNITS:
        raise BoundError(f"a sum of {terms} terms may need {math.log2(bound):.1f} bits; float64 holds 53")
    if x.dtype == torch.float32 and bound < SINGLE_UNITS and single_precision_is_exact(x.device):
        return torch.float32
    return torch.float64
