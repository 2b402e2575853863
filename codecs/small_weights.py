"""Weights of the transforms in 8 bits: integers and one step for each row, as a model file holds them.

    NAME (out, ...) float --rows--> NAME int8, NAME.steps (out,) float32 --whole--> NAME float32

The transforms only say what to code and how it looks, so unlike those of the entropy path (`exact.storage`) their steps
need not be powers of two, which saves half a bit. How a weight is best rounded, its inputs say: `training.rounding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

STEPS = ".steps"  # ends the name of the steps of a weight
LARGEST = 127


class Rows(NamedTuple):
    """A weight as integers (out, ...) int8 in units of its rows' steps (out,) float32."""

    units: Tensor
    steps: Tensor

    def weight(self) -> Tensor:
        """The weight, float32."""
        return self.units.float() * by_row(self.steps, self.units)


def row_steps(weight: Tensor) -> Tensor:
    """The steps with which every row of weight (out, ...) fills 8 bits, (out,) float32."""
    largest = weight.detach().float().flatten(1).abs().amax(1)
    return torch.where(largest > 0, largest, torch.ones_like(largest)) / LARGEST


def nearest(weight: Tensor, steps: Tensor | None = None) -> Rows:
    """Every number of a weight (out, ...) rounded to the nearest multiple of its row's step."""
    steps = row_steps(weight) if steps is None else steps
    units = torch.round(weight.detach().float() / by_row(steps, weight))
    return Rows(units.clamp(-LARGEST, LARGEST).to(torch.int8), steps)


def by_row(values: Tensor, weight: Tensor) -> Tensor:
    """Values (out,), shaped to broadcast over weight (out, ...)."""
    return values.view(-1, *[1] * (weight.ndim - 1))


def stored(weights: Mapping[str, Rows]) -> dict[str, Tensor]:
    """As a model file holds them, by name."""
    tensors = {name: rows.units for name, rows in weights.items()}
    return tensors | {name + STEPS: rows.steps for name, rows in weights.items()}


def whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a model file with its small weights as float32; all others as they are."""
    found = {name: tensor for name, tensor in tensors.items() if not name.endswith(STEPS)}
    for name, tensor in tensors.items():
        if name.endswith(STEPS):
            weight = name.removesuffix(STEPS)
            found[weight] = Rows(found[weight], tensor).weight()
    return found
