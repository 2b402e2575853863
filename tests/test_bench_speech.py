"""The benchmark on sounds: Opus, Codec 2 and any codec of the registry, through real files."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from bench_helpers import SPEECH

from bitfloor.codecs import registry
from bitfloor.errors import UnreadableInputError, UsageError
from bitfloor.tools.bench import codec_own, codecs
from bitfloor.tools.bench.codec_codec2 import MODES
from bitfloor.tools.bench.codecs import make
from bitfloor.tools.bench.measure import Job, measure
from bitfloor.tools.bench.sound_metrics import measure_sound
from bitfloor.tools.bench.sounds import Sound, read_sound, write_sound
from bitfloor.tools.cli import main

SECONDS = 2


def voice(rate: int = 16000) -> Sound:
    """A buzz whose pitch and loudness move, with formants: enough of a voice for a speech codec."""
    t = np.arange(SECONDS * rate) / rate
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t)) / rate
    weights = [(k, np.exp(-(((k * 120 - 600) / 500) ** 2)) + 0.1 / k) for k in range(1, 40)]
    buzz = sum(w * np.sin(k * phase) for k, w in weights)
    loud = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * t) ** 2
    noise = np.random.default_rng(0).normal(0, 0.01, len(t))
    return Sound((0.2 * loud * buzz / np.abs(buzz).max() + noise).astype(np.float32), rate)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "voice.flac"
    write_sound(voice(), path)
    return path


def test_opus_costs_about_what_is_asked_and_more_bits_sound_better(clip: Path) -> None:
    records = [measure(Job("opus", q, str(clip), "sound", ("si_sdr", "log_mel"), repeats=1)).record for q in (8, 32)]
    assert [record["status"] for record in records] == ["ok", "ok"]
    assert records[0]["rate"] == pytest.approx(8, rel=0.5) and records[1]["rate"] == pytest.approx(32, rel=0.5)
    assert records[0]["rate"] == records[0]["bytes"] * 8 / SECONDS / 1000
    assert records[0]["metrics"]["si_sdr"] < records[1]["metrics"]["si_sdr"]
    assert records[0]["metrics"]["log_mel"] > records[1]["metrics"]["log_mel"]


def test_sound_at_a_rate_that_opus_lacks_comes_back(tmp_path: Path) -> None:
    write_sound(voice().at(22050), tmp_path / "odd.wav")
    record = measure(Job("opus", 24, str(tmp_path / "odd.wav"), "sound", ("si_sdr",), repeats=1)).record
    assert record["status"] == "ok" and record["metrics"]["si_sdr"] > 3


@pytest.mark.skipif(shutil.which("c2enc") is None, reason="no c2enc (Debian: apt-get install codec2)")
def test_codec2_takes_the_bits_of_its_mode(clip: Path) -> None:
    for mode in (3200, 700):
        record = measure(Job("codec2", mode, str(clip), "sound", ("log_mel",), repeats=1)).record
        assert record["status"] == "ok", record
        assert record["rate"] == pytest.approx(mode / 1000, rel=0.15)  # whole bytes for each frame
        assert record["encode_peak_mib"] > 0.5
    assert "is no mode" in measure(Job("codec2", 999, str(clip), "sound", ("log_mel",))).record["error"]
    assert set(make("codec2").default_qualities) == set(MODES)


@pytest.mark.skipif(shutil.which("opusenc") is None, reason="no opusenc (Debian: apt-get install opus-tools)")
def test_opusenc_writes_a_smaller_header_than_libsndfile(clip: Path) -> None:
    record = measure(Job("opusenc", 12, str(clip), "sound", ("si_sdr",), repeats=1)).record
    assert record["status"] == "ok" and record["rate"] == pytest.approx(12, rel=0.5)


class EightBit:
    """A codec of the registry's kind "sound", as small as can be."""

    options: ClassVar[dict[str, object]] = {}  # of its encoder: none

    def encode(self, source: tuple[np.ndarray, int], *, quality: float | None = None) -> bytes:
        samples, rate = source
        return rate.to_bytes(4, "big") + zlib.compress((samples * 127).round().astype(np.int8).tobytes())

    def decode(self, data: bytes) -> tuple[np.ndarray, int]:
        samples = np.frombuffer(zlib.decompress(data[4:]), np.int8)
        return samples.astype(np.float32) / 127, int.from_bytes(data[:4], "big")


