"""Frozen probability tables against scipy, exact rational arithmetic and a textbook Elias gamma code."""

import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save
from scipy import stats

from bitfloor.entropy_models.coding import escape
from bitfloor.entropy_models.coding.tables import (
    OFFSET_MAX,
    ROW_SUM_MAX,
    SCALES,
    ProbabilityTables,
    gaussian_tables,
    normalised_rows,
    scale_table,
    tables_from_pmfs,
)
from bitfloor.errors import ModelError

TOTAL = 2**24
INT32 = st.integers(-(2**31), 2**31 - 1)


@pytest.fixture(scope="module")
def gaussian():
    return gaussian_tables()


def test_scales():
    assert len(SCALES) == 64
    assert SCALES[0] == 0.11
    assert SCALES[-1] == 128
    ratios = SCALES[1:] / SCALES[:-1]
    assert np.allclose(ratios, (128 / 0.11) ** (1 / 63), rtol=1e-12)
    assert np.allclose(scale_table(1, 8, 4), [1, 2, 4, 8])
    for bad in ((0, 1, 4), (2, 1, 4), (1, 2, 1)):
        with pytest.raises(ValueError, match="scale table"):
            scale_table(*bad)


def test_gaussian_frequencies_are_scipys_bin_masses(gaussian):
    for index, scale in enumerate(SCALES):
        row = gaussian.row(index)
        first = int(gaussian.offsets[index])
        symbols = np.arange(first, first + len(row) - 1)
        assert symbols[-1] == -first
        mass = stats.norm.cdf(symbols + 0.5, scale=scale) - stats.norm.cdf(symbols - 0.5, scale=scale)
        outside = 2 * stats.norm.sf(-first + 0.5, scale=scale)
        assert outside <= 2**-16
        assert int(row.sum()) == TOTAL
        # One part in 2^24 a slot is kept back, one comes from rounding, 16 are the escape's floor.
        assert np.all(np.abs(row[:-1] - mass * TOTAL) <= 2 + (len(row) + 16) * mass)
        assert abs(row[-1] - max(outside, 2**-20) * TOTAL) <= 2


def test_gaussian_tables_cost_no_more_than_the_entropy(gaussian):
    """Cross entropy of the table less the entropy of the binned Gaussian, both over the table's symbols."""
    for index, scale in enumerate(SCALES):
        row = gaussian.row(index).astype(float)
        symbols = np.arange(len(row) - 1) + gaussian.offsets[index]
        mass = stats.norm.cdf(symbols + 0.5, scale=scale) - stats.norm.cdf(symbols - 0.5, scale=scale)
        assert 0 <= float(mass @ np.log2(mass * TOTAL / row[:-1])) + 2**-15 < 1e-4


def test_pmfs_become_tables():
    tables = tables_from_pmfs([[0.5, 0.25, 0.25], [0.25, 0.5]], [-1, 7])
    assert tables.lengths.tolist() == [4, 3]
    assert tables.offsets.tolist() == [-1, 7]
    assert np.allclose(tables.row(0) / TOTAL, [0.5, 0.25, 0.25, 0], atol=2e-6)
    assert np.allclose(tables.row(1) / TOTAL, [0.25, 0.5, 0.25], atol=2e-6)


def test_wide_pmfs_are_cut_at_both_ends():
    symbols = np.arange(-500, 501)
    pmf = stats.norm.cdf(symbols + 0.5, 3, 2) - stats.norm.cdf(symbols - 0.5, 3, 2)
    tables = tables_from_pmfs([pmf, pmf], [-500, -500], tail_mass=1e-3)
    first = int(tables.offsets[0])
    last = first + int(tables.lengths[0]) - 2
    assert stats.norm.cdf(first - 0.5, 3, 2) <= 5e-4 < stats.norm.cdf(first + 0.5, 3, 2)
    assert stats.norm.sf(last + 0.5, 3, 2) <= 5e-4 < stats.norm.sf(last - 0.5, 3, 2)
    outside = stats.norm.cdf(first - 0.5, 3, 2) + stats.norm.sf(last + 0.5, 3, 2)
    assert abs(tables.row(0)[-1] / TOTAL - outside) < 2e-7


def test_a_pmf_below_the_tail_mass_keeps_its_peak():
    tables = tables_from_pmfs([[1e-9, 3e-9, 2e-9]], [4])
    assert (tables.offsets.tolist(), tables.lengths.tolist()) == ([5], [2])
    assert tables.row(0).tolist() == [1, TOTAL - 1]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.integers(-100, 100))
