"""Pixels of 8 bits as the body of a VP8L chunk (lossless WebP, RFC 9649), without the 20 bytes of RIFF around it.

libwebp writes it through Pillow and reads it through imagecodecs, both of which have it on every platform.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import CorruptStreamError

MAX_SIDE = 16383
_SIGNATURE = 0x2F


def encode_vp8l(samples: NDArray[np.uint8], *, method: int = 4, quality: int = 60, exact: bool = True) -> bytes:
    """Return the body for grey (H, W) or colours (H, W, 3 or 4) of at most `MAX_SIDE` a side.

    `quality` (0..100) is the effort of the lossless coder: 100 takes many seconds on large pictures. Without `exact`
    the colours where the fourth channel, alpha, is 0 become whatever codes best.
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, "WEBP", lossless=True, method=method, quality=quality, exact=exact)
    data, at = buffer.getvalue(), 12
    while data[at : at + 4] != b"VP8L":
        at += 8 + -(-int.from_bytes(data[at + 4 : at + 8], "little") // 2) * 2
    (length,) = struct.unpack_from("<I", data, at + 4)
    return data[at + 8 : at + 8 + length]


def decode_vp8l(body: bytes, height: int, width: int) -> NDArray[Any]:
    """Return the colours (H, W, 3 or 4) of uint8.

    Raises CorruptStreamError for damage and any other size, before that takes memory.
    """
    import imagecodecs

    # The size stands in the first five bytes. It is compared before the decoder sees it, because the
    # decoder allocates the whole canvas.
    bits = int.from_bytes(body[1:5], "little")
    size = ((bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)
    if len(body) < 5 or body[0] != _SIGNATURE or size != (height, width):
        raise CorruptStreamError(f"there is no WebP picture of {width}x{height}")
    chunk = b"WEBPVP8L" + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    try:
        pixels = np.asarray(imagecodecs.webp_decode(b"RIFF" + struct.pack("<I", len(chunk)) + chunk))
    except Exception as error:  # imagecodecs raises several kinds on bad data
        raise CorruptStreamError(f"its WebP picture is damaged ({error})") from None
    if pixels.shape[:2] != (height, width):
        raise CorruptStreamError(f"there is no WebP picture of {width}x{height}")
    return pixels
