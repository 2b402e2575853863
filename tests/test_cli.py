"""The command line as a stranger meets it: what is written where, what is said, and the exit status."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import fake_codec
import numpy as np
import pytest
from PIL import Image

from bitfloor.codecs import registry
from bitfloor.codecs.media.pictures.files import read_picture
from bitfloor.codecs.media.pictures.picture import Picture
from bitfloor.codecs.media.pictures.psnr import picture_psnr
from bitfloor.tools import cli

Y, X = np.mgrid[:48, :64]
SMOOTH = np.stack([4 * X, 5 * Y, 2 * X + 2 * Y], axis=2).astype(np.uint8)


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run the command line here with the fake codec alone, inside an empty folder; -> status, out, err."""
    monkeypatch.setattr(registry, "CODECS", (fake_codec.ENTRY,))
    monkeypatch.chdir(tmp_path)

    def command(*args):
        status = cli.main([str(arg) for arg in args])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(SMOOTH).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def fails(result, status, *words):
    """The command ended with `status` and one line on standard error that has all the words."""
    assert result[0] == status, result
    assert result[2].count("\n") == 1 and result[2].startswith("bitfloor: "), result[2]
    assert all(word in result[2] for word in words), result[2]
    assert result[1] == ""


def test_there_and_back(run, photo):
    status, out, err = run("encode", "photo.png", "-q", 90)
    assert (status, out) == (0, "") and "photo.bf" in err and "quality 90" in err
    assert f"{Path('photo.bf').stat().st_size:,} bytes" in err
    assert run("decode", "photo.bf", "-o", "back.png")[0] == 0
    psnr = picture_psnr(read_picture("photo.png"), read_picture("back.png"))
    assert 40 < psnr < 60
    assert {path.name for path in Path().iterdir()} == {"photo.png", "photo.bf", "back.png"}


def test_quiet_and_verbose(run, photo):
    assert run("encode", "photo.png", "--quiet") == (0, "", "")
    status, _, err = run("-v", "encode", "photo.png", "-f")
    assert status == 0 and "loaded the codec" in err
    assert "loaded" in run("encode", "photo.png", "-f", "-v")[2]
    assert "loaded" not in run("encode", "photo.png", "-f")[2]


def test_nothing_is_overwritten_without_force(run, photo):
    Path("photo.bf").write_bytes(b"mine")
    fails(run("encode", "photo.png"), 2, "photo.bf", "-f")
    assert Path("photo.bf").read_bytes() == b"mine"
    assert run("encode", "photo.png", "-f")[0] == 0
    fails(run("decode", "photo.bf"), 2, "photo.png", "-f")
    fails(run("encode", "photo.png", "-o", "photo.png", "-f"), 2, "photo.png")
    assert (read_picture("photo.png").rgb == SMOOTH).all()


def test_a_symbolic_link_stays_one_and_a_device_is_not_replaced(run, photo):
    Path("real.bf").write_bytes(b"old")
    Path("link.bf").symlink_to("real.bf")
    assert run("encode", "photo.png", "-o", "link.bf", "-f")[0] == 0
    assert Path("link.bf").is_symlink() and Path("real.bf").stat().st_size > 100
    assert run("encode", "photo.png", "-o", "/dev/null")[0] == 0
    assert Path("/dev/null").is_char_device()


def test_several_files_into_a_folder_and_one_bad_among_them(run, photo):
    Path("bad.png").write_bytes(b"no picture")
    Path("second.jpg").write_bytes(photo.read_bytes())
    status, out, err = run("encode", "photo.png", "bad.png", "missing.png", "second.jpg", "-o", "out")
    assert (status, out) == (3, "")
    lines = [line for line in err.splitlines() if line.startswith("bitfloor: ")]
    assert len(lines) == 2 and "bad.png" in lines[0] and "missing.png" in lines[1]
    assert {path.name for path in Path("out").iterdir()} == {"photo.bf", "second.bf"}


