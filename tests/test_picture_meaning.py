"""What the numbers of a picture mean: gamma, chromaticities, code points and profiles, read and written."""

import io
import logging
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from picture_samples import COLOUR, DEEP, SRGB, chunk, file_of, png_of_rows, tiff
from PIL import Image, ImageCms

from bitfloor.codecs.media.pictures import profile as profiles
from bitfloor.codecs.media.pictures.files import read_picture, write_picture
from bitfloor.codecs.media.pictures.objects import as_picture, to_pil
from bitfloor.codecs.media.pictures.picture import Picture

P3 = profiles.coded_profile(12, 13)
GREY = profiles.grey_profile(profiles.gamma_curve(1.8))
CHRM_P3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
CHRM_SRGB = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def in_srgb(picture):
    """The picture's samples as colour management (lcms) brings them to sRGB."""
    if picture.icc is None:
        return picture.rgb
    image = to_pil(picture)
    source = ImageCms.ImageCmsProfile(io.BytesIO(picture.icc))
    return np.asarray(ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"))


def rgb_png(*extra, value=(128, 128, 128)):
    return png_of_rows(8, 2, b"\0" + bytes(value), 1, 1, *extra)


def gama(value):
    return chunk(b"gAMA", struct.pack(">I", value))


def iccp(profile):
    return chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))


def rendered(value, gamma):
    """sRGB's 8-bit value of the light value ** gamma."""
    light = (value / 255) ** gamma
    return 255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("value", [100000, 55556, 45000, 41667, 45455])
def test_png_gamma_becomes_a_profile(value, grey):
    data = png_of_rows(8, 0, b"\0\x80", 1, 1, gama(value)) if grey else rgb_png(gama(value))
    picture = read_picture(data)
    assert picture.grey == grey and (picture.icc is None) == (value == 45455)
    if picture.icc:
        assert np.abs(in_srgb(picture) - rendered(128, 100000 / value)).max() < 1
        assert profiles.space_of(picture.icc) == (b"GRAY" if grey else b"RGB ")


def test_png_chromaticities_become_a_profile():
    assert read_picture(rgb_png(gama(45455), chunk(b"cHRM", CHRM_SRGB))).icc is None
    picture = read_picture(rgb_png(gama(45455), chunk(b"cHRM", CHRM_P3), value=(200, 30, 40)))
    expected = imagecodecs.cms_transform(picture.rgb, P3, SRGB, colorspace="rgb", outcolorspace="rgb")
    assert np.abs(in_srgb(picture).astype(int) - expected).max() <= 1
    assert np.abs(in_srgb(picture).astype(int) - picture.rgb).max() > 5


def test_png_says_its_meaning_in_the_order_of_the_standard():
    cicp, srgb = chunk(b"cICP", bytes((12, 13, 0, 1))), chunk(b"sRGB", b"\0")
    assert read_picture(rgb_png(gama(100000), srgb)).icc is None
    assert read_picture(rgb_png(gama(100000), srgb, iccp(P3))).icc == P3
    assert profiles.cicp_of(read_picture(rgb_png(gama(100000), iccp(SRGB), cicp)).icc) == bytes((12, 13, 0, 1))


