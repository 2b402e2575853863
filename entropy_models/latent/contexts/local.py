"""Local context: attention of every other cell to the anchors around it."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import torch
from torch import Tensor, nn

from ...exact.functions import inverse_root, softmax
from ...exact.grid import ACTIVATION, Grid, snap, snap_
from ...exact.layers import ExactLinear
from ...exact.products import total
from ..checkerboard import ANCHOR_WINDOW, anchors_near, pad_half
from ..known import Known, Place
from ..reads import Reads
from .base import ContextConfig, Need

PRODUCT_GRID = Grid(2 * ACTIVATION.bits, 2 * ACTIVATION.reach)  # of a query's number times a key's


class Local(ContextConfig, msgspec.Struct, frozen=True, tag="local", forbid_unknown_fields=True):
    """Attention of every cell to the 12 anchors of its 5x5 window, then a convolution over them.

    MLIC's overlapped window attention, with the query taken from what is known of the cell itself. Each
    neighbour keeps its own columns of the fusing layer, weighed by how much the cell attends to it. The convolution
    sees the first `convolved` channels of a wide slice, or it would hold most of the model's parameters.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"anchors"})
    heads: int = 4
    head: int = 8
    convolved: int = 64
    width: int = 128

    def width_at(self, place: Place) -> int:
        """The same everywhere."""
        return self.width

    def build(self, place: Place) -> nn.Module:
        """The module for one slice."""
        return LocalContext(self, place)


class LocalContext(nn.Module):
    """See `Local`."""

    def __init__(self, config: Local, place: Place) -> None:
        super().__init__()
        self.heads, self.head = config.heads, config.head
        self.convolved = min(place.channels, config.convolved)
        self.scale = inverse_root(config.head)
        inner, size = config.heads * config.head, len(ANCHOR_WINDOW)
        self.query, self.key = Reads(place.told, inner), ExactLinear(place.channels, inner)
        self.position_bias = nn.Parameter(torch.zeros(config.heads, size))
        self.value = ExactLinear(place.channels, inner)
        self.fuse = ExactLinear(size * inner, config.width)
        self.direct = ExactLinear(size * self.convolved, config.width)

    def forward(self, known: Known) -> Tensor:
        """To (B, H/2, 2, W/2, width): the other cells, packed."""
        padded = pad_half(snap(known.own_anchors))
        query = snap_(self.query(known.told)).unflatten(-1, (self.heads, 1, self.head))
        keys, values = (snap_(layer(padded, on_grid=True)) for layer in (self.key, self.value))
        rows = [self._row(row, query[:, :, row], padded, keys, values) for row in (0, 1)]
        return torch.stack(rows, 2)

    def _row(self, row: int, query: Tensor, padded: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The cells of one packed row, (B, H/2, W/2, width), from all anchors as `pad_half` gives them."""
        products = query * self._near(keys, row)
        logits = total(products, -1, PRODUCT_GRID).squeeze(-1) * self.scale + snap(self.position_bias)
        weights = softmax(logits).unsqueeze(-1) * len(ANCHOR_WINDOW)
        read = snap_((weights * self._near(values, row)).flatten(-3))
        near = torch.cat([cell[..., : self.convolved] for cell in anchors_near(padded, row)], -1)
        return self.fuse(read, on_grid=True) + self.direct(near, on_grid=True)

    def _near(self, anchors: Tensor, row: int) -> Tensor:
        """(B, H/2, W/2, heads, 12, head) for the cells of one packed row."""
        cells = (cell.unflatten(-1, (self.heads, self.head)) for cell in anchors_near(anchors, row))
        return torch.stack(list(cells), -2)
