"""Averages over positions, and LayerNorm as a module."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .functions import layer_norm
from .grid import ACTIVATION, divide, is_exact, snap, snap_
from .products import total

EPSILON = 2.0**-16


def average(x: Tensor) -> Tensor:
    """Mean over all positions of (B, H, W, C), (B, 1, 1, C): an exact sum, one division, the grid."""
    return snap_(divide(total(snap(x), (1, 2), ACTIVATION), x.shape[1] * x.shape[2]))


def average_pool(x: Tensor, size: int) -> Tensor:
    """Means of size x size squares: (B, H, W, C) to (B, H / size, W / size, C)."""
    b, h, w, c = x.shape
    if h % size or w % size:
        raise ValueError(f"a grid of {h} x {w} has no whole squares of {size} x {size}")
    if not is_exact(x):
        return F.avg_pool2d(x.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)
    squares = snap(x).reshape(b, h // size, size, w // size, size, c)
    return snap_(divide(total(squares, (2, 4), ACTIVATION), size**2)).reshape(b, h // size, w // size, c)


class ExactLayerNorm(nn.Module):
    """LayerNorm over the last dimension, which keeps weight and bias as activations; see `functions.layer_norm`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) to the same shape, snapped as an activation."""
        return layer_norm(x, self.weight, self.bias, EPSILON)
