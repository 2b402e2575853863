"""PNG (W3C, third edition): chunks taken apart here, pixels decoded and encoded by libpng.

Only the chunks that make the pixels reach the decoder, so that no text, broken or large, refuses a picture.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from ....errors import UnreadableInputError
from . import profile as profiles
from .decoded import Decoded, Space
from .exif import orientation_of
from .metadata import NO_METADATA, Metadata
from .picture import MAX_ICC_BYTES, check_pixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3
_XMP_KEY = b"XML:com.adobe.xmp"
_METRES_PER_INCH = 0.0254
# Texts that somebody wrote; those that programs write of themselves are left out without a word.
_FOR_PEOPLE = (b"Title", b"Author", b"Description", b"Copyright", b"Disclaimer", b"Warning", b"Comment")
_LIBPNG_SIDE = 1_000_000
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")  # what libpng needs to make pixels


def read_png(data: bytes, max_pixels: int) -> Decoded:
    """Return the picture in a PNG file, of an animation its default image.

    Raises UnreadableInputError for one with too many pixels, and other errors, imagecodecs' own among them,
    for a broken file.
    """
    pixels, chunks, notes = _take_apart(data)
    width, height, _, colour_type = struct.unpack_from(">IIBB", data, 16)
    check_pixels(width, height, max_pixels)
    if max(width, height) > _LIBPNG_SIDE:
        raise UnreadableInputError(f"{width}x{height}: libpng reads at most {_LIBPNG_SIDE:,} pixels a side")
    samples = imagecodecs.png_decode(pixels)
    samples = samples[:, :, None] if samples.ndim == 2 else samples
    if colour_type == _PALETTE and (samples[:, :, :1] == samples[:, :, 1:3]).all():
        samples = np.concatenate([samples[:, :, :1], samples[:, :, 3:]], axis=2)
    if chunks.get(b"acTL", b"\0\0\0\1")[:4] != b"\0\0\0\1":
        notes.append("of an animation only the default image is taken")
    icc = _profile(chunks, notes)
    exif = chunks.get(b"eXIf") or _exif_as_text(chunks)
    xmp = chunks.get(_XMP_KEY)
    metadata = Metadata(exif and exif.removeprefix(b"Exif\0\0"), xmp, _resolution(chunks.get(b"pHYs", b"")))
    space: Space = "grey" if samples.shape[2] < 3 else "rgb"
    return Decoded(samples, space, icc, orientation_of(exif, xmp), notes, metadata)


def _resolution(body: bytes) -> tuple[float, float] | None:
    """Return dots per inch of a chunk pHYs, which counts them in a metre, or gives the pixels' form alone."""
    if len(body) != 9 or body[8] != 1:
        return None
    across, down = struct.unpack_from(">II", body)
    return across * _METRES_PER_INCH, down * _METRES_PER_INCH


def _xmp(text: bytes) -> bytes | None:
    """Return the XMP packet in a chunk iTXt; None where that holds another text."""
    flags, text = text[len(_XMP_KEY) + 1 : len(_XMP_KEY) + 3], text[len(_XMP_KEY) + 3 :]
    _, _, text = text.partition(b"\0")  # language
    _, _, text = text.partition(b"\0")  # keyword in that language
    try:
        return zlib.decompressobj().decompress(text, MAX_ICC_BYTES) if flags[:1] == b"\1" else text
    except zlib.error:
        return None


