"""Attention over the cells of a latent: by tokens, and over grids whose projections see their neighbours."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from ..exact.attention import linear_attention, softmax_attention
from ..exact.grid import snap
from ..exact.layers import ExactDepthwise, ExactLinear
from ..exact.rotary import Rotary
from .checkerboard import pack

Kind = Literal["linear", "softmax"]


class LinearAttention(nn.Module):
    """Every query position reads channel statistics gathered over all key positions.

    Efficient attention (MLIC++, arXiv 2307.15421, section 3.4); see `exact.attention.linear_attention`.
    """

    def __init__(self, query: int, key: int, value: int, inner: int, out: int, head: int = 16) -> None:
        super().__init__()
        self.head = head
        self.query, self.key = ExactLinear(query, inner), ExactLinear(key, inner)
        self.value, self.out = ExactLinear(value, inner), ExactLinear(inner, out)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, on_grid: bool = False) -> Tensor:
        """Tokens (B, M, Cq), (B, N, Ck), (B, N, Cv) to (B, M, out); `on_grid`: they have been snapped."""
        keys, values = self._heads(self.key(key, on_grid)), self._heads(self.value(value, on_grid))
        read = linear_attention(self._heads(self.query(query, on_grid)), keys, values)
        return self.out(read.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.head)).transpose(1, 2)


class Projection(nn.Module):
    """A linear layer, then a 3x3 depthwise convolution, over (B, H, W, C)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear, self.spatial = ExactLinear(inputs, outputs), ExactDepthwise(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, in) to (B, H, W, out)."""
        projected: Tensor = self.spatial(self.linear(x))
        return projected


class GridAttention(nn.Module):
    """Attention between grids of one size: projections, rotary positions on queries and keys, heads.

    "linear" costs as much as there are cells (MLIC++), "softmax" as much as there are pairs of cells (MLIC, MLIC+).
    """

    def __init__(self, query: int, key: int, value: int, inner: int, heads: int, kind: Kind, rope: bool) -> None:
        super().__init__()
        if inner % heads:
            raise ValueError(f"{inner} channels cannot be shared among {heads} heads")
        self.heads, self.kind = heads, kind
        self.query, self.key, self.value = Projection(query, inner), Projection(key, inner), Projection(value, inner)
        self.rotary = Rotary(inner) if rope else None

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        cells: tuple[int, int] | None = None,
        visible: Tensor | None = None,
    ) -> Tensor:
        """Grids (B, H, W, C) to (B, M, inner) for the M cells that ask.

        Args:
            query, key, value: with zeros on the cells that are not known.
            cells: the parities of the cells that ask and of those that answer; None for all cells.
            visible: bool (M, N), which cells a query may see; for "softmax" only.
        """
        q, k, v = snap(self.query(query)), snap(self.key(key)), self.value(value)
        if self.rotary is not None:
            cosines, sines = self.rotary.turns(q.shape[1], q.shape[2], q)
            q, k = self.rotary(q, cosines, sines), self.rotary(k, cosines, sines)
        asks, answers = cells or (None, None)
        q, k, v = self._cells(q, asks), self._cells(k, answers), self._cells(v, answers)
        read = linear_attention(q, k, v) if self.kind == "linear" else softmax_attention(q, k, v, visible=visible)
        return read.transpose(1, 2).flatten(2)

    def _cells(self, grid: Tensor, parity: int | None) -> Tensor:
        """(B, heads, cells, C / heads) of the cells of one parity, or of all."""
        chosen = grid if parity is None else pack(grid, parity).flatten(2, 3)
        return chosen.flatten(1, 2).unflatten(-1, (self.heads, -1)).transpose(1, 2)
