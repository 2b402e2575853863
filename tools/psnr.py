"""PSNR between two pictures of any depth."""

from __future__ import annotations

import math

import numpy as np

from ..codecs.picture import Picture


def picture_psnr(a: Picture, b: Picture) -> float:
    """PSNR in dB over all samples of RGB, for pictures of the same size and depth; infinite where equal."""
    total = 0
    for top in range(0, a.height, 256):  # keeps the memory small for large pictures
        rows = slice(top, top + 256)
        difference = a.rgb[rows].astype(np.int64) - b.rgb[rows]
        total += int(np.square(difference).sum())
    if total == 0:
        return math.inf
    return 10 * math.log10(a.peak**2 * a.rgb.size / total)
