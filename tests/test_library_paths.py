"""The library takes names of files where files are meant, and meets sizes, rates and PSNR as the commands do."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import bitfloor
from bitfloor import weights
from bitfloor.errors import TargetError
from bitfloor.tools.cli import main

PHOTO = np.asarray(Image.open(weights.BOX / "demo.avif"))[300:364, 100:180].copy()
RNG = np.random.default_rng(2)


class Named:
    """Any object that names a file."""

    def __init__(self, name):
        self.name = name

    def __fspath__(self):
        return self.name


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PHOTO).save("p.png")
    soundfile.write("s.wav", RNG.normal(0, 0.1, 8000), 16_000)
    np.save("n.npy", RNG.integers(0, 9, 500))
    Path("b.bin").write_bytes(RNG.bytes(300))
    return tmp_path


@pytest.mark.parametrize("wrap", [str, Path, Named, lambda name: Path.cwd() / name, lambda name: Named(name.encode())])
def test_a_named_file_gets_the_codec_of_its_kind(folder, wrap):
    photo = bitfloor.encode(PHOTO)
    samples, rate = soundfile.read("s.wav", dtype="float32")
    assert bitfloor.encode(wrap("p.png")) == bitfloor.load("mlicv2").encode(wrap("p.png")) == photo
    sound = bitfloor.encode((samples, rate), codec="secodec")
    assert bitfloor.encode(wrap("s.wav")) == bitfloor.load("secodec").encode(wrap("s.wav")) == sound
    for name, content in (("n.npy", np.load("n.npy")), ("b.bin", Path("b.bin").read_bytes())):
        assert bitfloor.encode(wrap(name), codec="mecb") == bitfloor.encode(content, codec="mecb")
    Path("p.bf").write_bytes(photo)
    assert bitfloor.decode(wrap("p.bf")) == bitfloor.load("mlicv2").decode(wrap("p.bf")) == bitfloor.decode(photo)
    assert bitfloor.info(wrap("p.bf")) == bitfloor.info(photo)


def test_a_dash_is_a_file_as_others(folder):
    Path("-").write_bytes(Path("p.png").read_bytes())
    assert bitfloor.encode("-") == bitfloor.encode(PHOTO)


def psnr_of(data):
    """By the definition."""
    error = np.asarray(bitfloor.decode(data)).astype(float) - PHOTO
    return 10 * math.log10(255**2 / np.mean(error**2))


SOURCES = {"name": "p.png", "array": PHOTO, "PIL": Image.fromarray(PHOTO)}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_sizes_rates_and_psnr_are_met_on_the_real_file(folder, source):
    lowest = len(bitfloor.encode(PHOTO, quality=1))
    limit = 4 * lowest
    data = bitfloor.encode(source, size=limit)
    assert 0.9 * limit < len(data) <= limit
    pixels = PHOTO.shape[0] * PHOTO.shape[1]
    assert bitfloor.encode(source, bpp=8 * limit / pixels + 1e-9) == data
    data = bitfloor.encode(source, psnr=29)
    assert 29 <= psnr_of(data) < 29.1
    assert len(data) < len(bitfloor.encode(source, psnr=31))
    with pytest.raises(TargetError):
        bitfloor.encode(source, size=lowest - 1)


def test_the_command_and_the_library_make_the_same_file(folder):
    for option, value in (("size", 900), ("bpp", 1.5), ("psnr", 28)):
        assert main(["encode", "p.png", f"--{option}", str(value), "-o", f"{option}.bf"]) == 0
        assert Path(f"{option}.bf").read_bytes() == bitfloor.encode("p.png", **{option: value})


def test_a_sound_of_a_size_and_options_of_a_codec(folder):
    data = bitfloor.encode("s.wav", size=80)
    assert len(data) <= 80 and bitfloor.info(data).codec == "secodec"
    assert bitfloor.encode("b.bin", codec="mecb", rate=2, seed=3) == bitfloor.load("mecb").encode(
        Path("b.bin").read_bytes(), rate=2, seed=3
    )
