"""The pictures or sounds of a run: found, opened once, and named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ...errors import UnreadableInputError, UsageError
from .codecs import Kind
from .measure import digest, read_source
from .sounds import SOUND_SUFFIXES, Sound
from .store import slug

PICTURE_SUFFIXES = (
    ".png",
    ".ppm",
    ".bmp",
    ".tif",
    ".tiff",
    ".jpg",
    ".jpeg",
    ".webp",
    ".avif",
    ".jp2",
    ".gif",
)


@dataclass(frozen=True)
class Source:
    """One input file. `name` is unique in the run, `content` is the digest of its samples."""

    path: Path
    name: str
    sha256: str
    content: str


def find(paths: Iterable[Path]) -> tuple[Kind, list[Path]]:
    """Every picture, or every sound, that `paths` names or holds, and which of the two they are.

    Raises UsageError where there are both or none, UnreadableInputError for a path that is not there.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            suffixes = (*PICTURE_SUFFIXES, *SOUND_SUFFIXES)
            found += sorted(file for file in path.iterdir() if file.suffix.lower() in suffixes)
        elif path.exists():
            found.append(path)
        else:
            raise UnreadableInputError(f"there is no file {path}")
    if not found:
        raise UsageError("there is no picture and no sound among the inputs")
    sounds = [path for path in found if path.suffix.lower() in SOUND_SUFFIXES]
    if sounds and len(sounds) < len(found):
        raise UsageError("the inputs hold both pictures and sounds: measure them in two runs")
    return ("sound" if sounds else "picture"), found


def open_all(paths: Iterable[Path], kind: Kind) -> tuple[list[Source], list[tuple[Path, str]]]:
    """Read every file once; return the good ones, equal files only once, and the bad ones with the reason."""
    good: dict[str, Source] = {}
    bad: list[tuple[Path, str]] = []
    for path in paths:
        try:
            content = read_source(str(path), kind, None)
        except UnreadableInputError as error:
            bad.append((path, str(error)))
            continue
        sha256 = digest(path.read_bytes())
        good.setdefault(sha256, Source(path, f"{slug(path.stem)}-{sha256[:6]}", sha256, content_digest(content)))
    return list(good.values()), bad


def content_digest(content: Image.Image | Sound) -> str:
    """SHA-256 over the size and the RGB bytes of a picture (or rate and samples), whatever its file."""
    if isinstance(content, Image.Image):
        return digest(f"{content.width}x{content.height}:".encode() + content.tobytes())
    return digest(f"{content.rate}:".encode() + content.samples.tobytes())
