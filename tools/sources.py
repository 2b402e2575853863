"""What a file to encode holds: its kind, and the object that the codecs of this kind take."""

from __future__ import annotations

from typing import Any

from ..codecs import registry
from ..codecs.base import Kind
from ..codecs.container import MAGIC
from ..codecs.picture import MAX_PIXELS
from ..errors import UsageError

_SOUND_STARTS = (b"fLaC", b"OggS", b"ID3", b"FORM", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b".snd")


def kind_of(data: bytes) -> Kind:
    """Return "sound" for what starts as WAV, FLAC, Ogg, AIFF, AU or MP3 does, else "picture"."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "sound"
    return "sound" if data.startswith(_SOUND_STARTS) else "picture"


def codec_for(data: bytes, name: str) -> str:
    """Return the name of the codec that encodes this kind of file; raises UsageError where there is none."""
    if data.startswith(MAGIC):
        raise UsageError(f"{name} is a bitfloor file already: decode it first")
    kind = kind_of(data)
    for entry in registry.CODECS:
        if entry.kind == kind:
            return entry.name
    raise UsageError(f"{name} is a {kind}, and this bitfloor has no codec for it")


def read_source(data: bytes, codec: str, name: str, max_pixels: int = MAX_PIXELS) -> Any:
    """Return what the codec called `codec` encodes, from the bytes of a file.

    Raises UnreadableInputError where `data` holds no such thing, or a picture of more than `max_pixels`.
    """
    kind = registry.by_name(codec).kind
    if kind == "picture":
        from ..codecs.picture_files import read_picture

        return read_picture(data, name, max_pixels=max_pixels)
    if kind == "symbols":
        from ..codecs.symbol_files import read_symbols

        return read_symbols(data, name, max_pixels)
    from ..codecs.sound import read_sound

    return read_sound(data, name)
