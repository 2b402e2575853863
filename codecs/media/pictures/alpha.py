"""Lossless coding of an alpha plane into the few bytes of one section.

The first byte names the method:
  0  constant: the value follows, big endian in the plane's depth
  1  8 bit: the body of a WebP VP8L chunk, with alpha as a grey picture
  2  any depth and size: gradient prediction, byte planes, deflate
  3  nothing follows: alpha is a channel of the payload (codec lossless)
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import CorruptStreamError
from .vp8l import MAX_SIDE, decode_vp8l, encode_vp8l

CONSTANT, WEBP, PREDICTED, IN_PAYLOAD = 0, 1, 2, 3


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
    if alpha.dtype == np.uint8 and max(alpha.shape) <= MAX_SIDE:
        return min(predicted, bytes([WEBP]) + encode_vp8l(alpha), key=len)
    return predicted


def decode_alpha(section: bytes, height: int, width: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the HxW plane of `dtype` (uint8 or uint16); raises CorruptStreamError."""
    if not section:
        raise CorruptStreamError("the alpha section is empty")
    method, body = section[0], section[1:]
    if method == CONSTANT and len(body) == dtype.itemsize:
        return np.full((height, width), int.from_bytes(body, "big"), dtype)
    if method == WEBP and dtype == np.uint8:
        return np.ascontiguousarray(decode_vp8l(body, height, width)[:, :, 0])
    if method == PREDICTED:
        return _decode_predicted(body, height, width, dtype)
    raise CorruptStreamError(f"the alpha section is damaged (method {method}, {len(body)} bytes)")


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
