"""Pyramids of three stages with a block of some kind in each, as the MLIC papers have them.

g_a   x ─ [down, block] ─ [down, block] ─ [down, block] ─ conv ─ y          at 1/2, 1/4, 1/8 and 1/16
g_s   y ─ block ─ [up, block] ─ [up, block] ─ [up, block] ─ conv ─ x
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from ....entropy_models.latent.grids import Conv2d, SubPixel
from .base import Transform, TransformConfig
from .gdn import GDN

STAGES = 3
Block = Callable[[int], nn.Module]


class Down(nn.Module):
    """Half the resolution: conv3x3 with stride 2, GELU, conv3x3, GDN, beside a 1x1 convolution with stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = Conv2d(inputs, outputs, stride=2), Conv2d(outputs, outputs)
        self.norm, self.skip = GDN(outputs), Conv2d(inputs, outputs, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, inputs) to (B, H / 2, W / 2, outputs)."""
        y: Tensor = self.norm(self.second(F.gelu(self.first(x)))) + self.skip(x)
        return y


class Up(nn.Module):
    """Twice the resolution: sub-pixel conv3x3, GELU, conv3x3, inverse GDN, beside a sub-pixel convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = SubPixel(inputs, outputs), Conv2d(outputs, outputs)
        self.norm, self.skip = GDN(outputs, inverse=True), SubPixel(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, inputs) to (B, 2 H, 2 W, outputs)."""
        y: Tensor = self.norm(self.second(F.gelu(self.first(x)))) + self.skip(x)
        return y


class PyramidConfig(TransformConfig):
    """What transforms with pyramids share.

    Attributes:
        width: features of all stages.
        block_reach: cells around its own that one block depends on, at its resolution.
    """

    block_reach: ClassVar[int]
    width: int

    def block(self, channels: int) -> nn.Module:
        """One block over (B, H, W, channels)."""
        raise NotImplementedError

    @property
    def reach(self) -> int:
        """The synthesis reaches further: a block at 1/16, then at each resolution up, convolution and block."""
        pixels = self.stride * self.block_reach
        for stage in range(STAGES):
            coarse = self.stride >> stage
            pixels += coarse + coarse // 2 * (1 + self.block_reach)
        return math.ceil((pixels + 2) / self.stride)

    @property
    def analysis_features(self) -> int:
        """The features of every stage."""
        return STAGES * self.width

    @property
    def synthesis_features(self) -> int:
        """The features of every stage."""
        return STAGES * self.width

    def build(self, latent: int) -> tuple[Transform, Transform]:
        """See `TransformConfig`."""
        return Analysis(self.width, latent, self.block), Synthesis(self.width, latent, self.block)


class Analysis(Transform):
    """g_a."""

    def __init__(self, width: int, latent: int, block: Block) -> None:
        super().__init__()
        self.width = width
        self.down = nn.ModuleList(Down(width if stage else 3, width) for stage in range(STAGES))
        self.blocks = nn.ModuleList(block(width) for _ in range(STAGES))
        self.latent = Conv2d(width, latent, stride=2)

    def forward(self, x: Tensor, scales: Tensor) -> Tensor:
        """Picture (B, H, W, 3) in [0, 1] to y (B, H / 16, W / 16, M)."""
        for down, block, scale in zip(self.down, self.blocks, scales.split(self.width, -1), strict=True):
            x = block(down(x)) * scale
        y: Tensor = self.latent(x)
        return y


class Synthesis(Transform):
    """g_s."""

    def __init__(self, width: int, latent: int, block: Block) -> None:
        super().__init__()
        self.width = width
        self.first = block(latent)
        self.up = nn.ModuleList(Up(width if stage else latent, width) for stage in range(STAGES))
        self.blocks = nn.ModuleList(block(width) for _ in range(STAGES))
        self.picture = SubPixel(width, 3)

    def forward(self, y: Tensor, scales: Tensor) -> Tensor:
        """y (B, H / 16, W / 16, M) to picture (B, H, W, 3), not clamped."""
        x = self.first(y)
        for up, block, scale in zip(self.up, self.blocks, scales.split(self.width, -1), strict=True):
            x = block(up(x)) * scale
        picture: Tensor = self.picture(x).float()
        return picture
