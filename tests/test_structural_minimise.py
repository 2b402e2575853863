"""Minimisation against every partition of small graphs, the naive greedy rule, and its own promises."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structural_reference import dense, encoding_tree_entropy, partitions, random_graph

from bitfloor.entropy_models.structural import Graph, Method, minimise, neighbour_graph, two_dimensional
from bitfloor.entropy_models.structural.entropy import compact
from bitfloor.entropy_models.structural.hierarchy import disentangled_merge, hierarchical_merge, merge_within
from bitfloor.entropy_models.structural.merge import greedy_merge
from bitfloor.entropy_models.structural.moves import move_nodes
from bitfloor.errors import UsageError

METHODS = get_args(Method)
seeds = st.integers(0, 10**6)


def naive_greedy(graph, labels):
    """The rule as written: all pairs of communities, each merge judged by evaluating H2 anew."""
    labels = compact(labels)
    current = two_dimensional(graph, labels)
    while labels.max() > 0:
        count = labels.max() + 1
        best = min(
            (two_dimensional(graph, np.where(labels == y, x, labels)), x, y) for y in range(count) for x in range(y)
        )
        if best[0] >= current - 1e-12:
            break
        current, x, y = best
        labels = compact(np.where(labels == y, x, labels))
    return labels


def blocks(sizes, seed=0, spread=0.02):
    """Features in tight bundles of the given sizes around random directions, and the bundle of each."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    centres = rng.standard_normal((len(sizes), 24))
    return (centres[truth] + spread * rng.standard_normal((truth.size, 24))).astype(np.float32), truth


@settings(deadline=None, max_examples=60)
@given(seeds, st.integers(2, 14), st.sampled_from([0.2, 0.5, 1.0]))
def test_greedy_merge_is_the_naive_rule(seed, n_nodes, density):
    graph = random_graph(seed, n_nodes, density)
    np.testing.assert_array_equal(greedy_merge(graph), naive_greedy(graph, np.arange(n_nodes)))


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_greedy_merge_from_communities_is_the_naive_rule(seed):
    graph = random_graph(seed, 20, 0.3)
    start = compact(np.random.default_rng(seed).integers(0, 9, 20))
    np.testing.assert_array_equal(greedy_merge(graph, start), naive_greedy(graph, start))


def test_greedy_merge_is_the_naive_rule_on_a_larger_graph():
    # Long enough that heap entries go stale in every way.
    graph, _ = neighbour_graph(np.random.default_rng(3).standard_normal((60, 5)), 4)
    np.testing.assert_array_equal(greedy_merge(graph), naive_greedy(graph, np.arange(60)))


@pytest.mark.parametrize("n_nodes", [2, 5, 7, 8])
def test_against_every_partition(n_nodes):
    # Bell(8) = 4140 partitions. The minimum is a bound, and minimise() reaches it in most cases.
    reached = 0
    for seed in range(6):
        graph = random_graph(seed, n_nodes, 0.6)
        if graph.volume == 0:
            reached += 1
            continue
        matrix = dense(graph)
        least = min(encoding_tree_entropy(matrix, p) for p in partitions(n_nodes))
        found = two_dimensional(graph, minimise(graph))
        assert found >= least - 1e-12
        reached += found < least + 1e-12
    assert reached >= 4


def test_the_number_of_partitions_is_the_bell_number():
    assert [sum(1 for _ in partitions(n)) for n in range(1, 9)] == [1, 2, 5, 15, 52, 203, 877, 4140]


@pytest.mark.parametrize("method", METHODS)
def test_separate_bundles_are_the_codes(method):
    features, truth = blocks([5, 6, 5, 7, 6, 5])
    graph, _ = neighbour_graph(features, 4)
    labels = minimise(graph, method, features=features, chunk=10, n_cells=6)
    np.testing.assert_array_equal(labels, compact(truth))


@settings(deadline=None, max_examples=40)
@given(seeds, st.integers(3, 16))
@example(3323, 4)  # a node all of whose neighbours are with it does better alone
def test_moves_end_where_no_single_move_helps(seed, n_nodes):
    graph = random_graph(seed, n_nodes, 0.4)
    labels = move_nodes(graph)
    reached = two_dimensional(graph, labels)
    for node in range(n_nodes):
        for target in range(labels.max() + 2):
            moved = labels.copy()
            moved[node] = target
            assert two_dimensional(graph, moved) >= reached - 1e-9


