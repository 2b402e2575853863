"""How well synthetic speech is understood, beside recordings of the same: `bitfloor bench speech-synthesis`.

    text ─ SESLM ─ sound ────────────┐
    the text's own recording ────────┼─ recogniser ─ words wrong of the text
    that, through the speech codec ──┘

All three are heard by one recogniser (see `words`), because one errs on originals, too.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...codecs.media.sound import Sound, read_sound
from ...codecs.seslm.synthesis import Speaker
from ...errors import UnreadableInputError
from .words import RATE, Recogniser, word_errors, words_of

KINDS = ("original", "codec", "said")


@dataclass
class Understood:
    """Errors and words of each of `KINDS`, and how long speaking took for how much sound, in seconds."""

    errors: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    words: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    spent: float = 0.0
    seconds: float = 0.0

    def lines(self) -> Iterator[str]:
        """What a person reads."""
        for kind in KINDS:
            if self.words[kind]:
                rate = 100 * self.errors[kind] / self.words[kind]
                yield f"{kind:<9} {rate:5.1f} % of {self.words[kind]:,} words wrong"
        yield f"real-time factor {self.spent / max(self.seconds, 1e-9):.2f} over {self.seconds:.1f} s"


def read_texts(table: Path) -> list[tuple[Path | None, str]]:
    """Recordings and texts of a table with the columns `file` and `text`, divided by tabs; None where no file is.

    Raises:
        UnreadableInputError: without these columns or rows.
    """
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if not {"file", "text"} <= set(rows.fieldnames or ()):
                raise UnreadableInputError(f"{table} has no columns file and text, divided by tabs")
            found = [(table.parent / row["file"], row["text"]) for row in rows]
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableInputError(f"cannot read {table} as a table: {error}") from None
    if not found:
        raise UnreadableInputError(f"{table} has no rows")
    return [(path if path.is_file() else None, text) for path, text in found]


def understand(
    texts: Sequence[tuple[Path | None, str]], speaker: Speaker, recogniser: Recogniser, temperature: float
) -> Iterator[Understood]:
    """What has come of the texts so far, after each of them."""
    found, codec = Understood(), speaker.frozen.codec
    for path, text in texts:
        wanted = words_of(text)
        sounds: dict[str, Sound] = {}
        if path is not None:
            sounds["original"] = read_sound(path)
            sounds["codec"] = Sound(*codec.decode(codec.encode(sounds["original"], quality=100)))
        start = time.perf_counter()
        said = sounds["said"] = speaker.say(text, temperature=temperature)
        found.spent += time.perf_counter() - start
        found.seconds += said.seconds
        for kind, sound in sounds.items():
            found.errors[kind] += word_errors(wanted, recogniser.words(sound.at(RATE).samples))
            found.words[kind] += len(wanted)
        yield found
