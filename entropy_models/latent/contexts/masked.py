"""Local context of MLIC: stacked convolutions that see the other colour of the checkerboard only."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import msgspec
from torch import Tensor, nn

from ...exact.convolution import ExactConv2d, checkerboard_window
from ...exact.functions import gelu
from ...exact.grid import snap
from ..checkerboard import ANCHOR, NON_ANCHOR, pack, unpack
from ..known import Known, Place
from .base import ContextConfig, Need

KERNEL = 5


class Masked(ContextConfig, msgspec.Struct, frozen=True, tag="masked", forbid_unknown_fields=True):
    """`depth` masked 5x5 convolutions with GELU between them (MLIC, arXiv 2211.07273, section 3.3)."""

    needs: ClassVar[frozenset[Need]] = frozenset({"anchors"})
    depth: int = 3
    ratio: int = 2

    def width_at(self, place: Place) -> int:
        """So many channels for each of the slice."""
        return self.ratio * place.channels

    def build(self, place: Place) -> nn.Module:
        """The module for one slice."""
        return MaskedContext(self, place)


class MaskedContext(nn.Module):
    """See `Masked`. The first convolution brings the anchors to the others, the next one back to the anchors' cells."""

    def __init__(self, config: Masked, place: Place) -> None:
        super().__init__()
        widths = [place.channels, *[config.width_at(place)] * config.depth]
        window = checkerboard_window(KERNEL)
        self.layers = nn.ModuleList(
            ExactConv2d(inputs, outputs, KERNEL, window=window) for inputs, outputs in pairwise(widths)
        )

    def forward(self, known: Known) -> Tensor:
        """To (B, H/2, 2, W/2, width): the other cells, packed."""
        first, *rest = self.layers
        features: Tensor = first(unpack(snap(known.own_anchors), ANCHOR), on_grid=True)
        for layer in rest:
            features = features + layer(gelu(features))
        return pack(features, NON_ANCHOR)
