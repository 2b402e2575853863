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


def test_a_larger_batch_takes_longer_and_the_optimiser_does_not() -> None:
    network = tiny_network()
    small, large = (training_speed.measure(network, batch, 64, 2, torch.float32) for batch in (1, 24))
    assert large["forward"] > 1.5 * small["forward"]
    assert set(small) == set(training_speed.PARTS)
