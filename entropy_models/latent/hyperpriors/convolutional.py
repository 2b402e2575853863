"""The hyperprior of the MLIC papers: 3x3 convolutions, and sub-pixel ones back."""

from __future__ import annotations

import msgspec
from torch import Tensor, nn

from ...exact.convolution import ExactConv2d, ExactSubPixel
from ...exact.functions import gelu
from ...exact.grid import snap
from ..grids import Conv2d
from .base import HyperConfig


class ConvolutionalHyper(HyperConfig, msgspec.Struct, frozen=True, tag="convolutional", forbid_unknown_fields=True):
    """As in Minnen and Singh (arXiv 2007.08739); the two halves of its features were meant for scales and means.

    Attributes:
        channels: of z, and of h_a.
        half: of the features that it gives, which are two halves; the channels of y in the papers.
    """

    channels: int = 192
    half: int = 320

    @property
    def features(self) -> int:
        """Both halves."""
        return 2 * self.half

    def build_analysis(self, latent: int, embedding: int) -> nn.Module:
        """See `HyperConfig`."""
        return ConvolutionalAnalysis(latent, self.channels)

    def build_synthesis(self, embedding: int) -> nn.Module:
        """See `HyperConfig`."""
        return ConvolutionalSynthesis(self.channels, self.half)


class ConvolutionalAnalysis(nn.Module):
    """h_a; only the encoder runs it. The quality's embedding is not read: y is scaled by the gains."""

    def __init__(self, latent: int, channels: int) -> None:
        super().__init__()
        strides = (1, 1, 2, 1, 2)
        widths = (latent, *[channels] * len(strides))
        layers: list[nn.Module] = []
        for inputs, outputs, stride in zip(widths, widths[1:], strides, strict=False):
            layers += [Conv2d(inputs, outputs, stride=stride), nn.GELU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, y: Tensor, embedding: Tensor) -> Tensor:
        """y (B, H, W, M) to z (B, H / 4, W / 4, Z)."""
        z: Tensor = self.layers(y)
        return z


class ConvolutionalSynthesis(nn.Module):
    """h_s; exact where frozen."""

    def __init__(self, channels: int, half: int) -> None:
        super().__init__()
        middle = half * 3 // 2
        self.first, self.first_up = ExactConv2d(channels, half), ExactSubPixel(half, half)
        self.second, self.second_up = ExactConv2d(half, middle), ExactSubPixel(middle, middle)
        self.third = ExactConv2d(middle, 2 * half)

    def forward(self, z_hat: Tensor, embedding: Tensor) -> Tensor:
        """z_hat (B, H / 4, W / 4, Z) to features (B, H, W, 2 half)."""
        x = gelu(self.first_up(gelu(self.first(z_hat * 0.25))))
        x = gelu(self.second_up(gelu(self.second(x))))
        return snap(self.third(x))
