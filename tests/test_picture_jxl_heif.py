"""JPEG XL and HEIC: read as their own libraries read them, heads bit by bit, metadata, bad files."""

from __future__ import annotations

import io
import struct
import sys

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from bitfloor.codecs.media.pictures import profile as profiles
from bitfloor.codecs.media.pictures.files import read_picture
from bitfloor.codecs.media.pictures.jpegxl_header import BOXES, Head, read_head
from bitfloor.errors import UnreadableInputError

RNG = np.random.default_rng(12)
PIXELS = RNG.integers(0, 256, (24, 40, 4), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("in_boxes", [False, True])
def test_jpegxl_of_every_mode(channels: int, dtype: type, in_boxes: bool) -> None:
    samples = PIXELS[:, :, :channels].astype(dtype) * (257 if dtype == np.uint16 else 1)
    coded = samples[:, :, 0] if channels == 1 else samples
    data = imagecodecs.jpegxl_encode(coded.copy(), lossless=True, usecontainer=in_boxes)
    picture = read_picture(data)
    # imagecodecs calls 16 bits linear light.
    linear = None if dtype == np.uint8 else profiles.coded_profile(1, 8)
    assert picture.rgb.dtype == dtype and picture.icc == linear
    assert picture.grey == (channels < 3 and dtype == np.uint8)
    assert np.array_equal(picture.rgb, samples[:, :, :3] if channels > 2 else np.repeat(samples[:, :, :1], 3, axis=2))
    assert (picture.alpha is not None) == (channels in (2, 4))
    assert picture.alpha is None or np.array_equal(picture.alpha, samples[:, :, -1])


def test_lossy_jpegxl_is_near_the_original() -> None:
    smooth = np.asarray(Image.fromarray(PIXELS[:, :, :3]).resize((160, 96)))
    read = read_picture(imagecodecs.jpegxl_encode(smooth, distance=0.5)).rgb
    assert np.abs(read.astype(int) - smooth).mean() < 5


def test_metadata_in_boxes() -> None:
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = 6, "Camera"
    plain = imagecodecs.jpegxl_encode(PIXELS[:, :, :3].copy(), lossless=True, usecontainer=True)

    def box(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(body), kind) + body

    content = bytes(4) + exif.tobytes()[6:]
    packed = b"Exif" + imagecodecs.brotli_encode(content)
    assert plain.startswith(BOXES)
    for added in (box(b"Exif", content) + box(b"xml ", b"<x/>"), box(b"brob", packed) + box(b"xml ", b"<x/>")):
        picture = read_picture(plain[:32] + added + plain[32:])
        assert picture.metadata.xmp == b"<x/>" and (picture.width, picture.height) == (40, 24)
        found = Image.Exif()
        found.load(picture.metadata.exif or b"")
        assert found[0x10F] == "Camera" and found[0x112] == 1


def head(*fields: tuple[int, int]) -> bytes:
    """Bits of (value, count), the lowest first, after the signature and a size of 8x8."""
    value = at = 0
    for number, count in ((1, 1), (0, 5), (1, 3), *fields):
        value |= number << at
        at += count
    return b"\xff\x0a" + value.to_bytes(at // 8 + 12, "little")


# By ISO/IEC 18181-1, table D.1: default? extra fields? depth, buffers, extra channels, XYB, then the colours.
PLAIN = ((0, 1), (0, 1), (0, 1), (0, 2), (1, 1), (0, 2), (0, 1))
ENUM_2_TO_17, ENUM_18 = (2, 2), (3, 2)


@pytest.mark.parametrize(
    "fields, colours",
    [
        (((1, 1),), (1, 13)),
        ((*PLAIN, (1, 1)), (1, 13)),
        # RGB, white D65, primaries P3, no gamma, transfer sRGB
        ((*PLAIN, (0, 1), (0, 1), (0, 2), (1, 2), ENUM_2_TO_17, (9, 4), (0, 1), ENUM_2_TO_17, (11, 4)), (12, 13)),
        # RGB, D65, BT.2100, PQ
        ((*PLAIN, (0, 1), (0, 1), (0, 2), (1, 2), ENUM_2_TO_17, (7, 4), (0, 1), ENUM_2_TO_17, (14, 4)), (9, 16)),
        # the same with HLG, after an orientation and an alpha channel of the usual kind
        (
            (
                *((0, 1), (1, 1), (5, 3), (0, 3), (0, 1), (0, 2), (1, 1), (1, 2), (1, 1), (0, 1)),
                *((0, 1), (0, 1), (0, 2), (1, 2), ENUM_2_TO_17, (7, 4), (0, 1), ENUM_18, (0, 6)),
            ),
            (9, 18),
        ),
        ((*PLAIN, (0, 1), (1, 1), (0, 2)), None),  # an ICC profile
        ((*PLAIN, (0, 1), (0, 1), (1, 2), (1, 2), (0, 1), ENUM_2_TO_17, (6, 4)), (1, 8)),  # grey, D65, linear
        ((*PLAIN, (0, 1), (0, 1), (0, 2), (1, 2), (1, 2), (1, 1), (4_545_455, 24)), None),  # a gamma
    ],
)
def test_colours_in_a_head(fields: tuple[tuple[int, int], ...], colours: tuple[int, int] | None) -> None:
    assert read_head(head(*fields)) == Head(8, 8, colours=colours)


def test_floats_and_cut_files_are_refused() -> None:
    floats = imagecodecs.jpegxl_encode(RNG.random((8, 8, 3), np.float32), lossless=True)
    with pytest.raises(UnreadableInputError, match="floating-point"):
        read_picture(floats)
    data = imagecodecs.jpegxl_encode(PIXELS, lossless=True)
    with pytest.raises(UnreadableInputError, match="max-pixels"):
        read_picture(data, max_pixels=959)
    for cut in (3, 20, len(data) // 2):
        with pytest.raises(UnreadableInputError):
            read_picture(data[:cut])


def heic(image: Image.Image, **options: object) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_heic_is_what_libheif_reads(mode: str) -> None:
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = 6, "Camera"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(PIXELS).convert(mode).resize((80, 48))
    if mode != "L":
        image.info["icc_profile"] = profile
    data = heic(image, quality=-1, chroma=444, exif=exif.tobytes(), xmp=b"<x/>")
    import pillow_heif

    expected = np.asarray(pillow_heif.open_heif(data).to_pillow().convert("RGBA"))
    picture = read_picture(data)
    assert (picture.width, picture.height) == (48, 80)
    assert np.array_equal(picture.rgb, expected[:, :, :3])
    assert (picture.alpha is not None) == (mode == "RGBA")
    assert picture.icc == (profile if mode != "L" else None) and picture.metadata.xmp == b"<x/>"
    found = Image.Exif()
    found.load(picture.metadata.exif or b"")
    assert found[0x10F] == "Camera" and found[0x112] == 1
    with pytest.raises(UnreadableInputError, match="max-pixels"):
        read_picture(data, max_pixels=100)
    with pytest.raises(UnreadableInputError, match="broken HEIC"):
        read_picture(data[: len(data) // 2])


def test_deep_heic_reaches_white() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    deep = np.full((32, 32, 3), 65535, np.uint16)
    buffer = io.BytesIO()
    pillow_heif.from_bytes(mode="RGB;16", size=(32, 32), data=deep.tobytes()).save(buffer, quality=100, chroma=444)
    rgb = read_picture(buffer.getvalue()).rgb
    assert rgb.dtype == np.uint16 and rgb.max() == 65535 and rgb.min() > 64000


def test_without_pillow_heif_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnreadableInputError, match=r"pip install 'bitfloor\[heic\]'"):
        read_picture(b"\0\0\0\x18ftypheic" + bytes(16))
