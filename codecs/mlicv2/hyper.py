"""Hyperprior: a small latent z at 1/64 that tells the entropy model of y about every region of the picture."""

from __future__ import annotations

from torch import Tensor, nn

from ...entropy_models.exact.functions import gelu
from ...entropy_models.exact.grid import snap
from ...entropy_models.exact.layers import ExactDepthwise, ExactLinear
from .transforms import Depthwise, shuffle, unshuffle


class HyperAnalysis(nn.Module):
    """h_a: y (B, H, W, M) and quality embedding (B, 1, 1, E) to z (B, H / 4, W / 4, Z).

    Only the encoder runs it, in ordinary floats.
    """

    def __init__(self, latent: int, width: int, hyper_latent: int, quality: int) -> None:
        super().__init__()
        self.enter, self.quality = nn.Linear(latent, width), nn.Linear(quality, width)
        self.spatial = Depthwise(width)
        self.first, self.second = nn.Linear(4 * width, width), nn.Linear(4 * width, hyper_latent)
        self.activation = nn.GELU()

    def forward(self, y: Tensor, quality: Tensor) -> Tensor:
        """See the class."""
        x = self.activation(self.enter(y) + self.quality(quality))
        x = self.activation(self.first(unshuffle(self.spatial(x), 2)))
        return self.second(unshuffle(x, 2))


class HyperSynthesis(nn.Module):
    """h_s: integer z_hat (B, H / 4, W / 4, Z) and quality embedding to hyper features (B, H, W, width). Exact."""

    def __init__(self, hyper_latent: int, width: int, quality: int) -> None:
        super().__init__()
        self.enter, self.quality = ExactLinear(hyper_latent, width), ExactLinear(quality, width)
        self.first, self.second = ExactLinear(width, 4 * width), ExactLinear(width, 4 * width)
        self.first_spatial, self.second_spatial = ExactDepthwise(width), ExactDepthwise(width)
        self.leave = ExactLinear(width, width)

    def forward(self, z_hat: Tensor, quality: Tensor) -> Tensor:
        """See the class."""
        x = gelu(self.enter(z_hat * 0.25) + self.quality(quality))
        x = gelu(self.first_spatial(shuffle(self.first(x), 2)))
        x = gelu(self.second_spatial(shuffle(self.second(x), 2)))
        return snap(self.leave(x))
