"""Local context: attention of every other cell to the anchors around it."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import torch
from torch import Tensor, nn

from ...exact.functions import inverse_root, softmax
from ...exact.grid import snap
from ...exact.layers import ExactLinear
from ..checkerboard import ANCHOR, ANCHOR_WINDOW, NON_ANCHOR, neighbours, pack, unpack
from ..reads import Reads
from .base import ContextConfig, Known, Need, Place


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
        grid = unpack(snap(known.own_anchors), ANCHOR)
        window = [pack(cell, NON_ANCHOR) for cell in neighbours(grid, ANCHOR_WINDOW)]
        cells = torch.stack(window, -2)
        query = snap(self.query(known.told)).unflatten(-1, (self.heads, 1, self.head))
        keys, values = (
            snap(layer(cells, on_grid=True)).unflatten(-1, (self.heads, self.head)).transpose(-2, -3)
            for layer in (self.key, self.value)
        )
        logits = (query * keys).sum(-1) * self.scale + snap(self.position_bias)
        weights = softmax(snap(logits)).unsqueeze(-1) * len(window)
        convolved = torch.cat([cell[..., : self.convolved] for cell in window], -1)
        return self.fuse((weights * values).flatten(-3)) + self.direct(convolved, on_grid=True)
