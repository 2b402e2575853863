"""`import bitfloor.pillow`: what Pillow's own tests ask of a plugin, on .bf pictures."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, UnidentifiedImageError

import bitfloor
import bitfloor.pillow


def modes() -> dict[str, Image.Image]:
    rows, columns = np.mgrid[:40, :56]
    waves = np.stack([rows * 4, columns * 4, rows + columns, 255 - rows], 2).astype(np.uint8)
    return {
        "RGB": Image.fromarray(waves[:, :, :3]),
        "RGBA": Image.fromarray(waves),
        "L": Image.fromarray(waves[:, :, 0]),
        "LA": Image.fromarray(waves[:, :, :2]),
        "I;16": Image.fromarray(waves[:, :, 0].astype(np.uint16) * 257),
    }


@pytest.mark.parametrize("mode", modes())
def test_save_and_open_are_encode_and_decode(mode: str, tmp_path: Path) -> None:
    image = modes()[mode]
    path = tmp_path / "x.bf"
    image.save(path, quality=70)
    assert path.read_bytes() == bitfloor.encode(image, quality=70)
    with Image.open(path) as opened:
        assert (opened.format, opened.size, opened.mode) == ("BITFLOOR", (56, 40), mode)
        assert opened.get_format_mimetype() == "image/x-bitfloor"
        expected = bitfloor.decode(path.read_bytes())
        assert np.array_equal(np.asarray(opened), np.asarray(expected))
        assert opened.mode == expected.mode


def test_streams_names_and_values_of_the_header() -> None:
    buffer = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    modes()["RGB"].save(buffer, "BITFLOOR", quality=40, fallback="never", icc_profile=profile)
    buffer.seek(0)
    opened = Image.open(buffer)
    assert opened.info["icc_profile"] == profile
    assert opened.info["codec"] == "mlicv2" and abs(opened.info["quality"] - 40) < 0.2
    assert len(opened.info["model"]) == 8
    opened.load()
    assert not buffer.closed  # the stream is the caller's
    again = io.BytesIO()
    opened.save(again, "BITFLOOR", icc_profile=None)
    assert Image.open(again).info.get("icc_profile") is None


def test_opening_decodes_nothing_and_needs_no_torch(tmp_path: Path) -> None:
    path = tmp_path / "x.bf"
    modes()["RGB"].save(path, fallback="never")
    script = (
        "import sys, bitfloor.pillow; from PIL import Image; image = Image.open(sys.argv[1]); "
        "print(image.size, image.mode, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["(56,", "40)", "RGB", "False"]


@pytest.mark.parametrize("kept", [4, 20, -1])
def test_a_cut_file_is_an_oserror(kept: int) -> None:
    data = bitfloor.encode(modes()["RGB"], fallback="never")
    with pytest.raises(OSError):
        Image.open(io.BytesIO(data[:kept])).load()


def test_a_damaged_payload_is_an_oserror() -> None:
    data = bytearray(bitfloor.encode(modes()["RGB"], fallback="never"))
    data[-8] ^= 1
    with pytest.raises(OSError, match="damaged"):
        Image.open(io.BytesIO(bytes(data)))


def test_a_sound_is_no_picture() -> None:
    sound = bitfloor.encode((np.zeros(1600, np.float32), 16000), codec="secodec")
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(sound))


def test_wrong_options_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="quality"):
        modes()["L"].save(io.BytesIO(), "BITFLOOR", quality=101)


def test_files_copy_pickle_and_convert_as_others(tmp_path: Path) -> None:
    path = tmp_path / "x.bf"
    modes()["RGBA"].save(path)
    whole = np.asarray(Image.open(path))
    assert np.array_equal(np.asarray(Image.open(path).copy()), whole)
    assert np.array_equal(np.asarray(Image.open(path).crop((3, 5, 20, 30))), whole[5:30, 3:20])
    assert Image.open(path).convert("L").size == (56, 40)
    thumbnail = Image.open(path)
    thumbnail.thumbnail((16, 16))
    assert thumbnail.size == (16, 11)
    Image.open(path).verify()
