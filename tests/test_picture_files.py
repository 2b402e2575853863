"""Picture files in and out: every mode and depth, profiles, orientation, bad files."""

import io
import struct

import numpy as np
import pytest
from picture_samples import COLOUR, DEEP, SRGB, file_of, kinds, png, tiff, trns
from PIL import Image, ImageOps

from bitfloor.codecs.media.pictures import files as picture_files
from bitfloor.codecs.media.pictures.files import read_picture, write_picture
from bitfloor.codecs.media.pictures.picture import Picture
from bitfloor.errors import UnreadableInputError, UsageError

# --- reading ---


def test_rgb_and_rgba():
    picture = read_picture(file_of(Image.fromarray(COLOUR[:, :, :3])))
    assert (picture.rgb == COLOUR[:, :, :3]).all() and picture.alpha is None and not picture.grey
    picture = read_picture(file_of(Image.fromarray(COLOUR)))
    assert (picture.rgb == COLOUR[:, :, :3]).all() and (picture.alpha == COLOUR[:, :, 3]).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I"])
def test_every_mode_reads_as_pillow_converts_it(mode):
    source = Image.fromarray(COLOUR[:, :, 0] if mode in ("1", "L", "LA") else COLOUR[:, :, :3])
    image = Image.fromarray(DEEP[:, :, 0]) if mode == "I;16" else source.convert(mode)
    picture = read_picture(file_of(image, "TIFF"))
    if mode in ("I;16", "I"):
        expected = np.asarray(image).astype(np.uint16)[:, :, None].repeat(3, axis=2)
    else:
        expected = np.asarray(image.convert("RGB"))
    assert (picture.rgb == expected).all()
    assert picture.grey == (mode in ("1", "L", "LA", "I;16", "I"))
    assert (picture.alpha is not None) == (mode in ("LA", "RGBA"))


def test_palette_with_transparency_and_grey_palette():
    palette = Image.fromarray(COLOUR[:, :, :3]).quantize(5)
    data = file_of(palette, "PNG", transparency=2)
    picture = read_picture(data)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    assert (picture.rgb == expected[:, :, :3]).all()
    assert (picture.alpha == expected[:, :, 3]).all() and (picture.alpha == 0).any()
    grey = read_picture(file_of(Image.fromarray(COLOUR[:, :, 0]), "GIF"))
    assert grey.grey and (grey.rgb[:, :, 0] == COLOUR[:, :, 0]).all()


