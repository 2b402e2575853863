"""Time by part: parts exclude one another, add up to the whole, and a codec that is not there is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench_helpers import picture

from bitfloor.tools.bench import parts
from bitfloor.tools.bench.codecs import make
from bitfloor.tools.bench.parts import CODER, ENTROPY, PARTS, REST, TRANSFORM, Clock, clocked
from bitfloor.tools.bench.speed import timed_by_part
from bitfloor.tools.cli import main


def test_nested_parts_exclude_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(parts.time, "perf_counter", lambda: now[0])
    clock = Clock()

    def spend(seconds: float) -> None:
        now[0] += seconds

    def context() -> None:
        spend(1)
        clock.around(CODER, spend)(10)
        spend(2)

    def whole() -> None:
        spend(100)
        clock.around(TRANSFORM, spend)(1000)
        clock.around(ENTROPY, context)()

    clock.around(REST, whole)()
    assert clock.seconds == {TRANSFORM: 1000, ENTROPY: 3, CODER: 10, REST: 100}


def test_a_part_that_raises_is_closed() -> None:
    clock = Clock()
    with pytest.raises(ZeroDivisionError):
        clock.around(CODER, lambda: 1 / 0)()
    clock.around(REST, lambda: None)()
    assert clock._open == []


def test_parts_of_our_network_add_up_and_leave_no_trace(tmp_path: Path) -> None:
    from bitfloor.entropy_models.coding.range_coder import RangeDecoder, RangeEncoder

    untouched = RangeEncoder.encode, RangeDecoder.decode
    codec, source, path = make("mlicv2"), picture(0, 64, 64), tmp_path / "x"
    plain = codec.encode(source, path, 50) or path.read_bytes()
    for call in (lambda: codec.encode(source, path, 50), lambda: codec.decode(path, tmp_path)):
        seconds = timed_by_part(codec, call, repeats=1)
        assert all(seconds[part] > 0 for part in PARTS), seconds
        assert sum(seconds[part] for part in PARTS) == pytest.approx(seconds["total"], rel=0.05, abs=2e-3)
    assert (RangeEncoder.encode, RangeDecoder.decode) == untouched
    assert path.read_bytes() == plain


def test_classical_codec_is_one_part(tmp_path: Path) -> None:
    codec, source = make("jpeg"), picture()
    clock = Clock()
    with clocked(codec, clock):
        clock.around(REST, codec.encode)(source, tmp_path / "x", 50)
    assert clock.seconds[TRANSFORM] == clock.seconds[ENTROPY] == clock.seconds[CODER] == 0


def test_command_prints_a_table_and_leaves_out_what_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture().save(tmp_path / "a.png")
    arguments = [str(tmp_path / "a.png"), "--codecs", "webp,nonesuch", "--repeats", "1", "--threads", "1"]
    assert main(["bench", "speed", *arguments, "--json", str(tmp_path / "speed.json")]) == 0
    said = capsys.readouterr().out
    assert "start-up" in said and "(one part)" in said
    assert "nonesuch  left out: there is no codec 'nonesuch'" in said
    webp, absent = json.loads((tmp_path / "speed.json").read_text())
    assert webp["bytes"] > 100 and webp["start_s"] > 0 and webp["encode"]["total"] > 0
    assert absent["encode"] is None
