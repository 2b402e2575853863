"""Factored iterative minimum-entropy coupling (FIMEC): blocks of bits hidden in samples of a source.

    blocks  v1 v2 v3 ...       belief of each block: uniform at first
       |  take the least certain block
       v
    belief of that block  --greedy coupling--  law of the next symbol
       |  sender: draw the symbol given the block's value      receiver: see the symbol
       v
    belief <- law of the block given the symbol, on both sides

(Sokota et al., ICML 2022; Schroeder de Witt et al., ICLR 2023.) Because each coupling has the source's law
as its marginal, the symbols are distributed exactly as samples of the source when the blocks are uniform,
which encrypted bits are: no test can tell them apart.

Sender and receiver must agree to the last bit, so beliefs and laws are integers of one total and only integer
operations decide anything. The papers take the block of highest Shannon entropy; here it is the one whose
likeliest value is least likely (the highest min-entropy), which needs no logarithm.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ...errors import CorruptStreamError, UsageError
from .greedy import pair_off, sorted_support
from .laws import Ints

TOTAL = 1 << 40
"""What beliefs and source laws sum to."""
CACHED_NUMBERS = 1 << 21
"""How many masses a cache of laws or couplings may hold, a few tens of megabytes."""
Masses = tuple[list[int], list[int]]
"""Positive masses in falling order, equal ones by symbol, and their symbols."""


class Source(Protocol):
    """An autoregressive source of symbols 0 .. alphabet-1; a speech or text model with integer laws."""

    @property
    def alphabet(self) -> int:
        """Number of symbols."""

    def state(self, history: Sequence[int]) -> Hashable:
        """What of the past the next symbol's law depends on."""

    def masses(self, state: Hashable) -> Ints:
        """Law of the next symbol, integers (alphabet,) that sum to `TOTAL`."""


@dataclass(frozen=True)
class Revealed:
    """What the receiver reads: the blocks' values, where in the symbols they end, the risk of an error."""

    values: list[int]
    end: int
    error_probability: float


