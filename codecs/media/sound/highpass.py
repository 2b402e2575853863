"""What no ear hears and no network needs taken away: an offset, and rumble below the lowest voice.

    y = x - three moving averages of x, one after the other

A moving average over T seconds passes sinc(f T), so what is left is 1 - sinc(f T)^3: nothing at 0 Hz, -3 dB at 20 Hz,
within 0.1 dB from 35 Hz on, without delay and without any phase. At the ends of the sound the averages are over what
there is, so that a constant is 0 everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from .signal import in_blocks

_SECONDS = 0.0244
_PASSES = 3


def high_pass(blocks: Iterable[np.ndarray], rate: int, size: int | None = None) -> Iterator[np.ndarray]:
    """Blocks float32 (n,) without what lies below about 20 Hz; the blocks' length makes no difference.

    Blocks come `size` samples at a time, a second when None, and one such block behind.
    """
    half = max(1, round(_SECONDS * rate / 2))
    margin = _PASSES * half
    size = max(rate if size is None else size, 4 * margin)
    before = np.zeros(0, np.float32)
    now: np.ndarray | None = None
    for after in in_blocks(blocks, size):
        if now is not None:
            yield _filtered(before, now, after[:margin], half)
            before = now[-margin:]
        now = after
    if now is not None:
        yield _filtered(before, now, now[:0], half)


def _filtered(before: np.ndarray, now: np.ndarray, after: np.ndarray, half: int) -> np.ndarray:
    """The part of `now`, which has its neighbours beside it as far as there are any."""
    wide = np.concatenate([before, now, after]).astype(np.float64)
    slow = wide
    for _ in range(_PASSES):
        slow = _average(slow, half)
    part = slice(before.size, before.size + now.size)
    return (wide[part] - slow[part]).astype(np.float32)


def _average(x: np.ndarray, half: int) -> np.ndarray:
    """Mean over `half` samples on either side, over fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(x)])
    places = np.arange(x.size)
    low, high = np.maximum(places - half, 0), np.minimum(places + half + 1, x.size)
    mean: np.ndarray = (sums[high] - sums[low]) / (high - low)
    return mean
