"""The range coder against a range decoder written from the textbook, ideal code lengths and hostile bytes."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from range_coder_helpers import TOTAL, TextbookDecoder, small_tables

from bitfloor.entropy_models.coding import range_coder
from bitfloor.entropy_models.coding.range_coder import RangeDecoder, RangeEncoder
from bitfloor.entropy_models.coding.tables import (
    SCALES,
    ProbabilityTables,
    gaussian_tables,
    normalised_rows,
    tables_from_pmfs,
)
from bitfloor.errors import CorruptStreamError


@pytest.fixture(scope="module")
def gaussian():
    return gaussian_tables()


@pytest.fixture(scope="module")
def small():
    return small_tables()


def test_the_stream_is_a_textbook_range_code_with_exactly_our_frequencies(gaussian):
    rng = np.random.default_rng(4)
    indexes = rng.integers(0, 64, 3000)
    symbols = np.rint(rng.normal(size=3000) * SCALES[indexes] * 0.8).astype(int)
    # An inexact step anywhere (a frequency off by one in 2^24) would derail a decoder of 3000 symbols.
    first, last = gaussian.edges(indexes)
    symbols = np.clip(symbols, first, last)
    rows = rng.integers(1, 1000, (500, 7))
    row_symbols = rng.integers(0, 7, 500)
    encoder = RangeEncoder()
    encoder.encode(symbols, indexes, gaussian)
    encoder.encode_rows(row_symbols, rows)
    decoder = TextbookDecoder(encoder.finish())
    for position in np.argsort(indexes, kind="stable"):
        row = gaussian.row(indexes[position]).tolist()
        assert decoder.symbol(row) + gaussian.offsets[indexes[position]] == symbols[position]
    for symbol, row in zip(row_symbols, normalised_rows(rows).tolist(), strict=True):
        assert decoder.symbol(row) == symbol


# Version 1 of the file format for ever: these bytes must decode to these symbols.
GOLDEN = bytes.fromhex("4c000003bd8413dcc223fdb97b7fffffffff0d400d3ed1a5ffd449ed7503f3")
GOLDEN_SYMBOLS = [0, -1, 5, 100, 101, 99, -(2**31), 2**31 - 1]
GOLDEN_INDEXES = [0, 0, 0, 1, 1, 1, 0, 1]


def test_golden_bytes(small):
    encoder = RangeEncoder()
    encoder.encode(GOLDEN_SYMBOLS, GOLDEN_INDEXES, small)
    encoder.encode_uniform([0, 999_999, 123_456], 1_000_000)
    encoder.encode_rows([0, 2], [[1, 2, 3], [5, 0, 0]])
    assert encoder.finish() == GOLDEN
    decoder = RangeDecoder(GOLDEN)
    assert decoder.decode(GOLDEN_INDEXES, small).tolist() == GOLDEN_SYMBOLS
    assert decoder.decode_uniform(3, 1_000_000).tolist() == [0, 999_999, 123_456]
    assert decoder.decode_rows([[1, 2, 3], [5, 0, 0]]).tolist() == [0, 2]


def test_a_million_symbols_cost_their_ideal_length(gaussian):
    rng = np.random.default_rng(5)
    indexes = rng.integers(0, 64, 1_000_000).astype(np.int16)
    # Student's t has heavier tails than the tables, so that escapes are among the symbols.
    symbols = np.rint(rng.standard_t(5, size=indexes.size) * SCALES[indexes]).astype(np.int32)
    encoder = RangeEncoder()
    encoder.encode(symbols, indexes, gaussian)
    data = encoder.finish()
    first, last = gaussian.edges(indexes)
    assert np.count_nonzero((symbols < first) | (symbols > last)) > 1000
    ideal = gaussian.ideal_bits(symbols, indexes) / 8
    assert ideal - 1 <= len(data) <= 1.0005 * ideal + 2
    assert np.array_equal(RangeDecoder(data).decode(indexes, gaussian), symbols)


def test_many_short_calls_cost_no_more_than_one(gaussian):
    rng = np.random.default_rng(6)
    indexes = rng.integers(0, 64, (400, 25))
    symbols = np.rint(rng.normal(size=indexes.shape) * SCALES[indexes]).astype(np.int32)
    encoder = RangeEncoder()
    for row, chosen in zip(symbols, indexes, strict=True):
        encoder.encode(row, chosen, gaussian)
    data = encoder.finish()
    assert len(data) <= 1.0005 * gaussian.ideal_bits(symbols, indexes) / 8 + 2
    decoder = RangeDecoder(data)
    for row, chosen in zip(symbols, indexes, strict=True):
        assert np.array_equal(decoder.decode(chosen, gaussian), row)


symbol = st.integers(-3, 3) | st.integers(98, 104) | st.integers(-(2**31), 2**31 - 1)
call = st.one_of(
    st.tuples(st.just("tables"), st.lists(st.tuples(symbol, st.integers(0, 1)), max_size=12)),
    st.tuples(
        st.just("uniform"),
        st.integers(1, 2**40).flatmap(
            lambda size: st.tuples(st.just(size), st.lists(st.integers(0, size - 1), max_size=6))
        ),
    ),
    st.tuples(st.just("rows"), st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2**20)), max_size=6)),
)


def encode_call(encoder, small, kind, content):
    if kind == "tables":
        encoder.encode([value for value, _ in content], [index for _, index in content], small)
    elif kind == "uniform":
        encoder.encode_uniform(content[1], content[0])
    else:
        rows = np.array([(weight, 1, 7) for _, weight in content], dtype=int).reshape(-1, 3)
        encoder.encode_rows(np.array([value for value, _ in content], dtype=int), rows)


def decode_call(decoder, small, kind, content):
    if kind == "tables":
        decoded = decoder.decode(np.array([index for _, index in content], dtype=int), small)
        return decoded.tolist() == [value for value, _ in content]
    if kind == "uniform":
        return decoder.decode_uniform(len(content[1]), content[0]).tolist() == content[1]
    rows = np.array([(weight, 1, 7) for _, weight in content], dtype=int).reshape(-1, 3)
    return decoder.decode_rows(rows).tolist() == [value for value, _ in content]


@settings(max_examples=300)
@given(st.lists(call, max_size=8))
def test_any_sequence_of_calls_decodes(small, calls):
    encoder = RangeEncoder()
    for kind, content in calls:
        encode_call(encoder, small, kind, content)
    decoder = RangeDecoder(encoder.finish())
    for kind, content in calls:
        assert decode_call(decoder, small, kind, content)


# --- the end of the stream ---------------------------------------------------------------------------


def coded(digits, frequencies):
    encoder = RangeEncoder()
    encoder.encode(digits, np.zeros(len(digits), int), one_table(frequencies))
    return encoder.finish()


def one_table(frequencies):
    return ProbabilityTables(np.array(frequencies), np.array([len(frequencies)]), np.array([0]))


def test_the_end_is_as_short_as_can_be():
    """At most a byte above the ideal, and no string that is shorter by a byte decodes to the same symbols."""
    frequencies = [TOTAL - 6_000_000, 4_000_000, 1_999_999, 1]
    table = one_table(frequencies)
    rng = random.Random(7)
    lengths = set()
    for _ in range(300):
        digits = rng.choices(range(3), weights=frequencies[:3], k=rng.randint(1, 14))
        data = coded(digits, frequencies)
        lengths.add(len(data))
        indexes = np.zeros(len(digits), int)
        assert RangeDecoder(data).decode(indexes, table).tolist() == digits
        assert len(data) * 8 <= table.ideal_bits(digits, indexes) + 8.01
        if 1 <= len(data) <= 2:
            shorter = [b""] if len(data) == 1 else [bytes((byte,)) for byte in range(256)]
            for other in shorter:
                try:
                    assert RangeDecoder(other).decode(indexes, table).tolist() != digits
                except CorruptStreamError:
                    continue
    assert {0, 1, 2, 3} <= lengths


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 13, 100, 1000])
@pytest.mark.parametrize("last", [False, True])
def test_runs_of_the_first_and_the_last_slot(length, last):
    """The interval clings to 0 (nothing to write) or to the top (carries that wait through many words)."""
    frequencies = [2**14, TOTAL - 2**15, 2**14]
    for tail in ([], [0], [1], [0, 0, 0], [1, 0, 1]):
        # The third slot is the escape's: symbol 2 is its nearest value, class 0.
        digits = [2 if last else 0] * length + tail
        data = coded(digits, frequencies)
        indexes = np.zeros(len(digits), int)
        assert RangeDecoder(data).decode(indexes, one_table(frequencies)).tolist() == digits
        if not last and not any(tail):
            assert data == b""


def test_carries_through_waiting_words():
    """Uniform bits that lead to the top of the range and then, or not, across a word's edge."""
    rng = random.Random(8)
    for _ in range(400):
        bits = [rng.choice((0, 255))] * rng.randint(0, 24) + [rng.randrange(256)] * rng.randint(0, 3)
        thirds = [rng.randrange(3) for _ in range(rng.randint(0, 30))]
        encoder = RangeEncoder()
        encoder.encode_uniform(thirds, 3)
        encoder.encode_uniform(bits, 256)
        encoder.encode_uniform(thirds, 3)
        data = encoder.finish()
        assert len(data) <= len(bits) + 2 * len(thirds) * np.log2(3) / 8 + 1.01
        assert not data.endswith(b"\x00")
        decoder = RangeDecoder(data)
        assert decoder.decode_uniform(len(thirds), 3).tolist() == thirds
        assert decoder.decode_uniform(len(bits), 256).tolist() == bits
        assert decoder.decode_uniform(len(thirds), 3).tolist() == thirds


