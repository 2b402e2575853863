"""Definitions written out without any of the package's shortcuts, on dense weight matrices."""

from math import log2

import numpy as np

from bitfloor.entropy_models.structural import Graph


def encoding_tree_entropy(weights, partition):
    """Sum over the nodes below the root of -(g / V) log2(V_node / V_parent), height-2 tree (Li and Pan)."""
    volume = weights.sum()
    total = 0.0
    for community in set(partition):
        members = np.array([c == community for c in partition])
        size = weights[members].sum()
        cut = weights[np.ix_(members, ~members)].sum()
        if size > 0:
            total -= cut / volume * log2(size / volume)
        for v in np.flatnonzero(members):
            degree = weights[v].sum()
            if degree > 0:
                total -= degree / volume * log2(degree / size)
    return total


def dense(graph):
    """Weight matrix (N, N)."""
    matrix = np.zeros((graph.n_nodes, graph.n_nodes))
    for v in range(graph.n_nodes):
        row = slice(graph.indptr[v], graph.indptr[v + 1])
        matrix[v, graph.indices[row]] = graph.weights[row]
    return matrix


def random_graph(seed, n_nodes, density=0.5):
    """Edges drawn independently, weights uniform in (0, 1]."""
    rng = np.random.default_rng(seed)
    i, j = np.triu_indices(n_nodes, 1)
    kept = rng.random(i.size) < density
    return Graph.from_edges(n_nodes, i[kept], j[kept], 1.0 - rng.random(int(kept.sum())))


def partitions(n):
    """Every partition of n items as a tuple of labels (restricted growth strings)."""

    def grow(prefix, used):
        if len(prefix) == n:
            yield tuple(prefix)
            return
        for label in range(used + 1):
            yield from grow([*prefix, label], max(used, label + 1))

    yield from grow([], 0)
