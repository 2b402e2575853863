"""Pictures for the tests, and files of them written by the letter of their standards."""

import io
import struct
import zlib

import numpy as np
from PIL import ImageCms

from bitfloor.codecs.media.pictures.objects import as_picture
from bitfloor.codecs.media.pictures.picture import Picture

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


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of_rows(bits, colour_type, rows, width, height, *extra, interlace=0):
    """A PNG of unfiltered rows as they stand in the file, each with its filter byte."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlace)
    parts = (chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png(samples, colour_type, *, extra=b"", interlace=0):
    """A PNG of 16 bits written by the letter of the standard, filter 0; interlaced: Adam7."""
    height, width = samples.shape[:2]
    big = samples.astype(">u2")
    passes = [(0, 0, 1, 1)]
    if interlace:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    raw = b""
    for top, left, down, right in passes:
        for row in big[top::down, left::right]:
            raw += b"\0" + row.tobytes() if row.size else b""
    return png_of_rows(16, colour_type, raw, width, height, extra, interlace=interlace)


def trns(*values):
    return chunk(b"tRNS", struct.pack(f">{len(values)}H", *values))


def packed(samples, bits, order):
    """Rows of samples of any bits, most significant first; whole bytes in the byte order."""
    if bits in (8, 16, 32):
        return samples.astype(f"{order}u{bits // 8}").tobytes()
    out = b""
    for row in samples.reshape(samples.shape[0], -1):
        text = "".join(format(int(value), f"0{bits}b") for value in row)
        text += "0" * (-len(text) % 8)
        out += int(text, 2).to_bytes(len(text) // 8, "big")
    return out


def tiff(samples, photometric, *, order="<", bits=16, planar=False, deflate=False, extra=(), more=()):
    """A TIFF of stored samples (H, W, C) by the letter of TIFF 6.0: one strip, or one a channel.

    `extra` are the kinds of the channels beyond the colours, `more` further tags as (code, type, values).
    """
    height, width, channels = samples.shape
    planes = [samples[:, :, i : i + 1] for i in range(channels)] if planar else [samples]
    strips = [packed(plane, bits, order) for plane in planes]
    strips = [zlib.compress(strip) for strip in strips] if deflate else strips
    places = [8 + sum(map(len, strips[:i])) for i in range(len(strips))]
    tags = [(256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * channels), (259, 3, [8 if deflate else 1])]
    tags += [(262, 3, [photometric]), (273, 4, places), (277, 3, [channels]), (278, 4, [height])]
    tags += [(279, 4, list(map(len, strips))), (284, 3, [2 if planar else 1])]
    tags += [(338, 3, list(extra))] if extra else []
    tags = sorted([*tags, *more])
    data = b"".join(strips) + bytes(sum(map(len, strips)) % 2)
    directory = 8 + len(data)
    outside, entries, beyond = b"", b"", directory + 2 + 12 * len(tags) + 4
    for code, kind, values in tags:
        body = struct.pack(f"{order}{len(values)}{'BBHII BB'[kind - 1]}", *values)
        place = body.ljust(4, b"\0") if len(body) <= 4 else struct.pack(order + "I", beyond + len(outside))
        outside += body + bytes(len(body) % 2) if len(body) > 4 else b""
        entries += struct.pack(order + "HHI", code, kind, len(values) // (2 if kind == 5 else 1)) + place
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, directory)
    return head + data + struct.pack(order + "H", len(tags)) + entries + bytes(4) + outside
