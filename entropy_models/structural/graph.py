"""An undirected weighted graph of frames, and its edges from k nearest neighbours by cosine similarity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...errors import UsageError


@dataclass(frozen=True)
class Graph:
    """Compressed rows: the neighbours of node v are `indices[indptr[v]:indptr[v+1]]`, ascending, every edge
    listed twice.

    Attributes:
        indptr: (N+1,) int64.
        indices: (2E,) int64.
        weights: (2E,) float64, positive.
    """

    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray

    @classmethod
    def from_edges(cls, n_nodes: int, i: np.ndarray, j: np.ndarray, weights: np.ndarray) -> Graph:
        """The graph of edges (i[e], j[e]), each unordered pair at most once.

        Raises:
            UsageError: for a loop, a repeated pair, a node out of range, or a weight that is not finite and
            positive.
        """
        i, j, weights = np.asarray(i, np.int64), np.asarray(j, np.int64), np.asarray(weights, np.float64)
        if not (i.shape == j.shape == weights.shape and i.ndim == 1):
            raise UsageError("edges need two node arrays and one weight array of the same length")
        if i.size and (min(i.min(), j.min()) < 0 or max(i.max(), j.max()) >= n_nodes):
            raise UsageError(f"an edge names a node outside 0..{n_nodes - 1}")
        if np.any(i == j):
            raise UsageError("an edge joins a node with itself")
        if not np.all(np.isfinite(weights) & (weights > 0)):
            raise UsageError("edge weights must be finite and positive")
        key = np.concatenate([i * n_nodes + j, j * n_nodes + i])
        order = np.argsort(key, kind="stable")
        key = key[order]
        if np.any(key[1:] == key[:-1]):
            raise UsageError("an edge is listed more than once")
        counts = np.bincount(key // n_nodes, minlength=n_nodes) if n_nodes else np.zeros(0, np.int64)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(indptr, key % max(n_nodes, 1), np.concatenate([weights, weights])[order])

    @property
    def n_nodes(self) -> int:
        """N."""
        return self.indptr.size - 1

    @cached_property
    def degrees(self) -> np.ndarray:
        """Weighted degrees d_v, (N,) float64."""
        rows = np.repeat(np.arange(self.n_nodes), np.diff(self.indptr))
        return np.bincount(rows, weights=self.weights, minlength=self.n_nodes)

    @cached_property
    def volume(self) -> float:
        """V, the sum of all degrees: twice the total edge weight."""
        return float(self.degrees.sum())

    def subgraph(self, nodes: np.ndarray) -> Graph:
        """The graph induced on `nodes` (M,), distinct and ascending, renumbered 0..M-1."""
        position = np.full(self.n_nodes, -1, dtype=np.int64)
        position[nodes] = np.arange(nodes.size)
        lengths = self.indptr[nodes + 1] - self.indptr[nodes]
        ends = np.cumsum(lengths)
        entry = np.repeat(self.indptr[nodes] - (ends - lengths), lengths) + np.arange(lengths.sum())
        target = position[self.indices[entry]]
        kept = target >= 0
        counts = np.bincount(np.repeat(np.arange(nodes.size), lengths)[kept], minlength=nodes.size)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Graph(indptr, target[kept], self.weights[entry[kept]])

    def contract(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Edges between communities: (x, y, w) with x < y, each adjacent pair once, w the summed weight."""
        count = int(labels.max()) + 1 if labels.size else 0
        x = np.repeat(labels, np.diff(self.indptr))
        y = labels[self.indices]
        outer = x < y
        key, inverse = np.unique(x[outer] * count + y[outer], return_inverse=True)
        w = np.bincount(inverse.reshape(-1), weights=self.weights[outer], minlength=key.size)
        return key // max(count, 1), key % max(count, 1), w
