"""Linear and depthwise layers whose frozen results are the same on every machine."""

from __future__ import annotations

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .grid import ACTIVATION_BITS, ACTIVATION_LIMIT, DOUBLE_UNITS, SINGLE_UNITS, WEIGHT_BITS, is_exact, snap


class FreezeError(ValueError):
    """A layer whose sums could leave the range in which they are exact."""


class ExactLayer(Protocol):
    """What the freeze step asks of a layer."""

    def freeze(self) -> None:
        """Snap the parameters to the grid and check the bound."""


def snap_parameters(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, bool]:
    """Weights (out, ...) and bias (out,) on the grid, in float64, and whether float32 suffices for them.

    Every partial sum of weight * activation + bias is a multiple of 2^-(a + w) and bounded by
    sum |weight| * limit + |bias|. Raises FreezeError where that exceeds what float64 holds exactly.
    """
    weight = torch.round(weight.double() * 2.0**WEIGHT_BITS) * 2.0**-WEIGHT_BITS
    unit = 2.0 ** -(ACTIVATION_BITS + WEIGHT_BITS)
    bias = torch.round(bias.double() / unit) * unit
    if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise FreezeError("a weight is not a finite number")
    worst = (weight.abs().flatten(1).sum(1) * ACTIVATION_LIMIT + bias.abs()).max().item() / unit
    if worst >= DOUBLE_UNITS:
        raise FreezeError(f"partial sums may need {math.log2(worst):.1f} bits; float64 holds 53")
    return weight, bias, worst < SINGLE_UNITS


class ExactLinear(nn.Linear):
    """Linear layer over the last dimension (..., in) -> (..., out).

    In float32 an ordinary layer. Frozen, it takes and returns float64: the input is snapped and the sum is exact.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return F.linear(snap(x), self.weight, self.bias)

    def freeze(self) -> None:
        """Snap the parameters to the grid in place."""
        weight, bias, _ = snap_parameters(self.weight.data, self.bias.data)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)


class ExactDepthwise(nn.Module):
    """3x3 depthwise convolution over (B, H, W, C), zero padding; exact where frozen, like `ExactLinear`.

    Frozen it is nine multiplications and additions of whole grids: few enough that no convolution library,
    whose algorithm could change between machines, is needed.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, 3, 3).uniform_(-1 / 3, 1 / 3))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        x = snap(x)
        if not is_exact(x):
            y = F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, padding=1, groups=len(self.bias))
            return y.permute(0, 2, 3, 1)
        h, w = x.shape[1:3]
        padded = F.pad(x, (0, 0, 1, 1, 1, 1))
        total = self.bias.expand(x.shape).clone()
        for row in range(3):
            for column in range(3):
                total += padded[:, row : row + h, column : column + w] * self.weight[:, 0, row, column]
        return total

    def freeze(self) -> None:
        """Snap the parameters to the grid in place."""
        weight, bias, _ = snap_parameters(self.weight.data, self.bias.data)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
