"""What must never decide about a picture: the caller's settings, and data that nobody needs."""

import io
import resource
import struct
import subprocess
import sys
import threading
import warnings
import zlib

import imagecodecs
import numpy as np
import pytest
from fake_codec import FakeCodec
from picture_samples import COLOUR, chunk, file_of, png_of_rows, tiff
from PIL import GifImagePlugin, Image, ImageFile, PngImagePlugin

from bitfloor.codecs.media.pictures.alpha import WEBP, decode_alpha, encode_alpha
from bitfloor.codecs.media.pictures.files import read_picture
from bitfloor.codecs.media.pictures.picture import Picture
from bitfloor.errors import CorruptStreamError, UnreadableInputError, UsageError

FORMATS = ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000", "QOI"]


# --- one limit of pixels ---


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_limit_is_ours_and_can_be_raised(file_format):
    data = file_of(Image.new("RGB", (50, 40)), file_format)
    assert read_picture(data, max_pixels=2000).rgb.shape == (40, 50, 3)
    with pytest.raises(UnreadableInputError, match=r"50x40 are more than the 1,999 pixels.*--max-pixels"):
        read_picture(data, max_pixels=1999)


def claims(file_format, side):
    """A small file whose header claims `side` x `side` pixels."""
    data = bytearray(file_of(Image.new("RGB", (64, 64)), file_format))
    size, place = {"PNG": (">II", 16), "QOI": (">II", 4), "BMP": ("<ii", 18), "GIF": ("<HH", 6)}.get(
        file_format, (None, 0)
    )
    if size:
        struct.pack_into(size, data, place, side, side)
        if file_format == "PNG":
            data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif file_format == "JPEG":
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, side, side)
    elif file_format == "JPEG2000":
        struct.pack_into(">II", data, data.index(b"\xff\x4f\xff\x51") + 8, side, side)
    elif file_format == "AVIF":
        struct.pack_into(">II", data, data.index(b"ispe") + 8, side, side)
    elif file_format == "PPM":
        data = data.replace(b"64 64", b"%d %d" % (side, side))
    elif file_format == "TIFF":
        place = data.index(struct.pack("<HHI", 256, 4, 1)) if struct.pack("<HHI", 256, 4, 1) in data else 0
        kind = 4 if place else 3
        for tag in (256, 257):
            place = data.index(struct.pack("<HHI", tag, kind, 1))
            data[place : place + 12] = struct.pack("<HHII", tag, 4, 1, side)
    return bytes(data)


@pytest.mark.parametrize("file_format", [name for name in FORMATS if name != "WEBP"])
def test_a_size_that_is_only_claimed_takes_no_memory(file_format):
    read_picture(file_of(Image.new("RGB", (64, 64)), file_format))  # the decoder is loaded
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnreadableInputError, match="pixels"):
        read_picture(claims(file_format, 40_000))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


