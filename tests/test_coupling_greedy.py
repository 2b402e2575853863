"""Greedy coupling and the two lower bounds: laws met, guarantees kept, numbers that others published."""

import doctest
import itertools
import math
import time

import numpy as np
import pytest
from scipy.optimize import linprog

from bitfloor.entropy_models import coupling
from bitfloor.entropy_models.coupling import (
    GREEDY_GAP,
    entropy,
    greedy_cells,
    greedy_coupling,
    majorisation_bound,
    profile_bound,
)
from bitfloor.errors import UsageError


def random_law(rng, size):
    """Laws of several tempers: flat, exponential, heavy-tailed, with zeros."""
    masses = [rng.random, lambda n: rng.exponential(size=n), lambda n: rng.exponential(size=n) ** 6][rng.integers(3)](
        size
    )
    if size > 1 and rng.random() < 0.3:
        masses[rng.integers(size)] = 0.0
    return masses / masses.sum()


def vertices_minimum(p, q):
    """Least entropy over all couplings: entropy is concave, so over the vertices of the transport polytope.

    A vertex is a basic solution: every choice of n + m - 1 cells whose equations can be solved with x >= 0.
    """
    n, m = len(p), len(q)
    rows = np.zeros((n + m, n * m))
    for i, j in itertools.product(range(n), range(m)):
        rows[i, i * m + j] = rows[n + j, i * m + j] = 1
    target = np.concatenate([p, q])
    best = math.inf
    for basis in itertools.combinations(range(n * m), n + m - 1):
        matrix = rows[:, basis]
        if np.linalg.matrix_rank(matrix) < n + m - 1:
            continue
        cells = np.linalg.lstsq(matrix, target, rcond=None)[0]
        if cells.min() > -1e-12:
            best = min(best, entropy(np.maximum(cells, 0)))
    return best


def test_ten_thousand_pairs_lie_between_the_profile_bound_and_half_a_bit_above():
    rng = np.random.default_rng(1)
    worst = 0.0
    for _ in range(10_000):
        p, q = random_law(rng, rng.integers(1, 13)), random_law(rng, rng.integers(1, 13))
        found, bound = greedy_coupling(p, q), profile_bound(p, q)
        assert bound - 1e-9 <= found.entropy <= bound + GREEDY_GAP + 1e-9
        assert majorisation_bound(p, q) <= found.entropy + 1e-9
        worst = max(worst, found.entropy - bound)
    assert worst > 0.2  # the test means something: pairs far from the bound did occur


def test_bounds_and_greedy_against_the_true_optimum():
    rng = np.random.default_rng(2)
    for _ in range(40):
        p, q = random_law(rng, 3), random_law(rng, 3)
        best = vertices_minimum(p, q)
        assert majorisation_bound(p, q) <= best + 1e-9
        assert profile_bound(p, q) <= best + 1e-9
        assert best - 1e-9 <= greedy_coupling(p, q).entropy <= best + GREEDY_GAP


def test_marginals_are_met_and_the_cells_sum_to_exactly_one():
    rng = np.random.default_rng(3)
    for _ in range(300):
        laws = [random_law(rng, rng.integers(1, 30)) for _ in range(rng.integers(2, 5))]
        found = greedy_coupling(*laws)
        assert math.fsum(found.mass) == 1.0
        assert found.mass.min() > 0
        assert len(found.mass) <= sum(map(len, laws)) - len(laws) + 1
        assert len(np.unique(found.index, axis=0)) == len(found.index)
        for axis, law in enumerate(laws):
            np.testing.assert_allclose(found.marginal(axis), law, rtol=0, atol=1e-14)
        dense = found.dense()
        assert dense.shape == tuple(map(len, laws))
        assert dense.sum() == pytest.approx(1, abs=1e-12)


def test_many_marginals_agree_with_two_and_keep_their_guarantee():
    rng = np.random.default_rng(4)
    for _ in range(200):
        p, q, r = (random_law(rng, 6) for _ in range(3))
        assert greedy_coupling(p, q, [1.0]).entropy == pytest.approx(greedy_coupling(p, q).entropy, abs=1e-12)
        three = greedy_coupling(p, q, r)
        assert profile_bound(p, q, r) - 1e-9 <= three.entropy <= profile_bound(p, q, r) + 1.23
        assert three.mutual_information == pytest.approx(entropy(p) + entropy(q) + entropy(r) - three.entropy, abs=1e-9)


def test_hand_worked_example():
    found = greedy_coupling([0.6, 0.4], [0.5, 0.3, 0.2])
    np.testing.assert_allclose(found.dense(), [[0.5, 0, 0.1], [0, 0.3, 0.1]], atol=1e-15)
    assert majorisation_bound([0.6, 0.4], [0.5, 0.3, 0.2]) == pytest.approx(entropy([0.5, 0.3, 0.2]))
    # Ascending states .4|.6 and .2|.3|.5: the smallest at each quantile is .2 up to .2, .3 up to .5, then .5.
    expected = 0.2 * math.log2(5) + 0.3 * math.log2(1 / 0.3) + 0.5 * math.log2(2)
    assert profile_bound([0.6, 0.4], [0.5, 0.3, 0.2]) == pytest.approx(expected)


