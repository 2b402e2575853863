"""Tokens as programs hold them: arrays, tensors and lists in, arrays of whole numbers that the codec has out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import UsageError

NOTHING = -1  # where a sound of a batch has ended


def as_array(tokens: Any, wanted: str) -> np.ndarray:
    """An array, a tensor or lists as an array of whole numbers. Raises UsageError, in which `wanted` stands."""
    if hasattr(tokens, "detach"):  # a torch tensor
        tokens = tokens.detach().cpu().numpy()
    try:
        codes = np.asarray(tokens)
    except (ValueError, TypeError):
        raise UsageError(f"{wanted}: every frame must have as many") from None
    if codes.dtype.kind not in "iu" or not codes.size:
        raise UsageError(f"{wanted}, not {codes.dtype} {codes.shape}")
    return codes


def check_tokens(tokens: Any, sizes: Sequence[int]) -> np.ndarray:
    """Codes (F, L) int64, F and L at least 1, from an array, a tensor or lists; `sizes` are the layers' codes.

    Raises:
        UsageError: for anything else, too many layers, or a code that its layer does not have.
    """
    wanted = f"tokens are whole numbers (frames, layers), at most {len(sizes)} layers"
    codes = as_array(tokens, wanted)
    if codes.ndim == 3 and codes.shape[0] == 1:
        codes = codes[0]
    if codes.ndim != 2 or codes.shape[1] > len(sizes):
        raise UsageError(f"{wanted}, not {codes.dtype} {codes.shape}")
    _check_range(codes, sizes)
    return codes.astype(np.int64)


def check_frames(tokens: Any, sizes: Sequence[int]) -> np.ndarray:
    """Codes (F, L) int64 of one frame (L,) or of some (L, F), as a language model makes them. Raises UsageError."""
    wanted = f"tokens of a stream are whole numbers (layers,) or (layers, frames), at most {len(sizes)} layers"
    codes = as_array(tokens, wanted)
    codes = codes[:, None] if codes.ndim == 1 else codes
    if codes.ndim != 2 or codes.shape[0] > len(sizes):
        raise UsageError(f"{wanted}, not {codes.dtype} {codes.shape}")
    _check_range(codes.T, sizes)
    return np.ascontiguousarray(codes.T, dtype=np.int64)


def check_batch(tokens: Any, mask: Any, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Codes (B, L, F) int64 and how many frames (B,) each sound has, at least 1.

    `tokens` may be an array, a tensor or lists (B, L, F), or a list of them (L, F) of any lengths. A sound ends where
    `mask` (B, F) does, or where all its tokens are `NOTHING`.

    Raises:
        UsageError: for anything else, a gap in the mask, or a code that its layer does not have.
    """
    wanted = f"a batch of tokens is whole numbers (sounds, layers, frames), at most {len(sizes)} layers"
    codes = _stacked(tokens, wanted)
    if codes.ndim != 3 or codes.shape[1] > len(sizes):
        raise UsageError(f"{wanted}, not {codes.dtype} {codes.shape}")
    if mask is None:
        there = (codes != NOTHING).any(axis=1)
    else:
        there = np.asarray(mask.detach().cpu() if hasattr(mask, "detach") else mask)
        if there.shape != (codes.shape[0], codes.shape[2]) or there.dtype != bool:
            raise UsageError(f"the mask is of booleans (sounds, frames), not {there.dtype} {there.shape}")
    frames = there.sum(axis=1)
    if (there != (np.arange(there.shape[1]) < frames[:, None])).any() or not frames.all():
        raise UsageError("every sound of a batch has at least one frame, and no gap between its frames")
    for item, count in zip(codes, frames, strict=True):
        _check_range(item[:, :count].T, sizes)
    return codes.astype(np.int64), frames


def _stacked(tokens: Any, wanted: str) -> np.ndarray:
    """(B, L, F) with `NOTHING` where a sound of a list is shorter than others."""
    if not (isinstance(tokens, (list, tuple)) and tokens and all(hasattr(item, "shape") for item in tokens)):
        return as_array(tokens, wanted)
    items = [as_array(item, wanted) for item in tokens]
    if any(item.ndim != 2 for item in items) or len({item.shape[0] for item in items}) != 1:
        raise UsageError(f"{wanted}; a list holds arrays (layers, frames) with as many layers each")
    stacked = np.full((len(items), items[0].shape[0], max(item.shape[1] for item in items)), NOTHING, np.int64)
    for row, item in zip(stacked, items, strict=True):
        row[:, : item.shape[1]] = item
    return stacked


def _check_range(codes: np.ndarray, sizes: Sequence[int]) -> None:
    """Raise UsageError for codes (F, L) that are none."""
    if (codes < 0).any() or (codes >= np.array(sizes[: codes.shape[1]])).any():
        raise UsageError(f"tokens must lie below {list(sizes[: codes.shape[1]])}, layer by layer")
