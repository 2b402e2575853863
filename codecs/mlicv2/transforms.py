"""Analysis and synthesis transforms that do their work at 1/8 and 1/16 of the picture's resolution.

A picture becomes 8x8 patches first (pixel unshuffle), as in DCVC-RT: on ordinary processors the cost of a block is
the memory it touches, and full-resolution pyramids touch most of it for little gain. Tensors are (B, H, W, C).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

PATCH = 8
PATCH_CHANNELS = 3 * PATCH * PATCH
CELL = 16  # pixels of one cell of the latent
CELL_SAMPLES = 3 * CELL * CELL
GATED_LIMIT = 8.0  # photographs hardly reach it; a product in every block would let one-pixel checks overflow


class Depthwise(nn.Conv2d):
    """3x3 depthwise convolution over (B, H, W, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class TokenMixing(nn.Module):
    """Spatial mixing by a depthwise kernel, then a gated channel mixer; residual both times.

    The thrifty form of MLICv2's simple token mixing block (arXiv 2504.19119, section 3.2): 5 C^2 + 9 C
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


def unshuffle(x: Tensor, factor: int) -> Tensor:
    """(B, H, W, C) to (B, H / factor, W / factor, factor^2 C)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(b, h // factor, w // factor, factor * factor * c)


def shuffle(x: Tensor, factor: int) -> Tensor:
    """Inverse of `unshuffle`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, factor, factor, c // (factor * factor))
    return x.permute(0, 1, 3, 2, 4, 5).reshape(b, h * factor, w * factor, c // (factor * factor))


class Analysis(nn.Module):
    """g_a: picture (B, H, W, 3) in [0, 1] to latent y (B, H / 16, W / 16, M).

    `modulation` (B, 1, 1, N1 + N2) scales the features of either resolution, one vector for each quality. With a
    `linear_path`, y is the sum of that and a linear transform of the 16x16 block, as a classical codec has: what high
    rates need passes by the blocks, for 2 kMAC a pixel in both directions.
    """

    def __init__(self, widths: tuple[int, int], depths: tuple[int, int], latent: int, linear_path: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(CELL_SAMPLES, latent, bias=False) if linear_path else None
        self.widths = widths
        self.patch = nn.Linear(PATCH_CHANNELS, widths[0])
        self.fine = nn.Sequential(*(TokenMixing(widths[0]) for _ in range(depths[0])))
        self.merge = nn.Linear(4 * widths[0], widths[1])
        self.coarse = nn.Sequential(*(TokenMixing(widths[1]) for _ in range(depths[1])))
        self.latent = nn.Linear(widths[1], latent)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """See the class."""
        fine, coarse = modulation.split(self.widths, -1)
        x = x - 0.5
        features = self.fine(self.patch(unshuffle(x, PATCH) * 4))
        features = self.coarse(self.merge(unshuffle(features * fine, 2)))
        y = self.latent(features * coarse)
        return y if self.linear is None else y + self.linear(unshuffle(x, CELL))


class Synthesis(nn.Module):
    """g_s: latent (B, H / 16, W / 16, M) to picture (B, H, W, 3), not clamped; the mirror of `Analysis`."""

    def __init__(self, widths: tuple[int, int], depths: tuple[int, int], latent: int, linear_path: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(latent, CELL_SAMPLES, bias=False) if linear_path else None
        self.widths = widths
        self.latent = nn.Linear(latent, widths[1])
        self.coarse = nn.Sequential(*(TokenMixing(widths[1]) for _ in range(depths[1])))
        self.split = nn.Linear(widths[1], 4 * widths[0])
        self.fine = nn.Sequential(*(TokenMixing(widths[0]) for _ in range(depths[0])))
        self.patch = nn.Linear(widths[0], PATCH_CHANNELS)

    def forward(self, y: Tensor, modulation: Tensor) -> Tensor:
        """See the class."""
        fine, coarse = modulation.split(self.widths, -1)
        x = self.coarse(self.latent(y) * coarse)
        x = self.fine(shuffle(self.split(x), 2) * fine)
        picture = shuffle(self.patch(x).float(), PATCH) * 0.25 + 0.5
        return picture if self.linear is None else picture + shuffle(self.linear(y).float(), CELL)
