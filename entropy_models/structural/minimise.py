"""Minimisation of two-dimensional structural entropy: which steps, in which order."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from ...errors import UsageError
from .entropy import two_dimensional
from .graph import Graph
from .hierarchy import disentangled_merge, hierarchical_merge
from .merge import greedy_merge
from .moves import move_nodes

Method = Literal["moves", "vanilla", "hierarchical", "disentangled"]
_MAX_ROUNDS = 8
_SETTLED = 1e-4  # bits of H2


def minimise(
    graph: Graph,
    method: Method = "moves",
    *,
    features: np.ndarray | None = None,
    refine: bool = True,
    chunk: int = 400,
    n_cells: int = 1024,
    seed: int = 0,
) -> np.ndarray:
    """A partition of the nodes with low H2; the number of communities is found, not given.

    Methods:
        moves: node moves from single nodes, then greedy merges and moves in turn. Lowest H2 and fastest
        where measured. vanilla: greedy merges from single nodes (SECodec's "vanilla 2D SE minimisation").
        hierarchical: the same over chunks of `chunk` consecutive clusters (HISEvent); the nodes' order
        matters. disentangled: the same over `n_cells` first-level cells of neighbouring features (SECodec,
        Figure 1).

    With `refine` the result is followed by node moves and merges in turn until H2 settles; every such step
    lowers H2.

    Args:
        graph: the graph.
        method: see above.
        features: (N, D), needed by "disentangled" only.
        refine: whether moves and merges follow; without it "moves" is node moves alone.
        chunk, n_cells, seed: see `hierarchical_merge` and `disentangled_merge`.

    Returns:
        Labels (N,) int64, numbered by first appearance.

    Raises:
        UsageError: for an unknown method or missing features.
    """
    if method == "moves":
        labels = move_nodes(graph)
    elif method == "vanilla":
        labels = greedy_merge(graph)
    elif method == "hierarchical":
        labels = hierarchical_merge(graph, chunk=chunk)
    elif method == "disentangled":
        if features is None:
            raise UsageError("disentangled minimisation needs the features, to make its cells")
        labels = disentangled_merge(graph, features, n_cells=n_cells, seed=seed)
    else:
        raise UsageError(f"unknown method {method!r}; known are {', '.join(get_args(Method))}")
    return settle(graph, labels) if refine else labels


def settle(graph: Graph, labels: np.ndarray) -> np.ndarray:
    """Merges and node moves in turn until a round lowers H2 by less than 0.0001 bits, or eight rounds."""
    before = two_dimensional(graph, labels)
    for _ in range(_MAX_ROUNDS):
        labels = move_nodes(graph, greedy_merge(graph, labels))
        after = two_dimensional(graph, labels)
        if before - after < _SETTLED:
            break
        before = after
    return labels
