"""Never worse than a plain codec: drawings, text and patterns become lossless files, photographs stay the network's."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from drawn_pictures import PICTURES
from PIL import Image

import bitfloor
from bitfloor.codecs import fallback
from bitfloor.codecs.media.pictures.files import read_picture
from bitfloor.codecs.media.pictures.objects import as_picture
from bitfloor.codecs.media.pictures.picture import Picture
from bitfloor.codecs.media.pictures.psnr import picture_psnr
from bitfloor.tools import cli
from bitfloor.weights import BOX

PHOTOGRAPH = read_picture(BOX / "demo.avif")
CROP = Picture(PHOTOGRAPH.rgb[100:196, 100:244].copy())


def decoded(data: bytes) -> Picture:
    from bitfloor.codecs.api import codec_of

    return codec_of(data).decode_picture(data)


@pytest.mark.parametrize("number, name", enumerate(PICTURES))
def test_no_file_is_larger_than_lossless_webp_where_it_is_worse(number: int, name: str) -> None:
    image, buffer = PICTURES[name](), io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, method=6, quality=100)
    data = bitfloor.encode(image, quality=(15, 50, 95)[number % 3])
    if bitfloor.info(data).codec == "lossless":
        assert picture_psnr(as_picture(image), decoded(data)) == math.inf
        assert len(data) <= len(buffer.getvalue()) + 8
    else:
        assert len(data) < len(buffer.getvalue())


def test_a_photograph_stays_the_networks_and_never_means_never() -> None:
    for quality in (5, 50, 100):
        assert bitfloor.encode(CROP, quality=quality) == bitfloor.load().encode(CROP, quality=quality)
    drawn = PICTURES["code"]()
    assert bitfloor.info(bitfloor.encode(drawn)).codec == "lossless"
    assert bitfloor.encode(drawn, fallback="never") == bitfloor.load().encode(drawn)


class FixedCodec:
    """Gives a file of `size` bytes that decodes to `shown`."""

    def __init__(self, size: int, shown: Picture) -> None:
        self.size, self.shown, self.decoded = size, shown, 0

    def decode_picture(self, data: bytes, max_pixels: int) -> Picture:
        self.decoded += 1
        return self.shown


def test_the_rule_by_its_formula() -> None:
    source = as_picture(PICTURES["text"]())
    lossless = len(bitfloor.encode(source, lossless=True))
    promised = fallback.promised_psnr(50)
    assert promised == pytest.approx(33.6, abs=0.2)  # what Kodak has at quality 50, between the README's 43 and 57
    for lacking in (-5, 0.5, 2, 3.5, 30):
        error = 255 * 10 ** (-(promised - lacking) / 20)
        off = np.where(source.rgb > 127, source.rgb - error, source.rgb + error)
        shown = Picture(np.clip(np.rint(off), 0, 255).astype(np.uint8))
        factor = 1.1 * min(10 ** (max(promised - picture_psnr(source, shown), 0) / 12), 2.5)
        for size, is_lossless in ((lossless / factor + 2, True), (lossless / factor - 2, False)):
            codec = FixedCodec(round(size), shown)
            chosen = fallback.better(codec, source, bytes(round(size)), 50, {})
            assert (chosen.data != bytes(round(size))) == is_lossless
    codec = FixedCodec(lossless // 4, source)
    fallback.better(codec, source, bytes(codec.size), 50, {})
    assert codec.decoded == 0  # too far away to be worth a look


def test_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn, photo, target = tmp_path / "drawn.png", tmp_path / "photo.png", tmp_path / "out.bf"
    PICTURES["curves"]().save(drawn)
    Image.fromarray(CROP.rgb).save(photo)

    def encode(*options: str) -> tuple[int, str | None, str]:
        target.unlink(missing_ok=True)
        status = cli.main(["encode", *options, "-o", str(target)])
        codec = bitfloor.info(target.read_bytes()).codec if target.exists() else None
        return status, codec, capsys.readouterr().err

    assert encode(str(drawn), "--size", "2k")[:2] == (0, "lossless")
    assert encode(str(drawn), "--bpp", "3", "--fallback", "never")[:2] == (0, "mlicv2")
    assert encode(str(drawn), "--psnr", "25")[:2] == (0, "lossless")
    assert encode(str(photo), "--size", "3k")[:2] == (0, "mlicv2")
    status, codec, said = encode(str(photo), "--psnr", "60")
    assert (status, codec) == (0, "lossless") and "was not reached" in said
    assert encode(str(photo), "--psnr", "60", "--fallback", "never")[:2] == (6, None)
    _, _, said = encode(str(drawn), "-q", "70")
    assert "lossless (WebP)" in said and "at quality 70 of mlicv2" in said
