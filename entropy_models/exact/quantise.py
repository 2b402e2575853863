"""Training with the grid in the loop, so that a network learns to live with eight bits.

    quantise(model)     every exact layer rounds its input and its weights as it will when frozen; gradients pass
                        straight through the rounding (and stop where a value is clipped)
    ... train the last part of the schedule ...
    settle(model)       the grids found become part of the layers; now `freeze` can prove float32 for them

All steps are powers of two, because only those leave sums exact. The range of the activations follows a percentile of
what the layer sees, averaged over the steps of training; one power of two is all that can be learned of it, so a
gradient for the range would have nothing to do that the percentile does not. A row's weights use the finest
power of two that holds its largest one.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from .grid import Grid
from .layers import ExactLayer

PRECISION = 8  # bits of a number with its sign
PERCENTILE = 0.9999  # of magnitudes; what lies beyond is clipped
BIAS_BITS = 22  # of a bias in units of the sums, a quarter of the room that float32 has
MOMENTUM = 0.99  # of the average over training steps
_SAMPLE = 2**16  # values of an activation that are looked at
_EXPONENT = 30  # largest magnitude of an exponent: both floating-point types hold their products with room to spare


class Rounding(nn.Module):
    """The rounding of one layer's input and weights, and the range seen so far (`reach`, saved in checkpoints)."""

    reach: Tensor

    def __init__(self, activation_precision: int, weight_precision: int, percentile: float, momentum: float) -> None:
        super().__init__()
        self.activation_precision, self.weight_precision = activation_precision, weight_precision
        self.percentile, self.momentum = percentile, momentum
        self.register_buffer("reach", torch.zeros(()))

    def forward(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The layer's input and weights, rounded; observes the input in training."""
        if self.training:
            self.observe(x.detach())
        exponent = range_exponent(self.reach)
        step = torch.exp2(exponent - (self.activation_precision - 1)).to(x.dtype)
        limit = torch.exp2(exponent).to(x.dtype)
        held = torch.minimum(torch.maximum(x, -limit), limit)
        steps = torch.exp2(self.weight_exponents(weight)).to(weight.dtype)
        return straight_through(held, step), straight_through(weight, steps.view(-1, *[1] * (weight.ndim - 1)))

    @torch.no_grad()
    def observe(self, x: Tensor) -> None:
        """Move the average range towards this input's percentile; the first input sets it."""
        values = x.flatten().abs().float()
        values = values[:: max(1, values.numel() // _SAMPLE)]
        rank = max(1, round(self.percentile * values.numel()))
        seen = values.kthvalue(rank).values
        self.reach.copy_(torch.where(self.reach > 0, self.momentum * self.reach + (1 - self.momentum) * seen, seen))

    def weight_exponents(self, weight: Tensor) -> Tensor:
        """See `weight_exponents`."""
        return weight_exponents(weight, self.weight_precision)


def quantise(
    module: nn.Module,
    activation_precision: int = PRECISION,
    weight_precision: int = PRECISION,
    percentile: float = PERCENTILE,
    momentum: float = MOMENTUM,
) -> None:
    """Put the grid into the training loop of every exact layer of a module; see the top of this file."""
    for layer in module.modules():
        if isinstance(layer, ExactLayer):
            rounding = Rounding(activation_precision, weight_precision, percentile, momentum)
            layer.rounding = rounding.to(layer.weight.device).train(layer.training)


@torch.no_grad()
def settle(module: nn.Module) -> None:
    """Take the grid out of the loop and give every layer the one it was trained with.

    Raises:
        ValueError: where a layer has seen no input yet.
    """
    for name, layer in module.named_modules():
        if isinstance(layer, ExactLayer) and layer.rounding is not None:
            rounding = cast(Rounding, layer.rounding)
            if not rounding.reach > 0:
                raise ValueError(f"{name}: no input has been seen, so its range is not known")
            reach = int(range_exponent(rounding.reach))
            grid = Grid(rounding.activation_precision - 1 - reach, reach)
            layer.set_grid(grid, -row_exponents(layer, grid, rounding.weight_precision))
            layer.rounding = None


def weight_exponents(weight: Tensor, precision: int) -> Tensor:
    """-w_r for every row of weight (out, ...): the finest 2^-w_r in units of which the row fits the precision."""
    return range_exponent(weight.detach().abs().flatten(1).amax(1) / (2 ** (precision - 1) - 1))


def row_exponents(layer: ExactLayer, grid: Grid, precision: int) -> Tensor:
    """`weight_exponents` of a layer, coarser where a row's bias would leave float32 no room for its sums.

    A bias is held in units of the sums. That of a row whose weights all but vanish beside it would be an enormous
    number of them; what such weights lose is less than the bias's own rounding to 22 bits.
    """
    bias = layer.bias.detach().abs().float()
    least = torch.where(bias > 0, range_exponent(bias * (2.0**-BIAS_BITS / grid.unit)), -_EXPONENT)
    return torch.maximum(weight_exponents(layer.weight, precision), least)


def straight_through(x: Tensor, step: Tensor) -> Tensor:
    """x rounded to multiples of `step`, with the gradient of x."""
    return x + (torch.round(x.detach() / step) * step - x.detach())


def range_exponent(largest: Tensor) -> Tensor:
    """Exponent of the least power of two that is at least `largest`, held in [-30, 30], as a float tensor."""
    mantissa, exponent = torch.frexp(largest)
    return (exponent - (mantissa == 0.5).to(exponent.dtype)).clamp(-_EXPONENT, _EXPONENT).to(torch.float32)