@pytest.mark.parametrize("mode,key", [("L", 9), ("RGB", (9, 9, 9)), ("1", 0)])
def test_one_transparent_colour(mode, key):
    samples = np.full((3, 4, 3), 255, np.uint8)
    samples[1, 2] = 0 if mode == "1" else 9
    picture = read_picture(file_of(Image.fromarray(samples).convert(mode), "PNG", transparency=key))
    expected = np.full((3, 4), 255)
    expected[1, 2] = 0
    assert (picture.alpha == expected).all()


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("colour_type,channels", [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bit_png_is_read_in_full(colour_type, channels, interlace):
    picture = read_picture(png(DEEP[:, :, :channels], colour_type, interlace=interlace))
    assert picture.rgb.dtype == np.uint16 and picture.grey == (channels < 3)
    assert (picture.rgb == (DEEP[:, :, :1] if channels < 3 else DEEP[:, :, :3])).all()
    if channels in (2, 4):
        assert (picture.alpha == DEEP[:, :, channels - 1]).all()


def test_16_bit_png_with_one_transparent_colour():
    key = [int(v) for v in DEEP[2, 3, :3]]
    picture = read_picture(png(DEEP[:, :, :3], 2, extra=trns(*key)))
    assert picture.alpha[2, 3] == 0 and (picture.alpha == 65535).sum() == 34
    picture = read_picture(png(DEEP[:, :, :1], 0, extra=trns(key[0])))
    assert picture.alpha[2, 3] == 0 and (picture.alpha == 65535).sum() == 34


@pytest.mark.parametrize("order", "<>")
def test_16_bit_tiff_and_ppm_are_read_in_full(order):
    assert (read_picture(tiff(DEEP[:, :, :3], 2, order=order)).rgb == DEEP[:, :, :3]).all()
    ppm = b"P6 7 5 65535\n" + DEEP[:, :, :3].astype(">u2").tobytes()
    assert (read_picture(ppm).rgb == DEEP[:, :, :3]).all()
    half = read_picture(b"P5 2 1 1023\n" + struct.pack(">2H", 1023, 500))
    assert half.rgb[0, :, 0].tolist() == [65535, round(500 * 65535 / 1023)] and half.grey


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_does(orientation):
    image = Image.fromarray(COLOUR[:, :, :3])
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = read_picture(file_of(image, "PNG", exif=exif))
    reread = Image.open(io.BytesIO(file_of(image, "PNG", exif=exif)))
    assert (picture.rgb == np.asarray(ImageOps.exif_transpose(reread))).all()
    assert picture.rgb.flags.c_contiguous


def test_cmyk_goes_through_its_profile_and_survives_a_broken_one():
    cmyk = Image.fromarray(COLOUR[:, :, :3]).convert("CMYK")
    plain = read_picture(file_of(cmyk, "TIFF")).rgb
    broken = read_picture(file_of(cmyk, "TIFF", icc_profile=SRGB[:16] + b"CMYK" + SRGB[20:100]))
    assert (broken.rgb == plain).all() and broken.icc is None


def test_lab_becomes_srgb():
    lab = Image.merge("LAB", [Image.new("L", (2, 2), v) for v in (255, 128, 128)])
    assert (read_picture(file_of(lab, "TIFF")).rgb >= 250).all()


@pytest.mark.parametrize(
    "data",
    [
        b"hello, this is text\n" * 20,
        b"P7\nWIDTH",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
    ],
)
def test_no_picture_is_one_clear_line(data):
    with pytest.raises(UnreadableInputError) as caught:
        read_picture(data)
    assert "\n" not in str(caught.value) and "the picture" in str(caught.value)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF"])
def test_cut_files_are_broken_pictures_or_the_picture(file_format):
    data = file_of(Image.fromarray(COLOUR[:, :, :3]), file_format)
    assert read_picture(data).rgb.shape == (5, 7, 3)
    refused = 0
    for end in range(1, len(data), max(1, len(data) // 40)):
        try:
            assert read_picture(data[:end]).rgb.shape == (5, 7, 3)
        except UnreadableInputError:
            refused += 1
    assert refused > 10


def test_missing_empty_folder_and_float(tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "float.tif")
    for name, reason in [
        ("none.png", "No such file"),
        ("empty.png", "empty"),
        ("", "directory"),
        ("float.tif", "floating-point"),
    ]:
        with pytest.raises(UnreadableInputError, match=reason):
            read_picture(tmp_path / name)


def test_large_32_bit_values_are_refused():
    with pytest.raises(UnreadableInputError, match="32-bit"):
        read_picture(file_of(Image.fromarray(np.full((2, 2), 70000, np.int32)), "TIFF"))


# --- writing ---


@pytest.mark.parametrize("picture", list(kinds()))
def test_png_keeps_everything(tmp_path, picture):
    write_picture(picture, tmp_path / "a.png")
    back = read_picture(tmp_path / "a.png")
    assert (back.rgb == picture.rgb).all() and back.rgb.dtype == picture.rgb.dtype
    assert (back.icc, back.grey) == (picture.icc, picture.grey)
    assert (back.alpha is None) == (picture.alpha is None)
    assert picture.alpha is None or (back.alpha == picture.alpha).all()


@pytest.mark.parametrize("suffix", [".webp", ".tif", ".ppm", ".bmp", ""])
def test_other_lossless_formats(tmp_path, suffix):
    picture = Picture(COLOUR[:, :, :3])
    write_picture(picture, tmp_path / f"a{suffix}")
    assert (read_picture(tmp_path / f"a{suffix}").rgb == picture.rgb).all()


@pytest.mark.parametrize("suffix", [".jpg", ".avif"])
def test_lossy_formats_are_close(tmp_path, suffix):
    y, x = np.mgrid[:64, :64]
    smooth = np.stack([2 * x, 2 * y, x + y], axis=2).astype(np.uint8)
    write_picture(Picture(smooth, np.full((64, 64), 9, np.uint8), SRGB), tmp_path / f"a{suffix}")
    back = read_picture(tmp_path / f"a{suffix}")
    assert np.abs(back.rgb.astype(int) - smooth).mean() < 2 and back.icc == SRGB


def test_16_bit_ppm_and_rounding_elsewhere(tmp_path):
    picture = Picture(DEEP[:, :, :3])
    write_picture(picture, tmp_path / "a.ppm")
    assert (read_picture(tmp_path / "a.ppm").rgb == picture.rgb).all()
    write_picture(picture, tmp_path / "a.webp")
    assert (read_picture(tmp_path / "a.webp").rgb == np.rint(picture.rgb / 257)).all()


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match="-f"):
        write_picture(Picture(DEEP[:, :, :3]), path)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(picture_files, "_encoded", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_picture(Picture(DEEP[:, :, :3]), path, overwrite=True)
    assert path.read_bytes() == b"mine" and list(tmp_path.iterdir()) == [path]


def test_what_a_format_cannot_hold(tmp_path):
    with pytest.raises(UsageError, match="xyz"):
        write_picture(Picture(COLOUR[:, :, :3]), tmp_path / "a.xyz")
    with pytest.raises(UsageError, match="70000x1"):
        write_picture(Picture(np.zeros((1, 70000, 3), np.uint8)), tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []
