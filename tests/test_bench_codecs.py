"""The benchmark's codecs: files on disk, sizes, options, and one clear line for what is not there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from bench_helpers import KODAK, picture, script_codec
from PIL import Image

import bitfloor
from bitfloor.errors import UsageError
from bitfloor.tools.bench.codec_compressai import pack, unpack
from bitfloor.tools.bench.codec_external import ending, fill, split_template
from bitfloor.tools.bench.codec_jpegxl import butteraugli_distance
from bitfloor.tools.bench.codecs import make
from bitfloor.tools.bench.measure import Job, measure
from bitfloor.tools.bench.metrics import mean_square_error, ms_ssim, psnr_of
from bitfloor.tools.bench.published import by_name


@pytest.mark.parametrize("spec", ["jpeg", "webp", "avif", "jpeg2000", "jxl", "jpeg:subsampling=4:4:4+optimize=1"])
def test_codec_makes_a_file_that_comes_back(spec: str, tmp_path: Path) -> None:
    if spec == "jxl":
        pytest.importorskip("imagecodecs")
    codec, source = make(spec), picture()
    sizes, psnr = [], []
    for quality in (codec.default_qualities[1], codec.default_qualities[-1]):
        path = tmp_path / f"file{codec.suffix}"
        codec.encode(source, path, quality)
        decoded = codec.decode(path, tmp_path)
        assert decoded.size == source.size and decoded.mode == "RGB"
        sizes.append(path.stat().st_size)
        psnr.append(psnr_of(mean_square_error(source, decoded)))
    assert sizes[0] < sizes[1] / 2 and psnr[0] + 1 < psnr[1]


def test_the_effort_of_an_own_codec_is_the_encoders_and_part_of_its_version(tmp_path: Path) -> None:
    source, plain, refined = picture(0, 64, 64), make("mlicv2"), make("mlicv2:effort=1")
    refined.encode(source, tmp_path / "x", 40)
    assert (tmp_path / "x").read_bytes() == bitfloor.encode(source, quality=40, effort=1, fallback="never")
    assert refined.version == f"{plain.version} effort=1"


def test_jpeg2000_meets_its_compression_ratio(tmp_path: Path) -> None:
    codec, source = make("jpeg2000"), picture(1, 512, 512)
    codec.encode(source, tmp_path / "x", 24)
    assert (tmp_path / "x").stat().st_size == pytest.approx(512 * 512 * 3 / 24, rel=0.05)


def test_distance_of_jpeg_xl_as_libjxl_documents_it() -> None:
    assert butteraugli_distance(90) == pytest.approx(1.0)
    assert butteraugli_distance(100) == 0
    assert butteraugli_distance(30) == pytest.approx(6.4)
    assert butteraugli_distance(29.999) == pytest.approx(6.4, abs=0.01)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nonesuch", "there is no codec 'nonesuch'"),
        ("jpeg:effort=3", "'effort=3' is none of subsampling=…, optimize=…, progressive=…"),
        ("mlicv2:effort=10", "effort 10 is none: it is a whole number from 0"),
        ("mlicv2:effort=high", "'high' does not suit effort"),
        ("webp:method=high", "'high' does not suit method"),
        ("exec:cjxl {in} -q {q}", "needs both {in} and {out}"),
        ("exec:cjxl {in} {out} => djxl {in}", "the decoder after => needs both"),
        ("exec:cjxl '{in} {out}", "No closing quotation"),
    ],
)
def test_bad_codec_texts_say_what_is_wrong(spec: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        make(spec)
    assert says in str(error.value)


@pytest.mark.skipif(importlib.util.find_spec("compressai") is not None, reason="CompressAI is installed here")
def test_missing_compressai_is_one_clear_line() -> None:
    with pytest.raises(UsageError, match=r"pip install 'bitfloor\[bench\]'"):
        make("compressai:mbt2018-mean")


def test_untrained_compressai_network_through_a_file(tmp_path: Path) -> None:
    pytest.importorskip("compressai")
    source = picture(0, 100, 70)
    source.save(tmp_path / "a.png")
    job = Job("compressai:mbt2018-mean+random=1", 1, str(tmp_path / "a.png"), "picture", ("psnr",), count_macs=True)
    record = measure(job).record
    assert record["status"] == "ok", record
    assert (record["width"], record["height"]) == (100, 70)
    assert record["parameters"] == 7028003  # mbt2018-mean at N=128, M=192


def test_file_of_a_compressai_network_is_read_back_as_written() -> None:
    strings, shape, size = [[b"abc"], [b""]], (3, 5), (70, 100)
    assert unpack(pack(strings, shape, size)) == (strings, shape, size)


def test_command_line_codec_and_its_name(tmp_path: Path) -> None:
    spec = script_codec(
        tmp_path,
        "halves",
        "Image.open(sys.argv[1]).save(sys.argv[2], 'JPEG', quality=int(sys.argv[3]))",
        "Image.open(sys.argv[1]).save(sys.argv[2])",
    )
    picture().save(tmp_path / "a.png")
    record = measure(Job(f"exec:{spec}", 80, str(tmp_path / "a.png"), "picture", ("psnr",), repeats=1)).record
    assert record["status"] == "ok" and record["metrics"]["psnr"] > 30
    assert record["encode_peak_mib"] > 3  # a Python process of its own
    assert make(f"exec:{spec}").label == "halves"


def test_placeholders() -> None:
    name, encoder, decoder = split_template("cjxl {in.ppm} {out.jxl} -q {q} => djxl {in} {out}")
    assert (name, decoder) == ("cjxl", "djxl {in} {out}")
    assert ending(encoder, "in", ".png") == ".ppm"
    assert ending(encoder, "out", ".bin") == ".jxl"
    assert ending(decoder, "out", ".png") == ".png"
    assert fill(encoder, Path("a b.ppm"), Path("c"), 7.5) == ["cjxl", "a b.ppm", "c", "-q", "7.5"]


def kodak() -> list[Image.Image]:
    if not KODAK.is_dir():
        pytest.skip("the Kodak pictures are not in ../shared/data/kodak")
    return [Image.open(path).convert("RGB") for path in sorted(KODAK.glob("*.png"))]


def mean_point(spec: str, quality: float, folder: Path) -> tuple[float, float]:
    codec, rates, psnr = make(spec), [], []
    for image in kodak():
        path = folder / "x"
        codec.encode(image, path, quality)
        rates.append(path.stat().st_size * 8 / (image.width * image.height))
        psnr.append(psnr_of(mean_square_error(image, codec.decode(path, folder))))
    return sum(rates) / len(rates), sum(psnr) / len(psnr)


def published_at(name: str, rate: float) -> float:
    from numpy import log
    from scipy.interpolate import PchipInterpolator

    points = by_name(name).points("psnr")
    assert points is not None
    return float(PchipInterpolator(log(points.rate), points.quality)(log(rate)))


@pytest.mark.parametrize("quality", [5, 40, 90])
def test_webp_on_kodak_is_compressais_published_curve(quality: int, tmp_path: Path) -> None:
    rate, psnr = mean_point("webp:method=4", quality, tmp_path)  # the method of CompressAI's run
    assert psnr == pytest.approx(published_at("WebP (CompressAI)", rate), abs=0.1)


def test_ms_ssim_on_kodak_is_compressais(tmp_path: Path) -> None:
    pytest.importorskip("pytorch_msssim")
    codec, found = make("webp:method=4"), []
    for image in kodak():
        codec.encode(image, tmp_path / "x", 40)
        found.append(ms_ssim(image, codec.decode(tmp_path / "x", tmp_path)))
    published = by_name("WebP (CompressAI)").metrics["ms_ssim"][7]  # of the qualities 5, 10, …
    assert sum(found) / len(found) == pytest.approx(published, abs=1e-4)


def test_jpeg_on_kodak_differs_from_compressais_by_the_chroma_filter_alone(tmp_path: Path) -> None:
    """CompressAI's JPEG curve was made with Pillow 7.1.2, whose wheels hold IJG libjpeg 9d; today's hold
    libjpeg-turbo.

    IJG 7 and later halve and double 4:2:0 chroma by a DCT of 16x16, libjpeg-turbo by a box and a triangle,
    which scores about 0.1 dB more at the same bits. A model of JPEG with the one filter must meet the
    published curve, with the other what Pillow measures now.
    """
    from jpeg_model import model_psnr

    quality = 40
    rate, psnr = mean_point("jpeg", quality, tmp_path)
    published = published_at("JPEG (CompressAI)", rate)
    pictures = kodak()
    assert model_psnr(pictures, quality, dct_chroma=False) == pytest.approx(psnr, abs=0.01)
    assert model_psnr(pictures, quality, dct_chroma=True) == pytest.approx(published, abs=0.01)
    assert psnr == pytest.approx(published, abs=0.15)
