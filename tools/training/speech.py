"""Training speech: decoded once, kept as 16-bit samples in memory, drawn evenly over its sources."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor
from tqdm import tqdm

from ...codecs.media.sound.formats import sound_suffixes
from ...codecs.secodec.level import NOMINAL, active_level
from ...codecs.secodec.spectrum import SAMPLE_RATE
from ...errors import UnreadableInputError
from .augment import Augmentation

SUFFIXES = frozenset(sound_suffixes())
_LEVEL_FRAME = 320  # samples, as the codec measures the level
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


def level_of(samples: np.ndarray) -> float:
    """Level in dBFS of the speech in samples (T,) at 16 kHz, full scale 1, by frames of 20 ms."""
    frames = np.pad(samples, (0, -samples.size % _LEVEL_FRAME)).reshape(-1, _LEVEL_FRAME)
    return active_level(np.square(frames, dtype=np.float64).mean(axis=1))


def _gain(waveform: np.ndarray) -> np.float32:
    return np.float32(10 ** ((NOMINAL - level_of(to_float(waveform))) / 20))


def levelled(waveform: np.ndarray) -> np.ndarray:
    """int16 samples (T,) -> float32 at the level `NOMINAL` that the codec gives its encoder."""
    return to_float(waveform) * _gain(waveform)


def load_all(utterances: Sequence[Utterance]) -> list[np.ndarray]:
    """`load_waveform` of all, several at a time."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        loaded = pool.map(load_waveform, [u.path for u in utterances])
        return list(tqdm(loaded, total=len(utterances), desc="speech", unit="", mininterval=1))


class RandomClips:
    """Clips of equal length: a source drawn by weight, then a place in it, so long utterances come up more
    often.

    The weight of a source is its duration to the power `balance`: 1 is the data as it is, 0 all sources
    alike. A source with one speaker has at most the share `one_voice`, for no voice shall be the codec's own.
    All samples lie in one tensor, on the device where clips are wanted.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        *,
        balance: float = 0.5,
        one_voice: float = 0.15,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.augmentation = augmentation or Augmentation()
        waveforms = load_all(utterances)
        self.samples = torch.from_numpy(np.concatenate(waveforms))
        self._sizes = np.array([w.size for w in waveforms])
        self._starts = np.cumsum(self._sizes) - self._sizes
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            self._gains = np.array(list(pool.map(_gain, waveforms)), dtype=np.float32)
        members, speakers = defaultdict(list), defaultdict(set)
        for number, utterance in enumerate(utterances):
            members[utterance.source].append(number)
            speakers[utterance.source].add(utterance.speaker)
        self._members = {name: np.array(members[name]) for name in sorted(members)}
        lengths = [self._sizes[numbers].astype(np.float64) for numbers in self._members.values()]
        weights = np.array([size.sum() ** balance for size in lengths])
        lone = np.array([len(speakers[name]) == 1 for name in self._members])
        self.shares = dict(zip(self._members, limited(weights / weights.sum(), lone, one_voice), strict=True))
        self._places = [np.cumsum(size) / size.sum() for size in lengths]

    def to(self, device: torch.device) -> RandomClips:
        """The same, with its samples moved to a device; clips are made there."""
        self.samples = self.samples.to(device)
        return self

    def draw(self, rng: np.random.Generator, batch: int, samples: int) -> Tensor:
        """(batch, samples) float32 about `NOMINAL`; utterances shorter than a clip are followed by silence."""
        sources = rng.choice(len(self._members), size=batch, p=list(self.shares.values()))
        chosen = np.array([self._utterance(rng, int(source)) for source in sources])
        sizes = self._sizes[chosen]
        starts = self._starts[chosen] + rng.integers(np.maximum(sizes - samples, 0) + 1)
        place = torch.arange(samples, device=self.samples.device)
        there = place < self._here(sizes)
        index = (self._here(starts) + place).clamp(max=len(self.samples) - 1)
        gains = self._here(self._gains[chosen] / 32768)
        return self.augmentation.apply(rng, self.samples[index] * gains * there, there)

    def _here(self, values: np.ndarray) -> Tensor:
        """Values (B,) as (B, 1) where the samples are, without waiting for the work that is under way there."""
        return torch.from_numpy(values)[:, None].to(self.samples.device, non_blocking=True)

    def _utterance(self, rng: np.random.Generator, source: int) -> int:
        """Number of a random utterance of a source, long ones more often."""
        numbers = list(self._members.values())[source]
        return int(numbers[min(int(np.searchsorted(self._places[source], rng.random())), len(numbers) - 1)])


def limited(shares: np.ndarray, which: np.ndarray, most: float) -> np.ndarray:
    """Shares (N,) with those of `which` (N,) cut to `most` of the whole, the rest raised in proportion.

    Where all are cut there is no rest, and they stay as they are.
    """
    cut = np.zeros(shares.size, dtype=bool)
    while (over := which & ~cut & (shares > most)).any() and not (cut | over).all():
        cut |= over
        rest = ~cut
        shares = np.where(cut, most, shares * rest / shares[rest].sum() * (1 - most * cut.sum()))
    return shares


def describe(utterances: Sequence[Utterance]) -> dict[str, int]:
    """How many utterances each source has."""
    return dict(sorted(Counter(u.source for u in utterances).items()))
