"""`--jobs` of encode and decode: the same files as one process writes, whatever becomes of a worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pytest
from parallel_work import job, work
from PIL import Image

from bitfloor.errors import BitfloorError, UsageError
from bitfloor.tools.cli import main
from bitfloor.tools.jobs import Existing, OneJob, Sizes
from bitfloor.tools.parallel import in_processes


def contents(folder: str) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in/sub").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.png", "sub/c.png", "sub/d.png")):
        shade = np.add.outer(np.arange(40), np.arange(50)) * (number + 1) % 256
        Image.fromarray(shade.astype(np.uint8)).save(Path("in") / name)


def test_several_processes_write_what_one_writes(pictures: None, capsys: pytest.CaptureFixture[str]) -> None:
    Path("in/bad.png").write_text("no picture")
    arguments = ["encode", "in", "--recursive", "--lossless"]
    assert main([*arguments, "-o", "one"]) == main([*arguments, "-o", "two", "--jobs", "2"]) == 3
    assert contents("one") == contents("two") and len(contents("one")) == 4
    said = capsys.readouterr().err
    assert said.count("in/bad.png is no picture") == 2 and said.count("4 files:") == said.count("1 failed") == 2
    assert all(said.count(f"in/{name} -> ") == 2 for name in ("a.png", "b.png", "sub/c.png", "sub/d.png"))
    assert main(["decode", "two", "-o", "back", "--recursive", "--jobs", "2"]) == 0
    assert all(np.array_equal(Image.open(Path("back") / n), Image.open(Path("in") / n)) for n in contents("back"))
    Path("two/a.bf").unlink()
    capsys.readouterr()
    assert main([*arguments, "-o", "two", "--jobs", "2", "--skip-existing", "--quiet"]) == 3
    assert contents("one") == contents("two")
    assert capsys.readouterr().err.splitlines()[0].startswith("bitfloor: in/bad.png")


def test_a_worker_that_dies_costs_its_job_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    jobs = [job(name) for name in ("one", "die", "two", "wrong", "odd", "three")]
    with click.Context(click.Command("test")):
        made = {job.source.name: result for job, result in in_processes(jobs, OneJob(work, Existing()), 2)}
    good = [made[name] for name in ("one", "two", "three")]
    assert all(isinstance(result, Sizes) and result.before != os.getpid() for result in good)
    assert isinstance(made["die"], BitfloorError) and "SIGKILL" in str(made["die"])
    assert isinstance(made["wrong"], UsageError) and str(made["wrong"]) == "it is wrong"
    assert isinstance(made["odd"], RuntimeError) and "OddError: odd" in str(made["odd"])
    said = capsys.readouterr().err
    assert all(f"at {name}\nbitfloor: of {name}\n" in said for name in ("one", "two", "wrong", "odd", "three"))


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_an_interruption_leaves_nothing_half_written(tmp_path: Path) -> None:
    code = "import parallel_work; parallel_work.interrupted()"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    while not {"one.begun", "two.begun"} <= {path.name for path in tmp_path.iterdir()}:
        assert process.poll() is None
        time.sleep(0.05)
    assert len(list(tmp_path.iterdir())) == 4  # two outputs are under way
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    assert {path.name for path in tmp_path.iterdir()} == {"one.begun", "two.begun"}
