"""An n-gram model of symbols with integer laws: a small autoregressive source that is the same on every
machine.

Orders are interpolated by Witten and Bell's method C (1991): with n occurrences of a context, d different
symbols after it and the law P' of the context one symbol shorter,

    P(s) = (count(s) + d P'(s)) / (n + d),        the shortest context's P' being uniform.

All of it in integers that sum to 2^40, so every symbol has some mass in every context.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from ...errors import UsageError
from .fimec import CACHED_NUMBERS, TOTAL
from .laws import Ints

MAX_SYMBOLS = 1 << 22
MAX_ALPHABET = 1 << 12
MAX_ORDER = 12


class NgramSource:
    """The model; `state` is the tuple of the last `order` symbols, shortened to a context that was seen."""

    def __init__(self, symbols: Sequence[int], alphabet: int, order: int = 4) -> None:
        """Count all contexts of up to `order` symbols in `symbols` (at most 2^22, each 0..alphabet-1).

        Raises `UsageError` for sizes outside those limits or no symbols.
        """
        if not 0 < len(symbols) <= MAX_SYMBOLS:
            raise UsageError(f"the model learns from 1 to {MAX_SYMBOLS:,} symbols, not {len(symbols):,}")
        if not (0 < alphabet <= MAX_ALPHABET and min(symbols) >= 0 and max(symbols) < alphabet):
            raise UsageError(f"an alphabet of {alphabet} symbols does not fit (at most {MAX_ALPHABET:,})")
        if not 0 <= order <= MAX_ORDER:
            raise UsageError(f"a context of {order} symbols: 0 to {MAX_ORDER} are possible")
        self.alphabet, self.order = alphabet, order
        data = tuple(symbols)
        self._counts: dict[tuple[int, ...], Counter[int]] = {}
        for length in range(order + 1):
            for end in range(length, len(data)):
                context = data[end - length : end]
                counter = self._counts.get(context)
                if counter is None:
                    counter = self._counts[context] = Counter()
                counter[data[end]] += 1
        self._laws: dict[tuple[int, ...], Ints] = {}
        identity = np.array([alphabet, order, *data], dtype="<i4").tobytes()
        self.digest = hashlib.sha256(identity).digest()

    def state(self, history: Sequence[int]) -> tuple[int, ...]:
        """The longest context at the end of `history` that was seen in training."""
        for length in range(min(self.order, len(history)), 0, -1):
            context = tuple(history[-length:])
            if context in self._counts:
                return context
        return ()

    def masses(self, state: Hashable) -> Ints:
        """Law of the next symbol in a context, (alphabet,), summing to 2^40."""
        if not isinstance(state, tuple):
            raise TypeError(f"a context is a tuple of symbols, not {type(state).__name__}")
        law = self._laws.get(state)
        if law is None:
            if len(self._laws) >= max(64, CACHED_NUMBERS // self.alphabet):
                self._laws.clear()
            law = self._laws[state] = self._interpolate(state)
        return law

    def _interpolate(self, context: tuple[int, ...]) -> Ints:
        counter = self._counts[context]
        if context:
            shorter = self.masses(context[1:])
        else:
            shorter = _complete(np.full(self.alphabet, TOTAL // self.alphabet, dtype=np.int64))
        own = np.zeros(self.alphabet, dtype=np.int64)
        own[list(counter)] = list(counter.values())
        # At most 2^22 * 2^40 + 2^12 * 2^40 < 2^63.
        law = (own * TOTAL + len(counter) * shorter) // (int(own.sum()) + len(counter))
        return _complete(np.maximum(law, 1))


def _complete(law: Ints) -> Ints:
    """Give what rounding lacks or exceeds to the first of the largest masses."""
    law[int(law.argmax())] += TOTAL - int(law.sum())
    return law
