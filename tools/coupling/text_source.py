"""A character model of a text file, as a source that messages can be hidden in."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from ...codecs.files import read_bytes
from ...entropy_models.coupling.fimec import TOTAL
from ...entropy_models.coupling.ngram import MAX_SYMBOLS, NgramSource
from ...errors import CorruptStreamError, UnreadableInputError

LONGEST_ENDING = 400


class TextSource(NgramSource):
    """An n-gram model of characters; symbols are positions in the sorted list of the text's characters."""

    def __init__(self, text: str, order: int = 4) -> None:
        """Learn from at most the first 2^22 characters of `text`; line ends become "\\n"."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")[:MAX_SYMBOLS]
        self.characters = sorted(set(text))
        self._symbol_of = {character: symbol for symbol, character in enumerate(self.characters)}
        super().__init__([self._symbol_of[character] for character in text], len(self.characters), order)

    @classmethod
    def from_file(cls, path: str | Path, order: int = 4) -> TextSource:
        """Learn from a UTF-8 file; raises `UnreadableInputError` where it is none."""
        return cls(read_text(path), order)

    def text(self, symbols: Sequence[int]) -> str:
        """Symbols as text."""
        return "".join(self.characters[symbol] for symbol in symbols)

    def symbols(self, text: str) -> list[int]:
        """Text as symbols; raises `CorruptStreamError` for a character that the model never gives."""
        unknown = next((character for character in text if character not in self._symbol_of), None)
        if unknown is not None:
            raise CorruptStreamError(
                f"the cover holds {unknown!r}, which the model's text does not: the text is another, "
                "or the cover was changed"
            )
        return [self._symbol_of[character] for character in text]

    def ending(self, history: Sequence[int], draw: Callable[[int], int] = secrets.randbelow) -> list[int]:
        """More symbols drawn from the source until a sentence or line ends, at most 400."""
        extended = list(history)
        for _ in range(LONGEST_ENDING):
            if extended and self.characters[extended[-1]] in ".!?\n":
                break
            point = draw(TOTAL)
            ends = self.masses(self.state(extended)).cumsum()
            extended.append(int(ends.searchsorted(point, side="right")))
        return extended[len(history) :]


def read_text(path: str | Path) -> str:
    """The text of a UTF-8 file or of standard input ("-"), line ends as "\\n"."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableInputError(f"{path} is no UTF-8 text (byte {error.start})") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
