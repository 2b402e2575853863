"""The command that says where a training step's time goes."""

from __future__ import annotations

import torch
from click.testing import CliRunner
from tiny_model import CONFIG, tiny_network

from bitfloor.tools import training_speed


def test_it_prints_both_precisions_part_by_part(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(training_speed, "find", lambda preset, codec: CONFIG)
    done = CliRunner().invoke(training_speed.command, ["--batch", "1", "--crop", "64", "--steps", "1"])
    assert done.exit_code == 0, done.output
    head, *rows = done.output.splitlines()
    assert "1 crops of 64x64" in head
    assert [row.split()[0] for row in rows] == ["float32", "bfloat16"]
    assert all("forward" in row and "crops a second" in row for row in rows)
    assert sum("chosen here" in row for row in rows) == 1


def test_the_least_of_the_steps_counts_and_the_first_does_not(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    steps = iter([(0.1, 0.1, 0.1), (5.0, 2.0, 4.0), (3.0, 6.0, 4.5)])
    monkeypatch.setattr(training_speed, "_step", lambda *_: dict(zip(training_speed.PARTS, next(steps), strict=True)))
    spent = training_speed.measure(tiny_network(), 1, 64, 2, torch.float32)
    assert spent == {"forward": 3.0, "backward": 2.0, "optimiser": 4.0}


def test_each_part_is_charged_to_the_clock_of_the_processor(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    now = iter(range(100))  # every look at the clock is a second later than the one before
    monkeypatch.setattr(training_speed.time, "process_time", lambda: next(now))
    spent = training_speed.measure(tiny_network(), 2, 64, 1, torch.float32)
    assert spent == dict.fromkeys(training_speed.PARTS, 1)
    assert next(now) == 2 * 2 * len(training_speed.PARTS)  # two steps, two looks a part
