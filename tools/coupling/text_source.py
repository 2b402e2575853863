"""A character model of a text file, as a source that messages can be hidden in."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...codecs.media.files import read_bytes
from ...entropy_models.coupling.block_cells import TOTAL
from ...entropy_models.coupling.fimec import draw_symbol
from ...entropy_models.coupling.laws import Ints
from ...entropy_models.coupling.ngram import MAX_SYMBOLS, NgramSource
from ...errors import UnreadableInputError, UsageError
from .plain_text import plain, stays_plain

SENTENCE_ENDS = ".!?\u3002\uff01\uff1f"  # the last three are the Chinese ones
LONGEST_ENDING = 400
RARE = 64
"""Characters less likely than 1 / (64 characters of the alphabet) are left out: 1/64 in all, at most."""
SEARCHED_STARTS = 100
UNKNOWN = -1
State = tuple[tuple[int, ...], int]
"""A context of the n-gram model and the last symbol, -1 at the start of a cover."""


class TextSource:
    """An n-gram model of characters; symbols are positions in the sorted list of the text's characters.

    The text is made plain first, and no law has mass on a character that would make a cover other than
    plain: see `plain_text`. Unlikely characters are left out, which makes a cover read better and the
    couplings small.
    """

    def __init__(self, text: str, order: int = 4) -> None:
        """Learn from at most the first 2^22 characters of the plain form of `text`; raises `UsageError`."""
        text = plain(text)[:MAX_SYMBOLS]
        if not text:
            raise UsageError("there is no text to learn from")
        self.characters = sorted(set(text))
        self._symbol_of = {character: symbol for symbol, character in enumerate(self.characters)}
        self._space = self._symbol_of.get(" ")
        self._model = NgramSource([self._symbol_of[c] for c in text], len(self.characters), order)
        self.alphabet, self.order, self.digest = len(self.characters), order, self._model.digest
        self._possible_after = lru_cache(None)(self._possible)

    @classmethod
    def from_file(cls, path: str | Path, order: int = 4) -> TextSource:
        """Learn from a UTF-8 file; raises `UnreadableInputError` where it is none."""
        return cls(read_text(path), order)

    def state(self, history: Sequence[int]) -> State:
        """The context of the next character; a cover starts as after a space."""
        window = history
        if self._space is not None and len(history) < self.order:
            window = [self._space, *history]
        return self._model.state(window), history[-1] if history else UNKNOWN

    def masses(self, state: Any) -> Ints:
        """Law of the next character in a `State`, (alphabet,), integers that sum to 2^40.

        Raises `UsageError` where no character of the text may follow.
        """
        context, last = state
        law, possible = self._model.masses(context), self._possible_after(last)
        kept = np.flatnonzero(possible & (law >= TOTAL // (RARE * self.alphabet)))
        if not len(kept):
            kept = np.flatnonzero(possible)
        if not len(kept):
            raise UsageError(f"nothing of the text may follow {self.characters[last]!r}: take a richer one")
        masses = law[kept].tolist()
        total = sum(masses)
        masses = [mass * TOTAL // total for mass in masses]
        masses[masses.index(max(masses))] += TOTAL - sum(masses)
        scaled: Ints = np.zeros(self.alphabet, dtype=np.int64)
        scaled[kept] = masses
        return scaled

    def _possible(self, last: int) -> np.ndarray:
        before = "" if last == UNKNOWN else self.characters[last]
        possible = np.array([stays_plain(before, character) for character in self.characters])
        if last == UNKNOWN and not possible.any():  # a text without letters
            possible = np.array([character != " " for character in self.characters])
        return possible

    def text(self, symbols: Sequence[int]) -> str:
        """Symbols as text."""
        return "".join(self.characters[symbol] for symbol in symbols)

    def symbols(self, text: str) -> list[int]:
        """The plain form of a text as symbols, -1 for a character that the model does not have."""
        text = plain(text)
        if self._space is None:
            text = text.replace(" ", "")
        return [self._symbol_of.get(character, UNKNOWN) for character in text]

    def starts(self, symbols: Sequence[int]) -> Iterator[int]:
        """Where a cover may begin in a text that other words stand before: its first 100 beginnings of words."""
        initial, found, inside_word = self._possible_after(UNKNOWN), 0, False
        for place, symbol in enumerate(symbols):
            if symbol != UNKNOWN and initial[symbol] and not inside_word:
                yield place
                found += 1
            if found == SEARCHED_STARTS:
                return
            inside_word = symbol != UNKNOWN and self.characters[symbol].isalnum()

    def ending(self, history: Sequence[int], draw: Callable[[int], int] = secrets.randbelow) -> list[int]:
        """More symbols drawn from the source until a sentence ends, or after 400 a word; never a last space."""
        extended = list(history)
        while not (extended and self.characters[extended[-1]] in SENTENCE_ENDS):
            drawn, length = draw_symbol(self, extended, draw), len(extended) - len(history)
            if length >= LONGEST_ENDING and (drawn == self._space or self._space is None):
                break
            if length >= 2 * LONGEST_ENDING and extended[-1] != self._space:
                break
            extended.append(drawn)
        return extended[len(history) :]


def read_text(path: str | Path) -> str:
    """The text of a UTF-8 or, with a byte-order mark, UTF-16 file, or of standard input ("-")."""
    data = read_bytes(path)
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableInputError(f"{path} is no UTF-8 text (byte {error.start})") from None
