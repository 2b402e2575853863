"""Channel context: what the slices before tell of a cell and its eight neighbours."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from torch import Tensor, nn

from ...exact.convolution import ExactConv2d
from ...exact.functions import gelu_
from ...exact.layers import ExactLinear
from ..known import Known, Place
from .base import ContextConfig, Need


class Channel(ContextConfig, msgspec.Struct, frozen=True, tag="channel", forbid_unknown_fields=True):
    """A 3x3 convolution over the slices before, GELU, a linear layer (Minnen and Singh, arXiv 2007.08739)."""

    needs: ClassVar[frozenset[Need]] = frozenset({"slices"})
    inner: int = 128
    width: int = 128

    def width_at(self, place: Place) -> int:
        """The same everywhere."""
        return self.width

    def build(self, place: Place) -> nn.Module:
        """The module for one slice."""
        return ChannelContext(self, place)


class ChannelContext(nn.Module):
    """See `Channel`."""

    def __init__(self, config: Channel, place: Place) -> None:
        super().__init__()
        self.first = ExactConv2d(sum(place.before), config.inner)
        self.second = ExactLinear(config.inner, config.width)

    def forward(self, known: Known) -> Tensor:
        """To (B, H, W, width)."""
        return self.second(gelu_(self.first(known.prior, on_grid=True)), on_grid=True)
