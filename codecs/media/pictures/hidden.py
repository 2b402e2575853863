"""Colours that alpha hides: filled smoothly before coding, since nobody sees them and every bit of them costs.

Push and pull (Gortler et al., The Lumigraph, 1996, section 3.4): halve the picture with alpha as weight until
something visible is in every pixel, then come back and take what is missing from the half size.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .picture import Picture

Plane = NDArray[np.float32]


def fill_hidden(picture: Picture) -> Picture:
    """Return the picture with new colours where alpha is 0, and the same object where alpha hides nothing.

    What is filled goes on smoothly from the visible colours beside it, so that neither an edge nor its
    surroundings cost bits or bleed into what is seen. A picture without a visible pixel becomes black.
    """
    if picture.alpha is None or picture.alpha.all():
        return picture
    hidden = picture.alpha == 0
    if hidden.all():
        return replace(picture, rgb=np.zeros_like(picture.rgb))
    rgb = picture.rgb.copy()
    for channel in range(1 if picture.grey else 3):  # one at a time, because a large picture as floats is large
        weights: Plane = np.divide(picture.alpha, picture.peak, dtype=np.float32)
        filled = _fill(np.asarray(picture.rgb[:, :, channel], np.float32), weights)
        rgb[:, :, channel][hidden] = np.clip(np.rint(filled[hidden]), 0, picture.peak).astype(rgb.dtype)
    if picture.grey:
        rgb[:, :, 1:] = rgb[:, :, :1]
    return replace(picture, rgb=rgb)


def _fill(values: Plane, weights: Plane) -> Plane:
    """Return `values` (H, W) where `weights` (0..1) is 1, and less of them the smaller it is."""
    if values.size == 1 or weights.min() == 1:
        return values
    total = _halved(weights)
    mean = np.divide(_halved(values * weights), np.maximum(total, 1e-12), dtype=np.float32)
    # Four pixels with one fully visible among them are as good as known.
    coarse = _doubled(_fill(mean, np.minimum(total, 1)), values.shape)
    return weights * values + (1 - weights) * coarse


def _halved(values: Plane) -> Plane:
    """Return the sums of 2x2 pixels, of a last odd row or column those that are there."""
    rows = np.add.reduceat(values, np.arange(0, values.shape[0], 2), axis=0)
    return np.add.reduceat(rows, np.arange(0, values.shape[1], 2), axis=1)


def _doubled(values: Plane, shape: tuple[int, ...]) -> Plane:
    """Return twice the size by linear interpolation between the middles of 2x2 pixels, cut to `shape`."""
    for axis in (0, 1):
        moved = np.moveaxis(values, axis, 0)
        before = np.concatenate([moved[:1], moved[:-1]])
        after = np.concatenate([moved[1:], moved[-1:]])
        pairs = np.stack([0.75 * moved + 0.25 * before, 0.75 * moved + 0.25 * after], axis=1)
        doubled = pairs.reshape(2 * len(moved), -1)[: shape[axis]]
        values = np.moveaxis(doubled, 0, axis).astype(np.float32, copy=False)
    return values


def visible(picture: Picture) -> NDArray[Any] | None:
    """Return the mask (H, W) of the pixels that are seen, None where all are."""
    if picture.alpha is None or picture.alpha.all():
        return None
    mask: NDArray[Any] = picture.alpha > 0
    return mask