def write_png(samples: NDArray[Any], icc: bytes | None, metadata: Metadata = NO_METADATA) -> bytes:
    """Return a PNG of (H, W, 1 to 4) samples of uint8 or uint16: grey, grey and alpha, RGB, RGBA."""
    squeezed = samples[:, :, 0] if samples.shape[2] == 1 else samples
    # A copy: of views one pixel wide numpy calls strides contiguous that imagecodecs refuses.
    encoded = bytes(imagecodecs.png_encode(squeezed.copy(), level=6))
    head = len(SIGNATURE) + 12 + 13
    extra = b""
    if icc and (cicp := profiles.cicp_of(icc)):
        extra += _chunk(b"cICP", cicp)
    if icc:
        extra += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc, 9))
    if metadata.resolution:
        across, down = (min(round(value / _METRES_PER_INCH), 2**31 - 1) for value in metadata.resolution)
        extra += _chunk(b"pHYs", struct.pack(">IIB", across, down, 1))
    if metadata.exif:
        extra += _chunk(b"eXIf", metadata.exif)
    if metadata.xmp:
        extra += _chunk(b"iTXt", _XMP_KEY + bytes(5) + metadata.xmp)
    return encoded[:head] + extra + encoded[head:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _walk(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield kind, content and CRC of the chunks up to IEND, the last one perhaps cut."""
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + 8 + size], data[at + 8 + size : at + 12 + size]
        if kind == b"IEND":
            return
        at += 12 + size


def _take_apart(data: bytes) -> tuple[bytes, dict[bytes, bytes], list[str]]:
    """Return a PNG of the needed chunks alone, the other chunks by kind (the first of each), and notes."""
    pixels, notes = [SIGNATURE], list[str]()
    others: dict[bytes, bytes] = {}
    texts: list[str] = []
    for kind, body, crc in _walk(data):
        whole = crc == struct.pack(">I", zlib.crc32(kind + body))
        critical = not kind[0] & 0x20
        if critical and kind != b"IEND" and len(crc) < 4:
            raise ValueError(f"it is cut in its chunk {kind.decode('latin-1')}")
        if kind == b"tRNS" and not whole:
            notes.append("its transparency is broken and left out")
        elif kind in _KEPT or critical:
            pixels.append(struct.pack(">I", len(body)) + kind + body + crc if kind != b"IEND" else b"")
        elif whole and len(body) <= MAX_ICC_BYTES:
            key = kind + body[:4] if kind in (b"zTXt", b"tEXt") and body.startswith(b"Raw ") else kind
            if kind == b"iTXt" and body.startswith(_XMP_KEY + b"\0") and (xmp := _xmp(body)):
                others.setdefault(_XMP_KEY, xmp)
            elif kind != b"iTXt":
                others.setdefault(key, body)
            if kind in (b"iTXt", b"tEXt", b"zTXt") and body.partition(b"\0")[0] in _FOR_PEOPLE:
                texts.append(body.partition(b"\0")[0].decode("latin-1"))
        elif kind in (b"iCCP", b"cICP", b"gAMA", b"cHRM"):
            notes.append(f"its {kind.decode()} chunk is broken and left out")
    if texts:
        notes.append(f"its texts are left out: {', '.join(dict.fromkeys(texts))}")
    if len(pixels) < 2 or pixels[1][4:8] != b"IHDR" or len(pixels[1]) != 25:
        raise ValueError("it does not begin with a whole chunk IHDR")
    pixels.append(_chunk(b"IEND", b""))
    return b"".join(pixels), others, notes


def _profile(chunks: dict[bytes, bytes], notes: list[str]) -> bytes | None:
    """Return what says the meaning of the samples, in the standard's order of precedence."""
    if len(cicp := chunks.get(b"cICP", b"")) == 4:
        try:
            if cicp[3] == 0:
                notes.append("its samples are of narrow range (cICP), which is kept as it is")
            return profiles.coded_profile(cicp[0], cicp[1])
        except ValueError as error:
            notes.append(f"{error}, so the cICP chunk is left out")
    if b"iCCP" in chunks:
        _, _, compressed = chunks[b"iCCP"].partition(b"\0")
        try:
            return zlib.decompressobj().decompress(compressed[1:], MAX_ICC_BYTES)
        except zlib.error:
            notes.append("the colour profile is broken and left out")
    if b"sRGB" in chunks:
        return None
    return _gamma_profile(chunks, notes)


def _gamma_profile(chunks: dict[bytes, bytes], notes: list[str]) -> bytes | None:
    gamma, primaries = None, None
    if len(chunks.get(b"gAMA", b"")) == 4:
        gamma = int.from_bytes(chunks[b"gAMA"], "big") / 100_000
    if len(chunks.get(b"cHRM", b"")) == 32:
        primaries = profiles.white_first([value / 100_000 for value in struct.unpack(">8I", chunks[b"cHRM"])])
    try:
        return profiles.described_profile(gamma, primaries)
    except ValueError as error:
        notes.append(f"{error}, so the cHRM chunk is left out")
        return None


def _exif_as_text(chunks: dict[bytes, bytes]) -> bytes | None:
    """Return EXIF data that ImageMagick wrote as hexadecimal text before PNG had a chunk for it."""
    for key, start in ((b"zTXtRaw ", 2), (b"tEXtRaw ", 1)):
        keyword, _, text = chunks.get(key, b"").partition(b"\0")
        if keyword not in (b"Raw profile type exif", b"Raw profile type APP1"):
            continue
        try:
            text = zlib.decompressobj().decompress(text[1:], 1 << 20) if start == 2 else text
            return bytes.fromhex("".join(text.decode("latin-1").split()[2:]))
        except (zlib.error, ValueError):
            return None
    return None
