"""PSNR between two pictures of any depth."""

from __future__ import annotations

import math

import numpy as np

from .hidden import visible
from .picture import Picture


def picture_psnr(a: Picture, b: Picture, *, exact: bool = False) -> float:
    """PSNR in dB over all samples of RGB, for pictures of the same size and depth; infinite where equal.

    What alpha hides in `a` does not count, unless `exact`.
    """
    mask = None if exact else visible(a)
    total = 0
    for top in range(0, a.height, 256):  # keeps the memory small for large pictures
        rows = slice(top, top + 256)
        difference = a.rgb[rows].astype(np.int64) - b.rgb[rows]
        if mask is not None:
            difference = difference[mask[rows]]
        total += int(np.square(difference).sum())
    if total == 0:
        return math.inf
    samples = a.rgb.size if mask is None else 3 * int(np.count_nonzero(mask))
    return 10 * math.log10(a.peak**2 * samples / total)
