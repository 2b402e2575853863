"""Channel context of the MLIC papers: three convolutions over the slices before."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from torch import Tensor, nn

from ...exact.convolution import ExactConv2d
from ...exact.functions import gelu
from ..known import Known, Place
from .base import ContextConfig, Need


class DeepChannel(ContextConfig, msgspec.Struct, frozen=True, tag="deep_channel", forbid_unknown_fields=True):
    """Three 3x3 convolutions with GELU between them (MLIC, arXiv 2211.07273, section 3.2).

    Attributes:
        inner: widths between the convolutions.
        ratio: what it tells has so many channels for each of the slice.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"slices"})
    inner: tuple[int, int] = (192, 128)
    ratio: int = 4

    def width_at(self, place: Place) -> int:
        """See `ratio`."""
        return self.ratio * place.channels

    def build(self, place: Place) -> nn.Module:
        """The module for one slice."""
        return DeepChannelContext(self, place)


class DeepChannelContext(nn.Module):
    """See `DeepChannel`."""

    def __init__(self, config: DeepChannel, place: Place) -> None:
        super().__init__()
        first, second = config.inner
        self.first = ExactConv2d(sum(place.before), first)
        self.second = ExactConv2d(first, second)
        self.third = ExactConv2d(second, config.width_at(place))

    def forward(self, known: Known) -> Tensor:
        """To (B, H, W, width)."""
        features: Tensor = self.third(gelu(self.second(gelu(self.first(known.prior, on_grid=True)))))
        return features
