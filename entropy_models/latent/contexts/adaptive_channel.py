"""S2LIC's adaptive channel-wise context: the first half of its ACGC (adaptive channel-wise, global-inter context)."""

from __future__ import annotations

import msgspec
from torch import Tensor, nn

from ...exact.convolution import ExactConv2d
from ...exact.functions import gelu_
from ...exact.layers import ExactLinear
from ..checkerboard import pack
from ..interaction import Interaction, NearBranch
from ..known import Known, Place
from .both_passes import BothPassesConfig


class AdaptiveChannel(
    BothPassesConfig, msgspec.Struct, frozen=True, tag="adaptive_channel", forbid_unknown_fields=True
):
    """Two convolutions and a depthwise one that gate each other (S2LIC, arXiv 2403.14471, section 3.3).

        decoded ─┬─ conv3x3, GELU, conv3x3, GELU ─┐
                 └─ 1x1, depthwise, norm, GELU ───┴─ exchange ── 1x1 ── what it tells

    It runs in both passes; the second one sees the anchors, as the paper's figure has it (the authors' code does not).

    Attributes:
        inner: width of the branches.
    """

    inner: int = 128
    ratio: int = 2
    width: int | None = None
    first: bool = False

    def build(self, place: Place) -> nn.Module:
        """The module for one slice."""
        return AdaptiveChannelContext(self, place)


class AdaptiveChannelContext(nn.Module):
    """See `AdaptiveChannel`."""

    def __init__(self, config: AdaptiveChannel, place: Place) -> None:
        super().__init__()
        self.own = place.channels
        inputs = sum(place.before) + place.channels
        self.first, self.second = ExactConv2d(inputs, config.inner), ExactConv2d(config.inner, config.inner)
        self.near = NearBranch(inputs, config.inner)
        self.exchange = Interaction(config.inner)
        self.leave = ExactLinear(config.inner, config.width_at(place))

    def forward(self, known: Known) -> Tensor:
        """To (B, H/2, 2, W/2, width): the cells of this pass, packed."""
        decoded = known.decoded(self.own)
        wide = gelu_(self.second(gelu_(self.first(decoded, on_grid=True)), on_grid=True))
        told: Tensor = self.leave(pack(self.exchange(wide, self.near(decoded)), known.parity), on_grid=True)
        return told