def test_a_folder_and_the_folders_in_it(run, photo):
    Path("in/deep").mkdir(parents=True)
    for name in ("in/a.png", "in/deep/b.PNG", "in/readme.txt"):
        Path(name).write_bytes(photo.read_bytes())
    assert run("encode", "in", "-o", "flat")[0] == 0
    assert [str(path) for path in Path("flat").rglob("*.bf")] == ["flat/a.bf"]
    assert run("encode", "in", "-o", "tree", "--recursive")[0] == 0
    assert sorted(str(path) for path in Path("tree").rglob("*.bf")) == ["tree/a.bf", "tree/deep/b.bf"]
    assert run("decode", "tree", "-o", "back", "--recursive")[0] == 0
    assert sorted(str(path) for path in Path("back").rglob("*.png")) == ["back/a.png", "back/deep/b.png"]
    assert run("encode", "photo.png", "-o", "new/")[0] == 0 and Path("new/photo.bf").is_file()
    assert run("encode", "photo.png", "-o", "tree")[0] == 0 and Path("tree/photo.bf").is_file()
    Path("none").mkdir()
    fails(run("encode", "none"), 3, "none", "--recursive")


def test_two_inputs_for_one_output(run, photo):
    for folder in ("one", "two"):
        Path(folder).mkdir()
        Path(f"{folder}/photo.png").write_bytes(photo.read_bytes())
    fails(run("encode", "one/photo.png", "two/photo.png", "-o", "out"), 2, "one/photo.png", "two/photo.png", "out/")
    assert not Path("out").exists()


@pytest.mark.parametrize("size", [3000, 5000])
def test_size_and_bpp_are_never_exceeded(run, photo, size):
    assert run("encode", "photo.png", "--size", size)[0] == 0
    assert 0.95 * size < Path("photo.bf").stat().st_size <= size
    bpp = 8 * size / SMOOTH[:, :, 0].size
    assert run("encode", "photo.png", "--bpp", bpp, "-o", "other.bf")[0] == 0
    assert Path("other.bf").read_bytes() == Path("photo.bf").read_bytes()


def test_psnr_is_reached_and_said(run, photo):
    status, _, err = run("encode", "photo.png", "--psnr", 40)
    assert status == 0
    run("decode", "photo.bf", "-o", "back.png")
    psnr = picture_psnr(read_picture("photo.png"), read_picture("back.png"))
    assert 40 <= psnr < 41 and f"PSNR {psnr:.2f} dB" in err


def test_unreachable_targets(run, photo):
    fails(run("encode", "photo.png", "--size", 100), 6, "photo.png", "100 bytes", "smallest")
    fails(run("encode", "photo.png", "--bpp", 0.001), 6, "less than one byte")
    fails(run("encode", "photo.png", "--psnr", 90), 6, "90 dB", "qualities tried", "at quality 100")
    fails(run("encode", "photo.png", "--psnr", 1e308), 6, "1e+308 dB", "dB, at quality 100")
    assert list(Path().iterdir()) == [Path("photo.png")]
    assert run("encode", "photo.png", "--bpp", 1e308)[0] == 0


def test_wrong_usage(run, photo):
    fails(run("encode", "photo.png", "-q", 5, "--size", 100), 2, "only one of")
    fails(run("encode", "photo.png", "-q", 0), 2, "-q")
    fails(run("encode", "photo.png", "--psnr", "nan"), 2, "positive")
    fails(run("encode", "photo.png", "--codec", "jpeg"), 2, "jpeg", "fake")
    fails(run("encode", "photo.png", "--model", "large"), 5, "large")
    fails(run("encode", "photo.png", "-o", "no/such.bf"), 2, "no folder no")
    fails(run("encode"), 2, "IN")
    fails(run("encdoe"), 2, "encdoe")
    fails(run("decode", "photo.png"), 2, "photo.png")
    fails(run("encode", "x.bf"), 2, "x.bf")


def test_unreadable_inputs(run, photo, tmp_path):
    Path("text.png").write_text("hello")
    Path("empty.png").touch()
    Path("sound.wav").write_bytes(b"RIFF\0\0\0\0WAVEfmt ")
    Path("cut.png").write_bytes(photo.read_bytes()[:100])
    fails(run("encode", "text.png"), 3, "text.png", "no picture")
    fails(run("encode", "empty.png"), 3, "empty.png is empty")
    fails(run("encode", "none.png"), 3, "none.png", "No such file")
    fails(run("encode", "cut.png"), 3, "cut.png", "broken")
    fails(run("encode", "sound.wav"), 2, "sound.wav", "sound")
    assert not list(tmp_path.glob("*.bf"))


