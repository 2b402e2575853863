"""Nonlinear functions of the entropy path: ordinary ones in float32, tables on the grid in float64."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .grid import is_exact, snap


def gelu(x: Tensor) -> Tensor:
    """x * Phi(x), any shape."""
    return F.gelu(x)


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent, any shape."""
    return torch.tanh(x)


def exp(x: Tensor) -> Tensor:
    """e^x for x in [-8, 4], any shape; the argument is held in that range."""
    return torch.exp(x.clamp(-8, 4))


def softmax(x: Tensor) -> Tensor:
    """Softmax over the last dimension."""
    return torch.softmax(x, -1)
