"""k-means: the codebook to compare with, and the first cells of disentangled minimisation."""

from __future__ import annotations

import numpy as np
import torch

from ...errors import UsageError
from .neighbours import check_features

_BLOCK_VALUES = 1 << 22
_SEED_POOL = 32  # frames a cluster among which the seeds are drawn


def nearest_centroid(features: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of `features` (M, D) the closest row of `centroids` (K, D) and the squared distance.

    Returns:
        Indices (M,) int64 and squared Euclidean distances (M,) float32; equal distances give the lower index.

    Raises:
        UsageError: for arrays that are no finite matrices of equal width, or no centroid.
    """
    features, centroids = check_features(features), check_features(centroids)
    if features.shape[1] != centroids.shape[1] or centroids.shape[0] == 0:
        raise UsageError(f"no nearest code: features {features.shape}, centroids {centroids.shape}")
    points, codes = torch.from_numpy(features), torch.from_numpy(centroids)
    half_norm = codes.square().sum(dim=1) / 2
    index = torch.empty(features.shape[0], dtype=torch.int64)
    block = max(1, _BLOCK_VALUES // centroids.shape[0])
    for start in range(0, features.shape[0], block):
        rows = slice(start, start + block)
        index[rows] = (half_norm - points[rows] @ codes.T).argmin(dim=1)
    return index.numpy(), (points - codes[index]).square().sum(dim=1).numpy()


def means(features: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Mean feature of every label 0..count-1, (count, D) float32; zeros for a label without members."""
    total = np.zeros((count, features.shape[1]))
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels, minlength=count)
    filled = np.flatnonzero(sizes)
    if filled.size:
        starts = (np.cumsum(sizes) - sizes)[filled]
        total[filled] = np.add.reduceat(features[order].astype(np.float64), starts, axis=0)
    return np.asarray(total / np.maximum(sizes, 1)[:, None], dtype=np.float32)


def kmeans(features: np.ndarray, count: int, *, iterations: int = 25, seed: int = 0) -> np.ndarray:
    """Labels (N,) int64 of Lloyd's algorithm from k-means++ seeds (Arthur and Vassilvitskii 2007).

    A cluster that runs empty is started again at the frame farthest from its centroid. Deterministic for a
    seed on one machine and thread count.

    Raises:
        UsageError: when `count` is not in 1..N.
    """
    features = check_features(features)
    if not 1 <= count <= features.shape[0]:
        raise UsageError(f"{count} clusters cannot be made of {features.shape[0]} frames")
    centroids = features[_spread_seeds(features, count, np.random.default_rng(seed))]
    labels, distance = nearest_centroid(features, centroids)
    for _ in range(iterations):
        centroids = means(features, labels, count)
        empty = np.flatnonzero(np.bincount(labels, minlength=count) == 0)
        centroids[empty] = features[np.argsort(-distance, kind="stable")[: empty.size]]
        previous = labels
        labels, distance = nearest_centroid(features, centroids)
        if np.array_equal(labels, previous):
            break
    return labels


def _spread_seeds(features: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of a random pool, each drawn in proportion to the squared distance from those before it."""
    pool = rng.permutation(features.shape[0])[: _SEED_POOL * count]
    points = torch.from_numpy(features[pool])
    chosen = [0]
    distance = torch.full((pool.size,), torch.inf, dtype=points.dtype)
    for _ in range(count - 1):
        distance = torch.minimum(distance, (points - points[chosen[-1]]).square().sum(dim=1))
        cumulative = torch.cumsum(distance.double(), dim=0).numpy()
        draw = rng.random() * cumulative[-1]
        chosen.append(min(int(np.searchsorted(cumulative, draw, side="right")), pool.size - 1))
    return pool[chosen]