def test_damaged_files(run, photo):
    run("encode", "photo.png")
    data = Path("photo.bf").read_bytes()
    Path("cut.bf").write_bytes(data[:-1])
    Path("flipped.bf").write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    Path("text.bf").write_text("hello")
    Path("empty.bf").touch()
    Path("back.png").write_bytes(b"mine")
    for name, status in (("cut.bf", 4), ("flipped.bf", 4), ("text.bf", 4), ("empty.bf", 3), ("none.bf", 3)):
        fails(run("decode", name, "-o", "back.png", "-f"), status, name)
        fails(run("info", name), status, name)
    assert Path("back.png").read_bytes() == b"mine"


def test_info(run, photo):
    run("encode", "photo.png", "-q", 33.3)
    status, out, err = run("info", "photo.bf")
    assert (status, err) == (0, "") and "fake" in out and "33.3" in out and "is not here" in out and "bit/pixel" in out
    found = json.loads(run("info", "--json", "photo.bf")[1])
    size = Path("photo.bf").stat().st_size
    assert (found["fields"]["width"], found["fields"]["height"], found["bytes"]) == (64, 48, size)
    assert found["quality"] == pytest.approx(33.3) and found["model_name"] is None
    assert sum(found["parts"].values()) == size
    assert found["bits_per_pixel"] == pytest.approx(8 * size / 64 / 48)


def test_info_of_a_codec_that_is_not_here(run, photo, monkeypatch):
    run("encode", "photo.png")
    monkeypatch.setattr(registry, "CODECS", ())
    status, out, _ = run("info", "photo.bf")
    assert status == 0 and "number 200" in out
    fails(run("decode", "photo.bf", "-o", "back.png"), 4, "codec 200")


def test_info_knows_the_quality_of_mlicv2():
    from bitfloor.entropy_models.latent.q_index import Q_INDEX_MAX

    assert registry.by_name("mlicv2").quality_positions == Q_INDEX_MAX


def test_demo(run, tmp_path):
    status, out, _ = run("demo", "--codec", "fake", "-q", 70, "-o", "here")
    assert status == 0
    assert {path.name for path in Path("here").iterdir()} == {"original.png", "lighthouse.bf", "decoded.png"}
    row = next(line for line in out.splitlines() if line.startswith("fake")).split()
    size = Path("here/lighthouse.bf").stat().st_size
    original, decoded = read_picture("here/original.png"), read_picture("here/decoded.png")
    psnr = picture_psnr(original, decoded)
    assert row[3:6] == [f"{size:,}", f"{8 * size / original.width / original.height:.4f}", f"{psnr:.2f}"]
    fails(run("demo", "--codec", "fake", "-o", "here"), 2, "here/original.png", "-f")
    for line in out.splitlines():
        if line.startswith(("JPEG,", "WebP,")):
            assert int(line.split()[3].replace(",", "")) <= size


def test_models(run, monkeypatch, tmp_path):
    (tmp_path / "mine.safetensors").write_bytes(bytes(1000))
    card = {"name": "mine", "codec": "mlicv2", "file": "mine.safetensors", "fingerprint": "66616b65"}
    card |= {"parameters": 1234567, "training": {"steps": 5000}, "points": [{"quality": 50, "bpp": 0.25}]}
    (tmp_path / "mine.json").write_text(json.dumps(card))
    monkeypatch.setenv("BITFLOOR_MODELS", str(tmp_path))
    status, out, _ = run("models")
    assert status == 0 and all(word in out for word in ("mine", "66616b65", "1.2 M", "5,000", "0.25"))
    listed = [entry for entry in json.loads(run("models", "--json")[1]) if entry["name"] == "mine"]
    assert listed[0]["bytes"] == 1000 and not listed[0]["shipped"]
    Image.fromarray(SMOOTH).save("photo.png")
    run("encode", "photo.png")
    assert "mine, which is here" in run("info", "photo.bf")[1]
    (tmp_path / "mine.json").write_text("{}")
    fails(run("models"), 5, str(tmp_path))


def test_an_unexpected_error_is_one_line_unless_debug(run, photo, monkeypatch):
    def broken(self, picture, quality, effort=0):
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr(fake_codec.FakeCodec, "encode_picture", broken)
    fails(run("encode", "photo.png"), 1, "ZeroDivisionError: two lines", "--debug")
    assert "Traceback" in run("encode", "photo.png", "--debug")[2]
    assert list(Path().iterdir()) == [Path("photo.png")]