def test_published_averages_for_uniform_marginals_of_eight():
    rng = np.random.default_rng(5)
    rows = []
    for _ in range(2000):
        p, q = rng.random(8), rng.random(8)
        p, q = p / p.sum(), q / q.sum()
        rows.append(
            (
                entropy(p) + entropy(q),
                greedy_coupling(p, q).entropy,
                majorisation_bound(p, q),
                profile_bound(p, q),
            )
        )
    np.testing.assert_allclose(np.mean(rows, axis=0), [5.469, 3.106, 2.824, 2.907], atol=0.015)


def test_integer_greedy_is_exact_and_equals_the_real_one():
    rng = np.random.default_rng(6)
    for _ in range(200):
        p, q = rng.integers(0, 1000, rng.integers(1, 20)), rng.integers(0, 1000, rng.integers(1, 20))
        p[0], q[0] = 1000 * len(p) * len(q) - p[1:].sum(), 1000 * len(p) * len(q) - q[1:].sum()
        rows, columns, mass = greedy_cells(p, q)
        assert mass.min() > 0
        np.testing.assert_array_equal(np.bincount(rows, mass, len(p)).astype(int), p)
        np.testing.assert_array_equal(np.bincount(columns, mass, len(q)).astype(int), q)
        assert entropy(mass / mass.sum()) == pytest.approx(greedy_coupling(p / p.sum(), q / q.sum()).entropy)
    # Equal masses are taken by index: part of the file format.
    assert [a.tolist() for a in greedy_cells([2, 2, 2], [3, 3])] == [[0, 1, 2, 2], [0, 1, 0, 1], [2, 2, 1, 1]]
    with pytest.raises(ValueError, match="totals differ"):
        greedy_cells([1, 2], [4])


def test_tiny_masses_and_zeros():
    p = np.array([1e-300, 0.5, 0.0, 0.5, 5e-324])
    q = np.array([0.25, 1e-17, 0.75])
    found = greedy_coupling(p, q)
    assert math.fsum(found.mass) == 1.0
    assert found.mass.min() > 0
    assert found.marginal(0)[0] == 1e-300
    assert found.marginal(0)[2] == 0.0
    assert found.marginal(1)[1] == pytest.approx(1e-17, rel=1e-9)
    assert np.isfinite([found.entropy, profile_bound(p, q), majorisation_bound(p, q)]).all()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([0.5, 0.6], "sums to 1.1"),
        ([1.5, -0.5], "negative mass"),
        ([0.5, float("nan")], "no number"),
        ([], "non-empty"),
        ([[0.5, 0.5]], "one-dimensional"),
        ([0.0, 0.0], "no mass"),
        (["a"], "not a list of numbers"),
    ],
)
def test_what_is_no_law_is_refused(bad, message):
    with pytest.raises(UsageError, match=message):
        greedy_coupling([0.5, 0.5], bad)


def test_counts_become_a_law_even_when_they_are_tiny():
    np.testing.assert_allclose(coupling.as_law([1e-310, 3e-310], normalise=True), [0.25, 0.75], rtol=1e-10)
    with pytest.raises(UsageError, match="at least two laws"):
        greedy_coupling([1.0])


@pytest.mark.slow
def test_65536_by_65536_in_a_second():
    """pytest -m slow tests/test_coupling_greedy.py"""
    rng = np.random.default_rng(7)
    p, q = rng.exponential(size=65536), rng.random(65536)
    p, q = p / p.sum(), q / q.sum()
    fastest = math.inf
    for _ in range(3):  # CPU time: other work on the machine is not what is measured
        start = time.process_time()
        found = greedy_coupling(p, q)
        fastest = min(fastest, time.process_time() - start)
    assert fastest < 1.0
    assert profile_bound(p, q) <= found.entropy <= profile_bound(p, q) + GREEDY_GAP


def test_coupling_is_a_vertex_of_the_transport_polytope():
    """Greedy cells form a forest, so a linear programme with those cells free has one solution only."""
    rng = np.random.default_rng(8)
    p, q = random_law(rng, 5), random_law(rng, 7)
    found = greedy_coupling(p, q)
    equations = np.zeros((12, len(found.mass)))
    for cell, (i, j) in enumerate(found.index):
        equations[i, cell] = equations[5 + j, cell] = 1
    solved = linprog(rng.normal(size=len(found.mass)), A_eq=equations, b_eq=np.concatenate([p, q]), bounds=(0, 1))
    np.testing.assert_allclose(solved.x, found.mass, atol=1e-9)


def test_documented_example():
    assert doctest.testmod(coupling).attempted == 3
    assert doctest.testmod(coupling).failed == 0
