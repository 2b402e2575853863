"""What a file to encode holds: its kind, and the object that the codecs of this kind take."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import UsageError
from . import registry
from .base import Kind
from .container import MAGIC
from .media.files import is_stream, named, read_bytes
from .media.pictures.picture import MAX_PIXELS

_SOUND_STARTS = (b"fLaC", b"OggS", b"ID3", b"FORM", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b".snd", b"NIST_1A")
_PICTURE_STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"BM")  # most inputs, known at once


def take(path: Path) -> Path | bytes:
    """The bytes of a file, or its path where it is a sound on disk, which is read block by block.

    Raises:
        UnreadableInputError: as `read_bytes` does.
    """
    if not is_stream(path):
        from .media.sound import is_sound

        with suppress(OSError), open(path, "rb") as file:
            start = file.read(16)
            if start and not start.startswith((MAGIC, *_PICTURE_STARTS)) and is_sound(path):
                return path
    return read_bytes(path)


def contents(source: Any, codec: str | None, max_pixels: int = MAX_PIXELS) -> tuple[Any, str | None]:
    """What a codec takes, and the codec's name: of a file that `source` names, else `source` as it is.

    Without a `codec` that is the one for the kind of the file, and None for what is no name of a file.
    Raises UnreadableInputError where there is no such file, or nothing in it that the codec takes.
    """
    if not isinstance(source, (str, os.PathLike)):
        return source, codec
    data, name = take(named(source)), str(source)
    codec = codec_for(data, name) if codec is None else codec
    return read_source(data, codec, name, max_pixels), codec


def kind_of(data: Path | bytes) -> Kind:
    """ "sound" for what libsndfile knows, or what starts as the usual sounds do, else "picture"."""
    from .media.sound import is_sound

    if isinstance(data, bytes):
        if data.startswith(_PICTURE_STARTS):
            return "picture"
        if data.startswith(_SOUND_STARTS) or (data[:4] == b"RIFF" and data[8:12] == b"WAVE"):
            return "sound"
    return "sound" if is_sound(data) else "picture"


def codec_for(data: Path | bytes, name: str) -> str:
    """Return the name of the codec that encodes this kind of file; raises UsageError where there is none."""
    if isinstance(data, bytes) and data.startswith(MAGIC):
        raise UsageError(f"{name} is a bitfloor file already: decode it first")
    kind = kind_of(data)
    for entry in registry.CODECS:
        if entry.kind == kind:
            return entry.name
    raise UsageError(f"{name} is a {kind}, and this bitfloor has no codec for it")


def read_source(data: Path | bytes, codec: str, name: str, max_pixels: int = MAX_PIXELS) -> Any:
    """Return what the codec called `codec` encodes, from the bytes of a file.

    Raises UnreadableInputError where `data` holds no such thing, or a picture of more than `max_pixels`.
    """
    kind = registry.by_name(codec).kind
    if kind == "sound":
        from .media.sound import open_sound

        return open_sound(data, name)
    if isinstance(data, Path):
        data = read_bytes(data)
    if kind == "picture":
        from .media.pictures.files import read_picture

        return read_picture(data, name, max_pixels=max_pixels)
    from .symbol_files import read_symbols

    return read_symbols(data, name, max_pixels)