def test_alpha_profile_grey_and_depth_go_through(run, tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (9, 8), dtype=np.uint16)
    Image.fromarray(deep).save("deep.png")
    Image.fromarray(np.dstack([SMOOTH, SMOOTH[:, :, 0]])).save("alpha.png")
    assert run("encode", "deep.png", "alpha.png", "-q", 100)[0] == 0
    assert run("decode", "deep.bf", "alpha.bf", "-o", "back")[0] == 0
    assert Image.open("back/deep.png").mode == "I;16"
    assert (read_picture("back/alpha.png").alpha == SMOOTH[:, :, 0]).all()


@pytest.mark.parametrize("suffix", ["jpg", "webp", "tif", "ppm", "avif"])
def test_the_suffix_says_the_format(run, photo, suffix):
    run("encode", "photo.png")
    assert run("decode", "photo.bf", "-o", f"back.{suffix}")[0] == 0
    assert read_picture(f"back.{suffix}").rgb.shape == SMOOTH.shape
    fails(run("decode", "photo.bf", "-o", "back.xyz"), 2, ".xyz")


# --- as a process ---


def process(*args, script=Path(fake_codec.__file__), **options):
    command = [sys.executable, str(script), *map(str, args)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False, **options)


def test_standard_input_and_output(photo):
    data = process("encode", "-", input=photo.read_bytes())
    assert data.returncode == 0 and data.stdout[1:4] == b"BFL"
    back = process("decode", "-", "--quiet", input=data.stdout)
    assert (back.returncode, back.stderr) == (0, b"")
    assert Image.open(io.BytesIO(back.stdout)).size == (64, 48)
    assert process("decode", "-", input=b"").returncode == 3


def test_help_and_info_never_import_torch(photo, tmp_path):
    process("encode", photo, cwd=tmp_path)
    code = "import sys; from bitfloor.tools.cli import main; main(sys.argv[1:]); print(sorted(sys.modules))"
    for args in (["--help"], ["info", "photo.bf"], ["encode", "--help"], ["decode", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *args], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert "'bitfloor.tools.cli'" in done.stdout, done.stderr
        assert "'torch'" not in done.stdout and "'compressai'" not in done.stdout
        assert args[0] == "info" or "'PIL'" not in done.stdout
    bare = subprocess.run(
        [sys.executable, "-c", "import bitfloor, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not {"torch", "numpy", "PIL"} & set(bare.stdout.split())


def test_help_lists_only_commands_that_exist():
    for name in cli.COMMANDS:
        assert cli.cli.get_command(None, name).get_short_help_str()


@pytest.mark.parametrize("number,status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupting_leaves_nothing(photo, tmp_path, number, status):
    environment = os.environ | {"FAKE_SECONDS": "30"}
    command = [sys.executable, fake_codec.__file__, "encode", "photo.png", "-v"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
    ) as started:
        assert started.stderr.readline() == b"encoding\n"
        started.send_signal(number)
        assert started.wait(10) == status
        assert b"Traceback" not in started.stderr.read()
    assert list(tmp_path.iterdir()) == [photo]


def test_a_closed_pipe_is_no_error_message(photo, tmp_path):
    process("encode", photo, cwd=tmp_path)
    command = f"{sys.executable} {fake_codec.__file__} info --json photo.bf | true"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert done.stderr == b""


def test_a_full_disk_is_one_line(photo):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = process("encode", photo, "-o", "/dev/full")
    assert done.returncode == 1 and b"No space left" in done.stderr and done.stderr.count(b"\n") == 1


def test_the_library_returns_what_it_was_given(monkeypatch):
    import bitfloor

    monkeypatch.setattr(registry, "CODECS", (fake_codec.ENTRY,))
    data = bitfloor.encode(SMOOTH, codec="fake", quality=90)
    image = bitfloor.decode(data)
    assert isinstance(image, Image.Image)
    assert picture_psnr(Picture(SMOOTH), Picture(np.asarray(image))) > 40
    assert bitfloor.info(data).fields == {"width": 64, "height": 48, "quality": 8900}
    assert bitfloor.load("fake") is bitfloor.load("fake")
    with pytest.raises(bitfloor.UsageError, match=r"1 .* to 100"):
        bitfloor.encode(SMOOTH, codec="fake", quality=float("nan"))
    with pytest.raises(AttributeError):
        bitfloor.nothing  # noqa: B018
