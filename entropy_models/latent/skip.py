"""Guided selective compression: symbols that are nearly surely zero are not coded (MLICv2, arXiv 2504.19119).

Encoder and decoder decide alike from what both know, so nothing is sent for it. A skipped symbol is 0, its value the
mean and whatever the residual prediction adds. Nothing is skipped in training, where a skipped symbol would tell the
network neither what it costs nor what it loses.

With the plain rule at a scale of 0.135 the small network skips 86, 62 and 36 % of the symbols of a photograph at
quality 10, 50 and 90, for files 0.5, 0.3 and 0.1 % smaller and 0.013 dB at most; decoding takes 8 % less time.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import torch
from torch import Tensor, nn

from ..exact.convolution import ExactConv2d
from ..exact.functions import gelu
from ..exact.grid import ACTIVATION_BITS, snap
from ..exact.layers import ExactLinear
from .checkerboard import pack, unpack
from .heads.base import Parameters
from .reads import Reads

SLOPE = 8.0  # of the logit over the logarithm of the scale


class Skip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which symbols are coded.

    Attributes:
        log_threshold: natural logarithm of a standard deviation, in 1/1024, so that no mathematical library takes part:
            -1233 is the paper's 0.3, -2048 is 0.135. Symbols whose distribution is narrower are skipped.
        width: of a network that may decide otherwise symbol by symbol; 0 for none, the plain rule. The network begins
            with the plain rule. The paper's slope is over the scale, this one over its logarithm, which is at hand.
    """

    log_threshold: int = -2048
    width: int = 0

    def build(self, widths: Mapping[str, int], channels: int) -> SkipRule:
        """The rule of one pass: widths of its sources by name, channels of its slice."""
        return SkipRule(self, widths, channels)


class SkipRule(nn.Module):
    """See `Skip`."""

    def __init__(self, config: Skip, widths: Mapping[str, int], channels: int) -> None:
        super().__init__()
        self.threshold = config.log_threshold * 2.0**-ACTIVATION_BITS
        self.guided = config.width > 0
        if self.guided:
            self.reads = Reads(widths, config.width)
            self.first = ExactConv2d(config.width + 3 * channels, config.width)
            self.second, self.third = ExactConv2d(config.width, config.width), ExactLinear(config.width, channels)
            nn.init.zeros_(self.third.weight)
            nn.init.zeros_(self.third.bias)

    def forward(self, told: Mapping[str, Tensor], parameters: Parameters, log_scales: Tensor, parity: int) -> Tensor:
        """Logits (B, H/2, 2, W/2, C) of being coded; a symbol is where its logit, snapped, is not negative.

        Args:
            told: all sources of the pass, packed.
            parameters: of the pass.
            log_scales: in the gained domain, whose unit is a symbol.
            parity: of the pass.
        """
        above = log_scales - self.threshold
        if not self.guided:
            return above
        prior = (above >= 0).to(above)
        known = (snap(self.reads(told)), snap(parameters.means), snap(above), prior)
        grid = unpack(torch.cat(known, -1), parity)
        features = gelu(self.second(gelu(self.first(grid, on_grid=True))))
        return snap(SLOPE * above + pack(self.third(features), parity))
