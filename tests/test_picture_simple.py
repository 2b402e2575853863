"""GIF, WebP, QOI and BMP against Pillow, and what their headers say of colours."""

import io
import struct

import numpy as np
import pytest
from picture_samples import COLOUR, SRGB, file_of
from PIL import Image

from bitfloor.codecs.media.pictures import profile as profiles
from bitfloor.codecs.media.pictures.files import read_picture
from bitfloor.codecs.media.pictures.objects import as_picture

PHOTO = COLOUR.repeat(6, 0).repeat(5, 1)


def as_pillow_reads(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def assert_same(picture, expected):
    alpha = picture.alpha if picture.alpha is not None else np.full(picture.rgb.shape[:2], 255)
    assert (alpha == expected[:, :, 3]).all()
    seen = expected[:, :, 3] > 0
    assert (picture.rgb[seen] == expected[:, :, :3][seen]).all()


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("colours", [2, 16, 200])
@pytest.mark.parametrize("transparency", [None, 1])
def test_gif(colours, transparency, interlace):
    image = Image.fromarray(PHOTO[:, :, :3]).quantize(colours)
    options = {} if transparency is None else {"transparency": transparency}
    data = file_of(image, "GIF", interlace=interlace, **options)
    assert_same(read_picture(data), as_pillow_reads(data))


@pytest.mark.parametrize("screen", [(9, 8), (7, 5), (3, 3)])
def test_gif_whose_picture_lies_somewhere_on_the_screen(screen):
    data = bytearray(file_of(Image.fromarray(COLOUR[:, :, :3]).quantize(8), "GIF"))
    place = data.index(b",", 13 + 3 * 8)
    struct.pack_into("<HH", data, 6, *screen)
    struct.pack_into("<HH", data, place + 1, 2, 1)
    picture = read_picture(bytes(data))
    assert picture.rgb.shape == (max(screen[1], 6), max(screen[0], 9), 3)
    expected = np.asarray(Image.fromarray(COLOUR[:, :, :3]).quantize(8).convert("RGB"))
    assert (picture.rgb[1:6, 2:9] == expected).all()
    assert (picture.alpha > 0).sum() == 35 and picture.alpha[1:6, 2:9].all()


def test_first_picture_of_animations_and_one_warning(caplog):
    first, second = Image.fromarray(PHOTO), Image.fromarray(PHOTO[::-1].copy())
    for file_format, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("AVIF", {"quality": 100})):
        caplog.clear()
        data = file_of(first, file_format, save_all=True, append_images=[second], **options)
        assert_same(read_picture(data, "a file"), as_pillow_reads(data))
        (record,) = caplog.records
        assert "a file" in record.getMessage() and "animation" in record.getMessage()


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("channels", [3, 4])
def test_webp_with_everything(lossless, channels):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(PHOTO[:, :, :channels])
    data = file_of(image, "WEBP", lossless=lossless, exact=True, exif=exif, icc_profile=SRGB)
    picture = read_picture(data)
    assert picture.icc == SRGB
    assert_same(picture, as_pillow_reads(data).transpose(1, 0, 2)[:, ::-1])


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("file_format", ["BMP", "QOI"])
def test_bmp_and_qoi(mode, file_format):
    if file_format == "QOI" and mode not in ("RGB", "RGBA"):
        mode = "RGB"
    data = file_of(Image.fromarray(PHOTO).convert(mode), file_format)
    picture = read_picture(data)
    assert_same(picture, as_pillow_reads(data))
    assert picture.grey == (mode in ("1", "L"))


def test_linear_qoi_says_so():
    data = bytearray(file_of(Image.fromarray(PHOTO[:, :, :3]), "QOI"))
    data[13] = 1
    linear = profiles.rgb_profile(profiles.SRGB_PRIMARIES, profiles.gamma_curve(1.0))
    assert read_picture(bytes(data)).icc == linear


def bmp(size, space, ends=(0,) * 9, gammas=(0, 0, 0), profile=b""):
    """A BMP of one pixel with a header of version 4 (108 bytes) or 5 (124)."""
    place = 14 + size
    head = struct.pack("<IiiHHIIiiII", size, 1, 1, 1, 24, 0, 4, 0, 0, 0, 0) + bytes(16)
    head += struct.pack("<I9i3I", int.from_bytes(space, "big"), *ends, *gammas)
    if size == 124:
        head += struct.pack("<4I", 4, place + 4 - 14, len(profile), 0)
    return b"BM" + struct.pack("<IHHI", place + 4 + len(profile), 0, 0, place) + head + b"\1\2\3\0" + profile


def test_profiles_of_bmp(caplog):
    assert read_picture(bmp(108, b"sRGB")).icc is None
    assert read_picture(bmp(124, b"MBED", profile=SRGB)).icc == SRGB
    assert not caplog.records
    assert read_picture(bmp(124, b"LINK")).icc is None
    assert len(caplog.records) == 1
    # XYZ of sRGB's red, green and blue under D65, in 2.30 fixed point, and a gamma of 1 in 16.16
    ends = (0.4124, 0.2126, 0.0193, 0.3576, 0.7152, 0.1192, 0.1805, 0.0722, 0.9505)
    picture = read_picture(bmp(108, bytes(4), [round(v * 2**30) for v in ends], (65536,) * 3))
    linear = profiles.rgb_profile(profiles.SRGB_PRIMARIES, profiles.gamma_curve(1.0))
    ours, expected = profiles.tags_of(picture.icc), profiles.tags_of(linear)
    assert ours[b"gTRC"] == expected[b"gTRC"]
    for name in (b"rXYZ", b"gXYZ", b"bXYZ"):
        values = [np.array(struct.unpack(">3i", tags[name][8:])) / 65536 for tags in (ours, expected)]
        assert np.abs(values[0] - values[1]).max() < 1e-3


def test_gamma_of_an_opened_pil_image_is_kept():
    from picture_samples import chunk, png_of_rows

    data = png_of_rows(8, 2, b"\0\1\2\3", 1, 1, chunk(b"gAMA", struct.pack(">I", 100000)))
    assert as_picture(Image.open(io.BytesIO(data))).icc == read_picture(data).icc is not None
