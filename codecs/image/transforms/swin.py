"""The transforms of S2LIC at the paper's dimensions (arXiv 2403.14471, section 3)."""

from __future__ import annotations

import math

import msgspec
from torch import Tensor, nn

from ....entropy_models.latent.grids import Conv2d, SubPixel
from .base import Transform, TransformConfig
from .enhance import Enhance, Enhancement
from .swin_blocks import ResidualSwin, reach


class Swin(TransformConfig, msgspec.Struct, frozen=True, tag="swin", forbid_unknown_fields=True):
    """Pyramids of residual Swin V2 blocks between strided convolutions, with enhancement at both ends.

        g_a   x ─ enhance ─ conv5x5 ─ blocks ─ conv3x3 ─ blocks ─ conv3x3 ─ blocks ─ conv3x3 ─ y     each convolution
        g_s   y ─ deconv3x3 ─ blocks ─ deconv3x3 ─ blocks ─ deconv3x3 ─ blocks ─ sub-pixel ─ enhance ─ x     by two

    There is no GDN and no function between them. A picture's sides are padded to 64 pixels, a window at 1/8.

    Attributes:
        width: features of all stages.
        depths, heads: blocks, and heads of their attention, at 1/2, 1/4 and 1/8; g_s has them the other way round.
        window: side of a window at every resolution.
        ratio: width of a block's MLP for each feature.
        enhance: the modules at both ends.
    """

    width: int = 192
    depths: tuple[int, int, int] = (1, 2, 3)
    heads: tuple[int, int, int] = (4, 8, 16)
    window: int = 8
    ratio: float = 4.0
    enhance: Enhance = Enhance()

    @property
    def alignment(self) -> int:  # type: ignore[override]
        """Cells of a window at 1/8."""
        return max(1, self.window // 2)

    @property
    def reach(self) -> int:
        """Blocks and a convolution at each resolution, then the enhancement, counted in pixels."""
        pixels = self.enhance.reach + self.stride
        for stage, depth in enumerate(self.depths):
            pixels += (2 << stage) * (reach(depth, self.window) + 2)
        return math.ceil(pixels / self.stride)

    @property
    def analysis_features(self) -> int:
        """The features of every stage."""
        return len(self.depths) * self.width

    @property
    def synthesis_features(self) -> int:
        """As many as for g_a."""
        return len(self.depths) * self.width

    def build(self, latent: int) -> tuple[Transform, Transform]:
        """See `TransformConfig`."""
        return SwinAnalysis(self, latent), SwinSynthesis(self, latent)

    def stages(self) -> list[ResidualSwin]:
        """The blocks at 1/2, 1/4 and 1/8."""
        pairs = zip(self.depths, self.heads, strict=True)
        return [ResidualSwin(self.width, depth, heads, self.window, self.ratio) for depth, heads in pairs]


class Upsample(nn.ConvTranspose2d):
    """3x3 deconvolution by two over (B, H, W, C)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """(B, H, W, inputs) to (B, 2 H, 2 W, outputs)."""
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class SwinAnalysis(Transform):
    """g_a of `Swin`."""

    def __init__(self, config: Swin, latent: int) -> None:
        super().__init__()
        self.width = config.width
        self.enhance = Enhancement(config.enhance)
        self.down = nn.ModuleList(
            (Conv2d(3, config.width, 5, stride=2), *(Conv2d(config.width, config.width, stride=2) for _ in range(2)))
        )
        self.blocks = nn.ModuleList(config.stages())
        self.latent = Conv2d(config.width, latent, stride=2)

    def forward(self, x: Tensor, scales: Tensor) -> Tensor:
        """Picture (B, H, W, 3) in [0, 1] to y (B, H / 16, W / 16, M)."""
        x = self.enhance(x)
        for down, blocks, scale in zip(self.down, self.blocks, scales.split(self.width, -1), strict=True):
            x = blocks(down(x)) * scale
        y: Tensor = self.latent(x)
        return y


class SwinSynthesis(Transform):
    """g_s of `Swin`."""

    def __init__(self, config: Swin, latent: int) -> None:
        super().__init__()
        self.width = config.width
        self.up = nn.ModuleList(Upsample(inputs, config.width) for inputs in (latent, config.width, config.width))
        self.blocks = nn.ModuleList(reversed(config.stages()))
        self.picture = SubPixel(config.width, 3)
        self.enhance = Enhancement(config.enhance)

    def forward(self, y: Tensor, scales: Tensor) -> Tensor:
        """y (B, H / 16, W / 16, M) to picture (B, H, W, 3), not clamped."""
        for up, blocks, scale in zip(self.up, self.blocks, scales.split(self.width, -1), strict=True):
            y = blocks(up(y)) * scale
        picture: Tensor = self.enhance(self.picture(y).float())
        return picture
