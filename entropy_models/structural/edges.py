"""Edges from nearest-neighbour lists, and how many neighbours to keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import UsageError
from .entropy import one_dimensional_update
from .graph import Graph
from .neighbours import check_features, nearest, unit_rows

_CHUNK = 1 << 18  # edges whose weights are computed at once


@dataclass(frozen=True)
class RankedEdges:
    """Every undirected edge of a k-nearest-neighbour graph once, by the smallest k that brings it.

    Attributes:
        i, j: (E,) int64 with i < j, sorted by `rank`.
        rank: (E,) int64 from 1: j is the rank-th neighbour of i, or i that of j, whichever comes first.
    """

    n_nodes: int
    i: np.ndarray
    j: np.ndarray
    rank: np.ndarray

    @classmethod
    def from_neighbours(cls, index: np.ndarray, cosine: np.ndarray) -> RankedEdges:
        """From `nearest(..., same=True)`; only neighbours of positive cosine make an edge."""
        n_nodes, k = index.shape
        source = np.repeat(np.arange(n_nodes, dtype=np.int64), k)
        target, rank = index.reshape(-1), np.tile(np.arange(1, k + 1, dtype=np.int64), n_nodes)
        positive = cosine.reshape(-1) > 0
        source, target, rank = source[positive], target[positive], rank[positive]
        pair = np.minimum(source, target) * n_nodes + np.maximum(source, target)
        order = np.lexsort((rank, pair))
        pair, rank = pair[order], rank[order]
        first = np.concatenate([[True], pair[1:] != pair[:-1]]) if pair.size else np.zeros(0, bool)
        pair, rank = pair[first], rank[first]
        by_rank = np.argsort(rank, kind="stable")
        return cls(n_nodes, pair[by_rank] // n_nodes, pair[by_rank] % n_nodes, rank[by_rank])

    def cosines(self, features: np.ndarray) -> np.ndarray:
        """Edge weights (E,) float64: the same whatever block size or thread count found the neighbours."""
        rows = unit_rows(check_features(features))
        weights = np.empty(self.i.size, dtype=np.float64)
        for start in range(0, self.i.size, _CHUNK):
            part = slice(start, start + _CHUNK)
            product = rows[self.i[part]].astype(np.float64) * rows[self.j[part]]
            weights[part] = product.sum(axis=1)
        # A neighbour whose float32 cosine was barely positive may come out barely negative here.
        return np.clip(weights, np.finfo(np.float32).tiny, 1.0)


def entropy_by_neighbours(edges: RankedEdges, weights: np.ndarray, max_k: int) -> np.ndarray:
    """H1 in bits, (max_k,), of the graphs with 1, 2, ..., max_k neighbours; each from the one before it."""
    degrees = np.zeros(edges.n_nodes)
    h1, volume = 0.0, 0.0
    curve = np.empty(max_k)
    bounds = np.searchsorted(edges.rank, np.arange(1, max_k + 2))
    for k in range(max_k):
        part = slice(bounds[k], bounds[k + 1])
        touched, slot = np.unique(np.concatenate([edges.i[part], edges.j[part]]), return_inverse=True)
        gain = np.bincount(slot.reshape(-1), weights=np.tile(weights[part], 2), minlength=touched.size)
        before = degrees[touched]
        degrees[touched] += gain
        h1, volume = one_dimensional_update(h1, volume, before, degrees[touched])
        curve[k] = h1
    return curve


def first_stable_point(curve: np.ndarray) -> int | None:
    """The smallest k (from 1) at which H1 has a strict local minimum; None where there is none."""
    inside = (curve[1:-1] < curve[:-2]) & (curve[1:-1] < curve[2:])
    return int(np.argmax(inside)) + 2 if inside.any() else None


def fallback_neighbours(n_nodes: int) -> int:
    """One neighbour in a hundred nodes: what HISEvent (AAAI 2024) takes when H1 has no stable point."""
    return max(1, -(-n_nodes // 100))


def neighbour_graph(features: np.ndarray, k: int | None = None, *, max_k: int = 50) -> tuple[Graph, int]:
    """The undirected graph of `features` (N, D) with edges to each frame's `k` nearest by cosine, weight =
    cosine > 0.

    Without `k` it is the first stable point of H1 among 2..`max_k` - 1 or, if there is none,
    `fallback_neighbours`, but at most `max_k`. See README.md for why a given `k` is the better choice on
    speech.

    Returns:
        The graph and the `k` it was made with.

    Raises:
        UsageError: for features that are no finite matrix of at least two rows, or `k` out of range.
    """
    features = check_features(features)
    n_nodes = features.shape[0]
    if n_nodes < 2:
        raise UsageError("a graph of neighbours needs at least two frames")
    reach = min(max_k, n_nodes - 1) if k is None else k
    edges = RankedEdges.from_neighbours(*nearest(features, features, reach, same=True))
    weights = edges.cosines(features)
    if k is None:
        stable = first_stable_point(entropy_by_neighbours(edges, weights, reach))
        k = min(fallback_neighbours(n_nodes), reach) if stable is None else stable
    kept = edges.rank <= k
    return Graph.from_edges(n_nodes, edges.i[kept], edges.j[kept], weights[kept]), k
