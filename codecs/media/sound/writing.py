"""Sounds into files, block by block."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from ....errors import UsageError
from ..files import atomic_output, check_output, format_suffix, is_stream
from .signal import SoundSource, in_blocks

_log = logging.getLogger(__name__)
WRITABLE = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".aiff": ("AIFF", "PCM_16"),
    ".aif": ("AIFF", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
}
_LARGEST = {"WAV": (1 << 32) - 4096, "AIFF": (1 << 32) - 4096}  # bytes that the format can count
_BLOCK = 4096  # libsndfile's Vorbis encoder keeps a block on its stack: 2,400,000 samples at once crash it


def write_sound(sound: SoundSource, path: str | Path, overwrite: bool = False, *, comment: str = "") -> None:
    """Writes a file whose suffix says the format, WAV without one and for "-". What is beyond -1..1 is clipped.

    WAV, FLAC and AIFF get 16-bit samples; a WAV beyond 4 GiB becomes RF64. A `comment` goes into the metadata.

    Raises:
        UsageError: for another suffix, and as `files.atomic_output` does.
    """
    file_format, subtype = _format(check_suffix(path), 2 * sound.length)
    check_output(path, overwrite)
    with tempfile.TemporaryFile() as spool, atomic_output(path, overwrite) as file:
        # libsndfile goes back to fill in the header, which a pipe cannot.
        seeks = not is_stream(path)
        clipped = _write(sound, file if seeks else spool, file_format, subtype, comment)
        if not seeks:
            spool.seek(0)
            shutil.copyfileobj(spool, file)
    if clipped:
        _log.info("%s: %d samples beyond full scale were clipped", path, clipped)


def check_suffix(path: str | Path) -> str:
    """The suffix that says the format of an output, .wav where there is none. Raises UsageError for another."""
    suffix = format_suffix(path, WRITABLE, ".wav")
    if suffix not in WRITABLE:
        raise UsageError(f"a sound goes into {', '.join(WRITABLE)}, not {suffix}")
    return suffix


def _format(suffix: str, size: int) -> tuple[str, str]:
    """libsndfile's names of the format and of the kind of samples, for `size` bytes of them."""
    file_format, subtype = WRITABLE[suffix]
    if size > _LARGEST.get(file_format, size):
        if file_format != "WAV":
            raise UsageError(f"{size:,} bytes of samples are more than {file_format} can hold: take .wav or .flac")
        file_format = "RF64"
    return file_format, subtype


def _write(sound: SoundSource, file: BinaryIO, file_format: str, subtype: str, comment: str) -> int:
    """Writes the whole file and returns how many samples were clipped."""
    clipped = 0
    try:
        with soundfile.SoundFile(file, "w", sound.rate, 1, subtype=subtype, format=file_format) as target:
            if comment:
                target.comment = comment
            for block in in_blocks(sound.blocks(), _BLOCK):
                clipped += int(np.count_nonzero(np.abs(block) > 1))
                target.write(np.clip(block, -1, 1))
    except soundfile.LibsndfileError as error:  # such as a rate that the format does not have
        raise UsageError(f"cannot write {sound.rate} Hz as {file_format}: {error.error_string}") from None
    return clipped
