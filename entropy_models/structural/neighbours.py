"""Exact nearest neighbours by cosine similarity, from blocked matrix products."""

from __future__ import annotations

import numpy as np
import torch

from ...errors import UsageError

_BLOCK_VALUES = 1 << 22  # similarities held at once: 16 MB of float32 stay near the processor
_GROUP = 64


def check_features(features: np.ndarray) -> np.ndarray:
    """`features` as a contiguous float32 array of shape (N, D).

    Raises:
        UsageError: when it is not two-dimensional and finite.
    """
    features = np.ascontiguousarray(features, dtype=np.float32)
    if features.ndim != 2 or features.shape[1] == 0:
        raise UsageError(f"features must have the shape (frames, dimensions), not {features.shape}")
    if not np.isfinite(features).all():
        raise UsageError("features hold a NaN or an infinite value")
    return features


def unit_rows(features: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1, float32; a zero row stays zero, so that its cosine with everything is 0."""
    # Scaling by the largest entry first keeps the squares of very small or large rows representable.
    peak = np.abs(features).max(axis=1, keepdims=True)
    scaled = features / np.where(peak > 0, peak, 1)
    norm = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(norm > 0, norm, 1), dtype=np.float32)


def rms_length(features: np.ndarray) -> float:
    """Root mean square of the rows' Euclidean lengths."""
    return float(np.sqrt(np.square(features, dtype=np.float64).sum(axis=1).mean())) if features.size else 0.0


def lifted(features: np.ndarray, constant: float) -> np.ndarray:
    """`features` (N, D) with one more coordinate that is `constant` everywhere; unchanged for 0.

    A cosine is blind to length: a soft and a loud frame of one direction are the same to it. Among rows with
    a common constant coordinate it is not, and a large constant makes it order rows by Euclidean distance.
    """
    features = check_features(features)
    if constant == 0:
        return features
    return np.pad(features, ((0, 0), (0, 1)), constant_values=constant)


def nearest(queries: np.ndarray, stored: np.ndarray, k: int, *, same: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The `k` rows of `stored` (N, D) with the largest cosine to each row of `queries` (M, D).

    With `same` the two arrays are one and no row is its own neighbour. Time O(M N D), memory O(M k) and one
    block.

    Returns:
        Indices (M, k) int64 and cosines (M, k) float32, most similar first.

    Raises:
        UsageError: for features that are not two finite matrices of equal width, or fewer than k candidates.
    """
    queries, stored = check_features(queries), check_features(stored)
    if queries.shape[1] != stored.shape[1]:
        raise UsageError(f"features of {queries.shape[1]} and {stored.shape[1]} dimensions do not compare")
    if not 1 <= k <= stored.shape[0] - same:
        raise UsageError(f"{k} neighbours were asked for among {stored.shape[0] - same} candidates")
    count = stored.shape[0]
    padding = -count % _GROUP
    left = torch.from_numpy(unit_rows(queries))
    right = torch.from_numpy(np.pad(unit_rows(stored), ((0, padding), (0, 0)))).T
    index = np.empty((queries.shape[0], k), dtype=np.int64)
    cosine = np.empty((queries.shape[0], k), dtype=np.float32)
    block = max(32, _BLOCK_VALUES // (count + padding))
    buffer = torch.empty(min(block, queries.shape[0]), count + padding, dtype=left.dtype)
    for start in range(0, queries.shape[0], block):
        rows = slice(start, min(start + block, queries.shape[0]))
        similarity = buffer[: rows.stop - start]
        torch.mm(left[rows], right, out=similarity)
        similarity[:, count:] = -torch.inf
        if same:
            similarity[torch.arange(rows.stop - start), torch.arange(start, rows.stop)] = -torch.inf
        values, where = _largest(similarity, k)
        cosine[rows], index[rows] = values.numpy(), where.numpy()
    return index, cosine


def _largest(similarity: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k largest of every row of (M, groups * _GROUP), with their columns.

    The k largest lie in the k groups of the largest maxima: any other group has k groups with a member at
    least as large before it. So the full sort sees k * _GROUP values a row instead of all.
    """
    groups = similarity.unflatten(1, (-1, _GROUP))
    if groups.shape[1] <= 2 * k:
        return similarity.topk(k, dim=1)
    chosen = groups.amax(dim=2).topk(k, dim=1, sorted=False).indices
    members = groups.gather(1, chosen[:, :, None].expand(-1, -1, _GROUP)).flatten(1)
    values, place = members.topk(k, dim=1)
    return values, chosen.gather(1, place // _GROUP) * _GROUP + place % _GROUP
