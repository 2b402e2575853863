"""2-D rotary positions: queries and keys turn with their row and column, so that a product knows their distance.

Pair k of adjacent channels turns by the angle

    row * base_row^(-2k / C) + column * base_column^(-2k / C)

(Su et al., arXiv 2104.09864; MLICv2, arXiv 2504.19119, with both bases learned). Cosines and sines of large angles
differ between mathematical libraries, so an exported model holds them as integers for every row and every column of a
tile. The cosine of a sum is then an exact expression of four of them.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .functions import SHARE_GRID
from .grid import is_exact, snap_
from .tabulate import Tabulated

BASE = 10000.0
TILE = 128  # rows and columns of the largest grid
_TABLES = ("row_table", "column_table")


class Rotary(nn.Module, Tabulated):
    """Turns vectors (..., C), C even, by the positions of a grid.

        cosines, sines = rotary.turns(height, width, like)       each (height, width, C / 2)
        query = rotary(query, cosines, sines)                    after reshaping or packing both alike

    `row_table` and `column_table`, (TILE, C / 2, 2) int16, exist once it has been tabulated.
    """

    row_table: Tensor | None
    column_table: Tensor | None

    def __init__(self, channels: int, tile: int = TILE) -> None:
        super().__init__()
        if channels % 2:
            raise ValueError(f"{channels} channels cannot turn in pairs")
        self.channels, self.tile = channels, tile
        self.log_bases = nn.Parameter(torch.full((2,), math.log(BASE)))  # of rows and columns
        for name in _TABLES:
            self.register_buffer(name, None)

    def turns(self, height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines (height, width, C / 2) for a grid, of the type and on the device of `like`.

        Raises:
            ValueError: where exact ones are asked for before `tabulate`, or for a grid larger than the tile.
        """
        if not is_exact(like):
            rows, columns = (self._angles(axis, size, like) for axis, size in ((0, height), (1, width)))
            angles = rows[:, None] + columns
            return torch.cos(angles), torch.sin(angles)
        if self.row_table is None or self.column_table is None:
            raise ValueError("rotary positions have not been tabulated, so they have no exact form")
        if max(height, width) > self.tile:
            raise ValueError(f"a grid of {height} x {width} does not fit into the tables of {self.tile} positions")
        row_cos, row_sin = (self.row_table[:height, None].to(like.device).double() * SHARE_GRID.unit).unbind(-1)
        col_cos, col_sin = (self.column_table[None, :width].to(like.device).double() * SHARE_GRID.unit).unbind(-1)
        cosines = snap_(row_cos * col_cos - row_sin * col_sin, SHARE_GRID.bits, SHARE_GRID.limit)
        sines = snap_(row_sin * col_cos + row_cos * col_sin, SHARE_GRID.bits, SHARE_GRID.limit)
        return cosines.to(like.dtype), sines.to(like.dtype)

    def forward(self, x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        """x (..., C) turned, snapped as an activation; cosines and sines broadcast over (..., C / 2)."""
        first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
        turned = torch.stack((first * cosines - second * sines, first * sines + second * cosines), -1)
        return snap_(turned.flatten(-2))

    @torch.no_grad()
    def tabulate(self) -> None:
        """Make the integer tables from the learned bases."""
        if self.row_table is not None:
            return
        for axis, name in enumerate(_TABLES):
            angles = self._angles(axis, self.tile, self.log_bases.double())
            values = torch.stack((torch.cos(angles), torch.sin(angles)), -1)
            setattr(self, name, torch.round(values / SHARE_GRID.unit).to(torch.int16))

    def _angles(self, axis: int, size: int, like: Tensor) -> Tensor:
        """Angles (size, C / 2) of the positions along one axis."""
        share = torch.arange(0, self.channels, 2, dtype=like.dtype, device=like.device) / self.channels
        speeds = torch.exp(-self.log_bases[axis].to(like) * share)
        return torch.arange(size, dtype=like.dtype, device=like.device)[:, None] * speeds

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in _TABLES:
            stored = state_dict.get(prefix + name)
            setattr(self, name, None if stored is None else torch.zeros(stored.shape, dtype=torch.int16))
        super()._load_from_state_dict(state_dict, prefix, *rest)
