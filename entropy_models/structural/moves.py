"""Node moves: a frame goes to the neighbouring community that lowers H2 most."""

from __future__ import annotations

from collections import deque
from math import log2

import numpy as np

from .entropy import community_statistics, compact
from .graph import Graph


def move_nodes(graph: Graph, labels: np.ndarray | None = None, *, max_sweeps: int = 50) -> np.ndarray:
    """Moves single nodes between communities until no move lowers H2 (the leave/join game of CoDeSEG).

    Nodes are visited in order, then again those with a neighbour that has moved since, which is where most
    of the gain is; and all of that again until nothing moves, because a community's volume matters to nodes
    whose neighbours stayed. A node may also leave to be alone. Every move lowers H2, so the game ends.

    Args:
        graph: the graph.
        labels: (N,) communities 0..K-1 to start from; every node its own when None.
        max_sweeps: stops after this many visits a node on average.

    Returns:
        Labels (N,) int64, numbered by first appearance.
    """
    start = np.arange(graph.n_nodes) if labels is None else compact(labels)
    if graph.volume <= 0:
        return compact(start)
    game = _Game(graph, start)
    game.play(max_sweeps * graph.n_nodes)
    return compact(np.array(game.labels, dtype=np.int64))


def _term(inner: float, size: float, log_volume: float) -> float:
    """I log2(U / V), and 0 for a community without inner edges, where rounding may leave I below 0."""
    return inner * (log2(size) - log_volume) if inner > 0.0 and size > 0.0 else 0.0


class _Game:
    """Volumes, inner weights and member counts of the communities; changes are kept in units of V * bits."""

    def __init__(self, graph: Graph, labels: np.ndarray) -> None:
        volumes, inner = community_statistics(graph, labels)
        self.size: list[float] = volumes.tolist()
        self.inner: list[float] = inner.tolist()
        self.members: list[int] = np.bincount(labels).tolist()
        self.empty: list[int] = []
        self.labels: list[int] = labels.tolist()
        self.degrees: list[float] = graph.degrees.tolist()
        self.first: list[int] = graph.indptr.tolist()
        self.neighbours: list[int] = graph.indices.tolist()
        self.weights: list[float] = graph.weights.tolist()
        self.log_volume = log2(graph.volume)
        # Rounding must not make a node go round in circles.
        self.tolerance = -1e-12 * graph.volume

    def play(self, max_visits: int) -> None:
        """Visits nodes until a visit to every one of them moves none, or `max_visits` have been made."""
        n_nodes = len(self.labels)
        while max_visits > 0:
            queue = deque(range(n_nodes))
            queued = bytearray(b"\1") * n_nodes
            moved = False
            while queue and max_visits > 0:
                node = queue.popleft()
                queued[node] = 0
                max_visits -= 1
                if not self.visit(node):
                    continue
                moved = True
                for n in self.neighbours[self.first[node] : self.first[node + 1]]:
                    if not queued[n] and self.labels[n] != self.labels[node]:
                        queued[n] = 1
                        queue.append(n)
            if not moved:
                return

    def visit(self, node: int) -> bool:
        """Moves `node` to its best community if that lowers H2; says whether it moved."""
        labels, first, last = self.labels, self.first[node], self.first[node + 1]
        home = labels[node]
        reach: dict[int, float] = {}
        for n, w in zip(self.neighbours[first:last], self.weights[first:last], strict=True):
            c = labels[n]
            reach[c] = reach.get(c, 0.0) + w
        if not reach:
            return False
        degree, log_volume, size, inner = self.degrees[node], self.log_volume, self.size, self.inner
        own = reach.pop(home, 0.0)
        alone = self.members[home] == 1
        leave = -_term(inner[home], size[home], log_volume)
        if not alone:
            leave += _term(inner[home] - 2.0 * own, size[home] - degree, log_volume)
        least, target = self.tolerance - leave, -1
        if not alone and least > 0.0:
            least, target = 0.0, self._spare()
        for c, w in reach.items():
            joined = log2(size[c] + degree) - log_volume
            join = (inner[c] + 2.0 * w) * joined - _term(inner[c], size[c], log_volume)
            if join < least or (join == least and c < target):
                least, target = join, c
        if target < 0:
            return False
        self._move(node, home, target, own, reach.get(target, 0.0))
        return True

    def _spare(self) -> int:
        """The number of a community without members."""
        if not self.empty:
            self.empty.append(len(self.size))
            self.size.append(0.0)
            self.inner.append(0.0)
            self.members.append(0)
        return self.empty[-1]

    def _move(self, node: int, home: int, target: int, own: float, other: float) -> None:
        degree = self.degrees[node]
        self.members[home] -= 1
        if self.members[home]:
            self.size[home] -= degree
            self.inner[home] -= 2.0 * own
        else:
            self.size[home] = self.inner[home] = 0.0
            self.empty.append(home)
        if not self.members[target]:
            self.empty.pop()  # the one that _spare offered
        self.size[target] += degree
        self.inner[target] += 2.0 * other
        self.members[target] += 1
        self.labels[node] = target
