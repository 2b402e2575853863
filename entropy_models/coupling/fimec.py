"""Factored iterative minimum-entropy coupling (FIMEC): blocks of bits hidden in samples of a source.

    blocks  v1 v2 v3 ...       one after the other; the belief of a block is uniform at first
       |
       v
    belief of the block  --greedy coupling--  law of the next symbol
       |  sender: draw the symbol given the block's value      receiver: see the symbol
       v
    belief <- law of the block given the symbol, on both sides; the next block when it is certain enough

(Sokota et al., ICML 2022; Schroeder de Witt et al., ICLR 2023.) Because each coupling has the source's law
as its marginal, the symbols are distributed exactly as samples of the source when the blocks are uniform,
which encrypted bits are: no test can tell them apart.

Sender and receiver must agree to the last bit, so beliefs and laws are integers of one total and only integer
operations decide anything. The papers always send a symbol of the least certain block. Each block needs the
same symbols that way, only their order differs; block after block, one belief is alive at a time, the time
grows with the message and not with its square, and a reader knows the first blocks before the last ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from ...errors import CorruptStreamError, UsageError
from .block_cells import TOTAL, BlockCells, Masses, law_keys
from .checks import check_integer
from .laws import Ints, entropy

CACHED_NUMBERS = 1 << 21
"""How many masses a cache of laws or couplings may hold, a few tens of megabytes."""
Watch = Callable[[Iterable[int]], Iterable[int]]


class Source(Protocol):
    """An autoregressive source of symbols 0 .. alphabet-1; a speech or text model with integer laws."""

    @property
    def alphabet(self) -> int:
        """Number of symbols."""

    def state(self, history: Sequence[int]) -> Hashable:
        """What of the past the next symbol's law depends on."""

    def masses(self, state: Hashable) -> Ints:
        """Law of the next symbol, integers (alphabet,) that sum to `TOTAL`."""


class CoverEndsError(CorruptStreamError):
    """The symbols end before the blocks do."""


@dataclass(frozen=True)
class Revealed:
    """What the receiver reads: the blocks' values, where in the symbols they end, the risk of an error."""

    values: list[int]
    end: int
    error_probability: float


class Fimec:
    """Hides and reveals blocks of `bits` bits in the symbols of `source`.

    A block ends when the probability that it is read wrongly is its share of `risk`, so that the whole
    message is read wrongly with a probability of about `risk` at most; both sides see that from the belief.
    """

    def __init__(self, source: Source, bits: int = 8, risk: float = 1e-9) -> None:
        """`bits` is 1..16; larger blocks waste less of the source's entropy and take longer."""
        bits = check_integer(bits, "the number of bits in a block", 1, 16)
        if not 2.0**-30 <= risk < 0.5:
            raise ValueError(f"a risk of {risk} is not in 2^-30..0.5")
        self.source, self.bits, self.risk = source, bits, risk
        size = 1 << bits
        self._fresh: Masses = ([TOTAL // size] * size, list(range(size)))
        self._law = lru_cache(max(64, CACHED_NUMBERS // source.alphabet))(self._keys)
        self._first = lru_cache(max(16, CACHED_NUMBERS // (source.alphabet + size)))(self._couple_fresh)

    def hide(
        self,
        values: Sequence[int],
        history: list[int],
        draw: Callable[[int], int],
        limit: int | None = None,
        watch: Watch = lambda blocks: blocks,
    ) -> float:
        """Append symbols that carry `values` to `history`; returns the receiver's probability of error.

        `draw(n)` gives a uniform integer of 0..n-1, secret where secrecy matters (`secrets.randbelow`);
        `watch` wraps the run over the blocks, for a progress bar. In the rare case that the receiver's most
        likely reading of these very symbols is wrong, 1.0 is returned.
        Raises `UsageError` when `history` grows beyond `limit` symbols.
        """
        enough, right, misread = self._enough(len(values)), 1.0, False
        for value in watch(values):
            belief = self._fresh
            while belief[0][0] < enough:
                cells = self._couple(belief, self.source.state(history))
                symbol = cells.draw(value, draw)
                history.append(symbol)
                belief = cells.given(symbol)
                if limit is not None and len(history) > limit:
                    raise UsageError(
                        f"the message does not fit {limit:,} symbols: the source is too predictable to carry it"
                    )
            right *= belief[0][0] / TOTAL
            misread |= belief[1][0] != value
        return 1.0 if misread else max(0.0, 1.0 - right)

    def reveal(
        self, count: int, symbols: Sequence[int], start: int = 0, watch: Watch = lambda blocks: blocks
    ) -> Revealed:
        """Read `count` blocks from `symbols[start:]`; `symbols[:start]` is the history.

        Symbols after the message are not looked at. Raises `CorruptStreamError` where the symbols end first,
        or hold one that the source does not have (any negative number) or the coupling rules out.
        """
        enough, right, position = self._enough(count), 1.0, start
        history = list(symbols[:start])
        values = []
        for _ in watch(range(count)):
            belief = self._fresh
            while belief[0][0] < enough:
                if position >= len(symbols):
                    raise CoverEndsError("the cover ends before the message does")
                cells = self._couple(belief, self.source.state(history))
                belief = cells.given(symbols[position])
                history.append(symbols[position])
                position += 1
            right *= belief[0][0] / TOTAL
            values.append(belief[1][0])
        return Revealed(values, position, max(0.0, 1.0 - right))

    def _enough(self, count: int) -> int:
        """The certainty at which a block ends: each of `count` may keep its share of the risk."""
        return TOTAL - int(TOTAL * self.risk) // max(1, count)

    def _couple(self, belief: Masses, state: Hashable) -> BlockCells:
        if belief is self._fresh:
            return self._first(state)  # every block starts from the same belief
        return BlockCells(belief, self._law(state))

    def _keys(self, state: Hashable) -> list[int]:
        return law_keys(self.source.masses(state))

    def _couple_fresh(self, state: Hashable) -> BlockCells:
        return BlockCells(self._fresh, self._law(state))


def draw_symbol(source: Source, history: Sequence[int], draw: Callable[[int], int]) -> int:
    """The next symbol after `history`, drawn from the source; `draw(n)` gives a uniform integer of 0..n-1."""
    ends = source.masses(source.state(history)).cumsum()
    return int(ends.searchsorted(draw(TOTAL), side="right"))


def information(source: Source, draws: int = 2000) -> float:
    """Bits that a symbol of the source carries on average, measured along `draws` symbols drawn from it."""
    rng, history, bits = random.Random(1), list[int](), 0.0
    for _ in range(draws):
        bits += entropy(source.masses(source.state(history)) / TOTAL)
        history.append(draw_symbol(source, history, rng.randrange))
    return bits / draws