def test_any_pmf_gives_a_table_near_it(weights, offset):
    masses = np.array(weights)
    if masses.sum() == 0:
        masses[0] = 1
    masses /= max(masses.sum(), 1)
    tables = tables_from_pmfs([masses], [offset], tail_mass=0.0)
    row = tables.row(0).astype(np.int64)
    assert row.min() >= 1
    assert row.sum() == TOTAL
    start = int(tables.offsets[0]) - offset
    kept = masses[start : start + len(row) - 1]
    assert masses.sum() - kept.sum() == pytest.approx(0, abs=1e-12)
    assert np.all(np.abs(row[:-1] / TOTAL - kept) < 1e-5)


@pytest.mark.parametrize("pmf", [[], [0.0], [-0.1, 0.5], [math.nan], [math.inf], [0.8, 0.3], [[0.5], [0.5]]])
def test_what_is_no_pmf_is_refused(pmf):
    with pytest.raises(ModelError, match="pmf"):
        tables_from_pmfs([pmf], [0])


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_scale_is_refused(scale):
    with pytest.raises(ModelError, match="scale"):
        gaussian_tables([1.0, scale])


def test_numbers_of_pmfs_and_tail_masses_are_checked():
    for pmfs, offsets in (([], []), ([[1.0]], [0, 1])):
        with pytest.raises(ValueError, match="pmfs"):
            tables_from_pmfs(pmfs, offsets)
    with pytest.raises(ValueError, match="tail mass"):
        gaussian_tables([1.0], tail_mass=0.0)


def test_tables_survive_a_safetensors_file(gaussian):
    arrays = load(save(gaussian.to_arrays("y.")))
    again = ProbabilityTables.from_arrays(arrays, "y.")
    assert np.array_equal(again.frequencies, gaussian.frequencies)
    assert np.array_equal(again.lengths, gaussian.lengths)
    assert np.array_equal(again.offsets, gaussian.offsets)
    assert arrays["y.frequencies"].dtype == np.uint32
    with pytest.raises(ModelError, match=r"z\.lengths"):
        ProbabilityTables.from_arrays(arrays, "z.")


@pytest.mark.parametrize(
    ("frequencies", "lengths", "offsets", "match"),
    [
        ([TOTAL - 1, 1], [2], [0, 0], "1 lengths for 2 offsets"),
        ([], [], [], "list of|lengths"),
        ([TOTAL], [1], [0], "lengths do not fit"),
        ([TOTAL - 1, 1, 1], [2], [0], "lengths do not fit"),
        ([TOTAL - 1, 2], [2], [0], "sum to"),
        ([TOTAL, 0], [2], [0], "at least 1"),
        ([TOTAL - 1, 1, 5, 5], [2, 2], [0, 0], "sum to"),
        ([TOTAL + 1, -1], [2], [0], "list of uint32"),
        ([TOTAL - 1.0, 1.0], [2], [0], "list of uint32"),
        ([[TOTAL - 1, 1]], [2], [0], "list of uint32"),
        ([TOTAL - 1, 1], [2], [2**31], "list of int32"),
        ([TOTAL - 1, 1], [2], [OFFSET_MAX + 1], "offsets"),
        ([TOTAL - 1, 1], [2], [-(2**31)], "offsets"),
    ],
)
def test_what_are_no_tables_is_refused(frequencies, lengths, offsets, match):
    with pytest.raises(ModelError, match=match):
        ProbabilityTables(np.array(frequencies), np.array(lengths, int), np.array(offsets, int))


def test_tables_cannot_be_changed(gaussian):
    with pytest.raises(ValueError, match="read-only"):
        gaussian.frequencies[0] = 5


@given(st.lists(INT32, min_size=1, max_size=20), st.integers(-OFFSET_MAX, OFFSET_MAX), st.integers(1, 5))
def test_slots(symbols, offset, size):
    near = [offset + step for step in range(-2, size + 2)]
    values = symbols + [value for value in near if -(2**31) <= value < 2**31]
    tables = tables_from_pmfs([[1 / size] * size], [offset], tail_mass=0.0)
    expected = [value - offset if offset <= value < offset + size else size for value in values]
    assert tables.slots(np.array(values, np.int32), 0).tolist() == expected


def gamma_length(number: int) -> int:
    """Bits of the Elias gamma code of a positive number, from its definition."""
    return 2 * (len(bin(number)) - 3) + 1