def test_any_codec_of_the_registry_is_measured(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry.CodecEntry("eightbit", 250, "sound", "nowhere:Class", ())
    monkeypatch.setattr(registry, "CODECS", (*registry.CODECS, entry))
    monkeypatch.setitem(codecs._REGISTRY, "eightbit", codec_own.OwnCodec)
    monkeypatch.setattr(registry, "load", lambda name: EightBit)
    monkeypatch.setattr("bitfloor.load", lambda name, model, tune: EightBit(), raising=False)
    monkeypatch.setattr(codec_own.OwnCodec, "fingerprint", "00")
    record = measure(Job("eightbit", 50, str(clip), "sound", ("si_sdr",), repeats=1)).record
    make.cache_clear()
    step = 1 / 127
    signal = float(np.mean(voice().samples ** 2))
    expected = 10 * np.log10(signal / (step**2 / 12))  # uniform quantisation noise
    assert record["status"] == "ok" and record["metrics"]["si_sdr"] == pytest.approx(expected, abs=0.5)


def test_length_that_differs_is_a_failure_but_frame_padding_is_cut() -> None:
    from bitfloor.tools.bench.measure import check_decoded

    source = voice()
    longer = Sound(np.pad(source.samples, (0, 800)), 16000)
    assert len(check_decoded("x", source, longer).samples) == len(source.samples)
    with pytest.raises(ValueError, match=r"returned 2\.50 s of sound for 2\.00 s"):
        check_decoded("x", source, Sound(np.pad(source.samples, (0, 8000)), 16000))


def test_perceptual_measures_order_opus_by_rate() -> None:
    for module in ("pesq", "pystoi"):
        pytest.importorskip(module)
    if not SPEECH.is_dir():
        pytest.skip("the speech clips are not in ../shared/data/speech-test")
    source = sorted(SPEECH.glob("*.flac"))[0]
    jobs = [Job("opus", q, str(source), "sound", ("pesq", "stoi"), repeats=1) for q in (6, 24)]
    low, high = (measure(job).record["metrics"] for job in jobs)
    assert 1 < low["pesq"] < high["pesq"] < 4.65
    assert 0.5 < low["stoi"] < high["stoi"] <= 1
    whole = read_sound(source)
    same = measure_sound(whole, whole, ("pesq", "stoi"))
    assert same["pesq"] == pytest.approx(4.644, abs=0.001)  # the ceiling of P.862.2
    assert same["stoi"] == pytest.approx(1)


def test_visqol_of_equal_speech_is_near_its_ceiling() -> None:
    for module in ("visqol", "ai_edge_litert"):
        pytest.importorskip(module)
    if not SPEECH.is_dir():
        pytest.skip("the speech clips are not in ../shared/data/speech-test")
    whole = read_sound(sorted(SPEECH.glob("*.flac"))[0])
    score = measure_sound(whole, whole, ("visqol",))["visqol"]
    assert score is not None and 4 < score <= 5


def test_command_on_a_sound(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("bjontegaard")
    arguments = [str(clip), "--codecs", "opus", "-q", "8,12,20,32", "--metrics", "si_sdr,log_mel", "--repeats", "1"]
    assert main(["bench", *arguments, "-o", str(tmp_path)]) == 0
    assert "report.html" in capsys.readouterr().out
    assert "kbps" in (tmp_path / "averages.csv").read_text().splitlines()[0]
    assert (tmp_path / "rd-log_mel.svg").is_file()


def test_what_is_no_sound_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    with pytest.raises(UnreadableInputError, match="no sound that can be read"):
        read_sound(tmp_path / "x.wav")
    with pytest.raises(UsageError, match="takes no options"):
        make("opus:fast")


def test_defaults_for_sounds_compare_codecs_and_leave_slow_measures_out() -> None:
    from bitfloor.tools.bench.sound_metrics import choose_sound_metrics
    from bitfloor.tools.commands.bench import _default_codecs

    chosen = _default_codecs("sound").split(",")
    assert chosen[:2] == ["secodec", "opus"] and ("codec2" in chosen) == (shutil.which("c2enc") is not None)
    assert "visqol" not in choose_sound_metrics(None) and "si_sdr" in choose_sound_metrics(None)
