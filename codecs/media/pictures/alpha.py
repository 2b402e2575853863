"""Lossless coding of an alpha plane into the few bytes of one section.

The first byte names the method:
  0  constant: the value follows, big endian in the plane's depth
  1  8 bit: the body of a WebP VP8L chunk, with alpha as a grey picture
  2  any depth and size: gradient prediction, byte planes, deflate
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import CorruptStreamError

CONSTANT, WEBP, PREDICTED = 0, 1, 2
WEBP_MAX_SIDE = 16383
VP8L_SIGNATURE = 0x2F


def inflate(data: bytes, size: int) -> bytes:
    """Return the `size` bytes that the deflate stream `data` holds, never allocating more than that.

    Raises CorruptStreamError where the stream is damaged, cut or of another length.
    """
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(data, size + 1)
    except zlib.error as error:
        raise CorruptStreamError(f"a deflated section is damaged ({error})") from None
    if len(raw) != size or not stream.eof or stream.unused_data:
        raise CorruptStreamError(f"a deflated section does not hold the {size} bytes that it should")
    return raw


def encode_alpha(alpha: NDArray[Any]) -> bytes:
    """Return the section for an HxW plane of uint8 or uint16; the shorter method wins."""
    first = alpha.flat[0]
    if (alpha == first).all():
        return bytes([CONSTANT]) + int(first).to_bytes(alpha.dtype.itemsize, "big")
    predicted = bytes([PREDICTED]) + _encode_predicted(alpha)
    if alpha.dtype == np.uint8 and max(alpha.shape) <= WEBP_MAX_SIDE:
        return min(predicted, bytes([WEBP]) + _encode_webp(alpha), key=len)
    return predicted


def decode_alpha(section: bytes, height: int, width: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the HxW plane of `dtype` (uint8 or uint16); raises CorruptStreamError."""
    if not section:
        raise CorruptStreamError("the alpha section is empty")
    method, body = section[0], section[1:]
    if method == CONSTANT and len(body) == dtype.itemsize:
        return np.full((height, width), int.from_bytes(body, "big"), dtype)
    if method == WEBP and dtype == np.uint8:
        return _decode_webp(body, height, width)
    if method == PREDICTED:
        return _decode_predicted(body, height, width, dtype)
    raise CorruptStreamError(f"the alpha section is damaged (method {method}, {len(body)} bytes)")


def _encode_webp(alpha: NDArray[Any]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    # quality is the effort of the lossless coder; 100 takes many seconds on large pictures.
    Image.fromarray(alpha).save(buffer, "WEBP", lossless=True, method=4, quality=60)
    data = buffer.getvalue()
    (length,) = struct.unpack_from("<I", data, 16)
    return data[20 : 20 + length]  # RIFF, size, WEBP, VP8L, size: 20 bytes that say nothing new


def _decode_webp(body: bytes, height: int, width: int) -> NDArray[Any]:
    import imagecodecs

    # The size stands in the first five bytes. It is compared before the decoder sees it, because the
    # decoder allocates the whole canvas.
    bits = int.from_bytes(body[1:5], "little")
    if (
        len(body) < 5
        or body[0] != VP8L_SIGNATURE
        or (bits & 0x3FFF) + 1 != width
        or (bits >> 14 & 0x3FFF) + 1 != height
    ):
        raise CorruptStreamError(f"the alpha section is no WebP picture of {width}x{height}")
    chunk = b"WEBPVP8L" + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    try:
        pixels = np.asarray(imagecodecs.webp_decode(b"RIFF" + struct.pack("<I", len(chunk)) + chunk))
    except Exception as error:  # imagecodecs raises several kinds on bad data
        raise CorruptStreamError(f"the alpha section is damaged ({error})") from None
    if pixels.shape[:2] != (height, width):
        raise CorruptStreamError(f"the alpha section is no WebP picture of {width}x{height}")
    return np.ascontiguousarray(pixels[:, :, 0])


def _encode_predicted(alpha: NDArray[Any]) -> bytes:
    residual = alpha.copy()
    residual[:, 1:] -= alpha[:, :-1]  # unsigned arithmetic wraps, which the decoder's sums undo
    residual[1:] -= residual[:-1].copy()
    big_endian = residual.astype(residual.dtype.newbyteorder(">"))
    planes = big_endian.view(np.uint8).reshape(-1, alpha.dtype.itemsize).T
    return zlib.compress(planes.tobytes(), 9)


def _decode_predicted(body: bytes, height: int, width: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    raw = np.frombuffer(inflate(body, height * width * dtype.itemsize), np.uint8)
    planes = np.ascontiguousarray(raw.reshape(dtype.itemsize, height * width).T)
    residual = planes.view(dtype.newbyteorder(">")).reshape(height, width).astype(dtype)
    rows = np.cumsum(residual, axis=0, dtype=dtype)
    return np.cumsum(rows, axis=1, dtype=dtype)