@given(st.lists(st.tuples(st.integers(-40, 40) | INT32, st.integers(0, 2)), max_size=30))
def test_ideal_bits_by_hand(pairs):
    tables = tables_from_pmfs([[0.5, 0.3], [1.0], [0.1] * 9], [-1, 5, -4], tail_mass=0.0)
    expected = 0.0
    for symbol, index in pairs:
        row, first = tables.row(index).tolist(), int(tables.offsets[index])
        last = first + len(row) - 2
        if first <= symbol <= last:
            expected -= math.log2(row[symbol - first] / TOTAL)
        else:
            distance = first - symbol - 1 if symbol < first else symbol - last - 1
            number = 2 * distance + (symbol < first) + 1
            expected -= math.log2(row[-1] / TOTAL)
            # Class probabilities are exact powers of two, but 9 parts of 2^24 for the largest and
            # 2^-24 from 2^23 on.
            length = gamma_length(number)
            expected += min(length, (length - 1) // 2 + 24)
    found = tables.ideal_bits([symbol for symbol, _ in pairs], [index for _, index in pairs])
    assert found == pytest.approx(expected, abs=1e-4)


def test_ideal_bits_checks_its_input(gaussian):
    with pytest.raises(ValueError, match="2 symbols for 1"):
        gaussian.ideal_bits([0, 0], [0])
    with pytest.raises(ValueError, match="indexes must lie in"):
        gaussian.ideal_bits([0], [64])
    with pytest.raises(ValueError, match="must be integers"):
        gaussian.ideal_bits([0.0], [0])


def test_escape_classes_are_half_a_quarter_and_so_on():
    frequencies = escape.class_frequencies()
    assert frequencies.sum() == TOTAL
    assert frequencies[1:24].tolist() == [2**22 >> step for step in range(23)]
    assert frequencies[0] == 2**23 - 9
    assert frequencies[24:].tolist() == [1] * 10


@given(INT32, st.integers(-OFFSET_MAX, OFFSET_MAX), st.integers(0, 2**24))
def test_escapes_join_again(symbol, first, reach):
    last = first + reach
    if first <= symbol <= last:
        symbol = last + 1
    arguments = [np.array([value], np.int64) for value in (first, last)]
    classes, mantissas = escape.split(np.array([symbol], np.int64), *arguments)
    assert 0 <= classes[0] < escape.CLASS_COUNT
    assert 0 <= mantissas[0] < 2 ** int(classes[0])
    assert escape.join(classes, mantissas, *arguments).tolist() == [symbol]


@given(
    st.integers(2, 6).flatmap(
        lambda k: st.lists(
            st.lists(st.integers(0, 50) | st.integers(0, ROW_SUM_MAX // 6), min_size=k, max_size=k),
            min_size=1,
            max_size=8,
        )
    )
)
def test_normalised_rows_are_exact(rows):
    rows = [row if sum(row) else [1, *row[1:]] for row in rows]
    result = normalised_rows(np.array(rows))
    for row, found in zip(rows, result.tolist(), strict=True):
        size, total = len(row), sum(row)
        running = [sum(row[: k + 1]) for k in range(size)]
        floors = [math.floor(Fraction(value * (TOTAL - size), total)) for value in running]
        assert found == [b - a + 1 for a, b in zip([0, *floors], floors, strict=False)]
        assert sum(found) == TOTAL


def test_normalised_rows_at_the_limit_of_float64():
    """Quotients one part in 2^28 below an integer, where a less exact division would round up."""
    factor = TOTAL - 2
    sums = [total for total in range(ROW_SUM_MAX - 5000, ROW_SUM_MAX + 1) if math.gcd(total, factor) == 1]
    heads = [-pow(factor, -1, total) % total for total in sums]
    assert all(head * factor % total == total - 1 for head, total in zip(heads, sums, strict=True))
    result = normalised_rows(np.stack((heads, np.subtract(sums, heads)), axis=1))
    expected = [head * factor // total + 1 for head, total in zip(heads, sums, strict=True)]
    assert result[:, 0].tolist() == expected


def test_normalised_rows_keep_frequencies_less_one():
    wanted = np.array([[1, 5, TOTAL - 6], [TOTAL - 2, 1, 1]])
    assert np.array_equal(normalised_rows(wanted - 1), wanted)


@pytest.mark.parametrize("rows", [[[0, 0]], [[-1, 2]], [[1.0, 2.0]], [[1]], [1, 2], [[ROW_SUM_MAX, 1]], [[2**40, 1]]])
def test_rows_that_are_no_frequencies_are_refused(rows):
    with pytest.raises(ValueError, match="frequencies"):
        normalised_rows(np.array(rows))


def test_tables_import_no_torch():
    code = "import sys, bitfloor.entropy_models.coding.tables; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
