"""What needs a mathematical library is computed once, when a model is exported, and stored as numbers.

    trained --tabulate--> folded norms, integer tables --integers--> model file --load_integers, freeze--> exact

`freeze` runs wherever a model is loaded and may only round and prove; a cosine computed there could differ between two
machines. Modules that have something to tabulate derive from `Tabulated`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import ExactLayer


class Tabulated(ABC):
    """A module with numbers that are made at export, by any mathematical library, and then belong to the model."""

    @abstractmethod
    def tabulate(self) -> None:
        """Make them, once; a second call changes nothing."""


def tabulate(module: nn.Module) -> None:
    """Tabulate all of a module, for export. Training goes on with the folded norms."""
    for part in list(module.modules()):
        if isinstance(part, Tabulated):
            part.tabulate()


class Normed(nn.Module, Tabulated):
    """A layer and a batch norm over its results (..., C), which becomes part of the layer's weights at export.

    (W x + b - m) / s * g + h = (W g / s) x + (b - m) g / s + h, with the running mean m and deviation s, gain g and
    offset h. A model file that holds no norm loads as the folded layer.
    """

    def __init__(self, layer: ExactLayer, channels: int) -> None:
        super().__init__()
        if len(layer.bias) != channels:
            raise ValueError(f"a norm of {channels} channels does not fit a layer of {len(layer.bias)} results")
        self.layer = layer
        self.norm: nn.BatchNorm1d | None = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """What the layer takes to what it gives, normalised; exact once folded."""
        y: Tensor = self.layer(x)
        if self.norm is None:
            return y
        rows = y.flatten(0, -2)
        if len(rows) == 1 and self.norm.training:  # one row has no deviation: take the running one
            norm = self.norm
            return F.batch_norm(rows, norm.running_mean, norm.running_var, norm.weight, norm.bias).view_as(y)
        return self.norm(rows).view_as(y)

    @torch.no_grad()
    def tabulate(self) -> None:
        """Fold the norm into the layer's weights."""
        norm, layer = self.norm, self.layer
        if norm is None:
            return
        if norm.running_mean is None or norm.running_var is None:
            raise ValueError("a batch norm without running statistics cannot be folded")
        scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
        bias = (layer.bias.double() - norm.running_mean.double()) * scale + norm.bias.double()
        weight = layer.weight.double() * scale.view(-1, *[1] * (layer.weight.ndim - 1))
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
        self.norm = None

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        if not any(name.startswith(f"{prefix}norm.") for name in state_dict):
            self.norm = None
        super()._load_from_state_dict(state_dict, prefix, *rest)
