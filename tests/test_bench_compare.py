"""`bitfloor bench compare` between two summaries, and with a result file of CompressAI's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("bjontegaard")

from bitfloor.tools.bench.summary import Curve
from bitfloor.tools.cli import main


def curve(rate_factor: float = 1.0, gain: float = 0.0, time: float = 1.0, name: str = "codec") -> Curve:
    rate, psnr = [0.1, 0.2, 0.4, 0.8, 1.6], [28.0, 30.5, 33.0, 35.5, 38.0]
    return Curve(
        name, "1.0", [10, 20, 30, 40, 50], [r * rate_factor for r in rate],
        {"psnr": [q + gain for q in psnr]}, {"encode_s": [time] * 5, "decode_s": [time] * 5},
    )  # fmt: skip


def write(path: Path, *curves: Curve) -> str:
    path.write_text(json.dumps({"bitfloor_bench": 1, "curves": [c.as_dict() for c in curves]}))
    return str(path)


@pytest.mark.parametrize(
    ("new", "options", "status", "says"),
    [
        (curve(), [], 0, "no change"),
        (curve(rate_factor=1.004), [], 0, "BD-rate by psnr +0.400 %"),
        (curve(rate_factor=1.02), [], 1, "WORSE  codec: BD-rate by psnr +2.000 %"),
        (curve(rate_factor=1.02), ["--bd-rate", "3", "--rate", "3"], 0, "+2.000 %"),
        (curve(gain=-0.05), [], 1, "WORSE  codec q=10: psnr 28 to 27.95 (-0.0500"),
        (curve(rate_factor=0.9), [], 0, "BD-rate by psnr -10.000 %"),
        (curve(rate_factor=0.9), ["--strict"], 1, "WORSE  codec: BD-rate by psnr -10.000 %"),
        (curve(time=2.0), [], 0, "no change"),
        (curve(time=2.0), ["--time", "1.5"], 1, "WORSE  codec q=10: encode_s 1 to 2 s (x2.00"),
        (curve(name="other"), [], 1, "WORSE  codec: gone"),
    ],
)
def test_changes_and_exit_status(
    new: Curve, options: list[str], status: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = write(tmp_path / "a.json", curve())
    after = write(tmp_path / "b.json", new)
    try:
        found = main(["bench", "compare", old, after, *options])
    except SystemExit as stop:
        found = stop.code
    said = capsys.readouterr().out
    assert found == status and says in said, said


def test_result_file_of_compressai_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = curve()
    results = {"bpp": base.rate, "psnr-rgb": base.metrics["psnr"], "encoding_time": [1.0] * 5}
    theirs = tmp_path / "theirs.json"
    theirs.write_text(json.dumps({"name": "codec", "description": "", "results": results}))
    ours = curve(rate_factor=0.8)
    ours.quality = [1, 2, 3, 4, 5]
    assert main(["bench", "compare", str(theirs), write(tmp_path / "ours.json", ours)]) == 0
    assert "BD-rate by psnr -20.000 %" in capsys.readouterr().out


def test_the_folder_of_a_run_stands_for_its_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, factor in (("old", 1.0), ("new", 0.9)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "summary.json", curve(rate_factor=factor))
    assert main(["bench", "compare", str(tmp_path / "old"), str(tmp_path / "new")]) == 0
    assert "BD-rate by psnr -10.000 %" in capsys.readouterr().out
    (tmp_path / "new" / "summary.json").unlink()
    assert main(["bench", "compare", str(tmp_path / "old"), str(tmp_path / "new")]) == 3
    assert str(tmp_path / "new" / "summary.json") in capsys.readouterr().err


def test_unreadable_results_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_text("[1, 2]")
    good = write(tmp_path / "a.json", curve())
    assert main(["bench", "compare", good, str(tmp_path / "x.json")]) == 3
    assert main(["bench", "compare", good, str(tmp_path / "none.json")]) == 3
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "no summary of a benchmark" in said[0] and "cannot read" in said[1]
