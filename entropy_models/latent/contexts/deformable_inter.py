"""S2LIC's global-inter context: deformable attention over what has been decoded, the second half of its ACGC."""

from __future__ import annotations

import msgspec
from torch import Tensor, nn

from ...exact.attention import softmax_attention
from ...exact.convolution import ExactConv2d
from ...exact.functions import gelu, tanh
from ...exact.layers import ExactDepthwise, ExactLinear
from ...exact.pooling import ExactLayerNorm
from ...exact.sampling import cells, sample
from ..checkerboard import pack
from ..interaction import Interaction, NearBranch
from ..known import Known, Place
from .both_passes import BothPassesConfig


class DeformableInter(
    BothPassesConfig, msgspec.Struct, frozen=True, tag="deformable_inter", forbid_unknown_fields=True
):
    """Every cell attends to what was decoded at a few places that the picture itself chooses.

        decoded ─┬─ q ─┬──────────────────────── attention ─┐
                 │     └─ offsets ─ places ─ k, v ─┘        │
                 └─ 1x1, depthwise, norm, GELU ─────────────┴─ exchange ── conv5x5 ── what it tells

    One place for every square of `stride` x `stride` cells, moved from the square's centre by what a depthwise
    convolution, LayerNorm, GELU and a linear layer make of the queries (S2LIC, arXiv 2403.14471, section 3.3, after
    Xia et al., arXiv 2201.00520, section 3.2). The depthwise branch stands for a bias by position.

    Attributes:
        inner: width of queries, keys and values; 0 for that of the slices before.
        head: channels of a head.
        stride: cells along the side of a square; a power of two, at most 4.
        reach: how many cells a place may lie from its centre, along both axes.
    """

    inner: int = 0
    ratio: int = 1
    width: int | None = None
    first: bool = False
    head: int = 32
    stride: int = 4
    reach: int = 4

    def build(self, place: Place) -> nn.Module:
        """The module for one slice."""
        return DeformableInterContext(self, place)


class DeformableInterContext(nn.Module):
    """See `DeformableInter`."""

    def __init__(self, config: DeformableInter, place: Place) -> None:
        super().__init__()
        self.own, self.head = place.channels, config.head
        self.stride, self.reach = config.stride, config.reach
        before = sum(place.before)
        inputs, inner = before + place.channels, config.inner or before or place.channels
        if inner % self.head:
            self.head = inner  # one head
        self.query, self.key, self.value = (ExactLinear(inputs, inner) for _ in range(3))
        self.around, self.norm = ExactDepthwise(inner, 5), ExactLayerNorm(inner)
        self.offset = ExactLinear(inner, 2)
        self.near, self.exchange = NearBranch(inputs, inner), Interaction(inner)
        self.fuse = ExactConv2d(inner, config.width_at(place), 5)

    def forward(self, known: Known) -> Tensor:
        """To (B, H/2, 2, W/2, width): the cells of this pass, packed."""
        decoded = known.decoded(self.own)
        query = self.query(decoded, on_grid=True)
        sampled = sample(decoded, self.places(query)).flatten(1, 2)
        key, value = self.key(sampled, on_grid=True), self.value(sampled, on_grid=True)
        read = softmax_attention(self._heads(query.flatten(1, 2)), self._heads(key), self._heads(value))
        wide = read.transpose(1, 2).flatten(2).view_as(query)
        told: Tensor = self.fuse(self.exchange(wide, self.near(decoded)), on_grid=True)
        return pack(told, known.parity)

    def places(self, query: Tensor) -> Tensor:
        """Where keys and values are read, (B, H / stride, W / stride, 2), rows and columns in cells."""
        middle = self.stride // 2
        around = self.around(query)[:, middle :: self.stride, middle :: self.stride]
        offsets = tanh(self.offset(gelu(self.norm(around)), on_grid=True)) * self.reach
        squares = cells(offsets.shape[1], offsets.shape[2], offsets)
        return squares * self.stride + (self.stride - 1) / 2 + offsets

    def _heads(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (-1, self.head)).transpose(1, 2)
