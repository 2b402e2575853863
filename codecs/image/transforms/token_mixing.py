"""Simple token mixing: the transforms of MLICv2 (arXiv 2504.19119, section 3.2)."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....entropy_models.latent.grids import Depthwise
from .pyramid import PyramidConfig


class TokenMixing(PyramidConfig, msgspec.Struct, frozen=True, tag="token_mixing", forbid_unknown_fields=True):
    """A pair of token mixing blocks in every stage: 8 C^2 + 86 C multiplications for each position."""

    block_reach: ClassVar[int] = 8
    width: int = 192

    def block(self, channels: int) -> nn.Module:
        """Two blocks, each of which reaches 1 + 2 + 1 cells."""
        return nn.Sequential(MixingBlock(channels), MixingBlock(channels))


class Mixer(nn.Module):
    """Spatial mixing: x + GELU(1x1(GELU(depthwise 3x3))), then depthwise 5x5, then 1x1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.near, self.wide = Depthwise(channels), Depthwise(channels, 5)
        self.mix, self.leave = nn.Linear(channels, channels), nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        x = x + F.gelu(self.mix(F.gelu(self.near(x))))
        y: Tensor = self.leave(self.wide(x))
        return y


class Gate(nn.Module):
    """Channel mixing: u * sigmoid(1x1(GELU(depthwise(GELU(1x1(LayerNorm(u)))))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.enter, self.spatial = nn.Linear(channels, channels), Depthwise(channels)
        self.leave = nn.Linear(channels, channels)

    def forward(self, u: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        return u * torch.sigmoid(self.leave(F.gelu(self.spatial(F.gelu(self.enter(self.norm(u)))))))


class MixingBlock(nn.Module):
    """x + Mixer(LayerNorm(x)), then x + Gate(LayerNorm(x))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mixer_norm, self.gate_norm = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.mixer, self.gate = Mixer(channels), Gate(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        x = x + self.mixer(self.mixer_norm(x))
        return x + self.gate(self.gate_norm(x))
