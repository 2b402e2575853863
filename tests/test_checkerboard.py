"""Packing of the two halves, against loops over the cells."""

from __future__ import annotations

import torch

from bitfloor.entropy_models.latent.checkerboard import (
    ANCHOR,
    ANCHOR_WINDOW,
    NON_ANCHOR,
    merge,
    neighbours,
    pack,
    unpack,
)

GRID = torch.arange(2 * 6 * 8 * 3, dtype=torch.float64).reshape(2, 6, 8, 3)


def test_a_half_holds_the_cells_of_its_parity_row_by_row() -> None:
    for parity in (ANCHOR, NON_ANCHOR):
        half = pack(GRID, parity)
        assert half.shape == (2, 3, 2, 4, 3)
        cells = [GRID[:, r, c] for r in range(6) for c in range(8) if (r + c) % 2 == parity]
        assert torch.equal(half.reshape(2, 24, 3), torch.stack(cells, 1))


def test_merge_and_unpack_invert_pack() -> None:
    assert torch.equal(merge(pack(GRID, ANCHOR), pack(GRID, NON_ANCHOR)), GRID)
    for parity in (ANCHOR, NON_ANCHOR):
        row, column = torch.meshgrid(torch.arange(6), torch.arange(8), indexing="ij")
        mask = ((row + column) % 2 == parity)[None, :, :, None]
        assert torch.equal(unpack(pack(GRID, parity), parity), GRID * mask)


def test_neighbours_of_a_non_anchor_in_the_anchor_window_are_anchors() -> None:
    anchors_only = unpack(torch.ones_like(pack(GRID, ANCHOR)), ANCHOR)
    for shifted, (r, c) in zip(neighbours(anchors_only, ANCHOR_WINDOW), ANCHOR_WINDOW, strict=True):
        expected = torch.zeros_like(anchors_only)
        for row in range(6):
            for column in range(8):
                if 0 <= row + r < 6 and 0 <= column + c < 8:
                    expected[:, row, column] = anchors_only[:, row + r, column + c]
        assert torch.equal(shifted, expected)
        inner = pack(shifted, NON_ANCHOR)[:, 1:2, :, 1:3]
        assert torch.equal(inner, torch.ones_like(inner))
    assert len(ANCHOR_WINDOW) == 12
