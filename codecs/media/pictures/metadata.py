"""What a picture file tells people beside the picture: EXIF, XMP, and dots per inch.

The pixels of a `Picture` are upright, so what is kept of its metadata says so, too; thumbnails, which would show the
picture as it was before all editing, and what speaks of other parts of the original file are left out.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ....errors import CorruptStreamError
from ...container import Section
from .alpha import inflate
from .exif import resolution_of, upright_exif

MAX_BYTES = 1 << 24  # the section has three bytes for the length
_STEPS = 10_000  # a dot per inch has so many in the section
_MOST_DPI = (2**32 - 1) / _STEPS
_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>)\s*)[1-8]""")
# Thumbnails, and claims that a film or a gain map follows the picture.
_XMP_THUMBNAILS = re.compile(rb"<(xmp|xap):Thumbnails>.*?</\1:Thumbnails>", re.DOTALL)
_XMP_FILM = re.compile(rb"""((?:MotionPhoto|MicroVideo)(?:\s*=\s*["']|>)\s*)1""")
_XMP_GAIN_MAP = re.compile(rb"""\shdrgm:Version\s*=\s*(?:"[^"]*"|'[^']*')|<hdrgm:Version>.*?</hdrgm:Version>""")


@dataclass(frozen=True)
class Metadata:
    """EXIF data (a TIFF structure without "Exif" before it), an XMP packet, dots per inch across and down."""

    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None

    def __bool__(self) -> bool:
        return any((self.exif, self.xmp, self.dpi))

    @cached_property
    def resolution(self) -> tuple[float, float] | None:
        """Dots per inch, also those that stand in EXIF alone."""
        return self.dpi or resolution_of(self.exif)

    def upright(self, orientation: int, notes: list[str]) -> Metadata:
        """Return the metadata of the picture from which `orientation` (1..8) was taken; `notes` get what is lost."""
        exif, xmp, dpi = self.exif or None, self.xmp or None, self.dpi
        if exif is not None:
            exif = upright_exif(exif, orientation)
            if exif is None:
                notes.append("its EXIF data are broken and left out")
        if xmp is not None:
            xmp = _XMP_ORIENTATION.sub(rb"\g<1>1", xmp.rstrip(b"\0"))
            xmp = _XMP_FILM.sub(rb"\g<1>0", _XMP_GAIN_MAP.sub(b"", _XMP_THUMBNAILS.sub(b"", xmp)))
        if dpi is not None and orientation >= 5:
            dpi = dpi[1], dpi[0]
        if dpi is not None and not all(1 / _STEPS <= value <= _MOST_DPI for value in dpi):  # nor NaN
            dpi = None
        if exif is not None and len(exif) >= MAX_BYTES:
            exif = None
            notes.append("its EXIF data are too large and left out")
        if xmp is not None and len(xmp) >= MAX_BYTES:
            xmp = None
            notes.append("its XMP data are too large and left out")
        return Metadata(exif, xmp, dpi)

    def to_sections(self) -> dict[int, bytes]:
        """Return the sections of a file that hold it."""
        sections = {}
        if self.exif:
            sections[int(Section.EXIF)] = packed(self.exif)
        if self.xmp:
            sections[int(Section.XMP)] = packed(self.xmp)
        if self.dpi:
            steps = [round(value * _STEPS) for value in self.dpi]
            sections[int(Section.RESOLUTION)] = struct.pack("<II", *steps)[: 4 if steps[0] == steps[1] else 8]
        return sections

    @staticmethod
    def from_sections(sections: Mapping[int, bytes]) -> Metadata:
        """Return what the sections of a file hold; raises CorruptStreamError."""
        exif, xmp, body = (sections.get(key) for key in (Section.EXIF, Section.XMP, Section.RESOLUTION))
        dpi = None
        if body is not None:
            if len(body) not in (4, 8):
                raise CorruptStreamError(f"the resolution section has {len(body)} bytes")
            across, down = struct.unpack("<II", body if len(body) == 8 else body * 2)
            dpi = across / _STEPS, down / _STEPS
        return Metadata(exif and unpacked(exif, "EXIF data"), xmp and unpacked(xmp, "XMP data"), dpi)


NO_METADATA = Metadata()


def packed(content: bytes) -> bytes:
    """Return a section's body: the length in three bytes, big endian, and a zlib stream."""
    return len(content).to_bytes(3, "big") + zlib.compress(content, 9)


def unpacked(body: bytes, what: str) -> bytes:
    """Return what `packed` was given; raises CorruptStreamError that names `what`."""
    size = int.from_bytes(body[:3], "big")
    if not 0 < size < MAX_BYTES:
        raise CorruptStreamError(f"the section of the {what} claims {size} bytes")
    return inflate(body[3:], size)
