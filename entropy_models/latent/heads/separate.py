"""The head of the MLIC papers: entropy parameters, and a residual prediction with a network of its own."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import torch
from torch import Tensor, nn

from ...exact.convolution import ExactConv2d
from ...exact.functions import gelu, tanh
from ...exact.grid import snap
from ...exact.layers import ExactLinear
from ..checkerboard import pack
from ..known import Place
from ..reads import Reads
from .base import Head, HeadConfig, Parameters, Seen


class Separate(HeadConfig, msgspec.Struct, frozen=True, tag="separate", forbid_unknown_fields=True):
    """Four linear layers for the parameters; three 3x3 convolutions for the residual (Minnen and Singh, 2007.08739).

    The residual prediction sees the second half of the hyper features (the papers' means), all slices before and what
    is decoded of its own. The quality's embedding is not read: hyperprior and gains tell the quality.
    """

    hidden: tuple[int, int, int] = (320, 256, 128)
    residual: tuple[int, int] = (224, 128)

    def build(self, widths: Mapping[str, int], place: Place, embedding: int) -> Head:
        """The head of one pass."""
        return SeparateHead(self, widths, place)


class SeparateHead(Head):
    """See `Separate`."""

    def __init__(self, config: Separate, widths: Mapping[str, int], place: Place) -> None:
        super().__init__()
        self.channels, self.means = place.channels, place.hyper - place.hyper // 2
        first, second, third = config.hidden
        self.first, self.second = Reads(widths, first), ExactLinear(first, second)
        self.third, self.fourth = ExactLinear(second, third), ExactLinear(third, 2 * place.channels)
        known = self.means + sum(place.before) + place.channels
        self.residual_first = ExactConv2d(known, config.residual[0])
        self.residual_second = ExactConv2d(*config.residual)
        self.residual_third = ExactConv2d(config.residual[1], place.channels)
        nn.init.zeros_(self.residual_third.weight)

    def forward(self, told: Mapping[str, Tensor], embedding: Tensor) -> Parameters:
        """See `Head`."""
        hidden = gelu(self.third(gelu(self.second(gelu(self.first(told))))))
        means, log_scales = self.fourth(hidden).split(self.channels, -1)
        return Parameters(means, log_scales, hidden)

    def residual(self, parameters: Parameters, seen: Seen) -> Tensor:
        """See `Head`."""
        known = seen.known
        prior = (known.prior,) if known.slices else ()
        grid = torch.cat((known.hyper[..., -self.means :], *prior, seen.slice), -1)
        features = gelu(self.residual_second(gelu(self.residual_first(grid, on_grid=True))))
        return tanh(snap(pack(self.residual_third(features), seen.parity))) * 0.5
