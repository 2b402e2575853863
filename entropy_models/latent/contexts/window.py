"""Local context of MLIC+ and later: overlapped windows, attention inside each, a convolution that gathers a window."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...exact.attention import softmax_attention
from ...exact.functions import gelu
from ...exact.grid import snap
from ...exact.layers import ExactLinear
from ...exact.pooling import ExactLayerNorm
from ...exact.rotary import Rotary
from ..checkerboard import ANCHOR, NON_ANCHOR, pack, unpack
from ..known import Known, Place
from .base import ContextConfig, Need


class Window(ContextConfig, msgspec.Struct, frozen=True, tag="window", forbid_unknown_fields=True):
    """Overlapped window checkerboard attention (MLIC+, arXiv 2211.07273, section 3.3).

    One window around every cell that is no anchor: all its places ask, its anchors answer. Then a linear layer over
    the whole window (a convolution of its size, seen from the centre), another, and a residual mixer.

    Attributes:
        size: side of a window.
        heads: of the attention.
        rope: rotary positions inside the window in place of the learned bias (MLICv2).
        ratio: what it tells has so many channels for each of the slice, the mixer so many times more.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"anchors"})
    size: int = 5
    heads: int = 2
    rope: bool = False
    ratio: int = 2

    def width_at(self, place: Place) -> int:
        """See `ratio`."""
        return self.ratio * place.channels

    def build(self, place: Place) -> nn.Module:
        """The module for one slice."""
        return WindowContext(self, place)


class WindowContext(nn.Module):
    """See `Window`."""

    def __init__(self, config: Window, place: Place) -> None:
        super().__init__()
        channels, out = place.channels, config.width_at(place)
        self.size, self.heads = config.size, config.heads
        reach = config.size // 2
        self.places = tuple((r, c) for r in range(-reach, reach + 1) for c in range(-reach, reach + 1))
        self.anchors = [number for number, (r, c) in enumerate(self.places) if (r + c) % 2]
        self.norm = ExactLayerNorm(channels)
        self.query, self.key, self.value = (ExactLinear(channels, channels) for _ in range(3))
        self.rotary = Rotary(channels, config.size) if config.rope else None
        steps = (2 * config.size - 1) ** 2
        self.position_bias = None if config.rope else nn.Parameter(torch.zeros(config.heads, steps))
        self.fuse, self.project = ExactLinear(len(self.places) * channels, out), ExactLinear(out, out)
        self.enter, self.leave = ExactLinear(out, config.ratio * out), ExactLinear(config.ratio * out, out)

    def forward(self, known: Known) -> Tensor:
        """To (B, H/2, 2, W/2, width): the other cells, packed."""
        grid = unpack(snap(known.own_anchors), ANCHOR)
        window = torch.stack([pack(cell, NON_ANCHOR) for cell in self._shifted(grid)], -2)
        cells = window.flatten(0, 3)  # (windows, places, C)
        normal = self.norm(cells)
        query, key, value = (snap(layer(normal, on_grid=True)) for layer in (self.query, self.key, self.value))
        bias = None
        if self.rotary is not None:
            turns = [t.flatten(0, 1) for t in self.rotary.turns(self.size, self.size, query)]
            query, key = self.rotary(query, *turns), self.rotary(key, *turns)
        elif self.position_bias is not None:
            bias = self.position_bias[:, self._distances(cells.device)]
        query, key, value = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (query, key, value))
        read = softmax_attention(query, key[:, :, self.anchors], value[:, :, self.anchors], bias)
        seen = read.transpose(1, 2).flatten(2) + cells
        told = snap(self.project(self.fuse(seen.flatten(1))))
        told = told + self.leave(gelu(self.enter(told, on_grid=True)))
        return told.view(*window.shape[:4], -1)

    def _shifted(self, grid: Tensor) -> list[Tensor]:
        """The grid moved to every place of the window; zeros beyond the border."""
        reach, (h, w) = self.size // 2, grid.shape[1:3]
        padded = F.pad(grid, (0, 0, reach, reach, reach, reach))
        return [padded[:, reach + r : reach + r + h, reach + c : reach + c + w] for r, c in self.places]

    def _distances(self, device: torch.device) -> Tensor:
        """Index of the distance between every place and every anchor of a window, (places, anchors)."""
        places = torch.tensor(self.places, device=device)
        difference = places[:, None] - places[None, self.anchors] + self.size - 1
        return difference[..., 0] * (2 * self.size - 1) + difference[..., 1]
