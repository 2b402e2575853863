"""Pictures of 16 bits a channel, which Pillow reads and writes only in grey."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def is_reduced(image: ImageFile.ImageFile) -> bool:
    """Tell whether Pillow will drop the low byte of each sample of this opened, not yet loaded picture."""
    return image.mode in ("RGB", "RGBA") and any(";16" in _rawmode(tile) for tile in image.tile)


def read_16_bit(data: bytes, image: ImageFile.ImageFile) -> NDArray[np.uint16] | None:
    """Return the samples (H, W, channels) in full of a file for which `is_reduced` holds.

    `image` is the picture opened from `data`. Pillow unpacks 16-bit samples by taking their high byte.
    Asked to unpack the same file in the other byte order it takes the low byte, so two readings give
    both. None where that does not work: the file then has 8 bits as far as we are concerned.
    """
    if len({_rawmode(tile) for tile in image.tile}) != 1:
        return None
    rawmode = _rawmode(image.tile[0])
    if rawmode[:-1] not in ("RGB;16", "RGBA;16", "LA;16"):  # others need both bytes at once
        return None
    if rawmode == "LA;16B":  # four bytes a pixel, which Pillow also unpacks whole
        return np.asarray(_reread(data, "RGBA")).view(">u2").astype(np.uint16)
    low_mode = rawmode[:-1] + _OTHER_BYTE.get(rawmode[-1], "")
    try:
        low = np.asarray(_reread(data, low_mode))
    except ValueError:  # "unknown raw mode"
        return None
    both = np.asarray(image).astype(np.uint16)
    both <<= 8
    both |= low
    return both


def _rawmode(tile: object) -> str:
    args = getattr(tile, "args", None)
    return str(args[0] if isinstance(args, tuple) and args else args)


def _reread(data: bytes, rawmode: str) -> ImageFile.ImageFile:
    image = Image.open(io.BytesIO(data))
    image.tile = [
        tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
        for tile in image.tile
    ]
    image.load()
    return image


def write_png_16(samples: NDArray[np.uint16], icc: bytes | None, file: BinaryIO) -> None:
    """Write (H, W, channels) samples as a PNG of 16 bits; 1 to 4 channels: L, LA, RGB, RGBA."""
    height, width, channels = samples.shape
    raw = samples.astype(">u2").view(np.uint8).reshape(height, width * channels * 2)
    up = raw.copy()
    up[1:] -= raw[:-1]  # filter type 2, the only one that needs no sum along the row
    rows = np.concatenate([np.full((height, 1), 2, np.uint8), up], axis=1)
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    file.write(b"\x89PNG\r\n\x1a\n")
    _write_chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
    if icc:
        _write_chunk(file, b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc, 9))
    _write_chunk(file, b"IDAT", zlib.compress(rows.tobytes(), 6))
    _write_chunk(file, b"IEND", b"")


def _write_chunk(file: BinaryIO, kind: bytes, body: bytes) -> None:
    file.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))