def test_an_alpha_plane_has_no_limit_of_its_own(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    plane = np.add.outer(np.arange(90), np.arange(80)).astype(np.uint8)
    section = encode_alpha(plane)
    assert section[0] == WEBP and (decode_alpha(section, 90, 80, plane.dtype) == plane).all()


def test_encoding_and_decoding_have_the_same_limit():
    codec = FakeCodec()
    pixels = np.zeros((10, 20, 3), np.uint8)
    with pytest.raises(UsageError, match="20x10 are more than the 199 pixels"):
        codec.encode(pixels, max_pixels=199)
    data = codec.encode(pixels, max_pixels=200)
    assert codec.decode(data, max_pixels=200).size == (20, 10)
    with pytest.raises(CorruptStreamError, match="20x10 are more than the 199 pixels"):
        codec.decode(data, max_pixels=199)


# --- the caller's settings ---


@pytest.mark.parametrize("file_format", FORMATS)
def test_settings_of_pillow_and_warnings_neither_matter_nor_change(file_format, monkeypatch):
    exif = {"exif": b"Exif\0\0II*\0" + b"\xff" * 99} if file_format in ("PNG", "JPEG") else {}
    data = file_of(Image.fromarray(COLOUR[:, :, :3]), file_format, **exif)
    expected = read_picture(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_CHUNK", 1)
    monkeypatch.setattr(GifImagePlugin, "LOADING_STRATEGY", GifImagePlugin.LoadingStrategy.RGB_ALWAYS)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filters = list(warnings.filters)
        picture = read_picture(data)
        assert warnings.filters == filters
    assert (picture.rgb == expected.rgb).all() and Image.MAX_IMAGE_PIXELS == 1
    with pytest.raises(UnreadableInputError):
        read_picture(data[: len(data) * 2 // 3])


def test_warning_filters_of_other_threads_stay():
    data = file_of(Image.fromarray(COLOUR), "PNG")
    stop, changed = threading.Event(), []
    filters = list(warnings.filters)

    def watch():
        while not stop.is_set():
            if warnings.filters != filters:
                changed.append(1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(300):
        read_picture(data)
    stop.set()
    watcher.join()
    assert not changed


# --- data that nobody needs ---


def rgb_png(*extra):
    return png_of_rows(8, 2, b"\0" + bytes((1, 2, 3)), 1, 1, *extra)


BROKEN = {
    "a text of 1.2 MB": chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * 1_200_000)),
    "an international text of 1.2 MB": chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(b"a" * 1_200_000)),
    "70 texts of 1 MB": chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * 1_000_000)) * 70,
    "a broken text": chunk(b"zTXt", b"k\0\0broken"),
    "a profile that is none": chunk(b"iCCP", b"k\0\0broken"),
    "a profile without end": chunk(b"iCCP", b"k" * 50),
    "an empty gamma": chunk(b"gAMA", b""),
    "a gamma of 0": chunk(b"gAMA", bytes(4)),
    "chromaticities of 0": chunk(b"cHRM", bytes(32)),
    "a short cHRM": chunk(b"cHRM", b"\0"),
    "a short cICP": chunk(b"cICP", b"\0"),
    "a short sRGB": chunk(b"sRGB", b""),
    "a short pHYs": chunk(b"pHYs", b"\0"),
    "a wrong CRC": chunk(b"tEXt", b"k\0words")[:-1] + b"\0",
    "a wrong CRC of gAMA": chunk(b"gAMA", struct.pack(">I", 45455))[:-1] + b"\0",
    "broken EXIF": chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"),
    "an animation that is none": chunk(b"acTL", b"\0"),
    "an animation of 0 pictures": chunk(b"acTL", bytes(8)),
    "a transparent palette without palette": chunk(b"tRNS", bytes(6))[:-1] + b"\0",
    "private data": chunk(b"prVt", bytes(9)),
}


@pytest.mark.parametrize("what", BROKEN)
def test_needless_data_of_png_never_refuses_the_picture(what):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_picture(rgb_png(BROKEN[what])).rgb.tolist() == [[[1, 2, 3]]]


def test_a_large_profile_comes_back_from_what_we_wrote(tmp_path):
    from bitfloor.codecs.media.pictures import profile as profiles
    from bitfloor.codecs.media.pictures.files import write_picture

    table = profiles.table_curve(np.random.default_rng(0).random(1_000_000))  # 2 MB that do not compress
    profile = profiles.rgb_profile(profiles.SRGB_PRIMARIES, table)
    picture = Picture(COLOUR[:, :, :3], None, profile)
    for suffix in (".png", ".tif", ".webp", ".jpg"):
        write_picture(picture, tmp_path / f"a{suffix}")
        assert read_picture(tmp_path / f"a{suffix}").icc == profile
    assert Picture.from_sections(picture.rgb, picture.to_sections()).icc == profile


def after_start(file_format, data, junk):
    """The file with a segment or chunk of junk after its head."""
    if file_format == "JPEG":
        return data[:2] + junk + data[2:]
    body = data[12:] + junk
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


