"""What the end of a file's name says: which files of a folder are read, and which names outputs get."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from ..codecs.media.sound.formats import sound_suffixes

SUFFIX = ".bf"
PICTURES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".pjpeg", ".pjp", ".webp", ".avif"),
    *(".tif", ".tiff", ".gif", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".jxl", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".qoi"),
)
SOUNDS = sound_suffixes()
READABLE = (*PICTURES, *SOUNDS)

_UNREAD = {".psd", ".raw", ".dng", ".m4a", ".aac", ".wma", ".mkv", ".webm"}
_DATA = {SUFFIX, ".npy", ".npz", ".bin", ".dat", ".md"}


def _types() -> dict[str, str]:
    return mimetypes.MimeTypes().types_map[True]  # Python's own list, not that of the system


def is_media(name: str | Path) -> bool:
    """Tell whether the suffix is that of a picture, a sound or a film of another format than ours."""
    suffix = Path(name).suffix.lower()
    kind = _types().get(suffix, "").partition("/")[0]
    return suffix in _UNREAD or suffix in READABLE or kind in ("image", "audio", "video")


def stem(name: str, known: tuple[str, ...] | None = None) -> str:
    """`name` without its suffix, where that is one of `known` or of a format; `IMG_2024.05.01` has none."""
    suffix = Path(name).suffix
    lower = suffix.lower()
    strip = lower in known if known is not None else is_media(name) or lower in _DATA or lower in _types()
    return name[: -len(suffix)] if suffix and strip else name
