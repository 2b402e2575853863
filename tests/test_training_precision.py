"""Precision is chosen by measuring, and training says at once what it does and what to expect."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bitfloor.tools.training import precision
from bitfloor.tools.training.loop import Budget, Trainer


class Line:
    """A task that fits a line, as quickly as a task can be."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model: nn.Module = nn.Linear(4, 1)
        self.dtype = torch.float32
        self.config = "{}"
        self.allowed: list[float] = []

    def batch(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, ...]:
        x = torch.from_numpy(rng.standard_normal((16, 4))).float()
        return x, x.sum(1, keepdim=True)

    def loss(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        loss = (model(inputs[0]) - inputs[1]).square().mean()
        return loss, {"loss": loss.detach()}

    def validate(self, model: nn.Module, seconds: float) -> dict[str, float]:
        self.allowed.append(seconds)
        return {"loss": 0.0}


@pytest.mark.parametrize(("slow", "chosen"), [(torch.bfloat16, torch.float32), (torch.float32, torch.bfloat16)])
def test_the_faster_precision_is_chosen(
    slow: torch.dtype, chosen: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_time", lambda dtype, device: 2.0 if dtype == slow else 1.0)
    precision.fastest.cache_clear()
    assert precision.choose("auto", torch.device("cpu")) == chosen
    assert precision.choose("float32", torch.device("cpu")) == torch.float32
    assert precision.choose("bfloat16", torch.device("cpu")) == torch.bfloat16
    precision.fastest.cache_clear()
    with pytest.raises(ValueError, match="no precision 'half'"):
        precision.choose("half", torch.device("cpu"))


def test_the_measurement_is_short_and_agrees_with_a_longer_one() -> None:
    device = torch.device("cpu")
    times = {dtype: precision._time(dtype, device) for dtype in (torch.float32, torch.bfloat16)}
    if max(times.values()) < 3 * min(times.values()):
        pytest.skip("this processor hardly prefers one of them")
    precision.fastest.cache_clear()
    assert precision.fastest(device) == min(times, key=lambda dtype: times[dtype])


def test_the_first_lines_come_at_once_and_few_steps_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Trainer(Line(), Budget(minutes=0.02, warmup=10**6), tmp_path).run()
    said = capsys.readouterr().err
    assert "training in " in said and " threads" in said
    assert "steps a second: about " in said
    assert "that is little" in said
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert rows[0]["step"] == "1" and float(rows[0]["loss"]) > 0


def test_validation_is_part_of_the_budget(tmp_path: Path) -> None:
    task = Line()
    budget = Budget(minutes=3)
    assert budget.progress(0, 3 * 60 - budget.validation_seconds) == 1
    Trainer(task, budget, tmp_path).validate()
    assert task.allowed == [9.0]
    assert Budget(minutes=600).validation_seconds == 120


def test_warm_up_ends_within_a_tenth_of_a_short_run() -> None:
    budget = Budget(minutes=1, lr=1.0, warmup=300)
    assert budget.learning_rate(5, 0.1) > 0.9
    assert budget.learning_rate(5, 0.01) < 0.15
    assert budget.learning_rate(299, 0.01) > 0.99


def test_the_export_after_a_short_training_is_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from bitfloor.tools.commands import train
    from bitfloor.tools.training import export_image, loop, tasks

    shares: list[float] = []
    monkeypatch.setattr(tasks, "make_task", lambda *args, **options: Line())
    monkeypatch.setattr(loop.Trainer, "run", lambda self: None)
    monkeypatch.setattr(export_image, "export_image", lambda *args: shares.append(args[-1]) or tmp_path)
    for number, options in enumerate((["--minutes", "3"], ["--minutes", "60"], ["--steps", "5"])):
        done = CliRunner().invoke(train.command, [str(tmp_path), *options, "-o", str(tmp_path / str(number))])
        assert done.exit_code == 0, done.output
    assert shares == [0.1, 1.0, 1.0]
