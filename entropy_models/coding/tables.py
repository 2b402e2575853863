"""Frozen integer probability tables: made once from floats when a model is frozen, integers ever after.

A table covers the symbols offset .. offset + n - 1 with one slot each and everything else with one more, the
escape slot, which is the last. Its n + 1 frequencies are integers of at least 1 that sum to 2^24 (see
`precision`).
Coding with these numbers is the same on every machine; the floats behind them need not be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import ModelError
from . import escape
from .precision import TOTAL

DEFAULT_TAIL_MASS = 2.0**-16
# An escape never costs more than 20 bits and its distance; keeping that open costs 1.4e-6 bit a symbol.
ESCAPE_FLOOR = 2.0**-20
ROW_SUM_MAX = 2**28
# So that symbol - offset, taken modulo 2^32, is a slot only where it truly is.
OFFSET_MAX = 2**30


@dataclass(frozen=True, eq=False)
class ProbabilityTables:
    """T frozen tables; raises ModelError for numbers that are none.

    `frequencies` (sum of lengths,) uint32; `lengths` (T,) int32, slots of each table, the escape slot with
    them; `offsets` (T,) int32, the smallest symbol of each table.
    """

    frequencies: NDArray[np.uint32]
    lengths: NDArray[np.int32]
    offsets: NDArray[np.int32]

    def __post_init__(self) -> None:
        for name, kind in (("frequencies", np.uint32), ("lengths", np.int32), ("offsets", np.int32)):
            array = np.array(getattr(self, name), ndmin=1)
            integers = array.ndim == 1 and array.dtype.kind in "iu"
            if not (integers and np.array_equal(array, array.astype(kind))):
                raise ModelError(f"probability tables: {name} must be a list of {np.dtype(kind)}")
            array = array.astype(kind)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        self._check()

    def _check(self) -> None:
        lengths = self.lengths.astype(np.int64)
        if len(lengths) == 0 or len(lengths) != len(self.offsets):
            raise ModelError(f"probability tables: {len(lengths)} lengths for {len(self.offsets)} offsets")
        if lengths.min() < 2 or lengths.sum() != len(self.frequencies):
            raise ModelError(f"probability tables: lengths do not fit {len(self.frequencies)} frequencies")
        sums = np.add.reduceat(self.frequencies.astype(np.int64), self.starts[:-1])
        if self.frequencies.min() < 1 or np.any(sums != TOTAL):
            raise ModelError(f"probability tables: frequencies must be at least 1 and sum to {TOTAL}")
        if int(np.abs(self.offsets.astype(np.int64)).max()) > OFFSET_MAX:
            raise ModelError(f"probability tables: offsets must lie in -{OFFSET_MAX}..{OFFSET_MAX}")

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where each table begins in `frequencies`, and the end of the last: (T + 1,)."""
        return np.concatenate(([0], np.cumsum(self.lengths, dtype=np.int64)))

    def row(self, index: int) -> NDArray[np.uint32]:
        """Return the frequencies of one table, the escape slot last."""
        return self.frequencies[self.starts[index] : self.starts[index + 1]]

    def slots(self, symbols: NDArray[np.int32], index: int) -> NDArray[np.int32]:
        """Return the slot of each of `symbols` in table `index`; the last slot for those outside."""
        escape_slot = self.lengths[index].astype(np.uint32) - np.uint32(1)
        # Below the table the difference is negative, thus huge as an unsigned number.
        distance = (symbols - self.offsets[index]).view(np.uint32)
        return np.minimum(distance, escape_slot).view(np.int32)

    def edges(self, indexes: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the smallest and the largest symbol of each of the tables `indexes`."""
        first = self.offsets[indexes].astype(np.int64)
        return first, first + self.lengths[indexes] - 2

    def ideal_bits(self, symbols: ArrayLike, indexes: ArrayLike) -> float:
        """Return the bits that `symbols` cost under the tables `indexes` (same shape), escapes and all."""
        values, tables = self.check_symbols(symbols), self.check_indexes(indexes)
        if values.size != tables.size:
            raise ValueError(f"{values.size} symbols for {tables.size} table indexes")
        order, groups = group_by_index(tables)
        ordered = values[order]
        bits = 0.0
        for index, start, stop in groups:
            slots = self.slots(ordered[start:stop], index)
            bits += float(np.log2(TOTAL / self.row(index))[slots].sum())
            outside = ordered[start:stop][slots == self.lengths[index] - 1]
            first, last = self.edges(np.full(outside.shape, index))
            bits += escape.ideal_bits(escape.split(outside.astype(np.int64), first, last)[0])
        return bits

    def check_indexes(self, indexes: ArrayLike) -> NDArray[np.unsignedinteger[Any]]:
        """Return `indexes` flat, in as few bits as do; raises ValueError for any that names no table."""
        return _integers(indexes, "table indexes", 0, len(self) - 1).astype(np.min_scalar_type(len(self) - 1))

    @staticmethod
    def check_symbols(symbols: ArrayLike) -> NDArray[np.int32]:
        """Return `symbols` flat; raises ValueError for any beyond 32 bits."""
        array = _integers(symbols, "symbols", escape.SYMBOL_MIN, escape.SYMBOL_MAX)
        return array.astype(np.int32, copy=False)

    def to_arrays(self, prefix: str = "") -> dict[str, NDArray[np.generic]]:
        """Return the three arrays by name, for a safetensors file."""
        return {
            f"{prefix}frequencies": self.frequencies,
            f"{prefix}lengths": self.lengths,
            f"{prefix}offsets": self.offsets,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, ArrayLike], prefix: str = "") -> ProbabilityTables:
        """Invert `to_arrays`. Raises ModelError where an array is missing or is no table."""
        names = ("frequencies", "lengths", "offsets")
        missing = [prefix + name for name in names if prefix + name not in arrays]
        if missing:
            raise ModelError(f"the model lacks the probability tables {', '.join(missing)}")
        return cls(*(np.asarray(arrays[prefix + name]) for name in names))


def scale_table(low: float = 0.11, high: float = 128.0, count: int = 64) -> NDArray[np.float64]:
    """Return `count` scales from `low` to `high` in equal ratios, (count,)."""
    if not (0 < low < high < math.inf and count >= 2):
        raise ValueError(f"no scale table from {low} to {high} with {count} steps")
    return np.geomspace(low, high, count)


SCALES = scale_table()


def gaussian_tables(scales: ArrayLike = SCALES, tail_mass: float = DEFAULT_TAIL_MASS) -> ProbabilityTables:
    """Return one table per scale for a zero-mean Gaussian integrated over unit bins around the integers.

    (Ballé et al. 2018, "Variational image compression with a scale hyperprior", eq. 10 with rounding.)
    `tail_mass` is the most that may lie outside a table; it is what the escape slot gets.
    """
    if not 0 < tail_mass < 1:
        raise ValueError(f"tail mass {tail_mass} is not between 0 and 1")
    quantile = NormalDist().inv_cdf(1 - tail_mass / 2)
    pmfs, offsets = [], []
    for scale in np.atleast_1d(np.asarray(scales, dtype=np.float64)):
        if not 0 < scale < math.inf:
            raise ModelError(f"a Gaussian scale must be positive, not {scale}")
        reach = max(0, math.ceil(scale * quantile - 0.5))
        edges = (np.arange(reach + 2) - 0.5) / (scale * math.sqrt(2))
        tails = np.array([math.erfc(edge) for edge in edges]) / 2
        half = tails[:-1] - tails[1:]
        pmfs.append(np.concatenate((half[:0:-1], half)))
        offsets.append(-reach)
    return tables_from_pmfs(pmfs, offsets, tail_mass=0.0)


def tables_from_pmfs(
    pmfs: Sequence[ArrayLike], offsets: Sequence[int], tail_mass: float = DEFAULT_TAIL_MASS
) -> ProbabilityTables:
    """Return one table per pmf; `pmfs[i][k]` is the probability of the symbol `offsets[i] + k`.

    At each end values are dropped while no more than half of `tail_mass` is lost, so a pmf may be given
    over a generous range. What a pmf lacks to 1 goes to the escape slot. Raises ModelError for a pmf that
    is empty, negative, not finite or sums to more than 1 (beyond float32 rounding).
    """
    if len(pmfs) != len(offsets) or not pmfs:
        raise ValueError(f"{len(pmfs)} pmfs for {len(offsets)} offsets")
    rows, firsts = [], []
    for pmf, offset in zip(pmfs, offsets, strict=True):
        masses = np.asarray(pmf, dtype=np.float64)
        if masses.ndim != 1 or not masses.size or not np.all(np.isfinite(masses)) or masses.min() < 0:
            raise ModelError("a pmf must be a non-empty list of finite probabilities, none negative")
        if masses.sum() > 1 + 1e-4 or masses.sum() == 0:
            raise ModelError(f"a pmf sums to {masses.sum()}, not to 1 or a little less")
        start, stop = _extent(masses, tail_mass)
        masses = masses[start:stop]
        rows.append(_frequencies(np.append(masses, max(1 - masses.sum(), ESCAPE_FLOOR))))
        firsts.append(int(offset) + start)
    lengths = np.array([len(row) for row in rows])
    return ProbabilityTables(np.concatenate(rows), lengths, np.array(firsts))


def normalised_rows(frequencies: ArrayLike) -> NDArray[np.int64]:
    """Return (N, K) frequencies of at least 1 whose rows sum to 2^24, in proportion to integers (N, K).

    Exact, so that both sides of a stream may do it: the K slots get 1 each, the rest is shared out, its
    running sum rounded down. Rows that sum to 2^24 - K come back exactly, plus 1.
    Raises ValueError for a negative entry or a row sum outside 1..2^28.
    """
    given = np.asarray(frequencies)
    if given.ndim != 2 or given.dtype.kind not in "iu" or not 2 <= given.shape[1] < TOTAL:
        raise ValueError(f"frequencies must be integers (N, K >= 2), not {given.dtype} {given.shape}")
    if len(given) == 0:
        return np.zeros(given.shape, np.int64)
    if int(given.min()) < 0 or int(given.max()) > ROW_SUM_MAX:
        raise ValueError(f"frequencies must lie in 0..{ROW_SUM_MAX}")
    # Float64 holds these integers and products (below 2^52) exactly. A quotient below 2^24 that is no integer
    # is at least 2^-28 away from one, more than the division's rounding, so that floor() is right.
    running = np.cumsum(given, axis=1, dtype=np.float64)
    sums = running[:, -1:].copy()
    if not 1 <= sums.min() <= sums.max() <= ROW_SUM_MAX:
        raise ValueError(f"each row of frequencies must sum to 1..{ROW_SUM_MAX}")
    running *= TOTAL - given.shape[1]
    running /= sums
    shares = np.floor(running).astype(np.int64)
    shares[:, 1:] -= shares[:, :-1].copy()
    return shares + 1


def group_by_index(
    indexes: NDArray[np.unsignedinteger[Any]],
) -> tuple[NDArray[np.intp], list[tuple[int, int, int]]]:
    """Return the stable order that sorts `indexes`, and (index, start, stop) for each index that occurs.

    Indexes of 8 or 16 bits, as `check_indexes` makes them, are sorted by radix, much faster than wider ones.
    """
    order = np.argsort(indexes, kind="stable")
    counts = np.bincount(indexes)
    stops = np.cumsum(counts)
    return order, [(i, int(stops[i] - counts[i]), int(stops[i])) for i in np.flatnonzero(counts).tolist()]


def _extent(masses: NDArray[np.float64], tail_mass: float) -> tuple[int, int]:
    """Return the range that stays when each end may lose up to half of `tail_mass`; never empty."""
    start = int(np.searchsorted(np.cumsum(masses), tail_mass / 2, side="right"))
    lost = int(np.searchsorted(np.cumsum(masses[::-1]), tail_mass / 2, side="right"))
    peak = int(masses.argmax())
    return min(start, peak), max(len(masses) - lost, peak + 1)


def _frequencies(masses: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Round probabilities to integers of at least 1 that sum to TOTAL, by largest remainder."""
    share = masses / masses.sum() * (TOTAL - len(masses))
    whole = np.floor(share).astype(np.int64)
    left = TOTAL - len(masses) - int(whole.sum())
    whole[np.argsort(whole - share, kind="stable")[:left]] += 1
    return (whole + 1).astype(np.uint32)


def _integers(values: ArrayLike, what: str, low: int, high: int) -> NDArray[np.integer[Any]]:
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros(0, np.int32)
    if array.dtype.kind not in "iu":
        raise ValueError(f"{what} must be integers, not {array.dtype}")
    limits = np.iinfo(array.dtype)
    inside = low <= limits.min and limits.max <= high
    if not inside and not low <= int(array.min()) <= int(array.max()) <= high:
        raise ValueError(f"{what} must lie in {low}..{high}, not {array.min()}..{array.max()}")
    return array.ravel()