@pytest.mark.parametrize("transfer", [profiles.PQ, profiles.HLG])
def test_png_of_high_dynamic_range_keeps_its_code_points(transfer, tmp_path):
    codes = bytes((9, transfer, 0, 1))
    picture = read_picture(rgb_png(chunk(b"cICP", codes)))
    assert profiles.cicp_of(picture.icc) == codes
    assert in_srgb(picture).shape == (1, 1, 3)  # other programs find a sound profile
    write_picture(picture, tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    assert chunk(b"cICP", codes) in data and read_picture(data).icc == picture.icc


def avif(codes, bits=10):
    samples = np.full((16, 16, 3), 500, np.uint16)
    data = bytearray(imagecodecs.avif_encode(samples, level=100, bitspersample=bits))
    struct.pack_into(">HH", data, data.index(b"nclx") + 4, *codes)
    return bytes(data)


@pytest.mark.parametrize("codes", [(9, 16), (9, 18), (12, 13), (9, 8)])
def test_avif_keeps_its_code_points(codes):
    picture = read_picture(avif(codes))
    assert profiles.cicp_of(picture.icc) == bytes((*codes, 0, 1)) and picture.peak == 65535


@pytest.mark.parametrize("codes", [(1, 13), (2, 2), (1, 1)])
def test_avif_in_srgb_has_no_profile(codes):
    assert read_picture(avif(codes)).icc is None


def test_unknown_code_points_are_one_warning(caplog):
    assert read_picture(rgb_png(chunk(b"cICP", bytes((77, 13, 0, 1)))), "a.png").icc is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and "a.png" in record.getMessage() and "77" in record.getMessage()


def test_avif_profile_is_kept_before_code_points():
    data = file_of(Image.fromarray(COLOUR[:, :, :3]), "AVIF", icc_profile=P3)
    assert read_picture(data).icc == P3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_turned_as_pillow_turns_it(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    y, x = np.mgrid[:40, :56]
    image = Image.fromarray(np.stack([x * 4, y * 6, x + y], axis=2).astype(np.uint8))
    data = file_of(image, "AVIF", exif=exif, quality=100)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    from bitfloor.codecs.media.pictures.decoded import upright

    assert (read_picture(data).rgb == upright(expected, orientation)).all()


def test_camera_files_in_adobe_rgb_by_exif_alone():
    # IFD0 -> EXIF IFD (colour space "uncalibrated") -> interoperability IFD with index R03, as DCF 2.0 has it
    exif = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 26, 0)
    exif += struct.pack("<HHHII", 1, 0xA005, 4, 1, 44) + bytes(4)
    exif += struct.pack("<HHHI4s", 1, 1, 2, 4, b"R03\0") + bytes(4)
    data = file_of(Image.new("RGB", (8, 8), (40, 200, 60)), "JPEG", exif=b"Exif\0\0" + exif)
    picture = read_picture(data)
    assert in_srgb(picture)[0, 0, 0] < 5 < picture.rgb[0, 0, 0]  # a green beyond sRGB


def test_tiff_primaries_become_a_profile():
    values = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
    rationals = [part for value in values for part in (round(value * 1000), 1000)]
    body = struct.pack("<12I", *rationals)
    data = tiff(DEEP[:, :, :3], 2, more=[(319, 5, rationals)])
    assert body in data
    picture = read_picture(data)
    assert np.abs(np.array(picture.rgb) - DEEP[:, :, :3]).max() == 0
    corners = (*zip(values[::2], values[1::2], strict=True), (0.3127, 0.329))
    same = profiles.rgb_profile(corners, profiles.srgb_curve())
    assert picture.icc == same


# --- a profile fits what is written ---


def grey_palette(profile):
    return file_of(Image.fromarray(COLOUR[:, :, 0]).convert("P"), "PNG", icc_profile=profile)


def profile_in(path):
    with Image.open(path) as image:
        icc = image.info.get("icc_profile")
        return image.mode, icc and icc[16:20]


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".jpg", ".avif"])
@pytest.mark.parametrize("kind", ["palette with RGB profile", "grey with RGB profile", "grey with GRAY profile"])
def test_grey_is_written_with_a_profile_that_fits(kind, suffix, tmp_path):
    linear = profiles.rgb_profile(profiles.SRGB_PRIMARIES, profiles.gamma_curve(1.8))
    if kind == "palette with RGB profile":
        data = grey_palette(linear)
    else:
        data = png_of_rows(8, 0, b"\0\x80", 1, 1, iccp(linear if "RGB" in kind else GREY))
    picture = read_picture(data)
    write_picture(picture, tmp_path / f"a{suffix}")
    mode, space = profile_in(tmp_path / f"a{suffix}")
    assert space == (b"GRAY" if mode == "L" else b"RGB ")
    back = read_picture(tmp_path / f"a{suffix}")
    assert np.abs(in_srgb(back).astype(float) - in_srgb(picture)).max() < (9 if suffix in (".jpg", ".avif") else 1.1)
    assert picture.icc and in_srgb(picture)[0, 0, 0] != picture.rgb[0, 0, 0]


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_grey_picture_whose_profile_needs_colour_is_a_colour_picture(depth, tmp_path):
    different = profiles.rgb_profile(profiles.SRGB_PRIMARIES, profiles.gamma_curve(2.0), bytes((1, 4, 0, 1)))
    grey = np.zeros((2, 2), depth)
    image = Image.fromarray(grey)
    image.info["icc_profile"] = different
    picture = as_picture(image)
    assert not picture.grey and picture.icc == different
    write_picture(picture, tmp_path / "a.png")
    back = read_picture(tmp_path / "a.png")
    assert profiles.space_of(back.icc) == b"RGB " and not back.grey


def test_a_profile_of_which_a_part_is_missing_is_left_out_and_said(caplog):
    for data in (rgb_png(iccp(SRGB[:-20])), file_of(Image.new("RGB", (4, 4)), "JPEG", icc_profile=SRGB[:-20])):
        assert read_picture(data, "a").icc is None
    assert [record.getMessage() for record in caplog.records] == ["a: the colour profile is broken and left out"] * 2


def test_a_profile_for_grey_does_not_fit_colours(caplog):
    picture = read_picture(rgb_png(iccp(GREY)), "a.png")
    assert picture.icc is None and len(caplog.records) == 1 and "GRAY" in caplog.text


@pytest.mark.parametrize("suffix", [".ppm", ".bmp"])
def test_formats_without_profile_and_alpha_warn_once(suffix, tmp_path, caplog):
    picture = Picture(COLOUR[:, :, :3], COLOUR[:, :, 3], P3)
    write_picture(picture, tmp_path / f"a{suffix}")
    (record,) = caplog.records
    assert "transparency" in record.getMessage() and "colour profile" in record.getMessage()


def cmyk_profile():
    """A profile whose table says, for the 16 corners of CMYK, Lab lightness by black alone."""
    corners = [(0 if corner & 1 else 65280, 32768, 32768) for corner in range(16)]  # the last ink varies fastest
    lut = b"mft2\0\0\0\0" + bytes((4, 3, 2, 0)) + struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    lut += struct.pack(">HH", 2, 2) + struct.pack(">2H", 0, 65535) * 4
    lut += b"".join(struct.pack(">3H", *corner) for corner in corners) + struct.pack(">2H", 0, 65535) * 3
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"CMYK\0" + bytes(78)
    words = b"text\0\0\0\0none\0"
    tags, body, table = {b"desc": text, b"cprt": words, b"wtpt": white, b"A2B0": lut}, b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", 128 + 4 + 48 + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = 128 + 4 + 48 + len(body)
    header = struct.pack(">I4xI4s4s4s", size, 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", 4) + table + body


@pytest.mark.parametrize("bits", [8, 16])
def test_cmyk_goes_through_its_profile_in_every_depth(bits):
    peak = (1 << bits) - 1
    inks = np.array([[[peak, peak, peak, 0], [0, 0, 0, peak], [0, 0, 0, peak // 2]]])
    profile = list(cmyk_profile())
    picture = read_picture(tiff(inks, 5, bits=bits, more=[(34675, 7, profile)]))
    assert picture.icc is None and picture.peak == peak
    levels = picture.rgb[0, :, 0] / peak * 255
    assert np.abs(levels - [255, 0, 118.9]).max() < 2  # L* 100, 0 and 50
