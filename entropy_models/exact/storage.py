"""Exact layers as small integers: what a model file holds of the entropy path.

    module --integers--> {NAME.weight: int8 (or 16, 32), NAME.bias: int32, NAME.grid: int8, ...} --safetensors--> file
    file --load_integers--> the same module, bit for bit

Weights are in units of their row, biases in units of the sums, other parameters in units of an activation. So nothing
but integers enters the fingerprint, and with 8-bit grids a weight takes one byte.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .grid import ACTIVATION, Grid, snap
from .layers import GRID_KEY, ExactLayer, FreezeError

_SMALLEST_FIRST = (torch.int8, torch.int16, torch.int32, torch.int64)


@torch.no_grad()
def integers(module: nn.Module) -> dict[str, Tensor]:
    """State of a module, trained or frozen, with its parameters as the integers that `freeze` would make of them.

    Raises:
        FreezeError: for numbers that are not finite or too large, and before `quantise.settle`.
    """
    if any(layer.rounding is not None for _, layer in _layers(module)):
        raise FreezeError("the grid is still in the training loop; call `quantise.settle` first")
    tensors = {name: value.detach().clone() for name, value in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        tensors[name] = _smallest(_units(parameter, torch.tensor(ACTIVATION.unit).double(), ACTIVATION), name)
    for prefix, layer in _layers(module):
        steps = layer.weight_steps()
        column = steps.view(-1, *[1] * (layer.weight.ndim - 1))
        tensors[f"{prefix}weight"] = _smallest(_units(layer.weight, column), f"{prefix}weight")
        bias = _units(layer.bias, steps * layer.activation.unit)
        tensors[f"{prefix}bias"] = _smallest(bias, f"{prefix}bias", torch.int32)
        tensors[f"{prefix}{GRID_KEY}"] = layer.grid_tensor()
    return {name: value.contiguous() for name, value in tensors.items()}


@torch.no_grad()
def load_integers(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load what `integers` gave into a module of the same shape; float64 parameters take every integer exactly.

    Raises:
        KeyError, RuntimeError, ValueError: where tensors are missing or do not fit.
    """
    state = dict(tensors)
    for name, _ in module.named_parameters():
        if name in state and not state[name].dtype.is_floating_point:
            state[name] = state[name].double() * ACTIVATION.unit
    for prefix, layer in _layers(module):
        layer.set_grid_tensor(tensors[f"{prefix}{GRID_KEY}"])
        steps = layer.weight_steps()
        weight, bias = tensors[f"{prefix}weight"].double(), tensors[f"{prefix}bias"].double()
        state[f"{prefix}weight"] = weight * steps.view(-1, *[1] * (weight.ndim - 1))
        state[f"{prefix}bias"] = bias * steps * layer.activation.unit
    module.load_state_dict(state, assign=True)


def _layers(module: nn.Module) -> list[tuple[str, ExactLayer]]:
    """Every exact layer with the prefix of its tensors' names."""
    named = module.named_modules()
    return [(f"{name}." if name else "", layer) for name, layer in named if isinstance(layer, ExactLayer)]


def _units(values: Tensor, steps: Tensor, grid: Grid | None = None) -> Tensor:
    """values / steps as float64 integers."""
    values = values.detach().double()
    return torch.round((values if grid is None else snap(values, grid.bits, grid.limit)) / steps)


def _smallest(units: Tensor, name: str, least: torch.dtype = torch.int8) -> Tensor:
    """Integers in the smallest type that holds them, at least `least`."""
    if not torch.isfinite(units).all():
        raise FreezeError(f"{name}: a number is not finite")
    low, high = float(units.min()), float(units.max())
    for dtype in _SMALLEST_FIRST[_SMALLEST_FIRST.index(least) :]:
        limits = torch.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return units.to(dtype)
    raise FreezeError(f"{name}: {max(-low, high):.3g} units do not fit into 64 bits")
