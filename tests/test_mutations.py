"""A thousandth of `bitfloor.tools.mutations --container 1000000 --decoder 100000`, and that it finds faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bitfloor.codecs import registry
from bitfloor.errors import CorruptStreamError
from bitfloor.tools import mutations


def test_no_mutated_file_breaks_anything(tmp_path: Path) -> None:
    out = str(tmp_path / "faults")
    done = CliRunner().invoke(mutations.command, ["--container", "1000", "--decoder", "100", "-o", out])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert [line.split()[0] for line in lines] == ["container", *(entry.name for entry in registry.CODECS)]
    assert all("CorruptStreamError" in line for line in lines) and not Path(out).exists()


def test_the_same_seed_mutates_alike_and_every_mutation_happens() -> None:
    good = [bytes(range(100)), b"other" * 9]
    one, again, other = (list(mutations.mutated(good, 300, seed)) for seed in (1, 1, 2))
    assert one == again != other and len({data for data in one if data not in good}) > 250
    assert min(map(len, one)) == 0 and max(map(len, one)) > 100


def breaks(data: bytes) -> None:
    if data == b"crash":
        raise ValueError("no such thing")
    if data == b"lines":
        raise CorruptStreamError("two\nlines")
    if data == b"slow":
        clock[0] += 11
    if data == b"refused":
        raise CorruptStreamError("it is damaged")


clock = [0.0]


def test_faults_are_found_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(mutations.time, "perf_counter", lambda: clock[0])
    files = [b"crash", b"lines", b"slow", b"refused", b"good"]
    found = mutations.try_files(iter(files), breaks)
    assert [data for _, data in found.faults] == [b"crash", b"lines", b"slow"]
    assert dict(found.outcomes) == {"crashed": 1, "CorruptStreamError": 2, "decoded": 2} and found.slowest == 11
    monkeypatch.setattr(mutations, "peak_mib", lambda: 3000.0)
    assert "grown to 3,000 MiB" in mutations.try_files(iter(files), lambda data: None).faults[0][0]
    monkeypatch.undo()
    monkeypatch.setattr(mutations, "decoder", lambda: breaks)
    monkeypatch.setattr(mutations, "mutated", lambda good, count, seed: iter([b"crash"]))
    chosen = ["--container", "0", "--decoder", "1", "--codec", "mecb", "-o", str(tmp_path / "kept")]
    done = CliRunner().invoke(mutations.command, chosen)
    assert done.exit_code == 1 and "mecb-0.bf: ValueError: no such thing" in done.output
    assert (tmp_path / "kept" / "mecb-0.bf").read_bytes() == b"crash"
