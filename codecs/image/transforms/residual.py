"""Residual pyramids: the transforms of MLIC, MLIC+ and MLIC++ (arXiv 2211.07273, 2307.15421)."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import torch.nn.functional as F
from torch import Tensor, nn

from ....entropy_models.latent.grids import Conv2d
from .pyramid import PyramidConfig


class Residual(PyramidConfig, msgspec.Struct, frozen=True, tag="residual", forbid_unknown_fields=True):
    """A residual block in every stage."""

    block_reach: ClassVar[int] = 2
    width: int = 192

    def block(self, channels: int) -> nn.Module:
        """See `ResidualBlock`."""
        return ResidualBlock(channels)


class ResidualBlock(nn.Module):
    """x + GELU(conv3x3(GELU(conv3x3(x)))): 18 C^2 multiplications for each position."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = Conv2d(channels, channels), Conv2d(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        return x + F.gelu(self.second(F.gelu(self.first(x))))
