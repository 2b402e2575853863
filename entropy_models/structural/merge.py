"""Greedy minimisation of two-dimensional structural entropy by merging adjacent communities."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import log2

import numpy as np

from .entropy import community_statistics, compact
from .graph import Graph


def greedy_merge(graph: Graph, labels: np.ndarray | None = None) -> np.ndarray:
    """Merges the pair of communities that lowers H2 most, again and again, until no merge lowers it.

    Exactly the greedy rule over all pairs: a pair without an edge never lowers H2 and is skipped. Equal
    changes are broken by the smaller community numbers, so the result is a function of the input alone.

    Args:
        graph: the graph.
        labels: (N,) communities 0..K-1 to start from; every node its own when None.

    Returns:
        Labels (N,) int64, numbered by first appearance.
    """
    start = np.arange(graph.n_nodes) if labels is None else compact(labels)
    if graph.volume <= 0:
        return compact(start)
    return compact(_Merging(graph, start).run()[start])


class _Merging:
    """State of the greedy merging; changes are kept in units of V * bits.

    Every community keeps one heap entry: its best partner when it was last looked over. When two
    communities merge, only the new one is looked over. That is enough: a pair with the new one is covered
    by the new one's entry; an entry whose partner has gone is a lower bound for the pairs it stood for, and
    is renewed when it comes to the top.
    """

    def __init__(self, graph: Graph, labels: np.ndarray) -> None:
        volumes, inner = community_statistics(graph, labels)
        count = volumes.size
        self.inner: list[float] = inner.tolist()
        self.size: list[float] = volumes.tolist()
        self.log_size: list[float] = np.log2(np.where(volumes > 0, volumes, 1.0)).tolist()
        self.log_volume = log2(graph.volume)
        self.neighbours: list[dict[int, float]] = [{} for _ in range(count)]
        x, y, w = graph.contract(labels)
        for a, b, weight in zip(x.tolist(), y.tolist(), w.tolist(), strict=True):
            self.neighbours[a][b] = weight
            self.neighbours[b][a] = weight
        self.stamp = [0] * count  # how often a community has changed; -1 once it is gone
        self.parent = np.arange(count)
        # Rounding must not turn a merge that changes nothing into one that helps.
        self.tolerance = -1e-12 * graph.volume

    def run(self) -> np.ndarray:
        """Merges until nothing helps; the surviving community of each starting community."""
        heap = [entry for c in range(len(self.size)) if (entry := self.best(c)) is not None]
        heapify(heap)
        while heap:
            _, c, partner, stamp, partner_stamp = heappop(heap)
            if self.stamp[c] != stamp:
                continue
            if self.stamp[partner] == partner_stamp:
                c = self.merge(c, partner)
            entry = self.best(c)
            if entry is not None:
                heappush(heap, entry)
        return self.roots()

    def best(self, c: int) -> tuple[float, int, int, int, int] | None:
        """Heap entry (change, c, partner, stamps) of c's best merge, or None when no merge of c lowers H2."""
        size, inner, log_size = self.size, self.inner, self.log_size
        own_size, own_inner, own_log = size[c], inner[c], log_size[c]
        log_volume = self.log_volume
        least, partner = self.tolerance, -1
        for n, w in self.neighbours[c].items():
            joined = log2(own_size + size[n])
            change = own_inner * (joined - own_log) + inner[n] * (joined - log_size[n])
            change -= 2.0 * w * (log_volume - joined)
            if change < least or (change == least and n < partner):
                least, partner = change, n
        if partner < 0:
            return None
        return least, c, partner, self.stamp[c], self.stamp[partner]

    def merge(self, c: int, d: int) -> int:
        """Joins two communities under the number of the one with more neighbours, which is returned."""
        keep, gone = (c, d) if len(self.neighbours[c]) >= len(self.neighbours[d]) else (d, c)
        near, lost = self.neighbours[keep], self.neighbours[gone]
        self.inner[keep] += self.inner[gone] + 2.0 * near.pop(gone)
        self.size[keep] += self.size[gone]
        self.log_size[keep] = log2(self.size[keep])
        for n, w in lost.items():
            if n == keep:
                continue
            other = self.neighbours[n]
            del other[gone]
            near[n] = other[keep] = near.get(n, 0.0) + w
        self.neighbours[gone] = {}
        self.parent[gone] = keep
        self.stamp[gone] = -1
        self.stamp[keep] += 1
        return keep

    def roots(self) -> np.ndarray:
        """Follows the merges to the communities that are left."""
        parent = self.parent
        while True:
            further = parent[parent]
            if np.array_equal(further, parent):
                return parent
            parent = further
