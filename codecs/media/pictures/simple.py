"""GIF, WebP, QOI, BMP and PNM: headers read here, pixels decoded by giflib, libwebp, imagecodecs and Pillow."""

from __future__ import annotations

import io
import re
import struct
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin

from . import profile as profiles
from .decoded import Decoded, full_range
from .exif import orientation_of
from .metadata import Metadata
from .picture import check_pixels

_PNM_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])"
_PNM_NUMBER = re.compile(_PNM_SPACE + rb"+(\d{1,9})")
_CALIBRATED, _LINKED, _EMBEDDED = 0, b"KNIL", b"DEBM"  # names of a BMP's colour space, little-endian


def read_gif(data: bytes, max_pixels: int) -> Decoded:
    """Return the first picture of a GIF file; where it does not cover the screen the rest is transparent.

    Raises UnreadableInputError for one with too many pixels, and other errors, imagecodecs' own among them,
    for a broken file.
    """
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at, transparent = 13 + _table_size(flags), None
    palette, palette_flags = data[13:at], flags
    while data[at : at + 1] == b"!":
        if data[at + 1] == 0xF9 and data[at + 3] & 1:
            transparent = data[at + 6]
        at = _after_blocks(data, at + 2)
    if data[at : at + 1] != b",":
        raise ValueError("it holds no picture")
    left, top, w, h, flags = struct.unpack_from("<4HB", data, at + 1)
    code = at + 10 + _table_size(flags)
    if flags & 0x80:
        palette, palette_flags = data[at + 10 : code], flags
    end = _after_blocks(data, code + 1)
    width, height = max(width, left + w), max(height, top + h)
    check_pixels(width, height, max_pixels)
    if not palette or not w or not h:
        raise ValueError("it has no colours or no pixels")
    # The first picture alone, on a screen of its size: the decoder would decode all that follow, too.
    alone = data[:6] + struct.pack("<HHBBB", w, h, 0x80 | palette_flags & 7, 0, 0) + palette
    alone += b"," + struct.pack("<4HB", 0, 0, w, h, flags & 0x40) + data[code:end] + b";"
    indices = np.asarray(imagecodecs.gif_decode(alone, index=0, asrgb=False)).reshape(h, w)
    colours = np.full((256, 4), 255, np.uint8)
    colours[: len(palette) // 3, :3] = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    if transparent is not None:
        colours[transparent, 3] = 0
    canvas = np.zeros((height, width, 4), np.uint8)
    canvas[top : top + h, left : left + w] = colours[indices]
    opaque = transparent is None and (w, h) == (width, height)
    notes = ["of an animation only the first picture is taken"] if _another_follows(data, end) else []
    return _grey_if_equal(canvas[:, :, :3] if opaque else canvas, notes)


def _table_size(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    """Return the place after the blocks of an extension or a picture; raises ValueError where they are cut."""
    while at < len(data) and data[at]:
        at += 1 + data[at]
    if at >= len(data):
        raise ValueError("it is cut")
    return at + 1


def _another_follows(data: bytes, at: int) -> bool:
    try:
        while data[at : at + 1] == b"!":
            at = _after_blocks(data, at + 2)
    except ValueError:
        return False
    return data[at : at + 1] == b","


def _grey_if_equal(samples: NDArray[Any], notes: list[str]) -> Decoded:
    """Return samples with or without alpha as grey where their three colours are equal everywhere."""
    if (samples[:, :, :1] == samples[:, :, 1:3]).all():
        return Decoded(np.concatenate([samples[:, :, :1], samples[:, :, 3:]], axis=2), "grey", notes=notes)
    return Decoded(samples, "rgb", notes=notes)


def read_webp(data: bytes, max_pixels: int) -> Decoded:
    """Return the picture in a WebP file, of an animation the first one; raises as `read_gif`."""
    at = 12
    chunks: dict[bytes, bytes] = {}
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        chunks.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    check_pixels(*_webp_size(chunks), max_pixels)
    samples = np.asarray(imagecodecs.webp_decode(_webp_pixels(data)))
    notes = ["of an animation only the first picture is taken"] if b"ANIM" in chunks else []
    exif, xmp = chunks.get(b"EXIF"), chunks.get(b"XMP ")
    metadata = Metadata(exif and exif.removeprefix(b"Exif\0\0"), xmp)
    return Decoded(samples, "rgb", chunks.get(b"ICCP"), orientation_of(exif, xmp), notes, metadata)


def _webp_pixels(data: bytes) -> bytes:
    """Return the file with those chunks alone that make pixels."""
    at, body = 12, b"WEBP"
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        end = at + 8 + size + size % 2
        if kind.startswith((b"VP8", b"A")) and at + 8 + size > len(data):
            raise ValueError("it is cut")
        if kind == b"VP8X":  # what it says of other chunks would be missed
            body += data[at : at + 8] + bytes((data[at + 8] & 0x12,)) + data[at + 9 : end]
        elif kind in (b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"):
            body += data[at:end]
        at = end
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _webp_size(chunks: dict[bytes, bytes]) -> tuple[int, int]:
    if extended := chunks.get(b"VP8X"):
        return 1 + int.from_bytes(extended[4:7], "little"), 1 + int.from_bytes(extended[7:10], "little")
    if lossless := chunks.get(b"VP8L"):
        bits = int.from_bytes(lossless[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if lossy := chunks.get(b"VP8 "):
        width, height = struct.unpack_from("<HH", lossy, 6)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("it holds no picture")


def read_qoi(data: bytes, max_pixels: int) -> Decoded:
    """Return the picture in a QOI file; raises as `read_gif`."""
    width, height, _, space = struct.unpack_from(">IIBB", data, 4)
    check_pixels(width, height, max_pixels)
    if not data.endswith(b"\0\0\0\0\0\0\0\1"):
        raise ValueError("it is cut: the mark of its end is missing")
    linear = profiles.rgb_profile(profiles.SRGB_PRIMARIES, profiles.gamma_curve(1.0)) if space == 1 else None
    return Decoded(np.asarray(imagecodecs.qoi_decode(data)), "rgb", linear)


class _Whole(io.BytesIO):
    """A file that raises where its end is passed, whatever the caller told Pillow to do about cut files."""

    strict = False

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        if self.strict and size and not found:
            raise ValueError("it is cut")
        return found


def read_bmp(data: bytes, max_pixels: int) -> Decoded:
    """Return the picture in a BMP file; raises as `read_gif`."""
    file = _Whole(data)
    image = BmpImagePlugin.BmpImageFile(file)
    check_pixels(*image.size, max_pixels)
    file.strict = True
    image.load()
    notes: list[str] = []
    samples = np.asarray(image.convert("RGBA" if image.mode == "RGBA" else "RGB"))
    decoded = _grey_if_equal(samples, notes) if image.mode in ("1", "L", "P") else Decoded(samples, "rgb")
    decoded.icc = _bmp_profile(data, notes)
    if (dpi := image.info.get("dpi")) and all(dpi):
        decoded.metadata = Metadata(dpi=(float(dpi[0]), float(dpi[1])))
    decoded.notes = notes
    return decoded


def _bmp_profile(data: bytes, notes: list[str]) -> bytes | None:
    """Return the profile of versions 4 and 5 of the header: three gammas and primaries, or a profile inside."""
    (size,) = struct.unpack_from("<I", data, 14)
    if size < 108:
        return None
    kind = data[14 + 56 : 14 + 60]
    if kind == _EMBEDDED and size >= 124:
        offset, length = struct.unpack_from("<II", data, 14 + 112)
        return data[14 + offset : 14 + offset + length]
    if kind == _LINKED:
        notes.append("its colour profile lies in another file and is left out")
    if int.from_bytes(kind, "little") != _CALIBRATED:
        return None
    ends = np.array(struct.unpack_from("<9i", data, 14 + 60), np.float64).reshape(3, 3) / (1 << 30)
    gammas = [value / 65536 for value in struct.unpack_from("<3I", data, 14 + 96)]
    if not ends.any() or not all(gammas):
        return None  # writers that mean sRGB leave all this empty
    white = ends.sum(axis=0)
    corners = [(float(end[0] / end.sum()), float(end[1] / end.sum())) for end in (*ends, white) if end.sum()]
    try:
        red, green, blue, w = corners
        return profiles.rgb_profile((red, green, blue, w), profiles.gamma_curve(gammas[1]))
    except ValueError:
        notes.append("its primaries are no colours and left out")
        return None


def read_pnm(data: bytes, max_pixels: int) -> Decoded:
    """Return the picture in a PBM, PGM or PPM file, plain or binary, of 1 to 16 bits; raises as `read_gif`."""
    form, at, values = data[1:2], 2, []
    is_map, is_plain, channels = form in b"14", form in b"123", 3 if form in b"36" else 1
    for _ in range(2 if is_map else 3):
        found = _PNM_NUMBER.match(data, at)
        if found is None:
            raise ValueError("its header is broken")
        values.append(int(found[1]))
        at = found.end()
    width, height, peak = (*values, 1)[:3]
    check_pixels(width, height, max_pixels)
    if not width or not height or not 0 < peak < 65536:
        raise ValueError(f"{width}x{height} pixels with white {peak} cannot be")
    count = width * height * channels
    if is_map and is_plain:
        samples = _map_digits(data, at, count)
    elif is_map:
        rows = _packed_samples(data, at + 1, height * ((width + 7) // 8), 255).reshape(height, -1)
        samples = np.unpackbits(rows, axis=1)[:, :width]
    elif is_plain:
        samples = _plain_samples(data, at, count, peak)
    else:
        samples = _packed_samples(data, at + 1, count, peak)
    samples = full_range(samples.reshape(height, width, channels), peak)
    return Decoded(255 - samples if is_map else samples, "grey" if channels == 1 else "rgb")


def _packed_samples(data: bytes, at: int, count: int, peak: int) -> NDArray[Any]:
    dtype = np.dtype(np.uint8 if peak < 256 else ">u2")
    if len(data) - at < count * dtype.itemsize:
        raise ValueError("it is cut")
    return np.frombuffer(data, dtype, count, at)


def _plain_samples(data: bytes, at: int, count: int, peak: int) -> NDArray[Any]:
    words = re.sub(rb"#[^\r\n]*", b"", data[at:]).split(maxsplit=count)[:count]
    if len(words) < count:
        raise ValueError("it is cut")
    samples = np.array(words, dtype="S10").astype(np.int64)
    if samples.min() < 0 or samples.max() > peak:
        raise ValueError(f"it has samples outside 0..{peak}")
    return samples.astype(np.uint16)


def _map_digits(data: bytes, at: int, count: int) -> NDArray[Any]:
    """Return the digits of a plain bit map, between which no space is needed."""
    text = np.frombuffer(b"".join(re.sub(rb"#[^\r\n]*", b"", data[at:]).split()), np.uint8)[:count]
    if len(text) < count or ((text != 48) & (text != 49)).any():
        raise ValueError("it is cut, or has other digits than 0 and 1")
    return text - 48
