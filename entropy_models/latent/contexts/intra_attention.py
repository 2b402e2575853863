"""Intra-slice global context of the MLIC papers."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import msgspec
import torch
from torch import Tensor, nn

from ...exact.convolution import ExactConv2d
from ...exact.functions import gelu
from ...exact.grid import snap
from ...exact.layers import ExactDepthwise, ExactLinear
from ..attention import GridAttention, Kind
from ..checkerboard import ANCHOR, NON_ANCHOR, pack, unpack
from ..gating import Reweight
from ..known import Known, Place
from .base import ContextConfig, Need

LOCAL_REACH = 2  # cells that the local context covers, which softmax attention leaves out


class IntraAttention(ContextConfig, msgspec.Struct, frozen=True, tag="intra_attention", forbid_unknown_fields=True):
    """The anchors of a slice, read along the similarities between both halves of the slice before.

    Queries are the other cells of the slice before, keys its anchors, values the anchors of this slice. MLIC and MLIC+
    have it with kind "softmax" and without the anchors that the local context covers (arXiv 2211.07273, section
    3.3), MLIC++ with "linear", MLICv2 with rotary positions and reweighting, too.

    Attributes:
        heads: of the attention.
        ratio: what it tells has so many channels for each of the slice.
        mixer: width of the mixer for each channel of what it tells.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"slices", "anchors"})
    kind: Kind = "linear"
    rope: bool = False
    reweight: bool = False
    heads: int = 2
    ratio: int = 2
    mixer: int = 2

    def width_at(self, place: Place) -> int:
        """See `ratio`."""
        return self.ratio * place.channels

    def build(self, place: Place) -> nn.Module:
        """The module for one slice."""
        return IntraAttentionContext(self, place)


class IntraAttentionContext(nn.Module):
    """See `IntraAttention`."""

    def __init__(self, config: IntraAttention, place: Place) -> None:
        super().__init__()
        previous, own, out = place.before[-1], place.channels, config.width_at(place)
        self.attention = GridAttention(previous, previous, own, own, config.heads, config.kind, config.rope)
        self.fuse = ExactConv2d(own, out, 5)
        self.enter, self.spatial = ExactLinear(out, config.mixer * out), ExactDepthwise(config.mixer * out)
        self.leave = ExactLinear(config.mixer * out, out)
        self.reweight = Reweight(out) if config.reweight else None

    def forward(self, known: Known) -> Tensor:
        """To (B, H/2, 2, W/2, width): the other cells, packed."""
        before = snap(known.slices[-1])
        query, key = (unpack(pack(before, parity), parity) for parity in (NON_ANCHOR, ANCHOR))
        anchors = snap(known.own_anchors)
        visible = None
        if self.attention.kind == "softmax":
            visible = far_anchors(*before.shape[1:3]).to(before.device)
        read = self.attention(query, key, unpack(anchors, ANCHOR), (NON_ANCHOR, ANCHOR), visible)
        fused = snap(self.fuse(unpack(read.view(*anchors.shape[:-1], -1), NON_ANCHOR)))
        told: Tensor = fused + self.leave(gelu(self.spatial(gelu(self.enter(fused, on_grid=True)))))
        return pack(told if self.reweight is None else self.reweight(told), NON_ANCHOR)


@lru_cache(maxsize=2)
def far_anchors(height: int, width: int) -> Tensor:
    """Which anchors lie beyond the window of the local context of every other cell, bool (H W / 2, H W / 2), packed."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack((rows, columns), -1)[None].to(torch.int16)
    others, anchors = (pack(places, parity).flatten(0, 3) for parity in (NON_ANCHOR, ANCHOR))
    distance = (others[:, None] - anchors[None]).abs().amax(-1)
    return distance > LOCAL_REACH
