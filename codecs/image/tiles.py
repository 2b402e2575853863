"""Large pictures in parts, so that memory stays bounded.

The transforms run over tiles with a margin as wide as their reach, so a tile's inner part is what the whole
picture would have given. The entropy model codes every tile on its own: contexts end at its border, the
price of one seam every 2048 pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

TILE = 128  # cells of the latent, 2048 pixels


@dataclass(frozen=True)
class Tile:
    """Cells top..bottom, left..right of the latent."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, grid: Tensor, scale: int = 1) -> Tensor:
        """This part of a (B, H, W, C) grid that has `scale` samples to a cell."""
        return grid[:, self.top * scale : self.bottom * scale, self.left * scale : self.right * scale]

    def widened(self, margin: int, height: int, width: int) -> Tile:
        """The tile with a margin, as far as the grid reaches."""
        return Tile(
            max(self.top - margin, 0),
            min(self.bottom + margin, height),
            max(self.left - margin, 0),
            min(self.right + margin, width),
        )

    def inside(self, outer: Tile) -> Tile:
        """This tile in the coordinates of a tile around it."""
        return Tile(self.top - outer.top, self.bottom - outer.top, self.left - outer.left, self.right - outer.left)


def tiles(height: int, width: int, *, side: int | None = None) -> Iterator[Tile]:
    """All tiles of a latent, row by row; of `TILE` cells along each side, or `side`."""
    side = side or TILE
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield Tile(top, min(top + side, height), left, min(left + side, width))


def map_tiles(
    transform: Callable[[Tensor], Tensor],
    grid: Tensor,
    cells: tuple[int, int],
    *,
    source: int,
    result: int,
    margin: int,
) -> Tensor:
    """Apply a transform tile by tile, one at a time.

    Args:
        transform: reaches `margin` cells at most.
        grid: (1, H, W, C) with `source` samples to a cell of the latent.
        cells: height and width of the latent.
        source, result: samples to a cell in `grid` and in the result.
        margin: cells around each tile that the transform is given beside it.
    """
    out: Tensor | None = None
    for tile in tiles(*cells):
        outer = tile.widened(margin, *cells)
        part = tile.inside(outer).of(transform(outer.of(grid, source)), result)
        if out is None:
            out = part.new_empty((1, cells[0] * result, cells[1] * result, part.shape[-1]))
        tile.of(out, result).copy_(part)
    if out is None:
        raise ValueError("an empty latent has no tiles")
    return out
