"""What a head is: the network of the entropy parameters of one pass, with its latent residual prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from ...exact.grid import snap
from ...parts import Part
from ..checkerboard import merge, unpack
from ..known import Known, Place


class Parameters(NamedTuple):
    """Means and log scales (B, H/2, 2, W/2, C) of one pass, and what its residual prediction wants of the way there."""

    means: Tensor
    log_scales: Tensor
    hidden: Tensor


@dataclass(frozen=True, eq=False)
class Seen:
    """What is known once the symbols of a pass are there.

    Attributes:
        known: what was known before; its anchors are those of this slice in the second pass.
        parity: which cells the pass was about.
        symbols, means: of the pass, packed, in the gained domain.
        inverse_gain: back out of it.
    """

    known: Known
    parity: int
    symbols: Tensor
    means: Tensor
    inverse_gain: Tensor

    @property
    def slice(self) -> Tensor:
        """The slice as decoded without residual prediction, (B, H, W, C); zeros where nothing is known yet."""
        own = snap((self.symbols + self.means) * self.inverse_gain)
        if self.known.anchors is None:
            return unpack(own, self.parity)
        return merge(snap(self.known.anchors), own)


class Head(nn.Module):
    """Entropy parameters of the cells of one pass, all packed."""

    def forward(self, told: Mapping[str, Tensor], embedding: Tensor) -> Parameters:
        """Sources by name (B, H/2, 2, W/2, width) and the quality's embedding (B, 1, 1, 1, E)."""
        raise NotImplementedError

    def residual(self, parameters: Parameters, seen: Seen) -> Tensor:
        """Latent residual prediction in (-1/2, 1/2), in units of the symbols, (B, H/2, 2, W/2, C)."""
        raise NotImplementedError


class HeadConfig(Part):
    """The family of heads."""

    package: ClassVar[str] = __package__
    entry_points: ClassVar[str] = "bitfloor.heads"

    def build(self, widths: Mapping[str, int], place: Place, embedding: int) -> Head:
        """The head of one pass: widths of its sources by name, where its slice stands, width of the embedding."""
        raise NotImplementedError
