"""The command line on speech: encode, decode, info, tokens, continue, with a toy model."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from secodec_toy import write_toy

import bitfloor
from bitfloor.codecs.secodec.codec import SECodecCodec
from bitfloor.codecs.secodec.level import STEP
from bitfloor.tools.cli import main


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_toy(folder)
    return folder


@pytest.fixture
def run(models, tmp_path, monkeypatch, capsys):
    """Run the command line in a folder with clip.wav; gives (status, standard output, standard error)."""
    monkeypatch.setenv("BITFLOOR_MODELS", str(models))
    monkeypatch.chdir(tmp_path)
    samples = 0.3 * np.random.default_rng(0).standard_normal((24_000, 2))
    soundfile.write("clip.wav", samples, 48_000)

    def call(*args):
        if args[0] in ("encode", "tokens", "continue") and "--model" not in args:
            args = (*args, "--model", "toy")  # and not the one in the box
        status = main([str(a) for a in args])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def codec(models):
    return SECodecCodec.from_path(models / "toy.safetensors")


def test_there_and_back(run, codec):
    status, _, err = run("encode", "clip.wav", "-q", 100)
    assert status == 0 and "kbit/s" in err
    assert run("decode", "clip.bf", "-o", "back.flac")[0] == 0
    samples, rate = soundfile.read("back.flac")
    assert samples.shape == (24_000,) and rate == 48_000
    expected, _ = codec.decode(Path("clip.bf").read_bytes())
    np.testing.assert_allclose(samples, expected.clip(-1, 1), atol=1e-4)
    info = json.loads(run("info", "--json", "clip.bf")[1])
    assert info["codec"] == "secodec" and info["fields"].keys() == {"rate", "samples", "layers", "gain"}


def test_wav_is_what_decode_writes_unless_told(run, tmp_path):
    assert run("encode", "clip.wav", "-o", "other.bf")[0] == 0
    assert run("decode", "other.bf")[0] == 0
    assert (tmp_path / "other.wav").read_bytes()[:4] == b"RIFF"
    status, _, err = run("decode", "other.bf")
    assert status == 2 and "there already" in err
    assert run("decode", "other.bf", "-o", "other.jpg")[0] == 2


def test_a_size_can_be_asked_for(run, tmp_path):
    assert run("encode", "clip.wav", "--size", 80)[0] == 0
    assert (tmp_path / "clip.bf").stat().st_size <= 80
    assert run("encode", "clip.wav", "--size", 10, "-f")[0] == 6


@pytest.mark.parametrize("name", ["t.npy", "t.json"])
def test_tokens_of_a_sound_and_of_its_file_are_the_same(run, codec, name):
    run("encode", "clip.wav", "-q", 100)
    for source in ("clip.wav", "clip.bf"):
        assert run("tokens", source, "-o", name, "-f")[0] == 0
        data = Path(name).read_bytes()
        tokens = np.load(name) if name.endswith("npy") else np.array(json.loads(data)["tokens"])
        np.testing.assert_array_equal(tokens, codec.decode_tokens(Path("clip.bf").read_bytes()))
    assert run("tokens", "clip.bf", "--layers", 2, "-o", "two.npy")[0] == 0
    np.testing.assert_array_equal(np.load("two.npy"), tokens[:, :2])


def test_say_turns_tokens_into_the_sound_of_the_file_and_goes_on(run, codec):
    run("tokens", "clip.wav", "-o", "t.json")
    assert run("continue", "t.json", "-o", "said.wav")[0] == 0
    said, rate = soundfile.read("said.wav")
    tokens = np.array(json.loads(Path("t.json").read_bytes())["tokens"])
    gain = round(json.loads(Path("t.json").read_bytes())["gain_db"] / STEP)
    np.testing.assert_allclose(said, codec.synthesise(tokens, gain).samples.clip(-1, 1), atol=1e-4)
    assert run("continue", "t.json", "--seconds", 0.4, "-o", "more.wav")[0] == 0
    more, _ = soundfile.read("more.wav")
    assert rate == 16_000 and more.size == said.size + 6400
    # Up to where the new frames reach back, the beginning is the same.
    np.testing.assert_allclose(more[:4000], said[:4000], atol=1e-4)
    run("continue", "t.json", "--seconds", 0.4, "--seed", 1, "-o", "other.wav")
    assert (soundfile.read("other.wav")[0] != more).any()


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b'{"tokens": [[0, 99, 0]]}', 3, "below"),
        (b'{"tokens": [[0, 1], [2]]}', 3, "no file of tokens"),
        (b'{"model": "00000000", "tokens": [[0]]}', 5, "needs model 00000000"),
        (b"{", 3, "no file of tokens"),
        (b"\x93NUMPY", 3, "no file of tokens"),
        (b"\x8aBFL", 4, ""),
        (b"neither", 3, "no sound"),
    ],
)
def test_what_say_refuses(run, tmp_path, content, status, message):
    (tmp_path / "in").write_bytes(content)
    found, _, err = run("continue", "in", "-o", "out.wav")
    assert found == status and message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": None}, '"model" is null'),
        ({"model": 5}, '"model" is 5'),
        ({"codec": "other"}, '"codec"'),
        ({"frames_per_second": 75}, '"frames_per_second"'),
        ({"gain_db": None}, '"gain_db"'),
        ({"gain_db": "6"}, '"gain_db"'),
        ({"gain_db": float("nan")}, '"gain_db"'),
        ({"gain_db": 1e300}, '"gain_db"'),
        ({"gain_db": 300}, '"gain_db"'),
        ({"tokens": None}, "whole numbers"),
        ({"tokens": []}, "whole numbers"),
        ({"tokens": 5}, "whole numbers"),
        ({"tokens": [[0.5]]}, "whole numbers"),
        ({"tokens": [["0"]]}, "whole numbers"),
        ({"tokens": [[True]]}, "whole numbers"),
        ({"tokens": [[-1]]}, "below"),
        ({"tokens": [[10**30]]}, "whole numbers"),
        ({"tokens": [[0, 0, 0, 0]]}, "at most 3 layers"),
    ],
)
def test_token_files_with_wrong_fields_are_refused_in_one_line(run, fields, message):
    Path("in.json").write_text(json.dumps({"tokens": [[0]], **fields}))
    status, _, err = run("continue", "in.json", "-o", "out.wav")
    assert status == 3 and message in err and err.count("\n") == 1 and "in.json" in err
    assert not Path("out.wav").exists()


@pytest.mark.parametrize(
    "options",
    [("--seconds", "nan"), ("--seconds", "inf"), ("--seconds", -1), ("--temperature", "nan"), ("--temperature", 0),
     ("--seed", -1), ("--seed", 1.5)],
)  # fmt: skip
def test_numbers_that_say_refuses_in_one_line(run, options):
    Path("in.json").write_text('{"tokens": [[0]]}')
    status, _, err = run("continue", "in.json", "-o", "out.wav", *options)
    assert status == 2 and err.count("\n") == 1 and "unexpected" not in err


def test_a_json_file_of_tokens_says_how_loud_and_an_npy_file_does_not(run):
    samples, rate = soundfile.read("clip.wav")
    soundfile.write("soft.wav", samples / 100, rate, subtype="FLOAT")
    for name in ("clip", "soft"):
        run("tokens", f"{name}.wav", "-o", f"{name}.json")
        run("tokens", f"{name}.wav", "-o", f"{name}.npy")
    gains = [json.loads(Path(f"{name}.json").read_bytes())["gain_db"] for name in ("clip", "soft")]
    assert gains[0] - gains[1] == 40
    loudness = {}
    for name in ("clip.json", "soft.json", "clip.npy", "soft.npy"):
        assert run("continue", name, "-o", f"{name}.wav")[0] == 0
        loudness[name] = np.std(soundfile.read(f"{name}.wav")[0])
    assert loudness["clip.json"] / loudness["soft.json"] == pytest.approx(100, rel=0.1)
    assert loudness["clip.npy"] / loudness["soft.npy"] == pytest.approx(1, rel=0.1)


def test_tokens_of_standard_input_go_to_standard_output(run, codec):
    run("encode", "clip.wav", "-q", 100)
    data = Path("clip.bf").read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "bitfloor.tools.cli", "tokens", "-"], input=data, capture_output=True, check=True
    )
    np.testing.assert_array_equal(np.load(io.BytesIO(done.stdout)), codec.decode_tokens(data))
    assert not Path("-.npy").exists() and not Path("-").exists()


@pytest.mark.parametrize("suffix", ["sph", "caf", "W64", "au", "WAV"])
def test_every_command_takes_every_sound(run, codec, suffix):
    samples, rate = soundfile.read("clip.wav")
    file_format = {"sph": "NIST", "WAV": "NIST"}.get(suffix, suffix.upper())
    Path("folder").mkdir()
    soundfile.write(f"folder/x.{suffix}", samples, rate, format=file_format)
    assert run("encode", "folder", "-o", "out/", "--model", "toy")[0] == 0
    assert codec.decode(Path("out/x.bf").read_bytes())[0].shape == (24_000,)
    assert run("tokens", f"folder/x.{suffix}")[0] == 0
    assert run("continue", f"folder/x.{suffix}", "-o", "said.wav")[0] == 0


def test_info_says_seconds_bits_and_loudness(run):
    run("encode", "clip.wav", "-q", 100)
    size = Path("clip.bf").stat().st_size
    info = json.loads(run("info", "--json", "clip.bf")[1])
    assert info["seconds"] == 0.5 and info["kilobits_per_second"] == pytest.approx(8 * size / 500)
    text = run("info", "clip.bf")[1]
    assert "0.500 s" in text and f"{8 * size / 500:.3f} kbit/s" in text and f"{info['gain_db']:+.1f} dB" in text


def test_warnings_of_a_sound_are_single_lines_and_quiet_silences_them(run):
    data = Path("clip.wav").read_bytes()
    Path("cut.wav").write_bytes(data[: len(data) // 2])
    status, _, err = run("encode", "cut.wav")
    assert status == 0 and err.count("cut.wav: it is cut") == 1
    assert run("encode", "cut.wav", "-f", "--quiet")[2] == ""
    Path("no.wav").write_bytes(b"RIFF0000WAVEfmt ")
    for command in ("encode", "tokens"):
        status, _, err = run(command, "no.wav")
        assert status == 3 and err.count("\n") == 1 and "no.wav is no sound" in err and "object" not in err


def test_what_tokens_refuses(run):
    assert run("tokens", "clip.wav", "--layers", 4)[0] == 2
    assert run("tokens", "clip.wav", "-o", "t.txt")[0] == 2
    assert run("tokens", "missing.wav")[0] == 3


def test_without_a_model_the_error_says_so(run, monkeypatch, tmp_path):
    monkeypatch.setenv("BITFLOOR_MODELS", str(tmp_path))
    status, _, err = run("encode", "clip.wav", "--model", "no-such-model")
    assert status == 5 and "secodec" in err and "BITFLOOR_MODELS" in err


def test_demo(run):
    status, out, err = run("demo", "--codec", "secodec", "-q", 1, "-o", "here")
    assert status == 0, err
    original, decoded = (soundfile.info(f"here/{name}.wav") for name in ("original", "decoded"))
    assert (decoded.frames, decoded.samplerate) == (original.frames, original.samplerate)
    row = next(line for line in out.splitlines() if line.startswith("secodec")).split()
    size = Path("here/speech.bf").stat().st_size
    assert row[3:5] == [f"{size:,}", f"{8 * size / original.duration / 1000:.2f}"]
    assert any(line.startswith("Opus") for line in out.splitlines())
    status, _, err = run("demo", "--codec", "secodec", "-o", "here")
    assert status == 2 and "here/original.wav" in err


def test_demo_of_a_codec_of_neither(run):
    status, _, err = run("demo", "--codec", "mecb")
    assert status == 2 and "neither" in err
    status, _, err = run("demo", "--codec", "seslm")
    assert status == 2 and "no codec 'seslm'" in err


def test_tokens_and_sounds_go_where_they_fit(run, tmp_path):
    Path("a.b.2024").write_bytes(Path("clip.wav").read_bytes())
    assert run("tokens", "a.b.2024")[0] == 0 and np.load("a.b.2024.npy").ndim == 2
    status, _, err = run("tokens", "a.b.2024.npy", "-f")
    assert status == 2 and "replaced by its own output" in err
    Path("folder").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    for args in (["continue", "clip.wav", "-o", "x.png"], ["continue", "clip.wav", "-o", "clip.wav", "-f"],
                 ["tokens", "clip.wav", "-o", "x.wav"], ["continue", "clip.wav", "-o", "."]):  # fmt: skip
        status, _, err = run(*args)
        assert status == 2 and err.count("\n") == 1, args
    assert run("tokens", "folder")[0] == run("continue", "folder", "-o", "x.wav")[0] == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_picture_and_a_sound_of_one_name(run):
    """Decoding looks into the file, not at what lies beside it."""
    run("encode", "clip.wav", "-q", 1, "-o", "other.bf")
    Path("other.png").write_bytes(b"mine")
    assert run("decode", "other.bf", "-o", "other.png", "-f")[0] == 2
    assert run("decode", "other.bf")[0] == 0 and Path("other.png").read_bytes() == b"mine"


@pytest.mark.parametrize("command", [("tokens",), ("continue", "-o", "out.wav")])
def test_a_compressed_picture_is_not_called_a_missing_model(run, command):
    image = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)
    Path("p.bf").write_bytes(bitfloor.load("mecb").encode(image, rate=2))
    status, _, err = run(command[0], "p.bf", *command[1:])
    assert (status, err) == (4, "bitfloor: p.bf: this is no speech file of bitfloor\n")
    assert not Path("out.wav").exists() and not Path("p.npy").exists()