@settings(deadline=None, max_examples=40)
@given(seeds, st.integers(3, 30))
def test_merges_and_moves_never_raise_the_entropy(seed, n_nodes):
    graph = random_graph(seed, n_nodes, 0.3)
    start = compact(np.random.default_rng(seed).integers(0, 8, n_nodes))
    before = two_dimensional(graph, start)
    for step in (greedy_merge, move_nodes):
        assert two_dimensional(graph, step(graph, start)) <= before + 1e-12


def test_every_single_merge_and_move_lowers_the_entropy(monkeypatch):
    from bitfloor.entropy_models.structural import merge, moves

    graph, _ = neighbour_graph(np.random.default_rng(8).standard_normal((80, 4)), 5)
    values = []

    class Merging(merge._Merging):
        def merge(self, c, d):
            kept = super().merge(c, d)
            values.append(two_dimensional(graph, compact(self.roots())))
            return kept

    class Game(moves._Game):
        def _move(self, *args):
            super()._move(*args)
            values.append(two_dimensional(graph, compact(np.array(self.labels))))

    monkeypatch.setattr(merge, "_Merging", Merging)
    monkeypatch.setattr(moves, "_Game", Game)
    for step in (greedy_merge, move_nodes):
        values[:] = [two_dimensional(graph, np.arange(80))]
        assert two_dimensional(graph, step(graph)) == pytest.approx(values[-1])
        assert len(values) > 40
        assert (np.diff(values) < 0).all()


def test_refinement_lowers_the_entropy_of_every_method():
    features = np.random.default_rng(9).standard_normal((400, 6)).astype(np.float32)
    graph, _ = neighbour_graph(features, 6)
    for method in METHODS:
        plain, refined = (
            two_dimensional(graph, minimise(graph, method, features=features, chunk=50, n_cells=30, refine=r))
            for r in (False, True)
        )
        assert refined < plain < two_dimensional(graph, np.arange(400))


@pytest.mark.parametrize("method", METHODS)
def test_the_same_input_gives_the_same_codes(method):
    features = np.random.default_rng(10).standard_normal((300, 6)).astype(np.float32)
    graph, _ = neighbour_graph(features, 5)
    first, second = (minimise(graph, method, features=features, n_cells=20) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first[0] == 0 and set(first) == set(range(first.max() + 1))


def test_merge_within_is_greedy_in_each_subgraph():
    graph = random_graph(11, 40, 0.3)
    cells = np.arange(40) % 3
    merged = merge_within(graph, np.arange(40), cells)
    for cell in range(3):
        nodes = np.flatnonzero(cells == cell)
        alone = naive_greedy(graph.subgraph(nodes), np.arange(nodes.size))
        np.testing.assert_array_equal(compact(merged[nodes]), alone)
    assert not set(merged[cells == 0]) & set(merged[cells == 1])


def test_a_single_subgraph_is_vanilla_minimisation():
    features = np.random.default_rng(12).standard_normal((90, 4)).astype(np.float32)
    graph, _ = neighbour_graph(features, 4)
    np.testing.assert_array_equal(hierarchical_merge(graph, chunk=90), greedy_merge(graph))
    np.testing.assert_array_equal(disentangled_merge(graph, features, n_cells=1), greedy_merge(graph))


def test_hierarchy_doubles_its_chunks_when_nothing_merges():
    # Partners stand four apart, so chunks of two hold no edge, and chunks of four hold none either.
    graph = Graph.from_edges(16, np.arange(4), np.arange(4) + 8, np.ones(4))
    labels = hierarchical_merge(graph, chunk=2)
    np.testing.assert_array_equal(labels[:4], labels[8:12])
    assert labels.max() + 1 == 12


@pytest.mark.parametrize("method", METHODS)
def test_graphs_without_edges_stay_as_they_are(method):
    nothing = np.zeros(0, dtype=int)
    graph = Graph.from_edges(3, nothing, nothing, np.zeros(0))
    labels = minimise(graph, method, features=np.eye(3), n_cells=2)
    np.testing.assert_array_equal(labels, [0, 1, 2])


def test_requests_that_are_refused():
    graph = random_graph(0, 6)
    with pytest.raises(UsageError, match="unknown method"):
        minimise(graph, "best")
    with pytest.raises(UsageError, match="features"):
        minimise(graph, "disentangled")
    with pytest.raises(UsageError, match="two clusters"):
        minimise(graph, "hierarchical", chunk=1)
    with pytest.raises(UsageError, match="do not belong"):
        minimise(graph, "disentangled", features=np.ones((5, 2)))
    with pytest.raises(UsageError, match="cells"):
        minimise(graph, "disentangled", features=np.ones((6, 2)), n_cells=0)
