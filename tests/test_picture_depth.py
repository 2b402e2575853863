"""Samples of every depth, order and colour: TIFF, PNG, AVIF, JPEG 2000, PNM; with transparency of one colour."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from picture_samples import COLOUR, DEEP, chunk, file_of, packed, png_of_rows, tiff
from PIL import Image, ImageCms

from bitfloor.codecs.media.pictures.files import read_picture
from bitfloor.codecs.media.pictures.objects import as_picture
from bitfloor.errors import UnreadableInputError, UsageError

BITS = (1, 2, 4, 6, 8, 10, 12, 14, 16)


def stored(bits, channels, shape=(5, 7)):
    rng = np.random.default_rng(bits * 10 + channels)
    return rng.integers(0, 1 << bits, (*shape, channels))


def scaled(samples, bits):
    """The nearest level of 8 or 16 bits."""
    top = 255 if bits <= 8 else 65535
    return np.rint(samples.astype(np.float64) * top / ((1 << bits) - 1))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_planar_tiff_of_every_colour_mode(order, deflate, planar, bits):
    options = {"order": order, "bits": bits, "planar": planar, "deflate": deflate}
    for photometric, channels, extra in ((1, 1, ()), (1, 2, (2,)), (2, 3, ()), (2, 4, (2,)), (2, 4, ())):
        samples = stored(bits, channels)
        picture = read_picture(tiff(samples, photometric, extra=extra, **options))
        assert picture.peak == (1 << bits) - 1 and picture.grey == (channels < 3)
        assert (picture.rgb == samples[:, :, : 1 if channels < 3 else 3]).all()
        assert (picture.alpha is None) == (channels in (1, 3))
        assert picture.alpha is None or (picture.alpha == samples[:, :, -1]).all()
    inks = stored(bits, 4)
    light = 1 - inks / ((1 << bits) - 1)
    expected = np.rint(light[:, :, :3] * light[:, :, 3:] * ((1 << bits) - 1))
    assert (read_picture(tiff(inks, 5, **options)).rgb == expected).all()


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("bits", BITS)
def test_every_bit_depth_of_tiff(bits, planar):
    grey, rgb = stored(bits, 1), stored(bits, 3)
    assert (read_picture(tiff(grey, 1, bits=bits)).rgb == scaled(grey, bits)).all()
    picture = read_picture(tiff(rgb, 2, bits=bits, planar=planar))
    assert (picture.rgb == scaled(rgb, bits)).all() and picture.peak == (255 if bits <= 8 else 65535)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", BITS)
def test_white_is_zero_of_every_depth(bits, order):
    samples = stored(bits, 1)
    picture = read_picture(tiff(samples, 0, bits=bits, order=order))
    assert picture.grey and (picture.rgb == scaled((1 << bits) - 1 - samples, bits)).all()
    with_alpha = stored(bits, 2)
    picture = read_picture(tiff(with_alpha, 0, bits=bits, order=order, extra=(2,)))
    assert (picture.rgb[:, :, 0] == scaled((1 << bits) - 1 - with_alpha[:, :, 0], bits)).all()
    assert (picture.alpha == scaled(with_alpha[:, :, 1], bits)).all()


def test_multiplied_alpha_of_tiff_is_undone():
    alpha = np.array([[0, 1, 1000, 65535]])
    straight = np.full((1, 4, 3), 40000)
    multiplied = np.rint(straight * alpha[:, :, None] / 65535)
    picture = read_picture(tiff(np.concatenate([multiplied, alpha[:, :, None]], axis=2), 2, extra=(1,)))
    assert (picture.alpha == alpha).all() and (picture.rgb[0, 0] == 0).all()
    assert np.abs(picture.rgb[0, 2:].astype(int) - 40000).max() <= 33 and picture.rgb[0, 3, 0] == 40000


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bits", [8, 16])
def test_lab_tiff_against_the_colour_management_of_pillow(bits, signed):
    plain = np.stack(np.meshgrid([40, 128, 200], [100, 128, 150], [110, 128, 160]), axis=-1).reshape(3, 9, 3)
    lab = Image.merge("LAB", [Image.fromarray(plain[:, :, i].astype(np.uint8)) for i in range(3)])
    profiles = [ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")]
    exactly = ImageCms.Flags.NOOPTIMIZE  # else lcms interpolates in a coarse table
    expected = np.asarray(ImageCms.profileToProfile(lab, *profiles, outputMode="RGB", flags=exactly))
    samples = plain.astype(np.int64)
    if bits == 16:
        samples[:, :, 0] = samples[:, :, 0] * (257 if signed else 256)
        samples[:, :, 1:] *= 256
    if signed:
        samples[:, :, 1:] ^= 1 << bits - 1
    picture = read_picture(tiff(samples, 8 if signed else 9, bits=bits))
    assert picture.peak == (1 << bits) - 1
    inside = ((expected > 0) & (expected < 255)).all(axis=2)  # beyond sRGB each clips in its own way
    assert inside.mean() > 0.4
    assert np.abs(picture.rgb / picture.peak * 255 - expected)[inside].max() < 1


def test_palettes_of_tiff():
    colours = np.array([[0, 65535, 257 * 7, 257 * 9], [65535, 0, 257 * 8, 0], [0, 0, 257 * 200, 257]])
    indices = np.array([[[0], [1], [2], [3]]])
    more = [(320, 3, [int(v) for row in colours for v in (*row, *[0] * 12)])]
    picture = read_picture(tiff(indices, 3, bits=4, more=more))
    assert picture.peak == 255 and (picture.rgb[0] == colours.T // 257).all()
    fine = [(320, 3, [int(v) + 1 for row in colours // 2 for v in (*row, *[0] * 12)])]
    assert (read_picture(tiff(indices, 3, bits=4, more=fine)).rgb[0] == colours.T // 2 + 1).all()


FAX, OTHERS = ("group3", "group4", "tiff_ccitt"), ("packbits", "tiff_lzw", "jpeg")


@pytest.mark.parametrize(
    "mode,compression",
    [*(("1", name) for name in FAX), *((mode, name) for mode in ("L", "RGB", "YCbCr") for name in OTHERS)],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_compressed_tiff_is_what_pillow_reads(compression, mode, orientation):
    image = Image.fromarray(COLOUR[:, :, :3].repeat(8, 0).repeat(8, 1)).convert(mode)
    data = file_of(image, "TIFF", compression=compression, tiffinfo={274: orientation})
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))  # upright already
    assert np.abs(read_picture(data).rgb.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("code", [2, 3])
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_samples_without_a_fixed_white_are_refused(bits, code):
    samples = np.full((2, 3, 1), (1 << bits) - 5)
    with pytest.raises(UnreadableInputError, match=r"signed|floating-point|32-bit|broken"):
        read_picture(tiff(samples, 1, bits=bits, more=[(339, 3, [code])]))


@pytest.mark.parametrize("bits,channels", [(1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (8, 3), (16, 3)])
def test_one_transparent_colour_of_every_png_depth(bits, channels):
    samples = stored(bits, channels)
    key = samples[2, 3].tolist()
    rows = b"".join(b"\0" + packed(row[None], bits, ">") for row in samples)
    tail = chunk(b"tRNS", struct.pack(f">{channels}H", *key))
    picture = read_picture(png_of_rows(bits, 0 if channels == 1 else 2, rows, 7, 5, tail))
    assert (picture.rgb == scaled(samples, bits)).all()
    assert (picture.alpha == np.where((samples == key).all(axis=2), 0, picture.peak)).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_transparent_palette_of_every_png_depth(bits):
    indices = stored(bits, 1)
    colours = np.random.default_rng(0).integers(0, 256, (1 << bits, 3), dtype=np.uint8)
    alphas = np.random.default_rng(1).integers(0, 256, 1 << bits, dtype=np.uint8)
    rows = b"".join(b"\0" + packed(row[None], bits, ">") for row in indices)
    extra = (chunk(b"PLTE", colours.tobytes()), chunk(b"tRNS", alphas.tobytes()[:-1]))
    picture = read_picture(png_of_rows(bits, 3, rows, 7, 5, *extra))
    alphas[-1] = 255
    assert (picture.rgb == colours[indices[:, :, 0]]).all() and (picture.alpha == alphas[indices[:, :, 0]]).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_one_transparent_grey_of_an_opened_pil_image(bits):
    rows = b"\0" + packed(np.array([[0, 1, (1 << bits) - 1]]), bits, ">")
    opened = Image.open(io.BytesIO(png_of_rows(bits, 0, rows, 3, 1, chunk(b"tRNS", b"\0\1"))))
    assert as_picture(opened).alpha.tolist() == [[255, 0, 0 if bits == 1 else 255]]


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
def test_a_tiff_opened_by_pillow_means_what_the_file_means(bits, photometric, loaded):
    data = tiff(stored(bits, 1), photometric, bits=bits)
    if bits == 12 and photometric == 0:
        pytest.skip("Pillow does not open it")
    opened = Image.open(io.BytesIO(data))
    if loaded:
        opened.load()
    read, taken = read_picture(data), as_picture(opened)
    assert (read.rgb == taken.rgb).all() and read.rgb.dtype == taken.rgb.dtype


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize(("photometric", "channels"), [(2, 3), (2, 4), (5, 4)])
def test_planes_of_16_bits_that_pillow_misreads_are_refused_and_all_others_are_right(
    photometric, channels, deflate, order
):
    extra = (2,) if (photometric, channels) == (2, 4) else ()
    data = tiff(stored(16, channels), photometric, order=order, planar=True, deflate=deflate, extra=extra)
    try:
        taken = as_picture(Image.open(io.BytesIO(data)))
    except OSError:  # Pillow has no such mode
        return
    except UsageError as error:
        assert "Pillow misreads" in str(error) and not deflate
        return
    assert np.abs(taken.rgb - read_picture(data).rgb / 257).max() < 3


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_deep_avif_is_read_in_full(bits, channels):
    samples = stored(bits, channels, (32, 48)).astype("u1" if bits == 8 else "u2")
    source = samples[:, :, 0] if channels == 1 else samples
    picture = read_picture(imagecodecs.avif_encode(source, level=100, bitspersample=bits))
    assert (picture.rgb == scaled(samples[:, :, :3], bits)).all() and picture.grey == (channels == 1)
    assert picture.alpha is None or (picture.alpha == scaled(samples[:, :, 3], bits)).all()


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("form", ["jp2", "j2k"])
def test_deep_jpeg_2000_is_read_in_full(bits, channels, form):
    samples = stored(bits, channels, (32, 48)).astype("u1" if bits == 8 else "u2")
    source = np.ascontiguousarray(samples[:, :, 0] if channels == 1 else samples)
    data = imagecodecs.jpeg2k_encode(source, level=0, codecformat=form, bitspersample=bits, reversible=True)
    picture = read_picture(data)
    assert (picture.rgb == scaled(samples[:, :, : 1 if channels < 3 else 3], bits)).all()
    assert (picture.alpha is None) == (channels in (1, 3))
    assert picture.alpha is None or (picture.alpha == scaled(samples[:, :, -1], bits)).all()


def test_jpeg_of_12_bits():
    y, x = np.mgrid[:64, :64]
    samples = (x * 60 + y).astype(np.uint16)
    picture = read_picture(imagecodecs.jpeg8_encode(samples, level=98, bitspersample=12))
    assert np.abs(picture.rgb[:, :, 0] / 65535 * 4095 - samples).max() < 12 and picture.peak == 65535


@pytest.mark.parametrize("form,peak", [(2, 1023), (3, 1023), (5, 1023), (6, 1023), (2, 99), (3, 255), (6, 99)])
def test_netpbm_of_any_white_plain_and_binary(form, peak):
    samples = np.random.default_rng(form).integers(0, peak + 1, (5, 7, 3 if form in (3, 6) else 1))
    head = b"P%d # a comment\n7 5\n%d\n" % (form, peak)
    body = " ".join(map(str, samples.ravel())).encode()
    body = body if form < 4 else samples.astype("u1" if peak < 256 else ">u2").tobytes()
    assert (read_picture(head + body).rgb == np.rint(samples * (255 if peak < 256 else 65535) / peak)).all()


def test_netpbm_bit_maps():
    bits = np.array([[1, 0, 0, 1, 1, 0, 1, 0, 1], [0, 1, 1, 0, 0, 0, 1, 1, 0]])
    plain = b"P1 9 2\n" + b"\n".join(bytes(48 + v for v in row) for row in bits)
    for data in (plain, b"P4\n9 2\n" + np.packbits(bits.astype(np.uint8), axis=1).tobytes()):
        assert (read_picture(data).rgb[:, :, 0] == 255 * (1 - bits)).all()


def test_16_bit_tiff_is_written_in_full(tmp_path):
    from bitfloor.codecs.media.pictures.files import write_picture
    from bitfloor.codecs.media.pictures.picture import Picture

    write_picture(Picture(DEEP[:, :, :3], DEEP[:, :, 3]), tmp_path / "a.tif")
    back = read_picture(tmp_path / "a.tif")
    assert (back.rgb == DEEP[:, :, :3]).all() and (back.alpha == DEEP[:, :, 3]).all()
    with Image.open(tmp_path / "a.tif") as other:
        assert other.size == (7, 5) and other.mode == "RGBA"
