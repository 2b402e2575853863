"""Two branches that gate each other, one in channels and one in cells: the exchange inside S2LIC's ACGC contexts."""

from __future__ import annotations

from torch import Tensor, nn

from ..exact.functions import gelu, gelu_, sigmoid
from ..exact.grid import snap
from ..exact.layers import ExactDepthwise, ExactLinear
from ..exact.pooling import average
from ..exact.tabulate import Normed

CHANNEL_SHARE, CELL_SHARE = 8, 16  # how much narrower the gates are than their branches


class Interaction(nn.Module):
    """wide * sigmoid(C(near)) + near * sigmoid(S(wide)) for branches (B, H, W, C).

    C sees the mean of its branch over the tile and gives one number for each channel, S gives one for each cell
    (adaptive interaction: Chen et al., "Dual aggregation transformer", arXiv 2308.03364, section 3.3; S2LIC, arXiv
    2403.14471, draws it as C-map and S-map).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, narrower = max(4, channels // CHANNEL_SHARE), max(4, channels // CELL_SHARE)
        self.channel_enter = Normed(ExactLinear(channels, narrow), narrow)
        self.channel_leave = ExactLinear(narrow, channels)
        self.cell_enter = Normed(ExactLinear(channels, narrower), narrower)
        self.cell_leave = ExactLinear(narrower, 1)

    def forward(self, wide: Tensor, near: Tensor) -> Tensor:
        """Branches on the grid of activations to their exchange, which is on it, too."""
        of_channels = sigmoid(self.channel_leave(gelu(self.channel_enter(average(near)))))
        of_cells = sigmoid(self.cell_leave(gelu(self.cell_enter(wide))))
        return snap(wide * of_channels + near * of_cells)


class NearBranch(nn.Module):
    """A linear layer, a normalised 3x3 depthwise convolution, GELU: (B, H, W, inputs) to (B, H, W, outputs)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.enter, self.spatial = ExactLinear(inputs, outputs), Normed(ExactDepthwise(outputs), outputs)

    def forward(self, x: Tensor) -> Tensor:
        """From a grid of activations to another."""
        return gelu_(self.spatial(self.enter(x, on_grid=True)))
