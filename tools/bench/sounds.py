"""Sound files of the benchmark, read and written through libsndfile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import soundfile

from ...codecs.media import sound
from ...codecs.media.sound import Sound
from ...codecs.media.sound.formats import sound_suffixes
from ...errors import UnreadableInputError

SOUND_SUFFIXES = sound_suffixes()


def read_sound(path: Path) -> Sound:
    """Read any file of libsndfile as mono; raises UnreadableInputError for anything else, or an empty one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableInputError(f"cannot read {path}: {error.strerror or error}") from None
    return sound.read_sound(data, str(path))


def write_sound(source: Sound, path: Path, subtype: str = "PCM_16", **options: Any) -> None:
    """Write the samples in the format that the ending of `path` names."""
    soundfile.write(path, source.samples, source.rate, subtype=subtype, **options)
