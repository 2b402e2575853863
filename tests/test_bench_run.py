"""Whole runs: what fails is reported and never averaged, what was measured is not measured again."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from bench_helpers import picture, save_pictures, script_codec
from PIL import Image

from bitfloor.errors import UnreadableInputError, UsageError
from bitfloor.tools.bench import run, sources, store, summary
from bitfloor.tools.bench.measure import Job, measure
from bitfloor.tools.bench.qualities import parse_qualities
from bitfloor.tools.cli import main
from bitfloor.tools.pool import Pool, cores

QUIET = run.Options(progress=False, repeats=1)


def make(folder: Path, specs: list[str], qualities: dict[str, tuple[float, ...]]) -> run.Plan:
    kind, paths = sources.find([folder])
    good, bad = sources.open_all(paths, kind)
    return run.make_plan(kind, good, specs=specs, qualities=qualities, metrics=("psnr",), bad_sources=bad)


def carry_out(plan: run.Plan, kept: store.Store) -> run.Results:
    with run.Runner(QUIET) as runner:
        return run.carry_out(plan, kept, runner)


def record(codec: str, quality: float, source: str, rate: float, psnr: float | None) -> dict[str, object]:
    fields = {"codec": codec, "quality": quality, "source": source, "version": "1"}
    if psnr is None:
        return {**fields, "status": "failed", "error": "broken"}
    return {**fields, "status": "ok", "rate": rate, "metrics": {"psnr": psnr}}


def test_average_is_mean_quality_at_mean_rate_and_failures_are_in_none() -> None:
    records = [
        record("a", 1, "x", 0.2, 30), record("a", 1, "y", 0.4, 32), record("a", 1, "z", 9.0, 99),
        record("a", 2, "x", 0.6, 35), record("a", 2, "y", 1.0, 37), record("a", 2, "z", 9.0, None),
        record("b", 1, "x", 0.1, 29), record("b", 1, "y", 0.3, 33), record("b", 1, "z", 9.0, 99),
        record("b", 2, "x", 1.0, None), record("b", 2, "y", 1.0, None), record("b", 2, "z", 9.0, None),
    ]  # fmt: skip
    found = summary.summarise("picture", records, {"bad.png": "no picture"})
    a, b = found.curves
    assert (a.rate, a.metrics["psnr"]) == ([pytest.approx(0.3), pytest.approx(0.8)], [31, 36])
    assert (b.rate, b.metrics["psnr"]) == ([pytest.approx(0.2)], [31])
    assert found.sources == ["x", "y"]
    assert set(found.excluded) == {"z", "bad.png"} and "a q=2: broken" in found.excluded["z"]
    assert found.dropped == ["b q=2"]


def test_infinite_psnr_stays_infinite_through_the_store(tmp_path: Path) -> None:
    key = store.Key("a", "1", 5, "x", "00", ("psnr",))
    kept = store.Store(tmp_path)
    kept.save(key, {"status": "ok", "rate": 1.0, "metrics": {"psnr": math.inf}}, b"data", ".x")
    loaded = kept.load(key)
    assert loaded is not None and summary.summarise("picture", [loaded]).curves[0].metrics["psnr"] == [math.inf]
    assert kept.load(store.Key("a", "2", 5, "x", "00", ("psnr",))) is None


def test_bad_codecs_and_bad_pictures_are_reported(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    save_pictures(folder, 2)
    (folder / "broken.png").write_bytes(b"\x89PNG and nothing more")
    Image.new("I;16", (200, 200)).save(folder / "deep.png")
    keep = "Image.open(sys.argv[1]).save(sys.argv[2], 'PNG')"
    specs = [
        "exec:" + script_codec(tmp_path, "smaller", "Image.open(sys.argv[1]).resize((9, 9)).save(sys.argv[2], 'PNG')"),
        "exec:" + script_codec(tmp_path, "garbage", "open(sys.argv[2], 'wb').write(b'garbage')"),
        "exec:" + script_codec(tmp_path, "silent", "pass"),
        "exec:" + script_codec(tmp_path, "angry", "sys.exit('no, not this one')"),
        "exec:" + script_codec(tmp_path, "fussy", f"assert 'q' not in os.path.basename(sys.argv[1]); {keep}", keep),
        "jpeg",
    ]
    plan = make(folder, specs, {"": (50.0,)})
    assert sorted(path.name for path, _ in plan.bad_sources) == ["broken.png", "deep.png"]
    results = carry_out(plan, store.Store(tmp_path / "out"))
    errors = {r["codec"]: r.get("error", "") for r in results.records}
    assert errors["smaller"] == "ValueError: smaller returned 9x9 pixels for a picture of 192x176"
    assert (
        "cannot identify" in errors["garbage"] or "JPEG XL" in errors["garbage"] or "jxl" in errors["garbage"].lower()
    )
    assert "wrote no file" in errors["silent"]
    assert "exited with 1: no, not this one" in errors["angry"]
    assert errors["fussy"] == errors["jpeg"] == ""
    fussy = [r["metrics"]["psnr"] for r in results.records if r["codec"] == "fussy"]
    assert fussy == [math.inf, math.inf]
    found = summary.summarise("picture", results.records)
    assert sorted(curve.name for curve in found.curves) == ["fussy", "jpeg"]


def in_pool(work: Any, jobs: list[Any], timeout_s: float = 60) -> list[tuple[Any, Any]]:
    with Pool(work, workers=2, threads=1, timeout_s=timeout_s, lost=lambda reason: reason) as pool:
        return list(pool.run(jobs))


def test_workers_that_die_or_hang_cost_one_job() -> None:
    numbers = [int(signal.SIGKILL), 0, 0]  # raise_signal(0) does nothing and returns None
    results = [result for _, result in in_pool(signal.raise_signal, numbers)]
    assert sorted(results, key=str) == [None, None, "the worker was killed by signal 9 (SIGKILL)"]
    assert in_pool(os._exit, [3]) == [(3, "the worker exited with 3")]
    slept = dict(in_pool(time.sleep, [0.0, 600.0], timeout_s=5))
    assert slept == {0.0: None, 600.0: "no answer within 5 s"}


def test_workers_are_kept_from_one_run_to_the_next() -> None:
    with Pool(os.getpgid, workers=1, threads=1, timeout_s=60, lost=str) as pool:
        first, second = ([result for _, result in pool.run([0])] for _ in range(2))
    assert first == second != [os.getpgid(0)]


def test_stopped_run_goes_on_and_a_changed_codec_is_measured_again(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    save_pictures(folder, 3)
    kept = store.Store(tmp_path / "out")
    first = carry_out(make(folder, ["jpeg"], {"": (20.0, 60.0)}), kept)
    assert (len(first.records), first.reused) == (6, 0)
    victim = next(iter(sorted((tmp_path / "out" / "records").rglob("*.json"))))
    victim.write_text('{"status": "ok"')  # as a full disk leaves it
    again = carry_out(make(folder, ["jpeg"], {"": (20.0, 60.0)}), kept)
    assert again.reused == 5
    rates = lambda results: [(r["source"], r["quality"], r["bytes"]) for r in results.records]  # noqa: E731
    assert rates(again) == rates(first)
    other = carry_out(make(folder, ["jpeg:optimize=1"], {"": (20.0, 60.0)}), kept)
    assert other.reused == 0


def test_interrupted_command_resumes(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    save_pictures(folder, 2)
    slow = script_codec(
        tmp_path, "slow", "import time; time.sleep(0.5); Image.open(sys.argv[1]).save(sys.argv[2], 'PNG')"
    )
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "bitfloor.tools.cli",
        "bench",
        str(folder),
        "--exec",
        slow,
        "-q",
        "1,2,3",
        "--metrics",
        "psnr",
        "-o",
        str(out),
    ]
    # A test run started in the background would hand down an ignored SIGINT.
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    while len(list(out.rglob("*.json"))) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1].decode()
    assert process.returncode == 130
    assert "interrupted: the same command goes on from here" in said and str(out) in said
    done = len(list(out.rglob("*.json")))
    assert 2 <= done < 6
    plan = make(folder, [f"exec:{slow}"], {"": (1.0, 2.0, 3.0)})
    assert carry_out(plan, store.Store(out)).reused == done


def test_command_writes_every_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("bjontegaard")
    folder = tmp_path / "pictures"
    folder.mkdir()
    save_pictures(folder, 2)
    out = tmp_path / "out"
    arguments = [
        "bench",
        str(folder),
        "--codecs",
        "jpeg,webp",
        "-q",
        "20,40,60,80",
        "-o",
        str(out),
        "--jobs",
        "2",
    ]
    assert main([*arguments, "--metrics", "psnr,ms_ssim", "--viewer", "1", "--repeats", "1"]) == 0
    said = capsys.readouterr().out
    assert "against jpeg, psnr" in said and "mean quality at the mean rate" in said
    assert "published curves are means over the 24 Kodak pictures, which this run is not" in said
    for name in (
        "report.html",
        "summary.json",
        "averages.csv",
        "table.md",
        "rd-psnr.png",
        "rd-psnr.svg",
        "rd-ms_ssim_db.svg",
    ):
        assert (out / name).stat().st_size > 200, name
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert len(rows) == 16
    for row in rows:  # every rate is that of a file which lies there
        files = list((out / "files").glob(f"{row['codec']}-*/{row['source']}/q{float(row['quality']):g}.*"))
        assert [file.stat().st_size for file in files] == [int(row["bytes"])]
        assert float(row["rate"]) == pytest.approx(int(row["bytes"]) * 8 / (192 * 176))
    result = json.loads((out / "json" / "jpeg.json").read_text())
    assert set(result) == {"name", "description", "results"}
    assert {"bpp", "psnr-rgb", "ms-ssim-rgb", "encoding_time", "decoding_time"} <= set(result["results"])
    means = [float(r["psnr"]) for r in rows if r["codec"] == "jpeg" and float(r["quality"]) == 20]
    assert result["results"]["psnr-rgb"][0] == pytest.approx(sum(means) / 2)


def test_requests_that_make_no_sense(tmp_path: Path) -> None:
    save_pictures(tmp_path, 1)
    with pytest.raises(UsageError, match="no codec of this run is called 'webp'"):
        make(tmp_path, ["jpeg"], {"webp": (5.0,)})
    with pytest.raises(UsageError, match="is for sounds, but the inputs are pictures"):
        make(tmp_path, ["opus"], {})
    with pytest.raises(UsageError, match="whole numbers"):
        make(tmp_path, ["jpeg"], {"": (5.5,)})
    with pytest.raises(UsageError, match="two codecs are called 'jpeg'"):
        make(tmp_path, ["jpeg", "jpeg"], {})
    with pytest.raises(UnreadableInputError, match="there is no file"):
        sources.find([tmp_path / "nothing.png"])
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(UsageError, match="both pictures and sounds"):
        sources.find([tmp_path])


def test_reading_of_qualities() -> None:
    found = parse_qualities(["10,20:40:10", "jpeg=5,5"])
    assert found == {"": (10, 20, 30, 40), "jpeg": (5,)}
    for text, says in (("ten", "no number"), ("9:1:2", "rising"), ("nan", "not finite")):
        with pytest.raises(UsageError, match=says):
            parse_qualities([text])
    with pytest.raises(UsageError, match="given twice"):
        parse_qualities(["1", "2"])


def test_peak_memory_sees_a_big_buffer(tmp_path: Path) -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("no high-water mark that can be reset on this system")
    from bitfloor.tools.bench import memory

    level = memory.start()
    block = bytearray(b"\x01") * (64 << 20)
    peak = memory.peak_mib(level)
    assert peak is not None and 60 < peak < 140 and len(block) == 64 << 20
    small = memory.peak_mib(memory.start())
    assert small is not None and small < 10
    picture(0).save(tmp_path / "a.png")
    assert measure(Job("jpeg", 50, str(tmp_path / "a.png"), "picture", ("psnr",))).record["encode_peak_mib"] < 20


@pytest.mark.parametrize(("wish", "seen"), [("3", ("3", None)), ("4,2", ("4,2", None)), ("", ("", None)), (None, None)])
def test_the_persons_number_of_threads_holds(
    wish: str | None, seen: tuple[str, None] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    if wish is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", wish)
    options = run.Options(jobs=1, progress=False)
    share = str(cores())
    wished = wish and wish[0]
    assert str(options.threads) == (wished or share)
    with run.Runner(options) as runner:
        monkeypatch.setattr(runner._pool, "_work", os.getenv)  # a worker must be able to import it
        found: dict[str, str | None] = dict(runner._pool.run(["OMP_NUM_THREADS", "MKL_NUM_THREADS"]))  # type: ignore[list-item, arg-type]
    assert (found["OMP_NUM_THREADS"], found["MKL_NUM_THREADS"]) == (seen if wished else (share, share))


def test_an_output_folder_that_no_run_made_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.csv").write_text("mine")
    save_pictures(tmp_path, 1)
    assert main(["bench", str(tmp_path), "--codecs", "jpeg", "-q", "50", "-o", str(tmp_path)]) == 2
    assert "results.csv is there" in capsys.readouterr().err and (tmp_path / "results.csv").read_text() == "mine"


@pytest.mark.parametrize("name", ["写" * 85, "😀" * 60, "a" * 251])
def test_long_names_of_pictures_are_kept(name: str, tmp_path: Path) -> None:
    key = store.Key("jpeg", "1", 5, f"{store.slug(name)}-abcdef", "00", ("psnr",))
    store.Store(tmp_path).save(key, {"status": "ok"}, b"data", ".jpeg")
    assert store.Store(tmp_path).load(key) is not None


def test_a_range_without_end_is_refused() -> None:
    for text in ("0:1e9:1e-3", "0:1e308:1e-308"):
        with pytest.raises(UsageError, match="more than 10,000"):
            parse_qualities([text])
