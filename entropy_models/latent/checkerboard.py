"""The two halves of a latent grid, as on a chess board, and the neighbours of a cell.

Latents are (B, H, W, C) with H and W even. Anchors are the cells with odd row + column and are coded first
(He et al., CVPR 2021); the others see them. A packed half is (B, H / 2, 2, W / 2, C).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

ANCHOR, NON_ANCHOR = 1, 0
ANCHOR_WINDOW = tuple((r, c) for r in range(-2, 3) for c in range(-2, 3) if (r + c) % 2)


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


def merged(halves: Sequence[Tensor]) -> Tensor:
    """The grid (B, H, W, sum of C) of slices whose halves are given in coding order: anchors, others, anchors ..."""
    return torch.cat([merge(*pair) for pair in zip(halves[::2], halves[1::2], strict=True)], -1)


def pad_half(half: Tensor) -> Tensor:
    """A packed half with zeros around it, (B, H / 2 + 2, 2, W / 2 + 2, C): all that `anchors_near` reaches."""
    return F.pad(half, (0, 0, 1, 1, 0, 0, 1, 1))


def anchors_near(padded: Tensor, row: int) -> list[Tensor]:
    """The 12 anchors of `ANCHOR_WINDOW` around the non-anchors of one packed row (0 or 1), each (B, H / 2, W / 2, C).

    padded: `pad_half` of the anchors. All are views of it, so a layer runs once for an anchor and not once for each
    cell that sees it.
    """
    height, width = padded.shape[1] - 2, padded.shape[3] - 2
    near = []
    for r, c in ANCHOR_WINDOW:
        # Packed row p, column j holds the non-anchor at column 2 j + p and the anchor at column 2 j + 1 - p.
        down, other = divmod(row + r, 2)
        right = (row + c - (1 - other)) // 2
        near.append(padded[:, 1 + down : 1 + down + height, other, 1 + right : 1 + right + width])
    return near
