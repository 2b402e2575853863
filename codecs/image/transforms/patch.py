"""Patch transforms: analysis and synthesis that do their work at 1/8 and 1/16 of the picture's resolution.

A picture becomes 8x8 patches first (pixel unshuffle), as in DCVC-RT: on ordinary processors the cost of a block is
the memory it touches, and full-resolution pyramids touch most of it for little gain. Tensors are (B, H, W, C).
"""

from __future__ import annotations

import math

import msgspec
import torch.nn.functional as F
from torch import Tensor, nn

from ....entropy_models.exact.convolution import shuffle, unshuffle
from ....entropy_models.latent.full_precision import full_precision
from ....entropy_models.latent.grids import Depthwise
from .base import Transform, TransformConfig

PATCH = 8
PATCH_CHANNELS = 3 * PATCH * PATCH
CELL = TransformConfig.stride
CELL_SAMPLES = 3 * CELL * CELL
GATED_LIMIT = 8.0  # photographs hardly reach it; a product in every block would let one-pixel checks overflow


class PatchConfig(TransformConfig):
    """What transforms over patches share; a member gives their blocks.

    Attributes:
        widths: features at 1/8 and at 1/16.
        analysis_depths, synthesis_depths: blocks at 1/8 and at 1/16.
        linear_path: whether y is the sum of what the blocks give and a linear transform of the 16x16 pixels, as a
            classical codec has it. High rates need it: it carries past the blocks what they would lose, for 2 kMAC
            a pixel in both directions together.
    """

    widths: tuple[int, int]
    analysis_depths: tuple[int, int]
    synthesis_depths: tuple[int, int]
    linear_path: bool

    def blocks(self, level: int, depth: int) -> nn.Module:
        """`depth` blocks over (B, H, W, C) at 1/8 (level 0) or 1/16 (level 1) of the resolution."""
        raise NotImplementedError

    @property
    def analysis_features(self) -> int:
        """One scale for every feature at both resolutions."""
        return sum(self.widths)

    @property
    def synthesis_features(self) -> int:
        """As many as for g_a."""
        return sum(self.widths)

    def build(self, latent: int) -> tuple[Transform, Transform]:
        """See `TransformConfig`."""
        return Analysis(self, latent), Synthesis(self, latent)


class Patch(PatchConfig, msgspec.Struct, frozen=True, tag="patch", forbid_unknown_fields=True):
    """Token mixing blocks at 1/8 and 1/16 of the resolution."""

    widths: tuple[int, int] = (256, 368)
    analysis_depths: tuple[int, int] = (3, 2)
    synthesis_depths: tuple[int, int] = (4, 2)
    linear_path: bool = True

    @property
    def reach(self) -> int:
        """A block at 1/8 reaches half a cell, one at 1/16 a whole one."""
        return max(math.ceil(fine / 2 + coarse) for fine, coarse in (self.analysis_depths, self.synthesis_depths))

    def blocks(self, level: int, depth: int) -> nn.Module:
        """See `PatchConfig`."""
        return nn.Sequential(*(TokenMixing(self.widths[level]) for _ in range(depth)))


class TokenMixing(nn.Module):
    """Spatial mixing by a depthwise kernel, then a gated channel mixer; residual both times.

    The thrifty form of the simple token mixing block (arXiv 2504.19119, section 3.2): 5 C^2 + 9 C
    multiplications for each position instead of 18 C^2 of a residual block. Large depthwise kernels and the
    norms are left out: on the processors that we train on they cost more time than the matrices.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter, self.spatial = nn.Linear(channels, channels), Depthwise(channels)
        self.leave = nn.Linear(channels, channels)
        self.gate, self.project = nn.Linear(channels, 2 * channels), nn.Linear(channels, channels)
        for last in (self.leave, self.project):
            nn.init.normal_(last.weight, std=0.2 * channels**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        x = x + self.leave(self.spatial(F.gelu(self.enter(x))))
        value, gate = self.gate(x).chunk(2, -1)
        return x + self.project((value * F.gelu(gate)).clamp(-GATED_LIMIT, GATED_LIMIT))


class Analysis(Transform):
    """g_a."""

    def __init__(self, config: PatchConfig, latent: int) -> None:
        super().__init__()
        widths, depths = config.widths, config.analysis_depths
        self.linear = nn.Linear(CELL_SAMPLES, latent, bias=False) if config.linear_path else None
        self.widths = widths
        self.patch = nn.Linear(PATCH_CHANNELS, widths[0])
        self.fine = config.blocks(0, depths[0])
        self.merge = nn.Linear(4 * widths[0], widths[1])
        self.coarse = config.blocks(1, depths[1])
        self.latent = nn.Linear(widths[1], latent)

    def forward(self, x: Tensor, scales: Tensor) -> Tensor:
        """Picture (B, H, W, 3) in [0, 1] to y (B, H / 16, W / 16, M)."""
        fine, coarse = scales.split(self.widths, -1)
        x = x - 0.5
        features = self.fine(self.patch(unshuffle(x, PATCH) * 4))
        features = self.coarse(self.merge(unshuffle(features * fine, 2)))
        y = self.latent(features * coarse)
        return y if self.linear is None else y + self.linear(unshuffle(x, CELL))


class Synthesis(Transform):
    """g_s, the mirror of `Analysis`."""

    def __init__(self, config: PatchConfig, latent: int) -> None:
        super().__init__()
        widths, depths = config.widths, config.synthesis_depths
        self.linear = nn.Linear(latent, CELL_SAMPLES, bias=False) if config.linear_path else None
        self.widths = widths
        self.latent = nn.Linear(latent, widths[1])
        self.coarse = config.blocks(1, depths[1])
        self.split = nn.Linear(widths[1], 4 * widths[0])
        self.fine = config.blocks(0, depths[0])
        self.patch = nn.Linear(widths[0], PATCH_CHANNELS)

    def forward(self, y: Tensor, scales: Tensor) -> Tensor:
        """y (B, H / 16, W / 16, M) to picture (B, H, W, 3), not clamped."""
        fine, coarse = scales.split(self.widths, -1)
        x = self.coarse(self.latent(y) * coarse)
        x = self.fine(shuffle(self.split(x), 2) * fine)
        with full_precision(x):  # of the samples themselves half a level would be lost
            picture = shuffle(self.patch(x.float()), PATCH) * 0.25 + 0.5
            return picture if self.linear is None else picture + shuffle(self.linear(y.float()), CELL)
