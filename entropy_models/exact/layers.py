"""Layers whose frozen results are the same on every machine: the base of all, linear and depthwise.

Each has its own grid, which is part of the model: how finely its input is rounded and held in which range, and how
finely every row of its weights is. `freeze` proves from the weights how large a sum can get, and by that picks float32
or float64 for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backend import single_precision_is_exact
from .grid import ACTIVATION, DOUBLE_UNITS, SINGLE_UNITS, WEIGHT_BITS, Grid, is_exact, snap

GRID_KEY = "grid"
_FLOAT64_BIAS, _FLOAT64_MANTISSA = 1023, 52  # a power of two is nothing but its exponent


class FreezeError(ValueError):
    """A layer whose sums could leave the range in which they are exact."""


class ExactLayer(nn.Module):
    """A layer with `weight` (out, ...) and `bias` (out,) that can be frozen.

    Its input is held on `activation`, the grid of multiples of 2^-a up to a limit, and row r of its weights on
    multiples of 2^-w_r. Every partial sum of output r is then a multiple of 2^-(a + w_r), and `freeze` proves from the
    weights themselves how large one can get: below 2^24 units the layer runs in float32, below 2^53 in
    float64, beyond that it is refused.

        x --snap onto `activation`--> products and sums of `weight`, `bias` --> exact result, not rounded

    A grid that is not the default one is saved with the weights as small integers, `NAME.grid`: bits and reach of the
    activations, then the bits of the rows.
    """

    weight: Tensor
    bias: Tensor
    activation: Grid
    weight_bits: Tensor
    dtype: torch.dtype | None  # of the sums; None before `freeze`
    rounding: nn.Module | None  # of the grid in the training loop, see `quantise`

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.dtype, self.rounding = None, None
        self.set_grid()

    def set_grid(self, activation: Grid = ACTIVATION, weight_bits: int | Sequence[int] | Tensor = WEIGHT_BITS) -> None:
        """Choose the grid; `weight_bits` is one number, or one for every row.

        Raises:
            ValueError: for another number of rows.
        """
        bits = torch.as_tensor(weight_bits, dtype=torch.int8).cpu().flatten()
        if bits.numel() not in (1, len(self.bias)):
            raise ValueError(f"{bits.numel()} grids do not fit {len(self.bias)} rows of weights")
        self.activation, self.weight_bits = activation, bits.expand(len(self.bias)).clone()

    def freeze(self) -> None:
        """Snap the parameters to the grid in place and choose the arithmetic.

        Raises:
            FreezeError: where a sum may need more than 53 bits, or a weight is not finite.
        """
        if self.rounding is not None:
            raise FreezeError("the grid is still in the training loop; call `quantise.settle` first")
        weight, bias = self._on_grid()
        if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
            raise FreezeError("a weight is not a finite number")
        units = self._largest(weight, bias)
        if units >= DOUBLE_UNITS:
            raise FreezeError(f"partial sums may need {math.log2(units):.1f} bits; float64 holds 53")
        self.dtype = torch.float32 if units < SINGLE_UNITS else torch.float64
        self.weight = nn.Parameter(weight.to(self.dtype), requires_grad=False)
        self.bias = nn.Parameter(bias.to(self.dtype), requires_grad=False)

    def largest_sum(self) -> float:
        """The most that a partial sum can reach on the layer's grid, in units of its row; float32 holds 2^24."""
        return self._largest(*self._on_grid())

    def _largest(self, weight: Tensor, bias: Tensor) -> float:
        unit = self.weight_steps() * self.activation.unit
        largest = weight.abs().flatten(1).sum(1) * self.activation.limit + bias.abs()
        return float((largest / unit).max())

    def _on_grid(self) -> tuple[Tensor, Tensor]:
        """Weight and bias rounded to the grid, float64."""
        steps = self.weight_steps()
        unit = steps * self.activation.unit
        column = steps.view(-1, *[1] * (self.weight.ndim - 1))
        weight = torch.round(self.weight.data.double() / column) * column
        return weight, torch.round(self.bias.data.double() / unit) * unit

    def weight_steps(self) -> Tensor:
        """2^-w_r for every row, (out,) float64."""
        exponents = _FLOAT64_BIAS - self.weight_bits.long()
        return (exponents << _FLOAT64_MANTISSA).view(torch.float64).to(self.weight.device)

    def forward(self, x: Tensor, on_grid: bool = False) -> Tensor:
        """Apply the layer, exactly where x is exact; the result has the type of x.

        Args:
            x: the layer's input; the shape is the subclass's.
            on_grid: x has been snapped as an activation (`grid.ACTIVATION`), so a layer on that grid need not snap it.
        """
        if self.rounding is not None:
            rounded, weight = self.rounding(x, self.weight)
            return self.product(rounded, weight, self.bias)
        if not (on_grid and self.activation.holds(ACTIVATION)):
            x = self.activation.snap(x)
        if not is_exact(x):
            return self.product(x, self.weight, self.bias)
        dtype = self._trusted_type(x.device)
        return self.product(x.to(dtype), self.weight.to(dtype), self.bias.to(dtype)).to(x.dtype)

    def product(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The layer's sums for an input of the weights' type."""
        raise NotImplementedError

    def _trusted_type(self, device: torch.device) -> torch.dtype:
        """The frozen layer's arithmetic, float64 instead of float32 where the backend rounds operands."""
        if self.dtype is None:
            raise FreezeError(f"{type(self).__name__} has not been frozen, so it cannot take exact numbers")
        if self.dtype == torch.float32 and not single_precision_is_exact(device):
            return torch.float64
        return self.dtype

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.activation != ACTIVATION or bool((self.weight_bits != WEIGHT_BITS).any()):
            destination[prefix + GRID_KEY] = self.grid_tensor()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Loads the weights as they are stored, and the grid; they are to be frozen (again)."""
        stored = state_dict.pop(prefix + GRID_KEY, None)  # torch hands over a dictionary of its own
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self.dtype = None
        if stored is None:
            self.set_grid()
        else:
            self.set_grid_tensor(stored)

    def set_grid_tensor(self, stored: Tensor) -> None:
        """Invert `grid_tensor`. Raises ValueError where it does not fit."""
        numbers = stored.flatten()
        if len(numbers) < 3:
            raise ValueError(f"{len(numbers)} numbers are no grid of a layer")
        self.set_grid(Grid(int(numbers[0]), int(numbers[1])), numbers[2:])

    def grid_tensor(self) -> Tensor:
        """The grid as a model file holds it, int8: bits and reach of activations, bits of each row (one if equal)."""
        rows = self.weight_bits.unique() if len(self.weight_bits.unique()) == 1 else self.weight_bits
        return torch.cat((torch.tensor([self.activation.bits, self.activation.reach], dtype=torch.int8), rows))


class ExactLinear(ExactLayer):
    """Linear layer over the last dimension, (..., in) -> (..., out)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        plain = nn.Linear(inputs, outputs)
        super().__init__(plain.weight.data, plain.bias.data)

    def product(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return F.linear(x, weight, bias)


def add_product(total: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """total + x weight^T for a bias (out,), or in place for an earlier result (..., out); x (..., in)."""
    rows = x.reshape(-1, x.shape[-1])
    if total.ndim == 1:
        return torch.addmm(total, rows, weight.t()).view(*x.shape[:-1], len(weight))
    total.view(-1, len(weight)).addmm_(rows, weight.t())
    return total


class ExactDepthwise(ExactLayer):
    """Depthwise convolution over (B, H, W, C), k x k with k odd, zero padding, stride 1.

    Frozen it is k^2 multiplications and additions of whole grids: few enough that no convolution library,
    whose algorithm could change between machines, is needed.
    """

    def __init__(self, channels: int, kernel: int = 3) -> None:
        if kernel % 2 == 0:
            raise ValueError(f"a depthwise kernel of {kernel} has no centre")
        super().__init__(
            torch.empty(channels, 1, kernel, kernel).uniform_(-1 / kernel, 1 / kernel), torch.zeros(channels)
        )
        self.kernel = kernel

    def product(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        reach = self.kernel // 2
        if self.dtype is None:
            y = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=reach, groups=len(bias))
            return y.permute(0, 2, 3, 1)
        h, w = x.shape[1:3]
        padded = F.pad(x, (0, 0, reach, reach, reach, reach))
        result = bias.expand(x.shape).clone()
        for row in range(self.kernel):
            for column in range(self.kernel):
                # All of it is exact, so fusing the two operations changes nothing.
                result.addcmul_(padded[:, row : row + h, column : column + w], weight[:, 0, row, column])
        return result


def freeze(module: nn.Module, path: torch.dtype = torch.float64) -> None:
    """Freeze all exact layers of a module; its other parameters are snapped as activations are.

    Args:
        module: trained, or loaded from a model file.
        path: type of the tensors between the layers, float32 for a model that runs within `grid.float32_path`.

    Raises:
        FreezeError: naming the first layer that has no proof, or a lone parameter that is not finite.
    """
    inside: set[int] = set()
    for name, layer in module.named_modules():
        if isinstance(layer, ExactLayer):
            try:
                layer.freeze()
            except FreezeError as error:
                raise FreezeError(f"{name or type(layer).__name__}: {error}") from None
            inside.update((id(layer.weight), id(layer.bias)))
    for name, parameter in module.named_parameters():
        if id(parameter) not in inside:
            if not torch.isfinite(parameter).all():
                raise FreezeError(f"{name}: a number is not finite")
            parameter.data = snap(parameter.data.double()).to(path)
            parameter.requires_grad_(False)
