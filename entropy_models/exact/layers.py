"""Linear and depthwise layers whose frozen results are the same on every machine."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .grid import ACTIVATION_BITS, ACTIVATION_LIMIT, DOUBLE_UNITS, SINGLE_UNITS, WEIGHT_BITS, is_exact, snap


class FreezeError(ValueError):
    """A layer whose sums could leave the range in which they are exact."""


class ExactLayer(nn.Module):
    """A layer with `weight` (out, ...) and `bias` (out,) that can be frozen.

    Its input is held on multiples of 2^-activation_bits in [-limit, limit] and its weights on multiples of
    2^-weight_bits. Every partial sum is then a multiple of 2^-(activation_bits + weight_bits), and the freeze
    step proves from the weights themselves how large one can get: below 2^24 units the layer may run in
    float32, below 2^53 in float64, beyond that it is refused.
    """

    weight: Tensor
    bias: Tensor
    activation_bits = ACTIVATION_BITS
    activation_limit = ACTIVATION_LIMIT
    weight_bits = WEIGHT_BITS
    dtype = torch.float64

    def freeze(self) -> None:
        """Snap the parameters to the grid in place and choose the arithmetic. Raises FreezeError."""
        weight = torch.round(self.weight.data.double() * 2.0**self.weight_bits) * 2.0**-self.weight_bits
        unit = 2.0 ** -(self.activation_bits + self.weight_bits)
        bias = torch.round(self.bias.data.double() / unit) * unit
        if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
            raise FreezeError("a weight is not a finite number")
        largest = weight.abs().flatten(1).sum(1) * self.activation_limit + bias.abs()
        units = float(largest.max()) / unit
        if units >= DOUBLE_UNITS:
            raise FreezeError(f"partial sums may need {math.log2(units):.1f} bits; float64 holds 53")
        self.dtype = torch.float32 if units < SINGLE_UNITS and self._single_is_exact() else torch.float64
        self.weight = nn.Parameter(weight.to(self.dtype), requires_grad=False)
        self.bias = nn.Parameter(bias.to(self.dtype), requires_grad=False)

    def forward(self, x: Tensor, on_grid: bool = False) -> Tensor:
        """Apply the layer: in float32 as it is, in float64 exactly. `on_grid`: x has been snapped as an activation."""
        if not on_grid:
            x = snap(x, self.activation_bits, self.activation_limit)
        if is_exact(x):
            return self.apply_to(x.to(self.dtype)).double()
        return self.apply_to(x)

    def apply_to(self, x: Tensor) -> Tensor:
        """The layer's sum for an input of the weights' type."""
        raise NotImplementedError

    def _single_is_exact(self) -> bool:
        """Whether this backend multiplies and adds in full float32 (no TF32, no bfloat16, no Winograd)."""
        return single_precision_is_exact(self.weight.device)


class ExactLinear(ExactLayer):
    """Linear layer over the last dimension (..., in) -> (..., out), float64 in and out where frozen."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        plain = nn.Linear(inputs, outputs)
        self.weight, self.bias = plain.weight, plain.bias

    def apply_to(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return F.linear(x, self.weight, self.bias)


class ExactDepthwise(ExactLayer):
    """3x3 depthwise convolution over (B, H, W, C), zero padding.

    Frozen it is nine multiplications and additions of whole grids: few enough that no convolution library,
    whose algorithm could change between machines, is needed.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, 3, 3).uniform_(-1 / 3, 1 / 3))
        self.bias = nn.Parameter(torch.zeros(channels))

    def apply_to(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        if self.weight.requires_grad:
            channels_first = x.permute(0, 3, 1, 2)
            y = F.conv2d(channels_first, self.weight, self.bias, padding=1, groups=len(self.bias))
            return y.permute(0, 2, 3, 1)
        h, w = x.shape[1:3]
        padded = F.pad(x, (0, 0, 1, 1, 1, 1))
        total = self.bias.expand(x.shape).clone()
        for row in range(3):
            for column in range(3):
                total += padded[:, row : row + h, column : column + w] * self.weight[:, 0, row, column]
        return total


def freeze(module: nn.Module) -> None:
    """Freeze all exact layers of a module; its other parameters are snapped as activations are."""
    inside: set[int] = set()
    for layer in module.modules():
        if isinstance(layer, ExactLayer):
            layer.freeze()
            inside.update((id(layer.weight), id(layer.bias)))
    for parameter in module.parameters():
        if id(parameter) not in inside:
            parameter.data = snap(parameter.data.double())
            parameter.requires_grad_(False)


def single_precision_is_exact(device: torch.device) -> bool:
    """Self-test: float32 products of 12-bit integers, summed to just below 2^24, must come out exactly.

    A backend that rounds operands to TF32 or bfloat16 loses the low bits and fails.
    """
    rows = torch.arange(64, device=device)[:, None]
    columns = torch.arange(256, device=device)[None]
    left = ((rows * 131 + columns * 37) % 255 - 127).double()
    right = ((rows * 89 + columns * 53) % 511 - 255).double()
    expected = left @ right.t()
    return torch.equal((left.float() @ right.float().t()).double(), expected)
