"""What a head is: the network of the entropy parameters of one pass, with its latent residual prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from ...parts import Part


class Parameters(NamedTuple):
    """Means and log scales (B, H/2, 2, W/2, C) of one pass, and what its residual prediction wants of the way there."""

    means: Tensor
    log_scales: Tensor
    hidden: Tensor


class Head(nn.Module):
    """Entropy parameters of the cells of one pass, all packed."""

    def forward(self, told: Mapping[str, Tensor], embedding: Tensor) -> Parameters:
        """Sources by name (B, H/2, 2, W/2, width) and the quality's embedding (B, 1, 1, 1, E)."""
        raise NotImplementedError

    def residual(self, parameters: Parameters, symbols: Tensor) -> Tensor:
        """Latent residual prediction in (-1/2, 1/2), in units of the symbols, (B, H/2, 2, W/2, C)."""
        raise NotImplementedError


class HeadConfig(Part):
    """The family of heads."""

    package: ClassVar[str] = __package__
    entry_points: ClassVar[str] = "bitfloor.heads"

    def build(self, widths: Mapping[str, int], channels: int, embedding: int) -> Head:
        """The head of one pass: widths of its sources by name, channels of its slice, width of the embedding."""
        raise NotImplementedError