def test_nothing_takes_no_bytes(gaussian):
    encoder = RangeEncoder()
    encoder.encode([], [], gaussian)
    encoder.encode_uniform([], 7)
    encoder.encode_uniform([0, 0, 0], 1)
    encoder.encode_rows([], np.zeros((0, 4), int))
    assert encoder.finish() == b""
    decoder = RangeDecoder(b"")
    assert decoder.decode(np.zeros((3, 0, 2), int), gaussian).shape == (3, 0, 2)
    assert decoder.decode_uniform(0, 7).tolist() == []
    assert decoder.decode_uniform(3, 1).tolist() == [0, 0, 0]
    assert decoder.decode_rows(np.zeros((0, 4), int)).tolist() == []


# --- shapes, sizes, wrong calls ----------------------------------------------------------------------


def test_symbols_come_back_in_the_shape_of_the_indexes(gaussian):
    rng = np.random.default_rng(9)
    indexes = rng.integers(0, 64, (2, 6, 4)).transpose(2, 0, 1)[::2]
    symbols = np.asfortranarray(rng.integers(-9, 9, indexes.shape))
    encoder = RangeEncoder()
    encoder.encode(symbols, indexes, gaussian)
    decoded = RangeDecoder(encoder.finish()).decode(indexes, gaussian)
    assert decoded.dtype == np.int32
    assert decoded.shape == (2, 2, 6)
    assert np.array_equal(decoded, symbols)


