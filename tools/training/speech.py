"""Training speech: decoded once, kept as 16-bit samples in memory, drawn evenly over its sources."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor
from tqdm import tqdm

from ...codecs.secodec.spectrum import SAMPLE_RATE
from ...errors import UnreadableInputError

SUFFIXES = {".flac", ".wav", ".ogg", ".opus", ".mp3", ".aiff", ".aif"}
HELD_OUT_SHARE = 16  # one speaker in so many is for validation, chosen by name


@dataclass(frozen=True)
class Utterance:
    """A sound file, the collection it comes from and who speaks in it."""

    path: Path
    source: str
    speaker: str


def find_speech(places: Sequence[Path]) -> list[Utterance]:
    """The utterances of `places`, sorted by path: JSON indices, or folders of sound files.

    An index is a list of objects with `file` (relative to the index), `source` and `speaker`. In a folder
    without one, the folder that holds a file is its source and the file is a speaker of its own.

    Raises:
        UnreadableInputError: when an index cannot be read or there is no utterance at all.
    """
    found: list[Utterance] = []
    for place in places:
        found += _indexed(place) if place.suffix == ".json" else _listed(place)
    if not found:
        raise UnreadableInputError(f"no speech in {', '.join(map(str, places))}: name folders or an index")
    return sorted(found, key=lambda u: u.path)


def _indexed(index: Path) -> list[Utterance]:
    try:
        entries = json.loads(index.read_text())
        return [Utterance(index.parent / e["file"], e["source"], e["speaker"]) for e in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{index} is no index of speech with file, source and speaker: {error!r}"
        raise UnreadableInputError(message) from None


def _listed(folder: Path) -> list[Utterance]:
    paths = [p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES]
    return [Utterance(p, str(p.parent), str(p.relative_to(folder))) for p in paths]


def split_speakers(utterances: Sequence[Utterance]) -> tuple[list[Utterance], list[Utterance]]:
    """(training, held out), no speaker in both. A source with one speaker is for training as a whole.

    The choice depends on the speaker's name only, so every run agrees and more data changes nothing for the
    rest.
    """
    speakers = defaultdict(set)
    for utterance in utterances:
        speakers[utterance.source].add(utterance.speaker)

    def held_out(utterance: Utterance) -> bool:
        chosen = hashlib.sha256(utterance.speaker.encode()).digest()[0] % HELD_OUT_SHARE == 0
        return chosen and len(speakers[utterance.source]) > 1

    return [u for u in utterances if not held_out(u)], [u for u in utterances if held_out(u)]


def load_waveform(path: Path) -> np.ndarray:
    """(T,) int16 at 16 kHz, channels averaged.

    Raises:
        UnreadableInputError: for a file that libsndfile does not read.
    """
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UnreadableInputError(f"cannot read {path} as a sound: {error}") from None
    mono = samples.mean(axis=1)
    if rate != SAMPLE_RATE:
        mono = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
    return np.clip(np.round(mono * 32768), -32768, 32767).astype(np.int16)


def to_float(samples: np.ndarray) -> np.ndarray:
    """int16 samples as float32 in -1..1."""
    return samples.astype(np.float32) / 32768


class RandomClips:
    """Clips of equal length: a source drawn by weight, then a place in it, so long utterances come up more
    often.

    The weight of a source is its duration to the power `balance`: 1 is the data as it is, 0 all sources
    alike.
    """

    def __init__(self, utterances: Sequence[Utterance], *, balance: float = 0.5) -> None:
        self.sources: dict[str, list[np.ndarray]] = defaultdict(list)
        for utterance in tqdm(utterances, desc="speech", unit="", mininterval=1):
            self.sources[utterance.source].append(load_waveform(utterance.path))
        self._names = sorted(self.sources)
        lengths = {name: np.array([float(w.size) for w in self.sources[name]]) for name in self._names}
        weights = np.array([size.sum() ** balance for size in lengths.values()])
        self.shares = dict(zip(self._names, weights / weights.sum(), strict=True))
        self._places = {name: np.cumsum(size) / size.sum() for name, size in lengths.items()}

    def draw(self, rng: np.random.Generator, batch: int, samples: int) -> Tensor:
        """(batch, samples) float32 in -1..1; utterances shorter than a clip are followed by silence."""
        names = rng.choice(self._names, size=batch, p=list(self.shares.values()))
        return torch.from_numpy(np.stack([self._one(rng, str(name), samples) for name in names]))

    def _one(self, rng: np.random.Generator, name: str, samples: int) -> np.ndarray:
        place = min(int(np.searchsorted(self._places[name], rng.random())), len(self.sources[name]) - 1)
        waveform = self.sources[name][place]
        start = int(rng.integers(max(waveform.size - samples, 0) + 1))
        clip = to_float(waveform[start : start + samples])
        return np.pad(clip, (0, samples - clip.size))


def describe(utterances: Sequence[Utterance]) -> dict[str, int]:
    """How many utterances each source has."""
    return dict(sorted(Counter(u.source for u in utterances).items()))
