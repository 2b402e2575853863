"""Hyperprior-guided global correlation prediction: what the first slice's anchors know beside their own features."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from torch import Tensor, nn

from ...exact.attention import linear_attention
from ...exact.convolution import ExactConv2d
from ...exact.grid import snap
from ..attention import Projection
from ..checkerboard import ANCHOR, NON_ANCHOR, merge, pack, unpack
from ..gating import Gate
from ..known import Known, Place
from .base import ContextConfig, Need


class HyperGlobal(ContextConfig, msgspec.Struct, frozen=True, tag="hyper_global", forbid_unknown_fields=True):
    """MLICv2's HGCP (arXiv 2504.19119, section 3.3), for the pass that has no decoded cell to look at.

    Both halves of the checkerboard ask each other by linear attention over the hyper features; the two answers are
    merged on the grid, fused by a 3x3 convolution, and gated. Features are split before the projections.

    Attributes:
        share: which part of the hyper features it reads: 1 / share, the first ones. The papers' hyperprior gives two
            halves, of which this reads one.
        inner: width of the projections; None for as many as it reads.
        heads: of the attention.
        ratio: what it tells has so many channels for each of the slice.
    """

    needs: ClassVar[frozenset[Need]] = frozenset()
    share: int = 2
    inner: int | None = None
    heads: int = 2
    ratio: int = 2

    def passes_at(self, place: Place) -> tuple[int, ...]:
        """The anchors' pass only."""
        return (ANCHOR,)

    def applies(self, place: Place) -> bool:
        """To the first slice only."""
        return not place.before

    def width_at(self, place: Place) -> int:
        """See `ratio`."""
        return self.ratio * place.channels

    def build(self, place: Place) -> nn.Module:
        """The module for the first slice."""
        return HyperGlobalContext(self, place)


class HyperGlobalContext(nn.Module):
    """See `HyperGlobal`."""

    def __init__(self, config: HyperGlobal, place: Place) -> None:
        super().__init__()
        self.read_channels, out = place.hyper // config.share, config.width_at(place)
        inner = config.inner or self.read_channels
        self.heads = config.heads
        self.query, self.key, self.value = (Projection(self.read_channels, inner) for _ in range(3))
        self.fuse, self.gate = ExactConv2d(inner, out), Gate(out)

    def forward(self, known: Known) -> Tensor:
        """To (B, H, W, width)."""
        features = known.hyper[..., : self.read_channels]
        halves = {parity: unpack(pack(features, parity), parity) for parity in (ANCHOR, NON_ANCHOR)}
        anchors = self._ask(halves[ANCHOR], ANCHOR, halves[NON_ANCHOR], NON_ANCHOR)
        others = self._ask(halves[NON_ANCHOR], NON_ANCHOR, halves[ANCHOR], ANCHOR)
        fused = snap(self.fuse(merge(anchors, others)))
        return fused + self.gate(fused)

    def _ask(self, query: Tensor, asks: int, answer: Tensor, answers: int) -> Tensor:
        """What the cells of one half read from the other, packed."""
        q = pack(self.query(query), asks)
        k, v = (pack(layer(answer), answers) for layer in (self.key, self.value))
        tokens = [x.flatten(1, 3).unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v)]
        return linear_attention(*tokens).transpose(1, 2).flatten(2).view(q.shape)
