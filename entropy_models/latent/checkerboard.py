"""The two halves of a latent grid, as on a chess board, and the neighbours of a cell.

Latents are (B, H, W, C) with H and W even. Anchors are the cells with odd row + column and are coded first
(He et al., CVPR 2021); the others see them. A packed half is (B, H / 2, 2, W / 2, C).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

ANCHOR, NON_ANCHOR = 1, 0
ANCHOR_WINDOW = tuple((r, c) for r in range(-2, 3) for c in range(-2, 3) if (r + c) % 2)
SQUARE_WINDOW = tuple((r, c) for r in range(-1, 2) for c in range(-1, 2))


def pack(grid: Tensor, parity: int) -> Tensor:
    """The cells with (row + column) % 2 == parity of a (B, H, W, C) grid, as (B, H / 2, 2, W / 2, C)."""
    b, h, w, c = grid.shape
    quads = grid.reshape(b, h // 2, 2, w // 2, 2, c)
    return torch.stack((quads[:, :, 0, :, parity], quads[:, :, 1, :, 1 - parity]), dim=2)


def unpack(half: Tensor, parity: int) -> Tensor:
    """Inverse of `pack`: a (B, H, W, C) grid with zeros on the other cells."""
    return merge(half, torch.zeros_like(half)) if parity == ANCHOR else merge(torch.zeros_like(half), half)


def merge(anchors: Tensor, others: Tensor) -> Tensor:
    """The grid (B, H, W, C) whose two halves are given."""
    b, rows, _, columns, c = anchors.shape
    even = torch.stack((others[:, :, 0], anchors[:, :, 0]), dim=3)
    odd = torch.stack((anchors[:, :, 1], others[:, :, 1]), dim=3)
    return torch.stack((even, odd), dim=2).reshape(b, rows * 2, columns * 2, c)


def neighbours(grid: Tensor, window: tuple[tuple[int, int], ...]) -> list[Tensor]:
    """The grid shifted to every (row, column) offset of the window; zeros beyond the border."""
    reach = max(max(abs(r), abs(c)) for r, c in window)
    h, w = grid.shape[1:3]
    padded = F.pad(grid, (0, 0, reach, reach, reach, reach))
    return [padded[:, reach + r : reach + r + h, reach + c : reach + c + w] for r, c in window]
