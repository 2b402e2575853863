"""A head whose residual prediction shares the features of its entropy parameters."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import torch
from torch import Tensor, nn

from ...exact.functions import gelu_, tanh
from ...exact.grid import snap
from ...exact.layers import ExactLinear
from ..known import Place
from ..reads import Reads
from .base import Head, HeadConfig, Parameters, Seen

SYMBOL_REACH = 8.0  # symbols beyond it look alike to the residual prediction


class Joint(HeadConfig, msgspec.Struct, frozen=True, tag="joint", forbid_unknown_fields=True):
    """Two hidden layers over all sources and the quality's embedding, one matrix out.

    The residual prediction of MLIC takes 31 % of the parameters of MLIC++ as a network of its own. Here it sees the
    hidden features and the symbols, which together tell it the same. Without it (`residual` is 0) nothing is predicted.
    """

    first: int = 256
    second: int = 192
    residual: int = 96

    def build(self, widths: Mapping[str, int], place: Place, embedding: int) -> Head:
        """The head of one pass."""
        return JointHead(self, widths, place.channels, embedding)


class JointHead(Head):
    """See `Joint`."""

    def __init__(self, config: Joint, widths: Mapping[str, int], channels: int, embedding: int) -> None:
        super().__init__()
        self.channels = channels
        self.first, self.quality = Reads(widths, config.first), ExactLinear(embedding, config.first)
        self.second = ExactLinear(config.first, config.second)
        self.third = ExactLinear(config.second, 2 * channels)
        self.predicts = config.residual > 0
        if self.predicts:
            self.residual_first = ExactLinear(config.second + channels, config.residual)
            self.residual_second = ExactLinear(config.residual, channels)
            nn.init.zeros_(self.residual_second.weight)

    def forward(self, told: Mapping[str, Tensor], embedding: Tensor) -> Parameters:
        """See `Head`."""
        hidden = gelu_(self.first(told) + self.quality(embedding))
        hidden = gelu_(self.second(hidden, on_grid=True))
        means, log_scales = self.third(hidden, on_grid=True).split(self.channels, -1)
        return Parameters(means, log_scales, hidden)

    def residual(self, parameters: Parameters, seen: Seen) -> Tensor:
        """See `Head`."""
        if not self.predicts:
            return torch.zeros_like(parameters.means)
        known = torch.cat((parameters.hidden, snap(seen.symbols, limit=SYMBOL_REACH) * 0.25), -1)
        hidden = gelu_(self.residual_first(known, on_grid=True))
        return tanh(self.residual_second(hidden, on_grid=True)) * 0.5