@pytest.mark.parametrize(
    "file_format,junk",
    [
        ("JPEG", b"\xff\xe1\0\x0aExif\0\0II"),
        ("JPEG", b"\xff\xe1\0\x0eExif\0\0II*\0\xff\xff"),
        ("JPEG", b"\xff\xe2\0\x08MPF\0\xff\xff"),
        ("JPEG", b"\xff\xe2\0\x12ICC_PROFILE\0\1\3\xff\xff"),
        ("JPEG", b"\xff\xfe\0\2bytes of no segment"),
        ("JPEG", b"\xff\xee\0\x07Adobe"),
        ("JPEG", b"\xff\xed\0\x12Photoshop 3.0\0\xff\xff"),
        ("WEBP", b"EXIF\4\0\0\0\xff\xff\xff\xff"),
        ("WEBP", b"ICCP\4\0\0\0\xff\xff\xff\xff"),
        ("WEBP", b"junk\xff\xff\0\0"),
    ],
)
def test_needless_data_of_other_formats_never_refuses_the_picture(file_format, junk):
    options = {"quality": 90} if file_format == "JPEG" else {"lossless": True, "exact": True}
    data = file_of(Image.new("RGB", (16, 16), (200, 30, 40)), file_format, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (read_picture(after_start(file_format, data, junk)).rgb == read_picture(data).rgb).all()


@pytest.mark.parametrize(
    "code,kind,values", [(270, 2, b"\xff\xfe\0"), (34665, 4, [99999999]), (37500, 7, b"junk"), (700, 7, b"<x")]
)
def test_needless_tags_of_tiff_never_refuse_the_picture(code, kind, values):
    data = tiff(COLOUR[:, :, :3], 2, bits=8, more=[(code, kind, list(values))])
    assert (read_picture(data).rgb == COLOUR[:, :, :3]).all()


def test_what_follows_the_first_picture_never_refuses_it():
    first, second = Image.fromarray(COLOUR[:, :, 0]), Image.fromarray(COLOUR[:, :, 1])
    gif = file_of(first, "GIF", save_all=True, append_images=[second], disposal=2)
    picture = read_picture(gif)
    assert (read_picture(gif[:-9] + b"\xff" * 9).rgb == picture.rgb).all()
    page = file_of(Image.fromarray(COLOUR), "TIFF", save_all=True, append_images=[Image.fromarray(COLOUR)])
    assert (read_picture(page).rgb == COLOUR[:, :, :3]).all()


@pytest.mark.parametrize(
    "data,words",
    [
        (rgb_png()[:-20], "broken PNG picture"),
        (png_of_rows(8, 2, b"\0\1", 9, 9), "broken PNG picture"),
        (b"\xff\xd8\xff\xe0\0\x04ab", "broken JPEG picture"),
        (b"\0\0\0\x18ftypheic" + bytes(16), "broken HEIC picture|pillow-heif"),
        (b"\xff\x0a" + bytes(9), "broken JPEG XL picture"),
        (b"%PDF-1.4", "but PDF"),
        (b"GIF89a", "broken GIF picture .it is cut"),
        (b"qoif\0\0", "broken QOI picture .it is cut"),
        (b"BM" + bytes(12) + b"\x7c\0\0\0", "broken BMP picture"),
        (b"hello", "is no picture that we read"),
    ],
)
def test_an_error_names_the_true_cause(data, words):
    with pytest.raises(UnreadableInputError, match=words):
        read_picture(data, "a file")


# --- nothing of a third party reaches standard error ---

NOISY = {
    "png text": rgb_png(BROKEN["a text of 1.2 MB"]),
    "png transparency": rgb_png(chunk(b"tRNS", bytes(5))),
    "png interlaced": png_of_rows(8, 2, b"\0\1\2\3", 1, 1, interlace=1),
    "png index": png_of_rows(2, 3, b"\0\xff", 4, 1, chunk(b"PLTE", bytes(6))),
    "tiff tag": tiff(COLOUR[:, :, :3], 2, bits=8, more=[(34665, 4, [99999999]), (270, 2, [255, 254])]),
    "jpeg exif": after_start("JPEG", file_of(Image.new("RGB", (9, 9)), "JPEG"), b"\xff\xe1\0\x0eExif\0\0II*\0\xff\xff"),
    "jpeg junk": file_of(Image.new("RGB", (9, 9)), "JPEG")[:-2] + b"\0\0\xff\xd9\xff\xd9",
    "avif": imagecodecs.avif_encode(np.zeros((16, 16, 3), np.uint8)),
}


def test_no_warning_of_others_reaches_standard_error(tmp_path):
    for name, data in NOISY.items():
        (tmp_path / name).write_bytes(data)
    script = (
        "import sys, pathlib\n"
        "from bitfloor.codecs.media.pictures.files import read_picture\n"
        "import logging; logging.getLogger('bitfloor').setLevel(logging.ERROR)\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).iterdir()): read_picture(path)\n"
    )
    for flags in ([], ["-W", "always"], ["-W", "error"]):
        command = [sys.executable, *flags, "-c", script, tmp_path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_what_is_not_kept_is_one_line_with_the_name_of_the_file(caplog):
    extra = (chunk(b"acTL", struct.pack(">II", 3, 0)), chunk(b"iCCP", b"k\0\0broken"))
    read_picture(rgb_png(*extra), "a.png")
    (record,) = caplog.records
    assert record.getMessage().startswith("a.png: ") and "animation" in record.getMessage()
    assert "profile" in record.getMessage() and io.StringIO(record.getMessage()).readlines()[1:] == []
