"""Packing of the two halves, against loops over the cells."""

from __future__ import annotations

import torch

from bitfloor.entropy_models.latent.checkerboard import (
    ANCHOR,
    ANCHOR_WINDOW,
    NON_ANCHOR,
    anchors_near,
    merge,
    pack,
    pad_half,
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


def test_anchors_near_a_cell_are_those_at_the_offsets_of_the_window() -> None:
    padded = pad_half(pack(GRID, ANCHOR))
    for packed_row in (0, 1):
        near = anchors_near(padded, packed_row)
        assert len(near) == len(ANCHOR_WINDOW) == 12
        for seen, (r, c) in zip(near, ANCHOR_WINDOW, strict=True):
            expected = torch.zeros(2, 3, 4, 3, dtype=torch.float64)
            for i in range(3):
                for j in range(4):
                    row, column = 2 * i + packed_row, 2 * j + packed_row  # of the other cell
                    assert (row + column) % 2 == NON_ANCHOR
                    if 0 <= row + r < 6 and 0 <= column + c < 8:
                        expected[:, i, j] = GRID[:, row + r, column + c]
            assert torch.equal(seen, expected)
