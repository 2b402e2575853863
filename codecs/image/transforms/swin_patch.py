"""Patch transforms with Swin Transformer blocks: what S2LIC becomes where every pixel costs time."""

from __future__ import annotations

import math

import msgspec
from torch import Tensor, nn

from .base import Transform
from .enhance import Enhance, Enhancement
from .patch import Analysis, PatchConfig, Synthesis
from .swin_blocks import ResidualSwin, reach


class SwinPatch(PatchConfig, msgspec.Struct, frozen=True, tag="swin_patch", forbid_unknown_fields=True):
    """Residual Swin V2 blocks at 1/8 and 1/16 of the resolution, with enhancement at both ends.

    Attributes:
        heads: of the attention at 1/8 and at 1/16.
        windows: their sides; both cover 64 pixels, to which pictures are padded, so no window is ever cut.
        ratio: width of a block's MLP for each feature.
        local: whether a block's MLP sees the neighbours of each position.
        enhance: the modules at both ends.
    """

    widths: tuple[int, int] = (256, 368)
    analysis_depths: tuple[int, int] = (2, 1)
    synthesis_depths: tuple[int, int] = (3, 2)
    linear_path: bool = True
    heads: tuple[int, int] = (8, 16)
    windows: tuple[int, int] = (8, 4)
    ratio: float = 1.0
    local: bool = False
    enhance: Enhance = Enhance(width=32, growth=16, patch=4)

    @property
    def alignment(self) -> int:  # type: ignore[override]
        """Cells of a window."""
        return max(-(-self.windows[0] // 2), self.windows[1])

    @property
    def reach(self) -> int:
        """Blocks at 1/8 and at 1/16, then the enhancement."""
        blocks = max(
            reach(fine, self.windows[0], self.local) / 2 + reach(coarse, self.windows[1], self.local)
            for fine, coarse in (self.analysis_depths, self.synthesis_depths)
        )
        return math.ceil(blocks + self.enhance.reach / self.stride)

    def blocks(self, level: int, depth: int) -> nn.Module:
        """See `PatchConfig`."""
        return ResidualSwin(self.widths[level], depth, self.heads[level], self.windows[level], self.ratio, self.local)

    def build(self, latent: int) -> tuple[Transform, Transform]:
        """See `TransformConfig`."""
        return EnhancedAnalysis(self, latent), EnhancedSynthesis(self, latent)


class EnhancedAnalysis(Analysis):
    """g_a, of a picture that has been enhanced."""

    def __init__(self, config: SwinPatch, latent: int) -> None:
        super().__init__(config, latent)
        self.enhance = Enhancement(config.enhance)

    def forward(self, x: Tensor, scales: Tensor) -> Tensor:
        """See `Analysis`."""
        return super().forward(self.enhance(x), scales)


class EnhancedSynthesis(Synthesis):
    """g_s, then the enhancement."""

    def __init__(self, config: SwinPatch, latent: int) -> None:
        super().__init__(config, latent)
        self.enhance = Enhancement(config.enhance)

    def forward(self, y: Tensor, scales: Tensor) -> Tensor:
        """See `Synthesis`."""
        picture: Tensor = self.enhance(super().forward(y, scales))
        return picture
