"""Lossless pictures: every sample as it was, decoded without torch, damage refused."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bitfloor
from bitfloor.codecs import lossless
from bitfloor.codecs.api import codec_of
from bitfloor.codecs.container import pack, unpack
from bitfloor.codecs.lossless import LosslessCodec
from bitfloor.codecs.media.pictures.jpegxl_header import jpegxl_size
from bitfloor.codecs.media.pictures.picture import Picture
from bitfloor.errors import CorruptStreamError, UsageError
from bitfloor.tools import cli

RNG = np.random.default_rng(8)


def picture(dtype: type, grey: bool, alpha: bool, height: int = 20, width: int = 30) -> Picture:
    peak = np.iinfo(dtype).max
    rgb = RNG.integers(0, peak, (height, width, 3), dtype, endpoint=True)
    if grey:
        rgb[:, :, 1:] = rgb[:, :, :1]
    opacity = RNG.integers(0, peak, (height, width), dtype, endpoint=True) if alpha else None
    if opacity is not None:
        opacity[: height // 2] = 0
    return Picture(rgb, opacity, b"", grey)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("side", [lossless.MAX_SIDE, 7])
def test_every_sample_comes_back(
    dtype: type, grey: bool, alpha: bool, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lossless, "MAX_SIDE", side)
    source = picture(dtype, grey, alpha)
    for exact in (True, False):
        data = LosslessCodec().encode(source, exact=exact)
        decoded = codec_of(data).decode_picture(data)
        seen = slice(None) if exact or source.alpha is None else source.alpha > 0
        assert np.array_equal(decoded.rgb[seen], source.rgb[seen]) and decoded.rgb.dtype == dtype
        assert decoded.grey == grey and (decoded.alpha is None) == (not alpha)
        assert source.alpha is None or np.array_equal(decoded.alpha, source.alpha)


def test_size_and_arrays_are_those_of_webp_and_of_the_picture() -> None:
    image = Image.radial_gradient("L").convert("RGB").crop((0, 0, 150, 150))
    data, buffer = bitfloor.encode(image, lossless=True), io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, method=6, quality=100, exact=True)
    assert 0.9 * len(buffer.getvalue()) < len(data) < len(buffer.getvalue()) + 8
    assert np.array_equal(np.concatenate(LosslessCodec().decode_latents(data)), np.asarray(image))


def test_black_that_alpha_hides_costs_less_than_noise() -> None:
    source = picture(np.uint8, False, True)
    assert len(LosslessCodec().encode(source, exact=False)) < 0.7 * len(LosslessCodec().encode(source, exact=True))


def test_decoding_and_info_import_no_torch(tmp_path: Path) -> None:
    path = tmp_path / "x.bf"
    path.write_bytes(bitfloor.encode(picture(np.uint8, False, True), lossless=True))
    script = (
        "import sys, bitfloor; from bitfloor.tools.cli import main; data = open(sys.argv[1], 'rb').read();"
        "bitfloor.decode(data); assert main(['decode', sys.argv[1], '-o', sys.argv[1] + '.png']) == 0;"
        "assert main(['info', sys.argv[1]]) == 0; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n") and "WebP, every sample as it was" in done.stdout


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_damage_behind_a_good_crc_is_refused(dtype: type) -> None:
    data = LosslessCodec().encode(picture(dtype, False, True))
    whole = unpack(data)
    header, payload = whole.header, whole.payload
    section = {key: b"\0\0" if key == 1 else content for key, content in header.sections.items()}
    wrong = [
        (replace(header, fields=(30, 21, header.fields[2])), payload),
        (replace(header, fields=(1 << 14, 1 << 14, header.fields[2])), payload),
        (replace(header, fields=(30, 20, 9)), payload),
        (replace(header, fields=(30, 0, header.fields[2])), payload),
        (replace(header, fields=(30, 20, 3 - header.fields[2])), payload),
        (replace(header, fields=(30, 20)), payload),
        (replace(header, sections={}), payload),
        (replace(header, sections=section), payload),
        (header, payload[: len(payload) // 2]),
        (header, b""),
    ]
    for head, body in wrong:
        with pytest.raises(CorruptStreamError):
            codec_of(data).decode_picture(pack(head, body, whole.latents_check))
    with pytest.raises(CorruptStreamError):
        codec_of(data).decode_picture(pack(header, payload, b"abc"))
    with pytest.raises(CorruptStreamError, match="max_pixels"):
        bitfloor.decode(data, max_pixels=599)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (256, 256), (300, 200), (160, 120), (513, 1), (40, 8200), (1, 9000)])
def test_size_in_a_jpeg_xl_file(size: tuple[int, int]) -> None:
    import imagecodecs

    width, height = size
    data = imagecodecs.jpegxl_encode(np.zeros((height, width, 3), np.uint8), lossless=True, effort=1)
    assert jpegxl_size(data) == size
    for bad in (b"", data[:3], b"\xff\x0a", b"\xff\x0b" + bytes(20)):
        with pytest.raises(ValueError):
            jpegxl_size(bad)


def test_wishes_that_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="lossless"):
        bitfloor.encode(Image.new("L", (4, 4)), lossless=True, quality=40)
    with pytest.raises(UsageError, match="never"):
        bitfloor.encode(Image.new("L", (4, 4)), fallback="sometimes")


@pytest.mark.parametrize("also", [["-q", "40"], ["--size", "1k"], ["--codec", "mlicv2"], ["--model", "mlicv2-small"]])
def test_command_line(also: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "a.png", tmp_path / "a.bf"
    image = Image.fromarray(picture(np.uint8, False, True).rgb)
    image.save(source)
    assert cli.main(["encode", "--lossless", str(source), *also]) in (2, 5) and not target.exists()
    assert cli.main(["encode", "--lossless", str(source)]) == 0
    assert "lossless (WebP)" in capsys.readouterr().err
    assert np.array_equal(np.asarray(bitfloor.decode(target.read_bytes())), np.asarray(image))
