"""Word error rate: how much of a spoken text a recogniser still understands after coding.

The recogniser is any Whisper model in CTranslate2's form, run by faster-whisper from a folder; nothing is downloaded.
Errors are counted against the official text where it lies beside the sound, else against what the recogniser hears in
the original. A recogniser makes errors on originals too, so its own rate on them stands beside the codec's.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...codecs.seslm import numbers
from ...errors import UsageError

MODEL_VARIABLE = "BITFLOOR_WHISPER"
RATE = 16000  # Hz, what Whisper hears
_ABBREVIATIONS = {"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint", "ok": "okay"}
_PACKED = 999_999  # larger numbers are read digit by digit


def spoken_number(digits: str) -> list[str]:
    """A whole number as English words; one with a leading zero or beyond a million digit by digit."""
    by_digits = (digits[0] == "0" and len(digits) > 1) or int(digits) > _PACKED
    return (numbers.digits(digits) if by_digits else numbers.cardinal(int(digits))).split()


def words_of(text: str) -> list[str]:
    """The words that count: lower case, no punctuation, numbers and titles spelled out, compounds taken apart."""
    plain = unicodedata.normalize("NFKD", text).lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", re.sub(r"\[.*?\]|\(.*?\)", " ", plain)).replace("&", " and ")
    found: list[str] = []
    for word in re.findall(r"\d+|[^\W\d_]+(?:'[^\W\d_]+)*", plain):
        found += spoken_number(word) if word.isascii() and word.isdigit() else [_ABBREVIATIONS.get(word, word)]
    return found


def word_errors(reference: Sequence[str], heard: Sequence[str]) -> int:
    """Levenshtein distance in words: substitutions, deletions and insertions."""
    row = np.arange(len(heard) + 1)
    for count, word in enumerate(reference, 1):
        changed = np.minimum(row[1:] + 1, row[:-1] + np.array([word != other for other in heard], dtype=int))
        row = np.concatenate([[count], changed])
        row = np.minimum.accumulate(row - np.arange(row.size)) + np.arange(row.size)  # insertions
    return int(row[-1])


def official_text(sound: Path) -> str | None:
    """The text of a sound file by what lies beside it; None where nothing does.

    Known are NAME.txt, LibriSpeech's CHAPTER.trans.txt (a name and its text on a line), and tables *.tsv with columns
    `file` and `text`, in the folder or the one above it, whose file ends like the sound's path.
    """
    alone = sound.with_suffix(".txt")
    if alone.is_file():
        return alone.read_text(encoding="utf-8").strip()
    for folder in (sound.parent, sound.parent.parent):
        for path in sorted(folder.glob("*.trans.txt")) + sorted(folder.glob("*.tsv")):
            text = _texts(path).get(sound.stem)
            if text is not None:
                return text
    return None


@lru_cache(maxsize=16)
def _texts(path: Path) -> dict[str, str]:
    """Texts by the name of the sound without its ending."""
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".txt":
            pairs = (line.strip().partition(" ") for line in file)
            return {name: text for name, _, text in pairs if text}
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if not {"file", "text"} <= set(rows.fieldnames or ()):
            return {}
        return {Path(row["file"]).stem: row["text"] for row in rows}


def model_folder(named: Path | None = None) -> Path | None:
    """The recogniser's folder: the one named, else by the environment; None without either.

    Raises:
        UsageError: for a folder that holds no such model.
    """
    chosen = named or (Path(os.environ[MODEL_VARIABLE]) if os.environ.get(MODEL_VARIABLE) else None)
    if chosen is not None and not (chosen / "model.bin").is_file():
        raise UsageError(f"{chosen} holds no Whisper model for faster-whisper: there is no model.bin in it")
    return chosen


@dataclass(frozen=True)
class Listening:
    """How the words of one sound are counted: the recogniser's folder, and the official text where there is one."""

    folder: str
    text: str | None

    @property
    def identity(self) -> str:
        """What a result depends on: the recogniser's weights and the text, as a short digest."""
        text = "\0" if self.text is None else self.text
        return hashlib.sha256(f"{_weights_digest(self.folder)} {text}".encode()).hexdigest()[:12]


@lru_cache(maxsize=4)
def _weights_digest(folder: str) -> str:
    return hashlib.sha256((Path(folder) / "model.bin").read_bytes()).hexdigest()


class Recogniser:
    """Whisper in a folder; deterministic: greedy temperature, five beams, whole 30 s windows."""

    def __init__(self, folder: str) -> None:
        from faster_whisper import WhisperModel

        self.model: Any = WhisperModel(folder, device="cpu", compute_type="float32", local_files_only=True)
        self.language: str | None = None if self.model.model.is_multilingual else "en"

    def words(self, samples: np.ndarray) -> list[str]:
        """What it hears in samples (T,) float32 at 16 kHz."""
        segments, _ = self.model.transcribe(
            samples, language=self.language, beam_size=5, temperature=0.0, condition_on_previous_text=False,
            without_timestamps=True,
        )  # fmt: skip
        return words_of(" ".join(segment.text for segment in segments))


@lru_cache(maxsize=1)
def _recogniser(folder: str) -> Recogniser:
    return Recogniser(folder)


@lru_cache(maxsize=64)
def _heard(folder: str, samples: bytes) -> tuple[str, ...]:
    return tuple(_recogniser(folder).words(np.frombuffer(samples, dtype=np.float32)))


def measure_words(reference: np.ndarray, decoded: np.ndarray, how: Listening) -> dict[str, float]:
    """Word error rates in percent, of the decoded sound and of the original (0 without a text), and words counted.

    Both sounds are (T,) float32 at 16 kHz. Where no word is wanted every word heard counts as 100.
    """
    folder, text = how.folder, how.text
    original = _heard(folder, np.ascontiguousarray(reference, dtype=np.float32).tobytes())
    wanted = original if text is None else tuple(words_of(text))
    heard = _recogniser(folder).words(np.ascontiguousarray(decoded, dtype=np.float32))
    count = max(1, len(wanted))
    errors = {"wer": word_errors(wanted, heard), "wer_original": word_errors(wanted, original)}
    return {name: 100 * value / count for name, value in errors.items()} | {"words": float(count)}