class Fimec:
    """Hides and reveals blocks of `bits` bits in the symbols of `source`.

    A message ends when the probability that any of its blocks is read wrongly is at most about `risk`; both
    sides see that from their beliefs.
    """

    def __init__(self, source: Source, bits: int = 8, risk: float = 1e-9) -> None:
        """`bits` is 1..16; larger blocks waste less of the source's entropy and take longer."""
        if not 1 <= bits <= 16:
            raise ValueError(f"blocks of {bits} bits: 1 to 16 are possible")
        if not 2.0**-30 <= risk < 0.5:
            raise ValueError(f"a risk of {risk} is not in 2^-30..0.5")
        self.source, self.bits, self.risk = source, bits, risk
        size = 1 << bits
        self._fresh: Masses = ([TOTAL // size] * size, list(range(size)))
        self._laws: dict[Hashable, Masses] = {}
        self._law_limit = max(64, CACHED_NUMBERS // source.alphabet)
        self._first_limit = max(16, CACHED_NUMBERS // (source.alphabet + size))
        self._first: dict[Hashable, _Cells] = {}

    def hide(self, values: Sequence[int], history: list[int], draw: Callable[[int], int]) -> float:
        """Append symbols that carry `values` to `history`; returns the receiver's probability of error.

        `draw(n)` gives a uniform integer of 0..n-1, secret where secrecy matters (`secrets.randbelow`). In
        the rare case that the receiver's most likely reading of these very symbols is wrong, 1.0 is returned.
        Raises `UsageError` where the source carries less than about 1/400 bit a symbol.
        """
        session = _Session(self, len(values))
        limit = len(history) + 10_000 + 400 * self.bits * len(values)
        while (block := session.least_certain()) is not None:
            cells = self._couple(session.beliefs[block], self.source.state(history))
            symbol = cells.draw(values[block], draw)
            history.append(symbol)
            session.observe(block, cells, symbol)
            if len(history) > limit:
                raise UsageError(
                    "the source is too predictable to carry a message: take a longer, richer text"
                )
        return session.error_probability if session.likeliest() == list(values) else 1.0

    def reveal(self, count: int, symbols: Sequence[int], start: int = 0) -> Revealed:
        """Read `count` blocks from `symbols[start:]`; `symbols[:start]` is the history.

        Raises `CorruptStreamError` where the symbols end first or hold one that the coupling rules out.
        """
        session, position = _Session(self, count), start
        history = list(symbols[:start])
        while (block := session.least_certain()) is not None:
            if position >= len(symbols):
                raise CorruptStreamError("the cover ends before the message does")
            cells = self._couple(session.beliefs[block], self.source.state(history))
            session.observe(block, cells, symbols[position])
            history.append(symbols[position])
            position += 1
        return Revealed(session.likeliest(), position, session.error_probability)

    def _couple(self, belief: Masses, state: Hashable) -> _Cells:
        if belief is not self._fresh:
            return _Cells(belief, self._law(state))
        # Every block starts from the same belief, and its first coupling is by far the largest.
        if state not in self._first:
            if len(self._first) >= self._first_limit:
                self._first.clear()
            self._first[state] = _Cells(belief, self._law(state))
        return self._first[state]

    def _law(self, state: Hashable) -> Masses:
        if state not in self._laws:
            if len(self._laws) >= self._law_limit:
                self._laws.clear()
            self._laws[state] = sorted_support(self.source.masses(state))
        return self._laws[state]


class _Cells:
    """The greedy coupling of one block's belief with one law, as three lists of cells."""

    def __init__(self, belief: Masses, law: Masses) -> None:
        self._values, self._symbols, self._masses, _, _ = pair_off(*belief, *law)

    def draw(self, value: int, draw: Callable[[int], int]) -> int:
        """A symbol given the block's value."""
        own = [k for k, v in enumerate(self._values) if v == value]
        if len(own) == 1:
            return self._symbols[own[0]]
        point = draw(sum(self._masses[k] for k in own))
        for k in own:
            if point < self._masses[k]:
                return self._symbols[k]
            point -= self._masses[k]
        raise ValueError("draw(n) must return an integer of 0..n-1")

    def given(self, symbol: int) -> Masses:
        """The law of the block given the symbol, brought to `TOTAL`; rounding errors go to the likeliest."""
        own = [(self._masses[k], self._values[k]) for k, s in enumerate(self._symbols) if s == symbol]
        if not own:
            raise CorruptStreamError(f"the source never gives symbol {symbol} at this place")
        total = sum(mass for mass, _ in own)
        own = [(max(1, mass * TOTAL // total), value) for mass, value in own]
        own.sort(key=lambda cell: (-cell[0], cell[1]))
        own[0] = (own[0][0] + TOTAL - sum(mass for mass, _ in own), own[0][1])
        return [mass for mass, _ in own], [value for _, value in own]


class _Session:
    """The beliefs of all blocks, the same on both sides."""

    def __init__(self, coder: Fimec, count: int) -> None:
        self.beliefs: list[Masses] = [coder._fresh] * count
        self._peaks = [coder._fresh[0][0]] * count
        # Every block may keep its share of the risk.
        self._enough = TOTAL - int(TOTAL * coder.risk) // max(1, count)

    def least_certain(self) -> int | None:
        """The block to send next, None when all are certain enough; the first among equals."""
        if not self._peaks:
            return None
        lowest = min(self._peaks)
        return None if lowest >= self._enough else self._peaks.index(lowest)

    def observe(self, block: int, cells: _Cells, symbol: int) -> None:
        self.beliefs[block] = cells.given(symbol)
        self._peaks[block] = self.beliefs[block][0][0]

    def likeliest(self) -> list[int]:
        return [values[0] for _, values in self.beliefs]

    @property
    def error_probability(self) -> float:
        """Probability that some block's likeliest value is not the one sent."""
        right = 1.0
        for peak in self._peaks:
            right *= peak / TOTAL
        return max(0.0, 1.0 - right)