def test_more_tables_than_a_byte_counts():
    rng = np.random.default_rng(10)
    tables = tables_from_pmfs([[0.2, 0.5, 0.3]] * 300, list(range(300)))
    indexes = rng.integers(0, 300, 2000)
    symbols = indexes + rng.integers(0, 3, 2000)
    encoder = RangeEncoder()
    encoder.encode(symbols, indexes, tables)
    assert np.array_equal(RangeDecoder(encoder.finish()).decode(indexes, tables), symbols)


@pytest.mark.parametrize("size", [2, 3, 4095, 4096, 4097, 65537, 2**24 - 1, 2**24 + 1, 2**40 - 1, 2**40])
def test_uniform_values_cost_their_logarithm(size):
    rng = np.random.default_rng(11)
    values = np.append(rng.integers(0, size, 3000), [0, size - 1])
    encoder = RangeEncoder()
    encoder.encode_uniform(values, size)
    data = encoder.finish()
    assert len(data) * 8 <= values.size * (np.log2(size) + 0.001) + 16
    assert np.array_equal(RangeDecoder(data).decode_uniform(values.size, size), values)


def test_rows_cost_their_ideal_length():
    rng = np.random.default_rng(12)
    rows = rng.integers(0, 1000, (20_000, 16)) ** 2
    exact = normalised_rows(rows)
    symbols = (rng.random((20_000, 1)) * TOTAL >= np.cumsum(exact, axis=1)).sum(axis=1)
    encoder = RangeEncoder()
    encoder.encode_rows(symbols, rows)
    data = encoder.finish()
    ideal = np.log2(TOTAL / exact[np.arange(20_000), symbols]).sum() / 8
    assert ideal - 1 <= len(data) <= 1.0005 * ideal + 2
    assert np.array_equal(RangeDecoder(data).decode_rows(rows), symbols)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda coder, tables: coder.encode([0, 0], [0], tables),
        lambda coder, tables: coder.encode([0], [2], tables),
        lambda coder, tables: coder.encode([0], [-1], tables),
        lambda coder, tables: coder.encode([0.5], [0], tables),
        lambda coder, tables: coder.encode([2**31], [0], tables),
        lambda coder, tables: coder.encode(np.array([2**63], np.uint64), [0], tables),
        lambda coder, tables: coder.encode_uniform([3], 3),
        lambda coder, tables: coder.encode_uniform([-1], 3),
        lambda coder, tables: coder.encode_uniform([0.0], 3),
        lambda coder, tables: coder.encode_uniform([0], 0),
        lambda coder, tables: coder.encode_uniform([0], 2**40 + 1),
        lambda coder, tables: coder.encode_rows([3], [[1, 1, 1]]),
        lambda coder, tables: coder.encode_rows([-1], [[1, 1, 1]]),
        lambda coder, tables: coder.encode_rows([0.0], [[1, 1, 1]]),
        lambda coder, tables: coder.encode_rows([0, 0], [[1, 1, 1]]),
        lambda coder, tables: coder.encode_rows([0], [[0, 0, 0]]),
    ],
)
def test_a_wrong_call_is_refused_and_leaves_the_stream_as_it_was(small, wrong):
    encoder, undisturbed = RangeEncoder(), RangeEncoder()
    for coder in (encoder, undisturbed):
        coder.encode([1, 100], [0, 1], small)
    with pytest.raises(ValueError, match=r"must|symbols|uniform range"):
        wrong(encoder, small)
    assert encoder.finish() == undisturbed.finish()


def test_models_are_cached_and_go_with_their_tables():
    tables = tables_from_pmfs([[0.5, 0.5]], [0])
    encoder = RangeEncoder()
    encoder.encode([0], [0], tables)
    assert range_coder._model(tables, 0) is range_coder._model(tables, 0)
    before = len(range_coder._MODELS)
    del tables
    assert len(range_coder._MODELS) == before - 1
