"""Intra-slice global context: the anchors of a slice, read along the similarities seen in the slice before."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from torch import Tensor, nn

from ..attention import LinearAttention
from ..checkerboard import ANCHOR, NON_ANCHOR, pack
from ..known import Known, Place
from .base import ContextConfig, Need


class IntraGlobal(ContextConfig, msgspec.Struct, frozen=True, tag="intra", forbid_unknown_fields=True):
    """Queries and keys from both halves of the slice before, values from this slice's anchors (MLIC, section 3.3)."""

    needs: ClassVar[frozenset[Need]] = frozenset({"slices", "anchors"})
    inner: int = 32
    head: int = 16
    width: int = 32

    def width_at(self, place: Place) -> int:
        """The same everywhere."""
        return self.width

    def build(self, place: Place) -> nn.Module:
        """The module for one slice."""
        return IntraGlobalContext(self, place)


class IntraGlobalContext(nn.Module):
    """See `IntraGlobal`."""

    def __init__(self, config: IntraGlobal, place: Place) -> None:
        super().__init__()
        previous = place.before[-1]
        widths = (previous, previous, place.channels)
        self.attention = LinearAttention(*widths, config.inner, config.width, config.head)

    def forward(self, known: Known) -> Tensor:
        """To (B, H/2, 2, W/2, width): the other cells, packed."""
        query, key = (pack(known.slices[-1], parity) for parity in (NON_ANCHOR, ANCHOR))
        read = self.attention(*(cells.flatten(1, 3) for cells in (query, key, known.own_anchors)))
        return read.unflatten(1, query.shape[1:4])
