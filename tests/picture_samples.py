"""Pictures for the tests, and files of them written by the letter of their standards."""

import io
import struct
import zlib

import numpy as np
from PIL import ImageCms

from bitfloor.codecs.picture import Picture
from bitfloor.codecs.picture_objects import as_picture

RNG = np.random.default_rng(7)
COLOUR = RNG.integers(0, 256, (5, 7, 4), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (5, 7, 4), dtype=np.uint16)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def kinds():
    ramp = np.add.outer(np.arange(5), np.arange(7))
    yield Picture(COLOUR[:, :, :3])
    yield Picture(COLOUR[:, :, :3], np.full((5, 7), 255, np.uint8), SRGB)
    yield Picture(COLOUR[:, :, :3], COLOUR[:, :, 3])
    yield Picture(COLOUR[:, :, :3], (ramp * 20).astype(np.uint8))
    yield Picture(DEEP[:, :, :3], DEEP[:, :, 3], None)
    yield Picture(DEEP[:1, :1, :3], DEEP[:1, :1, 3], SRGB)
    yield as_picture(COLOUR[:, :, 0])
    yield as_picture(DEEP[:, :, 0])


def file_of(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png(samples, colour_type, *, extra=b"", interlace=0):
    """A PNG of 16 bits written by the letter of the standard, filter 0; interlaced: Adam7."""
    height, width = samples.shape[:2]
    big = samples.astype(">u2")
    passes = [(0, 0, 1, 1)]
    if interlace:
        passes = [
            (0, 0, 8, 8),
            (0, 4, 8, 8),
            (4, 0, 8, 4),
            (0, 2, 4, 4),
            (2, 0, 4, 2),
            (0, 1, 2, 2),
            (1, 0, 2, 1),
        ]
    raw = b""
    for top, left, down, right in passes:
        for row in big[top::down, left::right]:
            raw += b"\0" + row.tobytes() if row.size else b""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, interlace)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )


def trns(*values):
    body = struct.pack(f">{len(values)}H", *values)
    return struct.pack(">I", len(body)) + b"tRNS" + body + struct.pack(">I", zlib.crc32(b"tRNS" + body))


def tiff_rgb16(samples, order):
    """An uncompressed TIFF of 16 bits, in the byte order "<" or ">"."""
    height, width, channels = samples.shape
    tags = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, 3, 8 + 2 + 12 * 9 + 4),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
    ]
    offset = 8 + 2 + 12 * 9 + 4 + 6
    tags += [(273, 4, 1, offset), (277, 3, 1, channels), (278, 3, 1, height), (279, 4, 1, samples.nbytes)]
    out = (b"II" if order == "<" else b"MM") + struct.pack(order + "HIH", 42, 8, len(tags))
    for tag, kind, count, value in tags:
        inline = (
            struct.pack(order + "HH", value, 0)
            if kind == 3 and count == 1
            else struct.pack(order + "I", value)
        )
        out += struct.pack(order + "HHI", tag, kind, count) + inline
    return out + b"\0" * 4 + struct.pack(order + "3H", 16, 16, 16) + samples.astype(order + "u2").tobytes()
