"""Inter-slice global context of the MLIC papers."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from torch import Tensor, nn

from ...exact.convolution import ExactConv2d
from ...exact.functions import gelu
from ...exact.layers import ExactDepthwise, ExactLinear
from ..attention import GridAttention, Kind
from ..gating import Reweight
from ..known import Known, Place
from .base import ContextConfig, Need


class InterAttention(ContextConfig, msgspec.Struct, frozen=True, tag="inter_attention", forbid_unknown_fields=True):
    """Attention of all slices before to themselves, a 5x5 convolution, a mixer.

    MLIC+ has it with kind "softmax", MLIC++ (arXiv 2307.15421, section 3.4) with "linear", MLICv2 (arXiv 2504.19119,
    section 3.3) with rotary positions on queries and keys and with reweighting.

    Attributes:
        head: channels of a head.
        ratio: what it tells has so many channels for each of the slice, the convolution before it one time more.
        mixer: width of the mixer.
        width: of all projections together; None for the channels of the slices before.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"slices"})
    kind: Kind = "linear"
    rope: bool = False
    reweight: bool = False
    head: int = 32
    ratio: int = 2
    mixer: int = 128
    width: int | None = None

    def width_at(self, place: Place) -> int:
        """See `ratio`."""
        return self.ratio * place.channels

    def build(self, place: Place) -> nn.Module:
        """The module for one slice."""
        return InterAttentionContext(self, place)


class InterAttentionContext(nn.Module):
    """See `InterAttention`."""

    def __init__(self, config: InterAttention, place: Place) -> None:
        super().__init__()
        before, out = sum(place.before), config.width_at(place)
        inner, fused = config.width or before, out + place.channels
        heads = max(1, inner // config.head)
        self.attention = GridAttention(before, before, before, inner, heads, config.kind, config.rope)
        self.fuse, self.skip = ExactConv2d(inner, fused, 5), ExactLinear(fused, out)
        self.enter, self.spatial = ExactLinear(fused, config.mixer), ExactDepthwise(config.mixer)
        self.leave = ExactLinear(config.mixer, out)
        self.reweight = Reweight(out) if config.reweight else None

    def forward(self, known: Known) -> Tensor:
        """To (B, H, W, width)."""
        prior = known.prior
        read = self.attention(prior, prior, prior).unflatten(1, prior.shape[1:3])
        fused = self.fuse(read)
        told: Tensor = self.skip(fused) + self.leave(gelu(self.spatial(gelu(self.enter(fused)))))
        return told if self.reweight is None else self.reweight(told)
