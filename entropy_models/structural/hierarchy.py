"""Minimisation over subgraphs: HISEvent's chunks of clusters, and the first-level cells of SECodec's
"disentangled" form.

Both split the nodes into subgraphs, merge greedily inside each (edges that leave a subgraph are dropped and
V is the subgraph's own volume), and go on with the clusters found as the units of larger subgraphs, until
one holds everything.
"""

from __future__ import annotations

import numpy as np

from ...errors import UsageError
from .entropy import compact
from .graph import Graph
from .kmeans import kmeans, means
from .merge import greedy_merge


def merge_within(graph: Graph, labels: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Merges the clusters `labels` (N,) inside each subgraph; `cells` (N,) must not split a cluster."""
    merged = np.empty_like(labels)
    order = np.argsort(cells, kind="stable")
    bounds = np.flatnonzero(np.diff(cells[order])) + 1
    offset = 0
    for nodes in np.split(order, bounds):
        part = greedy_merge(graph.subgraph(nodes), compact(labels[nodes]))
        merged[nodes] = part + offset
        offset += int(part.max()) + 1
    return compact(merged)


def hierarchical_merge(graph: Graph, labels: np.ndarray | None = None, *, chunk: int = 400) -> np.ndarray:
    """HISEvent (Cao et al., AAAI 2024): subgraphs are `chunk` consecutive clusters, in the order of their
    first nodes.

    Passes are repeated until one chunk holds all clusters; a pass that merges nothing doubles the chunk.

    Raises:
        UsageError: when a chunk would hold fewer than two clusters.
    """
    if chunk < 2:
        raise UsageError("a chunk must hold at least two clusters")
    labels = np.arange(graph.n_nodes) if labels is None else compact(labels)
    while labels.size:
        merged = merge_within(graph, labels, labels // chunk)
        if int(labels.max()) < chunk:
            return merged
        if merged.max() == labels.max():
            chunk *= 2
        labels = merged
    return labels


def disentangled_merge(
    graph: Graph, features: np.ndarray, *, n_cells: int = 1024, branch: int = 8, seed: int = 0
) -> np.ndarray:
    """SECodec's Figure 1: the nodes fall into `n_cells` cells first, and neighbouring cells' clusters meet
    level by level.

    The figure shows 1024 first-level cells for 10,000 nodes but not what makes them; here k-means of the
    features does, and k-means of the cells' means groups `branch` cells on average into one of the next
    level.

    Raises:
        UsageError: when features and graph disagree, or `n_cells` or `branch` is out of range.
    """
    if features.shape[0] != graph.n_nodes:
        raise UsageError(f"{features.shape[0]} features do not belong to a graph of {graph.n_nodes} nodes")
    if branch < 2 or n_cells < 1:
        raise UsageError("cells must be at least one, and a level must join at least two of them")
    labels = np.arange(graph.n_nodes)
    cells = kmeans(features, min(n_cells, graph.n_nodes), iterations=10, seed=seed)
    while True:
        cells = compact(cells)
        labels = merge_within(graph, labels, cells)
        count = int(cells.max()) + 1
        if count == 1:
            return labels
        parents = kmeans(means(features, cells, count), -(-count // branch), seed=seed)
        cells = parents[cells]
