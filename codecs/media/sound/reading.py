"""Sounds from files: all that libsndfile reads, in blocks, and one line for whatever of them is not kept."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import soundfile

from ....errors import UnreadableInputError, UsageError
from .arrays import check_rate, scale_of
from .damage import PatchedFile, header_complaint, mend
from .mixdown import Mixer
from .signal import BLOCK, MAX_SECONDS, Sound

_log = logging.getLogger(__name__)


class SoundFile:
    """A `SoundSource` that reads a file, from a path or from bytes, anew for each pass.

    The first pass is made here: it counts the samples that are really there and finds what is worth a warning, a cut
    file, channels that cancel each other, tags that are not kept.

    Raises:
        UnreadableInputError: where there is no sound, none that can be coded, or an empty one.
    """

    def __init__(self, source: Path | bytes, name: str) -> None:
        self._source, self.name = source, name
        self._scale = np.float32(1)
        with self._opened() as (sound, complaint):
            try:
                self.rate = check_rate(sound.samplerate)
            except UsageError as error:
                raise UnreadableInputError(f"{name}: {error}") from None
            self._survey(sound, complaint)

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.length / self.rate

    def blocks(self) -> Iterator[np.ndarray]:
        """See `SoundSource`."""
        with self._opened() as (sound, _):
            mixer = Mixer(sound.channels, sound.format == "OGG")
            for block in _read(sound):
                yield mixer.mix(block) * self._scale

    def load(self) -> Sound:
        """The whole of it in memory."""
        return Sound(np.concatenate(list(self.blocks())), self.rate)

    @contextmanager
    def _opened(self) -> Iterator[tuple[soundfile.SoundFile, str | None]]:
        """The file as libsndfile reads it, and what is wrong with its sizes."""
        try:
            with _bytes_of(self._source) as file:
                patches, words = mend(file)
                file.seek(0)
                view = cast(BinaryIO, PatchedFile(file, patches)) if patches else file
                with soundfile.SoundFile(view) as sound:
                    yield sound, words or header_complaint(sound, file)
        except soundfile.LibsndfileError as error:
            reason = error.error_string.strip().rstrip(".") or "its samples cannot be decoded"
            raise UnreadableInputError(f"{self.name} is no sound that can be read: {reason}") from None
        except (OSError, ValueError, TypeError) as error:
            reason = getattr(error, "strerror", None) or "its header makes no sense"
            raise UnreadableInputError(f"{self.name} is no sound that can be read: {reason}") from None

    def _survey(self, sound: soundfile.SoundFile, complaint: str | None) -> None:
        """Sets length and scale and says what is lost."""
        mixer, loudest, self.length = Mixer(sound.channels, sound.format == "OGG"), 0.0, 0
        for block in _read(sound):
            peak = float(np.abs(block).max())
            if not np.isfinite(peak):
                raise UnreadableInputError(f"{self.name}: the sound holds NaN or infinite samples")
            loudest = max(loudest, peak)
            mixer.mix(block)
            self.length += len(block)
            if self.length > MAX_SECONDS * self.rate:
                hours = MAX_SECONDS // 3600
                raise UnreadableInputError(f"{self.name}: the sound is longer than {hours} hours: cut it into parts")
        if not self.length:
            raise UnreadableInputError(f"{self.name}: the sound is empty: {complaint or 'it holds no samples'}")
        self._set_scale(loudest)
        self._scale *= np.float32(mixer.scale)
        promised = sound.frames
        if complaint is None and self.length < promised < 1 << 40:
            complaint = f"it is cut or damaged: {self.length:,} of its {promised:,} samples can be read"
        tags = ", ".join(sorted(sound.copy_metadata()))
        for words in (complaint, mixer.loss, f"its tags are not kept: {tags}" if tags else None):
            if words:
                _log.warning("%s: %s", self.name, words)

    def _set_scale(self, loudest: float) -> None:
        try:
            self._scale = np.float32(scale_of(loudest))
        except UsageError as error:
            raise UnreadableInputError(f"{self.name}: {error}") from None
        if self._scale != 1:
            _log.warning("%s: its samples reach %.6g: taken as 16-bit values", self.name, loudest)


@contextmanager
def _bytes_of(source: Path | bytes) -> Iterator[BinaryIO]:
    with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
        yield file


def _read(sound: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """Blocks (n, channels) float32; of a damaged file all that libsndfile can decode."""
    while True:
        # NaN marks what was not filled, where libsndfile gives up within a block.
        block = np.full((BLOCK, sound.channels), np.nan, np.float32)
        try:
            block = sound.read(BLOCK, out=block)
        except soundfile.LibsndfileError:
            filled = np.isnan(block).any(axis=1)
            if (count := int(filled.argmax()) if filled.any() else BLOCK) > 0:
                yield block[:count]
            return
        if not len(block):
            return
        yield block


def open_sound(source: Path | bytes, name: str = "the input") -> SoundFile:
    """The sound in a file, or in the bytes of one, that libsndfile reads (WAV, FLAC, Ogg, MP3, AIFF, SPHERE ...).

    Raises:
        UnreadableInputError: as `SoundFile` does.
    """
    return SoundFile(source, name)


def read_sound(data: Path | bytes, name: str = "the input") -> Sound:
    """The same with all samples in memory."""
    return open_sound(data, name).load()


def is_sound(source: Path | bytes) -> bool:
    """Whether libsndfile knows what this is, be it whole or not."""
    try:
        with _bytes_of(source) as file:
            patches, _ = mend(file)
            file.seek(0)
            soundfile.info(cast(BinaryIO, PatchedFile(file, patches)) if patches else file)
    except soundfile.LibsndfileError as error:
        return error.code != 1  # 1: the format is not recognised
    except (OSError, ValueError, TypeError):
        return False
    return True
