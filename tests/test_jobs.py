"""Many files in one command: how outputs are called, what is spared, what is said of the others."""

import os
import time
from pathlib import Path

import fake_codec
import numpy as np
import pytest
import soundfile
from PIL import Image

from bitfloor.codecs import registry
from bitfloor.codecs.base import SoundCodec
from bitfloor.codecs.container import Header, pack
from bitfloor.codecs.media.pictures.files import read_picture
from bitfloor.codecs.media.sound import Sound
from bitfloor.tools import cli
from bitfloor.tools.suffixes import is_media, stem


class FakeSpeech(SoundCodec):
    """A file of it holds no sound: it decodes to a second of silence."""

    name = "fakespeech"

    def encode(self, source, *, quality=None):
        return pack(Header(201, b"fake", (16_000, 16_000, 1)), b"", b"abc")

    def decode_stream(self, data):
        assert "FAKE_WORK" not in os.environ, "decoded, though the output cannot be written"
        return Sound(np.zeros(16_000, np.float32), 16_000)


SPEECH = registry.CodecEntry("fakespeech", 201, "sound", "test_jobs:FakeSpeech", ("rate", "samples", "layers"))


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run the command line with toy codecs in an empty folder; -> status, out, err."""
    mecb = registry.by_name("mecb")
    monkeypatch.setattr(registry, "CODECS", (fake_codec.ENTRY, SPEECH, mecb))
    loaded = {"fakespeech": FakeSpeech}
    original = registry.load
    monkeypatch.setattr(registry, "load", lambda name: loaded.get(name) or original(name))
    monkeypatch.chdir(tmp_path)

    def command(*args):
        status = cli.main([str(arg) for arg in args])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command


def picture(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((8, 8, 3), len(name), np.uint8)
        Image.fromarray(pixels).save(name, "PNG" if name.endswith(".png") else "JPEG")


def sound(name):
    soundfile.write(name, np.linspace(-0.5, 0.5, 16_000), 16_000)


def files(folder="."):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


# --- names of outputs ---


def test_two_formats_of_one_picture_keep_their_old_suffix(run):
    picture("a.png", "a.jpg", "b.png", "c.JFIF")
    assert run("encode", ".", "-q", 100)[0] == 0
    assert {"a.png.bf", "a.jpg.bf", "b.bf", "c.bf"} <= set(files())
    assert run("decode", ".", "-o", "back")[0] == 0
    assert files("back") == ["a.jpg.png", "a.png", "b.png", "c.png"]
    assert abs(read_picture("back/a.png").rgb.astype(int) - len("a.png")).max() <= 1


def test_a_name_that_a_clash_makes_is_no_new_clash(run):
    picture("a.png", "a.jpg", "a.png.jpg")
    assert run("encode", ".")[0] == 0
    assert [name for name in files() if name.endswith(".bf")] == ["a.jpg.bf", "a.png.bf", "a.png.jpg.bf"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("IMG_2024.05.01", "IMG_2024.05.01"), ("IMG_2024.05.01.png", "IMG_2024.05.01"), ("a", "a"), (".png", ".png"),
     ("Mr. Smith", "Mr. Smith"), ("v1.2.JPEG", "v1.2"), ("x.wav", "x"), ("notes.txt", "notes"), ("x.heic", "x")],
)  # fmt: skip
def test_only_the_suffix_of_a_format_is_taken_off(name, expected):
    assert stem(name) == expected


def test_names_with_dots_stay_whole_both_ways(run):
    picture("IMG_2024.05.01.png")
    Path("IMG_2024.05.01.png").rename("IMG_2024.05.01")
    assert run("encode", "IMG_2024.05.01")[0] == 0
    assert run("decode", "IMG_2024.05.01.bf")[0] == 0
    assert files() == ["IMG_2024.05.01", "IMG_2024.05.01.bf", "IMG_2024.05.01.png"]


@pytest.mark.parametrize("suffix", ["webp", "png", "jxl", "HEIC", "wav", "mp3", "mp4", "svg"])
def test_a_compressed_file_is_not_called_a_picture(run, suffix):
    picture("a.png")
    status, _, err = run("encode", "a.png", "-o", f"photo.{suffix}", "-f")
    assert status == 2 and "photo.bf" in err and files() == ["a.png"]
    assert is_media(f"x.{suffix}") and not is_media("x.bf") and not is_media("x.2024")


# --- folders ---


def test_what_a_folder_holds_besides_is_said(run):
    picture("in/a.png", "in/deep/b.png")
    for name in ("x.psd", "y.webm", "notes.txt", *(f"{i}.bf" for i in range(5)), "Makefile"):
        Path("in", name).touch()
    Path("in/gone.png").symlink_to("nowhere")
    status, _, err = run("encode", "in", "-o", "out")
    said = next(line for line in err.splitlines() if "not taken" in line)
    assert status == 0 and all(word in said for word in ("x.psd", "y.webm", "notes.txt", "5 .bf", "Makefile"))
    assert "gone.png" in said and "1 folder" in said
    assert "folder" not in run("encode", "in", "-o", "out2", "--recursive")[2]
    assert files("out2") == ["a.bf", "deep/b.bf"]
    Path("none").mkdir()
    Path("none/z.psd").touch()
    status, _, err = run("encode", "none")
    assert status == 3 and "z.psd" in err


def test_a_file_that_is_named_twice_is_done_once(run):
    picture("a.png")
    status, _, err = run("encode", "a.png", "./a.png")
    assert status == 0 and "named twice" in err and files() == ["a.bf", "a.png"]


def test_a_second_run_goes_on_where_the_first_stopped(run):
    picture("a.png", "b.png", "c.png")
    run("encode", "a.png")
    Path("a.bf").write_bytes(b"mine")
    status, _, err = run("encode", ".", "--skip-existing")
    assert status == 0 and "2 files" in err and "1 there already" in err and Path("a.bf").read_bytes() == b"mine"
    assert run("encode", "a.png", "--skip-existing")[0] == 0 and Path("a.bf").read_bytes() == b"mine"
    status, _, err = run("encode", ".")
    assert status == 2 and err.count("there already: -f") == 3
    assert run("encode", ".", "-f", "--skip-existing")[0] == 2
    assert run("encode", ".", "-f")[0] == 0
    assert run("decode", ".", "--skip-existing", "-o", "back")[0] == 0 and len(files("back")) == 3


def test_the_end_of_many_files_says_what_they_took(run):
    picture("a.png", "b.jpg")
    Path("bad.png").write_bytes(b"no picture")
    before = sum(Path(name).stat().st_size for name in ("a.png", "b.jpg"))
    status, _, err = run("encode", "a.png", "b.jpg", "bad.png")
    after = sum(Path(name).stat().st_size for name in ("a.bf", "b.bf"))
    said = err.splitlines()[-1]
    change = f"{abs(after / before - 1):.1%} {'less' if after < before else 'more'}"
    assert status == 3 and said == f"2 files: {before:,} -> {after:,} bytes, {change}; 1 failed"
    assert "2 files" not in run("encode", "a.png", "b.jpg", "-f", "--quiet")[2]
    assert run("decode", "a.bf", "b.bf", "-o", "out")[2].splitlines()[-1].startswith(f"2 files: {after:,} -> ")


def test_an_interrupt_says_how_to_go_on(run, monkeypatch):
    picture("a.png", "b.png")

    def interrupted(self, picture, quality, effort=0):
        if picture.rgb.max() and Path("a.bf").exists():
            raise KeyboardInterrupt
        return original(self, picture, quality, effort)

    original = fake_codec.FakeCodec.encode_picture
    monkeypatch.setattr(fake_codec.FakeCodec, "encode_picture", interrupted)
    status, _, err = run("encode", ".")
    assert status == 130 and "1 of 2 files" in err and "--skip-existing" in err


# --- what a compressed file holds decides what is written ---


def test_a_recording_beside_its_file_is_never_overwritten_unless_it_is_named(run):
    sound("x.wav")
    before = Path("x.wav").read_bytes()
    assert run("encode", "x.wav")[0] == 0
    for args in (["x.bf"], ["x.bf", "-f"], [".", "-f"], [".", "-f", "--recursive"], ["x.bf", "-f", "-o", "."]):
        status, _, err = run("decode", *args)
        assert status == 2 and "x.wav is there already" in err, err
        assert Path("x.wav").read_bytes() == before
    assert run("decode", "x.bf", "-f", "-o", "x.wav")[0] == 0 and Path("x.wav").read_bytes() != before


def test_an_unrelated_picture_does_not_stop_a_sound(run):
    sound("x.wav")
    run("encode", "x.wav", "-o", "y.bf")
    Path("y.png").write_bytes(b"mine")
    assert run("decode", "y.bf")[0] == 0
    assert soundfile.info("y.wav").frames == 16_000 and Path("y.png").read_bytes() == b"mine"


@pytest.mark.parametrize("out", ["y.png", "y.jpg", "y.xyz", "y.bf", "no/y.wav"])
def test_an_output_that_does_not_fit_is_said_before_the_work(run, out, monkeypatch):
    sound("x.wav")
    run("encode", "x.wav")
    before = files()
    monkeypatch.setenv("FAKE_WORK", "none")
    status, _, err = run("decode", "x.bf", "-o", out)
    assert status == 2 and err.count("\n") == 1 and files() == before


def test_pictures_and_arrays_go_where_they_fit(run):
    picture("a.png")
    run("encode", "a.png")
    assert run("decode", "a.bf", "-o", "a.wav")[0] == 2
    np.save("s.npy", np.arange(9) % 3)
    assert run("encode", "--codec", "mecb", "s.npy", "-o", "t.bf", "-q", 100)[0] == 0
    assert run("decode", "t.bf", "-o", "t.png")[0] == 2 and run("decode", "t.bf")[0] == 0
    assert np.load("t.npy").shape == (9,)
    assert not Path("t.png").exists() and not Path("a.wav").exists()


def test_a_folder_of_all_kinds_is_named_by_what_each_file_holds(run):
    picture("in/a.png")
    sound("in/b.wav")
    assert run("encode", "in", "-o", "small")[0] == 0
    assert run("decode", "small", "-o", "back")[0] == 0
    assert files("back") == ["a.png", "b.wav"]
    Path("small/c.bf").write_bytes(b"\x8aBFL cut")
    status, _, err = run("decode", "small", "-o", "more")
    assert status == 4 and "small/c.bf" in err and files("more") == ["a.png", "b.wav"]


def test_a_sound_into_a_pipe_without_a_suffix(run, tmp_path):
    sound("x.wav")
    run("encode", "x.wav")
    os.mkfifo("pipe")
    reading = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert run("decode", "x.bf", "-o", "pipe")[0] == 0
    start = time.monotonic()
    assert os.read(reading, 4) == b"RIFF" and time.monotonic() - start < 5
    os.close(reading)
    os.mkfifo("input")
    assert run("decode", "input")[0] == 2


def test_links_that_lead_to_each_other_are_one_sentence(run):
    Path("loop.png").symlink_to("loop.png")
    Path("loop.bf").symlink_to("loop.bf")
    for args in (["encode", "loop.png", "-o", "x.bf"], ["decode", "loop.bf"], ["info", "loop.bf"]):
        status, _, err = run(*args)
        assert status == 3 and "links" in err and err.count("\n") == 1
    status, _, err = run("encode", "loop.png", "-o", "loop.bf")
    assert status in (2, 3) and "unexpected" not in err
