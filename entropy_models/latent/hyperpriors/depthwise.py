"""A thrifty hyperprior: matrices on single cells, depthwise kernels between them."""

from __future__ import annotations

import msgspec
from torch import Tensor, nn

from ...exact.convolution import shuffle, unshuffle
from ...exact.functions import gelu_
from ...exact.grid import snap_
from ...exact.layers import ExactDepthwise, ExactLinear
from ..grids import Depthwise
from .base import HyperConfig


class DepthwiseHyper(HyperConfig, msgspec.Struct, frozen=True, tag="depthwise", forbid_unknown_fields=True):
    """Two halvings of the resolution there, two doublings back, by (un)shuffled matrices."""

    channels: int = 96
    width: int = 192

    @property
    def features(self) -> int:
        """The width of all layers."""
        return self.width

    def build_analysis(self, latent: int, embedding: int) -> nn.Module:
        """See `HyperConfig`."""
        return HyperAnalysis(self, latent, embedding)

    def build_synthesis(self, embedding: int) -> nn.Module:
        """See `HyperConfig`."""
        return HyperSynthesis(self, embedding)


class HyperAnalysis(nn.Module):
    """h_a; only the encoder runs it."""

    def __init__(self, config: DepthwiseHyper, latent: int, embedding: int) -> None:
        super().__init__()
        width = config.width
        self.enter, self.quality = nn.Linear(latent, width), nn.Linear(embedding, width)
        self.spatial = Depthwise(width)
        self.first, self.second = nn.Linear(4 * width, width), nn.Linear(4 * width, config.channels)
        self.activation = nn.GELU()

    def forward(self, y: Tensor, embedding: Tensor) -> Tensor:
        """y (B, H, W, M) and embedding (B, 1, 1, E) to z (B, H / 4, W / 4, Z)."""
        x = self.activation(self.enter(y) + self.quality(embedding))
        x = self.activation(self.first(unshuffle(self.spatial(x), 2)))
        return self.second(unshuffle(x, 2))


class HyperSynthesis(nn.Module):
    """h_s; exact where frozen."""

    def __init__(self, config: DepthwiseHyper, embedding: int) -> None:
        super().__init__()
        width = config.width
        self.enter, self.quality = ExactLinear(config.channels, width), ExactLinear(embedding, width)
        self.first, self.second = ExactLinear(width, 4 * width), ExactLinear(width, 4 * width)
        self.first_spatial, self.second_spatial = ExactDepthwise(width), ExactDepthwise(width)
        self.leave = ExactLinear(width, width)

    def forward(self, z_hat: Tensor, embedding: Tensor) -> Tensor:
        """z_hat (B, H / 4, W / 4, Z) and embedding (B, 1, 1, E) to features (B, H, W, width)."""
        x = gelu_(self.enter(z_hat * 0.25) + self.quality(embedding))
        x = gelu_(self.first_spatial(shuffle(self.first(x, on_grid=True), 2)))
        x = gelu_(self.second_spatial(shuffle(self.second(x, on_grid=True), 2)))
        return snap_(self.leave(x, on_grid=True))
