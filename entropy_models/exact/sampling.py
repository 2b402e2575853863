"""Deformable sampling: the values of a grid at positions between its cells, bilinear and exact.

Positions are snapped to 2^-10 of a cell and held inside the grid, so their floors and fractions are exact. A sample is
then the sum of four products of grid numbers, which float64 holds exactly: 16 bits of the value and 20 of the weight.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .grid import ACTIVATION_BITS, ACTIVATION_LIMIT, is_exact, snap, snap_


def sample(grid: Tensor, positions: Tensor) -> Tensor:
    """Values of a grid at positions in cells; (0, 0) is the centre of its first cell.

    As `torch.nn.functional.grid_sample` with `align_corners=True` and the border for padding. Gradients reach the grid
    and, through the fractions, the positions.

    Args:
        grid: (B, H, W, C); for groups of channels that are sampled at places of their own, groups in B.
        positions: (B, ..., 2), rows and columns; beyond the grid they are held at its border.

    Returns:
        (B, ..., C), snapped as an activation.
    """
    path, (height, width) = grid.dtype, grid.shape[1:3]
    grid = snap(grid)
    if is_exact(grid):
        grid, positions = grid.double(), positions.double()  # 36 bits: more than float32 holds
    rows, row_part = _floor(positions[..., 0], height)
    columns, column_part = _floor(positions[..., 1], width)
    flat = grid.flatten(1, 2)
    batch = torch.arange(len(grid), device=grid.device).view(-1, *[1] * (rows.ndim - 1))
    parts = []
    for row, row_weight in ((rows, 1 - row_part), ((rows + 1).clamp_max(height - 1), row_part)):
        for column, column_weight in ((columns, 1 - column_part), ((columns + 1).clamp_max(width - 1), column_part)):
            parts.append(flat[batch, row * width + column] * (row_weight * column_weight)[..., None])
    return snap_((parts[0] + parts[1]) + (parts[2] + parts[3])).to(path)


def cells(height: int, width: int, like: Tensor) -> Tensor:
    """Positions (height, width, 2) of the cells themselves, for offsets to be added to."""
    axes = (torch.arange(size, dtype=like.dtype, device=like.device) for size in (height, width))
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)


def _floor(position: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Index int64 and fraction in [0, 1) of positions that are held inside 0..size - 1."""
    if is_exact(position):
        position = snap(position, ACTIVATION_BITS, max(float(size), ACTIVATION_LIMIT))
    position = position.clamp(0, size - 1)
    index = position.detach().floor()
    return index.long(), position - index
