"""The training loop: a budget of minutes or steps, a cosine to its end, and nothing lost when it stops."""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from . import checkpoint
from .optimizers import MatrixOptimizer
from .task import Task

LOG_EVERY = 50
CLIP_NORM = 1.0


@dataclass(frozen=True)
class Budget:
    """How long to train and how fast. Exactly one of minutes and steps is given."""

    minutes: float | None = None
    steps: int | None = None
    lr: float = 1e-3
    warmup: int = 300
    save_minutes: float = 4.0
    validate_minutes: float = 15.0
    seed: int = 0

    def learning_rate(self, step: int, progress: float) -> float:
        """Linear warm-up, then half a cosine down to a thousandth at progress 1."""
        warm = min(1.0, (step + 1) / self.warmup)
        return self.lr * warm * (0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


class Trainer:
    """Runs a task in `folder`, which then holds last.safetensors and log.csv. Call `run` to start or to resume."""

    def __init__(self, task: Task, budget: Budget, folder: Path, device: str = "cpu") -> None:
        self.task, self.budget, self.folder, self.device = task, budget, folder, torch.device(device)
        self.rank = int(os.environ.get("RANK", "0"))
        self.model = task.model.to(self.device)
        self.optimizer = MatrixOptimizer(self.model, budget.lr)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.step, self.seconds, self.skipped = 0, 0.0, 0
        self.total_steps, self.total_seconds = 0, 0.0
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def path(self) -> Path:
        """The checkpoint."""
        return self.folder / "last.safetensors"

    def resume(self, path: Path, new_budget: bool = False) -> None:
        """Go on from a checkpoint; with a new budget the schedule starts again, from the averaged weights."""
        parts, progress = checkpoint.load(path)
        checkpoint.fill(self.model, parts["average" if new_budget else "model"], path)
        self.average = {k: v.to(self.device) for k, v in parts["average"].items()}
        self.optimizer.load(parts["optimizer"])
        self.total_steps = int(str(progress["total_steps"]))
        self.total_seconds = float(str(progress["total_seconds"]))
        if not new_budget:
            self.step, self.seconds = int(str(progress["step"])), float(str(progress["seconds"]))
            self.total_seconds -= self.seconds  # the clock starts from them

    def restart_average(self) -> None:
        """Begin with the weights that the network has now."""
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}

    def run(self) -> None:
        """Train until the budget is spent. Interrupting saves first."""
        wrapped = self._wrap()
        rng = np.random.default_rng((self.budget.seed, self.rank, self.total_steps))
        torch.manual_seed(self.budget.seed + self.rank + self.total_steps)
        clock = _Clock(self.seconds, self.budget)
        try:
            for progress in self._steps(clock):
                self._one(wrapped, rng, progress, clock)
        finally:
            self._save(clock)

    def _steps(self, clock: _Clock) -> Iterator[float]:
        bar = tqdm(total=1000, unit="‰", disable=self.rank > 0, mininterval=5, desc="training")
        with bar:
            while (progress := self._agree(self._progress(clock))) < 1:
                bar.n = int(progress * 1000)
                bar.refresh() if self.step % LOG_EVERY == 0 else None
                yield progress

    def _progress(self, clock: _Clock) -> float:
        if self.budget.steps is not None:
            return self.step / self.budget.steps
        return clock.seconds / (60 * (self.budget.minutes or 1))

    def _agree(self, progress: float) -> float:
        """The same progress in all processes, or they would stop at different steps."""
        if not dist.is_initialized():
            return progress
        shared = torch.tensor(progress, device=self.device)
        dist.broadcast(shared, 0)
        return float(shared)

    def _one(self, model: nn.Module, rng: np.random.Generator, progress: float, clock: _Clock) -> None:
        inputs = tuple(x.to(self.device) for x in self.task.batch(rng, progress))
        lr = self.budget.learning_rate(self.step, progress)
        loss, figures = self.task.loss(model, inputs)
        self.optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        if torch.isfinite(norm):
            self.optimizer.step(lr)
            self._update_average()
        else:
            self.skipped += 1
        self.step += 1
        self.total_steps += 1
        if self.rank == 0:
            self._report({"lr": lr, "norm": float(norm), **figures}, clock)

    def _update_average(self) -> None:
        keep = min(0.999, (1 + self.step) / (10 + self.step))
        current = self.model.state_dict()
        learned = [name for name, _ in self.model.named_parameters()]
        averages = [self.average[name] for name in learned]
        torch._foreach_lerp_(averages, [current[name] for name in learned], 1 - keep)
        for name in current.keys() - set(
            learned
        ):  # buffers are replaced, not learned: a mean would be neither
            self.average[name].copy_(current[name])

    def _report(self, figures: dict[str, float], clock: _Clock) -> None:
        if self.step % LOG_EVERY == 0:
            self._log("log.csv", figures, clock)
        if clock.due("save", self.budget.save_minutes):
            self._save(clock)
        if clock.due("validate", self.budget.validate_minutes):
            self.validate(clock)

    def validate(self, clock: _Clock | None = None) -> dict[str, float]:
        """Figures of the averaged weights over held-out data, also appended to validation.csv."""
        own = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        figures = self.task.validate(self.model)
        self.model.load_state_dict(own)
        self._log("validation.csv", figures, clock or _Clock(self.seconds, self.budget))
        return figures

    def _log(self, name: str, figures: dict[str, float], clock: _Clock) -> None:
        row = {"step": self.total_steps, "seconds": round(clock.seconds), "skipped": self.skipped, **figures}
        path = self.folder / name
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if fresh:
                writer.writeheader()
            writer.writerow({k: f"{v:.6g}" for k, v in row.items()})

    def _save(self, clock: _Clock) -> None:
        if self.rank > 0:
            return
        progress: dict[str, object] = {
            "step": self.step,
            "seconds": clock.seconds,
            "total_steps": self.total_steps,
            "total_seconds": self.total_seconds + clock.seconds,
            "budget": asdict(self.budget),
        }
        checkpoint.save(self.path, self.model, self.average, self.optimizer, progress)

    def _wrap(self) -> nn.Module:
        """Several processes (torchrun) average their gradients; one needs nothing."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return self.model
        if not dist.is_initialized():
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        return DistributedDataParallel(self.model)


class _Clock:
    """Seconds spent on this budget, those before a resume included, and when something is due again."""

    def __init__(self, before: float, budget: Budget) -> None:
        self._start = time.monotonic() - before
        self._last = dict.fromkeys(("save", "validate"), time.monotonic())

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    def due(self, what: str, minutes: float) -> bool:
        if time.monotonic() - self._last[what] < 60 * minutes:
            return False
        self._last[what] = time.monotonic()
        return True
