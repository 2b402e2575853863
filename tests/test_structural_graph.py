"""Nearest-neighbour graphs against brute force in float64."""

import numpy as np
import pytest
import torch
from structural_reference import dense, random_graph

from bitfloor.entropy_models.structural import Graph, neighbour_graph, one_dimensional
from bitfloor.entropy_models.structural.edges import (
    RankedEdges,
    entropy_by_neighbours,
    fallback_neighbours,
    first_stable_point,
)
from bitfloor.entropy_models.structural.neighbours import nearest, unit_rows
from bitfloor.errors import UsageError


def cosine_matrix(features):
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    matrix = unit @ unit.T
    np.fill_diagonal(matrix, -np.inf)
    return matrix


def brute_force_graph(features, k):
    """Edge where either node is among the other's k most similar and the cosine is positive."""
    cosine = cosine_matrix(features.astype(np.float64))
    rank = np.argsort(np.argsort(-cosine, axis=1), axis=1)
    near = rank < k
    return np.where((near | near.T) & (cosine > 0), cosine, 0.0)


@pytest.mark.parametrize(("n", "k"), [(7, 3), (50, 49), (700, 4), (1500, 11)])
def test_nearest_is_a_full_sort(n, k):
    features = np.random.default_rng(n).standard_normal((n, 6)).astype(np.float32)
    cosine = cosine_matrix(features.astype(np.float64))
    index, value = nearest(features, features, k, same=True)
    expected = np.sort(cosine, axis=1)[:, ::-1][:, :k]
    np.testing.assert_allclose(value, expected, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(cosine, index, axis=1), expected, atol=1e-6)
    assert all(len(set(row)) == k for row in index)


def test_nearest_of_other_rows_and_over_many_blocks(monkeypatch):
    rng = np.random.default_rng(1)
    queries, stored = rng.standard_normal((333, 5)), rng.standard_normal((1000, 5))
    whole = nearest(queries, stored, 3)
    monkeypatch.setattr("bitfloor.entropy_models.structural.neighbours._BLOCK_VALUES", 1)
    np.testing.assert_array_equal(nearest(queries, stored, 3)[0], whole[0])
    exact = (queries / np.linalg.norm(queries, axis=1)[:, None]) @ stored.T / np.linalg.norm(stored, axis=1)
    np.testing.assert_array_equal(whole[0][:, 0], exact.argmax(axis=1))


@pytest.mark.parametrize("k", [1, 3, 8])
def test_neighbour_graph_is_brute_force(k):
    features = np.random.default_rng(k).standard_normal((120, 4)).astype(np.float32)
    graph, used = neighbour_graph(features, k)
    assert used == k
    np.testing.assert_allclose(dense(graph), brute_force_graph(features, k), atol=1e-6)


def test_no_edge_without_positive_cosine():
    graph, _ = neighbour_graph(np.array([[1.0, 0.0], [-1.0, 0.1], [-1.0, -0.1], [0.0, 0.0]]), 3)
    np.testing.assert_allclose(graph.degrees, [0, 0.99 / 1.01, 0.99 / 1.01, 0], atol=1e-6)


def test_unit_rows_of_extreme_lengths():
    rows = unit_rows(np.array([[3e38, 3e38], [1e-40, 0], [0, 0]], dtype=np.float32))
    np.testing.assert_allclose(rows, [[0.5**0.5, 0.5**0.5], [1, 0], [0, 0]], rtol=1e-6)


def test_entropy_by_neighbours_is_recomputation():
    features = np.random.default_rng(2).standard_normal((90, 3)).astype(np.float32)
    edges = RankedEdges.from_neighbours(*nearest(features, features, 12, same=True))
    curve = entropy_by_neighbours(edges, edges.cosines(features), 12)
    direct = [one_dimensional(brute_force_graph(features, k).sum(axis=1)) for k in range(1, 13)]
    np.testing.assert_allclose(curve, direct, atol=1e-6)


def test_first_stable_point():
    assert first_stable_point(np.array([3.0, 2.0, 2.5, 1.0, 2.0])) == 2
    assert first_stable_point(np.array([3.0, 2.0, 2.0, 1.0, 2.0])) == 4  # strict on both sides
    assert first_stable_point(np.array([1.0, 2.0, 3.0])) is None
    assert first_stable_point(np.array([1.0])) is None


def test_k_is_found_where_none_is_given():
    features = np.random.default_rng(4).standard_normal((150, 3)).astype(np.float32)
    curve = [one_dimensional(brute_force_graph(features, k).sum(axis=1)) for k in range(1, 41)]
    stable = [k for k in range(2, 40) if curve[k - 1] < min(curve[k - 2], curve[k])]
    assert stable, "the example must have a stable point"
    graph, k = neighbour_graph(features, max_k=40)
    assert k == stable[0]
    np.testing.assert_allclose(dense(graph), brute_force_graph(features, k), atol=1e-6)
    # Without a stable point in reach: one neighbour in a hundred nodes, at most max_k.
    assert neighbour_graph(features, max_k=2)[1] == 2
    assert [fallback_neighbours(n) for n in (1, 100, 101, 10_000)] == [1, 1, 2, 100]


def test_the_graph_does_not_depend_on_threads():
    features = np.random.default_rng(5).standard_normal((2000, 16)).astype(np.float32)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(neighbour_graph(features, 5)[0])
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(results[0].indices, results[1].indices)
    np.testing.assert_array_equal(results[0].weights, results[1].weights)


def test_subgraph_and_contraction_are_those_of_the_matrix():
    graph = random_graph(6, 30, 0.2)
    matrix = dense(graph)
    nodes = np.array([0, 3, 4, 11, 12, 28, 29])
    np.testing.assert_array_equal(dense(graph.subgraph(nodes)), matrix[np.ix_(nodes, nodes)])
    labels = np.random.default_rng(0).integers(0, 5, 30)
    x, y, w = graph.contract(labels)
    summed = np.zeros((5, 5))
    summed[x, y] = w
    member = np.eye(5)[labels]
    np.testing.assert_allclose(summed, np.triu(member.T @ matrix @ member, 1))


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (([0], [0], [1.0]), "itself"),
        (([0, 1], [1, 0], [1.0, 1.0]), "more than once"),
        (([0], [3], [1.0]), "outside"),
        (([0], [1], [0.0]), "finite and positive"),
        (([0], [1], [np.nan]), "finite and positive"),
        (([0], [1, 2], [1.0]), "same length"),
    ],
)
def test_edges_that_are_refused(edges, message):
    with pytest.raises(UsageError, match=message):
        Graph.from_edges(3, *map(np.array, edges))


@pytest.mark.parametrize(
    ("features", "k", "message"),
    [
        (np.ones((1, 3)), 1, "two frames"),
        (np.ones(5), 1, "shape"),
        (np.array([[1.0, np.nan], [0.0, 1.0]]), 1, "NaN"),
        (np.ones((4, 2)), 4, "candidates"),
        (np.ones((4, 2)), 0, "candidates"),
    ],
)
def test_features_that_are_refused(features, k, message):
    with pytest.raises(UsageError, match=message):
        neighbour_graph(features, k)


def test_queries_of_another_width_are_refused():
    with pytest.raises(UsageError, match="dimensions"):
        nearest(np.ones((2, 3)), np.ones((2, 4)), 1)
