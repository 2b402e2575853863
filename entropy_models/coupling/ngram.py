"""An n-gram model of symbols with integer laws: a small autoregressive source that is the same on every
machine.

Orders are interpolated by Witten and Bell's method C (1991): with n occurrences of a context, d different
symbols after it and the law P' of the context one symbol shorter,

    P(s) = (count(s) + d P'(s)) / (n + d),        the shortest context's P' being uniform.

All of it in integers that sum to 2^40, so every symbol has some mass in every context.

The training symbols are kept sorted by what stands before them, so a context is a run of rows, found by
binary search, and no table of contexts is ever built:

    one before   two before   symbol
        a            b          c       context (a)    = rows 0..2
        a            b          d       context (b, a) = rows 0..1
        a            c          c
        b            a          a       context (b)    = row 3
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np

from ...errors import UsageError
from .block_cells import TOTAL
from .checks import check_integer
from .fimec import CACHED_NUMBERS
from .laws import Ints

MAX_SYMBOLS = 1 << 22
MAX_ALPHABET = 1 << 12
MAX_ORDER = 12
_CACHED_CONTEXTS = 1 << 16


class NgramSource:
    """The model; `state` is the tuple of the last `order` symbols, shortened to a context that was seen."""

    def __init__(self, symbols: Sequence[int], alphabet: int, order: int = 4) -> None:
        """Count all contexts of up to `order` symbols in `symbols` (at most 2^22, each 0..alphabet-1).

        Raises `UsageError` for sizes outside those limits or no symbols.
        """
        if not 0 < len(symbols) <= MAX_SYMBOLS:
            raise UsageError(f"the model learns from 1 to {MAX_SYMBOLS:,} symbols, not {len(symbols):,}")
        self.alphabet = check_integer(alphabet, "the alphabet's size", 1, MAX_ALPHABET)
        self.order = check_integer(order, "the number of symbols in a context", 0, MAX_ORDER)
        data = np.asarray(symbols)
        if data.dtype.kind not in "iu" or data.ndim != 1:
            raise UsageError(f"the model learns from a list of integers, not {data.dtype} {data.shape}")
        if data.min() < 0 or data.max() >= alphabet:
            raise UsageError(f"symbols {data.min()}..{data.max()} do not fit an alphabet of {alphabet}")
        self._next, self._before = _sorted_by_context(data.astype(np.uint16), self.order)
        self._longest = lru_cache(_CACHED_CONTEXTS)(self._longest_seen)
        self._rows = lru_cache(_CACHED_CONTEXTS)(self._find_rows)
        self._law = lru_cache(max(64, CACHED_NUMBERS // self.alphabet))(self._interpolate)
        identity = np.array([self.alphabet, self.order, *data], dtype="<i4").tobytes()
        self.digest = hashlib.sha256(identity).digest()

    def state(self, history: Sequence[int]) -> tuple[int, ...]:
        """The longest context at the end of `history` that was seen in training."""
        return self._longest(tuple(history[-self.order :])) if self.order else ()

    def masses(self, state: Hashable) -> Ints:
        """Law of the next symbol in a context, (alphabet,), summing to 2^40; not to be written to."""
        if not isinstance(state, tuple):
            raise TypeError(f"a context is a tuple of symbols, not {type(state).__name__}")
        return self._law(state)

    def _longest_seen(self, window: tuple[int, ...]) -> tuple[int, ...]:
        found: tuple[int, ...] = ()
        for start in reversed(range(len(window))):
            if self._rows(window[start:]) is None:
                break
            found = window[start:]
        return found

    def _find_rows(self, context: tuple[int, ...]) -> slice | None:
        """The rows of a context, None where it was not seen; `context[1:]` has the rows around them."""
        if not context:
            return slice(0, len(self._next))
        around = self._rows(context[1:])
        if around is None:
            return None
        run = self._before[len(context) - 1][around]
        # A scalar of the array's own type: any other makes numpy convert the whole run first.
        wanted = run.dtype.type(context[0] + 1)
        first, last = (int(np.searchsorted(run, wanted, side)) for side in ("left", "right"))
        return slice(around.start + first, around.start + last) if first < last else None

    def _interpolate(self, context: tuple[int, ...]) -> Ints:
        rows = self._rows(context)
        if rows is None:
            raise ValueError(f"the context {context} was not seen in training: `state` gives those that were")
        own = np.bincount(self._next[rows], minlength=self.alphabet).astype(np.int64)
        kinds = int(np.count_nonzero(own))
        if context:
            shorter = self._law(context[1:])
        else:
            shorter = _complete(np.full(self.alphabet, TOTAL // self.alphabet, dtype=np.int64))
        # At most 2^22 * 2^40 + 2^12 * 2^40 < 2^63.
        law = (own * TOTAL + kinds * shorter) // (int(own.sum()) + kinds)
        return _complete(np.maximum(law, 1))


def _sorted_by_context(data: np.ndarray, order: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """The symbols sorted by the one before, then by the one before that, and so on, `order` deep.

    Returns the sorted symbols (n,) and for k = 1 .. order the symbol k before each, plus one, (n,); zero
    stands for "before the start".
    """
    before = []
    for distance in range(1, order + 1):
        column = np.zeros(len(data), dtype=np.uint16)
        column[distance:] = data[:-distance] + 1
        before.append(column)
    rows = np.arange(len(data))
    for column in reversed(before):
        rows = rows[np.argsort(column[rows], kind="stable")]
    return data[rows], [column[rows] for column in before]


def _complete(law: Ints) -> Ints:
    """Give what rounding lacks or exceeds to the first of the largest masses."""
    law[int(law.argmax())] += TOTAL - int(law.sum())
    return law
