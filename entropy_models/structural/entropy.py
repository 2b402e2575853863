"""Structural entropy of a graph and how it changes when communities merge, nodes move or a frame is attached.

All entropies are in bits. Notation of Li and Pan, "Structural information and dynamical complexity of
networks" (IEEE Trans. IT, 2016): `d_v` weighted degree, `V` the sum of all degrees, `V_X` the sum of
degrees in a community X, `g_X` the weight of the edges that leave X, and here `I_X = V_X - g_X`, twice the
weight of the edges inside X.

With `I_X` the two-dimensional entropy separates into a part that no partition changes and a sum over
communities,

    H2(G; P) = H1(G) + (1/V) sum_X I_X log2(V_X / V),

so that every change below costs a few logarithms whatever the size of the graph.
"""

from __future__ import annotations

import numpy as np

from ...errors import UsageError
from .graph import Graph


def one_dimensional(degrees: np.ndarray) -> float:
    """H1 in bits of weighted `degrees` (N,): the entropy of a random walk's place. 0 without edges."""
    positive = degrees[degrees > 0]
    volume = positive.sum()
    share = positive / volume if volume > 0 else positive
    return float(-(share * np.log2(share)).sum())


def one_dimensional_update(h1: float, volume: float, before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """H1 and volume after some nodes' degrees went from `before` to `after` (both (M,), each node once).

    Costs O(M), not O(N): the untouched terms only change their common divisor V.
    """
    new_volume = volume + float(after.sum() - before.sum())
    if new_volume <= 0:
        return 0.0, 0.0
    rescaled = 0.0
    if volume > 0:
        ratio = volume / new_volume
        rescaled = ratio * (h1 - np.log2(ratio))
    return float(rescaled + _plogp(before / new_volume).sum() - _plogp(after / new_volume).sum()), new_volume


def _plogp(share: np.ndarray) -> np.ndarray:
    return share * np.log2(np.where(share > 0, share, 1.0))


def compact(labels: np.ndarray) -> np.ndarray:
    """The same partition, int64, with labels 0, 1, 2, ... in the order of first appearance."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    return rank[inverse.reshape(-1)]


def community_statistics(graph: Graph, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Volumes `V_X` and twice the inner weights `I_X`, both (K,) float64, of the communities `labels` (N,).

    Raises:
        UsageError: when there is not one label per node.
    """
    if labels.shape != (graph.n_nodes,):
        raise UsageError(f"{graph.n_nodes} nodes need as many labels, not an array of shape {labels.shape}")
    count = int(labels.max()) + 1 if labels.size else 0
    volumes = np.bincount(labels, weights=graph.degrees, minlength=count)
    own = np.repeat(labels, np.diff(graph.indptr))
    inside = own == labels[graph.indices]
    return volumes, np.bincount(own[inside], weights=graph.weights[inside], minlength=count)


def two_dimensional(graph: Graph, labels: np.ndarray) -> float:
    """H2(G; P) in bits of the partition `labels` (N,) of the nodes. 0 without edges."""
    volumes, inner = community_statistics(graph, labels)
    used = inner > 0
    if not used.any():
        return one_dimensional(graph.degrees)
    bound = float((inner[used] * np.log2(volumes[used] / graph.volume)).sum())
    return one_dimensional(graph.degrees) + bound / graph.volume


def merge_delta(
    volume: float, x: tuple[np.ndarray, np.ndarray], y: tuple[np.ndarray, np.ndarray], w: np.ndarray
) -> np.ndarray:
    """Change of H2 in bits when communities X and Y, joined by edges of weight `w`, become one.

    `volume` is V of the graph; `x` and `y` are (volume, twice the inner weight). Broadcasts.
    Without an edge between them (w = 0) it is never negative, so only adjacent communities need be tried.
    """
    (v_x, i_x), (v_y, i_y) = x, y
    v_z = v_x + v_y
    grown = i_x * np.log2(v_z / v_x) + i_y * np.log2(v_z / v_y)
    return (grown - 2.0 * w * np.log2(volume / v_z)) / volume


def _term(inner: np.ndarray, size: np.ndarray, volume: float) -> np.ndarray:
    """I log2(U / V), and 0 where I = 0 whatever U."""
    used = inner > 0
    return np.where(used, inner * np.log2(np.where(used, size, volume) / volume), 0.0)


def move_delta(
    volume: float,
    degree: np.ndarray,
    home: tuple[np.ndarray, np.ndarray, np.ndarray],
    target: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> np.ndarray:
    """Change of H2 in bits when a node of weighted degree `degree` leaves its community for another.

    `home` and `target` are (V_X, I_X, w): volume and twice the inner weight before the move (home with the
    node, target without it; an empty target is three zeros) and the weight of the node's edges to the
    community's other members.
    """
    (v_a, i_a, w_a), (v_b, i_b, w_b) = home, target
    leave = _term(i_a - 2 * w_a, v_a - degree, volume) - _term(i_a, v_a, volume)
    join = _term(i_b + 2 * w_b, v_b + degree, volume) - _term(i_b, v_b, volume)
    return (leave + join) / volume


def select_delta(volume: float, v_i: np.ndarray, i_i: np.ndarray, w_i: np.ndarray, degree: np.ndarray) -> np.ndarray:
    """Change of H2 in bits when a newly attached frame x joins community i instead of staying alone.

    SECodec (arXiv 2501.00018), the quantiser's node game. `volume`, `v_i`, `i_i` describe the stored graph
    before x came; `w_i` is the weight of x's edges to members of i, `degree` = sum_i w_i. Attaching x adds
    `w_i` to V_i and 2 `degree` to V before anything is compared. Broadcasts; w_i and v_i must be positive.
    """
    attached = volume + 2.0 * degree
    touched = v_i + w_i
    joined = touched + degree
    return (i_i * np.log2(joined / touched) - 2.0 * w_i * np.log2(attached / joined)) / attached
