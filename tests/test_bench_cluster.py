"""A run spread over a Dask cluster of two worker processes, one of which is killed on the way."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from bench_helpers import save_pictures, script_codec

from bitfloor.errors import UsageError
from bitfloor.tools.bench import run, sources, store

distributed = pytest.importorskip("distributed")


def make_plan(folder: Path, specs: list[str], qualities: tuple[float, ...]) -> run.Plan:
    kind, paths = sources.find([folder])
    good, bad = sources.open_all(paths, kind)
    return run.make_plan(kind, good, specs=specs, qualities={"": qualities}, metrics=("psnr",), bad_sources=bad)


def test_killed_worker_costs_no_measurement(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    save_pictures(folder, 3)
    # the first job that runs kills the worker it runs in, once; the file tells the jobs after it
    killer = script_codec(
        tmp_path,
        "killer",
        f"mark = {str(tmp_path / 'killed')!r}\n"
        "if not os.path.exists(mark):\n"
        "    open(mark, 'w').write(str(os.getppid()))\n"
        f"    os.kill(os.getppid(), {int(signal.SIGKILL)})\n"
        "    sys.exit(1)\n"
        "Image.open(sys.argv[1]).save(sys.argv[2], 'JPEG', quality=int(float(sys.argv[3])))",
    )
    plan = make_plan(folder, [f"exec:{killer}", "jpeg"], (30.0, 70.0))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        options = run.Options(scheduler=cluster.scheduler_address, repeats=1, progress=False)
        with run.Runner(options) as runner:
            results = run.carry_out(plan, store.Store(tmp_path / "out"), runner)
    assert int((tmp_path / "killed").read_text()) != os.getpid()
    assert results.failed == [] and len(results.records) == 12
    for record in results.records:
        files = list(
            (tmp_path / "out" / "files").glob(f"{record['codec']}-*/{record['source']}/q{record['quality']:g}.*")
        )
        assert [file.stat().st_size for file in files] == [record["bytes"]]
    by_codec = {(r["codec"], r["source"], r["quality"]): r["metrics"]["psnr"] for r in results.records}
    for (codec, source, quality), psnr in by_codec.items():
        if codec == "killer":  # the same JPEG writer behind it
            assert psnr == pytest.approx(by_codec["jpeg", source, quality], abs=1e-9)


def test_no_scheduler_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bitfloor.tools.bench import cluster

    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    save_pictures(tmp_path, 1)
    options = run.Options(scheduler="tcp://127.0.0.1:9", progress=False)
    with (
        run.Runner(options) as runner,
        pytest.raises(UsageError, match="no Dask scheduler at"),
    ):
        run.carry_out(make_plan(tmp_path, ["jpeg"], (50.0,)), store.Store(tmp_path / "out"), runner)


def test_missing_dask_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    save_pictures(tmp_path, 1)
    options = run.Options(scheduler="tcp://127.0.0.1:9", progress=False)
    with run.Runner(options) as runner, pytest.raises(UsageError, match=r"pip install 'bitfloor\[cluster\]'"):
        run.carry_out(make_plan(tmp_path, ["jpeg"], (50.0,)), store.Store(tmp_path / "out"), runner)
