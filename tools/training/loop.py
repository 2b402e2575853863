"""The training loop: a budget of minutes or steps, a cosine to its end, and nothing lost when it stops.

Validation is part of a budget in minutes: the clock goes on during it, and the last one has its time set aside. A
processor that manages few steps warms up within a tenth of the run and says how many steps to expect.
"""

from __future__ import annotations

import csv
import math
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from ...errors import UsageError
from . import checkpoint
from .curves import tensorboard, write_page
from .optimizers import MatrixOptimizer
from .precision import choose
from .task import Task

CHECKPOINT = "last.safetensors"
LOG_SECONDS = 30.0
CLIP_NORM = 1.0
WARM_SHARE = 0.1  # of the run, after which warm-up ends though its steps are not done
VALIDATION_SHARE, VALIDATION_SECONDS = 0.05, 120.0  # what one validation may take: the smaller of the two
SPEED_STEPS = 3  # after which the first steps a second are known; the very first step is not counted


@dataclass(frozen=True)
class Budget:
    """How long to train and how fast. Exactly one of minutes and steps is given.

    Attributes:
        lr: peak learning rate.
        warmup: steps of linear warm-up, or a tenth of the run where that is shorter.
        precision: "auto", "float32" or "bfloat16", see `precision.choose`.
    """

    minutes: float | None = None
    steps: int | None = None
    lr: float = 1e-3
    warmup: int = 300
    save_minutes: float = 4.0
    validate_minutes: float = 15.0
    seed: int = 0
    precision: str = "auto"

    @property
    def validation_seconds(self) -> float:
        """What one validation may take."""
        share = VALIDATION_SHARE * 60 * self.minutes if self.minutes is not None else VALIDATION_SECONDS
        return min(share, VALIDATION_SECONDS)

    def progress(self, step: int, seconds: float) -> float:
        """Share of the training that is over after `step` steps and `seconds` seconds."""
        if self.minutes is None:
            return step / (self.steps or 1)
        return seconds / (60 * self.minutes - self.validation_seconds)

    def learning_rate(self, step: int, progress: float) -> float:
        """Linear warm-up, then half a cosine down to a thousandth at progress 1."""
        warm = min(1.0, max((step + 1) / self.warmup, progress / WARM_SHARE))
        return self.lr * warm * (0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def check_folder(folder: Path, go_on: bool) -> None:
    """Raise UsageError where no run can begin in `folder`, or none go on; asked before data are read."""
    path = folder / CHECKPOINT
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise UsageError(f"{place} is a file: name a folder with -o")
    if go_on and not path.is_file():
        raise UsageError(f"there is no checkpoint {path} to go on with")
    if path.exists() and not go_on:
        raise UsageError(f"{path} exists: add --resume or --restart, or name another folder with -o")


class Trainer:
    """Runs a task in `folder`, which then holds last.safetensors and log.csv. Call `run` to start or to resume."""

    def __init__(self, task: Task, budget: Budget, folder: Path, device: str = "cpu") -> None:
        self.task, self.budget, self.folder, self.device = task, budget, folder, torch.device(device)
        self.rank = int(os.environ.get("RANK", "0"))
        self.model = task.model.to(self.device)
        self.dtype = task.dtype = choose(budget.precision, self.device)
        self.optimizer = MatrixOptimizer(self.model, budget.lr, self.dtype)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.step, self.seconds, self.skipped = 0, 0.0, 0
        self._logged = (0, 0.0)  # step and seconds of the last line
        self.total_steps, self.total_seconds = 0, 0.0
        folder.mkdir(parents=True, exist_ok=True)
        self._events = tensorboard(folder) if self.rank == 0 else None

    @property
    def path(self) -> Path:
        """The checkpoint."""
        return self.folder / CHECKPOINT

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
        clock = _Clock(self.seconds)
        self._say(f"training in {str(self.dtype).removeprefix('torch.')} with {torch.get_num_threads()} threads")
        try:
            with _Ahead(self, rng) as batches:
                for progress in self._steps(clock):
                    self._one(wrapped, batches.next(progress), progress, clock)
        finally:
            self._save(clock)

    def _steps(self, clock: _Clock) -> Iterator[float]:
        first, started, start = True, self.step, clock.seconds
        with tqdm(total=1000, unit="‰", disable=self.rank > 0, mininterval=5, desc="training") as bar:
            while (progress := self._agree(self._progress(clock))) < 1:
                bar.n = int(progress * 1000)
                bar.update(0)
                yield progress
                done = self.step - started
                if done == 1 and first:
                    start = clock.seconds
                elif done > SPEED_STEPS and first:
                    first = False
                    self._foretell((done - 1) / (clock.seconds - start), clock)

    def _foretell(self, rate: float, clock: _Clock) -> None:
        """Say how fast it goes and what is to be expected of the budget."""
        if self.budget.minutes is None:
            left = ((self.budget.steps or 0) - self.step) / rate
            self._say(f"{rate:.2f} steps a second: about {left / 60:.0f} minutes to go")
            return
        left = 60 * self.budget.minutes - self.budget.validation_seconds - clock.seconds
        expected = self.step + int(rate * left)
        self._say(f"{rate:.2f} steps a second: about {expected:,} steps in {self.budget.minutes:g} minutes")
        if expected < 3 * self.budget.warmup:
            self._say(
                f"that is little: warm-up alone is meant to take {self.budget.warmup} steps; give it more minutes"
            )

    def _say(self, line: str) -> None:
        if self.rank == 0:
            tqdm.write(line, file=sys.stderr)

    def _progress(self, clock: _Clock) -> float:
        return self.budget.progress(self.step, clock.seconds)

    def _agree(self, progress: float) -> float:
        """The same progress in all processes, or they would stop at different steps."""
        if not dist.is_initialized():
            return progress
        shared = torch.tensor(progress, device=self.device)
        dist.broadcast(shared, 0)
        return float(shared)

    def _one(self, model: nn.Module, batch: tuple[Tensor, ...], progress: float, clock: _Clock) -> None:
        inputs = tuple(x.to(self.device, non_blocking=True) for x in batch)
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
            self._report({"lr": lr, "norm": norm, **figures}, clock)

    def _update_average(self) -> None:
        keep = min(0.999, (1 + self.step) / (10 + self.step))
        current = self.model.state_dict()
        learned = [name for name, _ in self.model.named_parameters()]
        averages = [self.average[name] for name in learned]
        torch._foreach_lerp_(averages, [current[name] for name in learned], 1 - keep)
        for name in current.keys() - set(learned):  # buffers are counted or chosen, not learned: the newest holds
            self.average[name].copy_(current[name])

    def _report(self, figures: dict[str, float | Tensor], clock: _Clock) -> None:
        if self.step == 1 or clock.due("log", LOG_SECONDS):
            rate = (self.step - self._logged[0]) / max(clock.seconds - self._logged[1], 1e-9)
            self._logged = (self.step, clock.seconds)
            self._log("log.csv", {"rate": rate, **{k: float(v) for k, v in figures.items()}}, clock)
        if clock.due("save", 60 * self.budget.save_minutes):
            self._save(clock)
        if clock.due("validate", 60 * self.budget.validate_minutes):
            self.validate(clock)

    def validate(self, clock: _Clock | None = None) -> dict[str, float]:
        """Figures of the averaged weights over held-out data, also appended to validation.csv."""
        own = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        figures = self.task.validate(self.model, self.budget.validation_seconds)
        self.model.load_state_dict(own)
        self._log("validation.csv", figures, clock or _Clock(self.seconds))
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
        if self._events is not None:
            for key, value in figures.items():
                self._events.add_scalar(f"{path.stem}/{key}", value, self.total_steps)

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
        checkpoint.save(self.path, self.model, self.average, self.optimizer, progress, self.task.config)
        write_page(self.folder)

    def _wrap(self) -> nn.Module:
        """Several processes (torchrun) average their gradients; one needs nothing."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return self.model
        if not dist.is_initialized():
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        return DistributedDataParallel(self.model)


class _Ahead:
    """Makes the next batch in a thread of its own while a step runs."""

    def __init__(self, trainer: Trainer, rng: np.random.Generator) -> None:
        self._task, self._rng = trainer.task, rng
        self._pool = ThreadPoolExecutor(1)
        self._waiting: Future[tuple[Tensor, ...]] | None = None

    def __enter__(self) -> _Ahead:
        return self

    def __exit__(self, *unused: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def next(self, progress: float) -> tuple[Tensor, ...]:
        """The batch that was asked for a step ago; the one after it is begun."""
        batch = self._waiting or self._pool.submit(self._task.batch, self._rng, progress)
        ready = batch.result()
        self._waiting = self._pool.submit(self._task.batch, self._rng, progress)
        return ready


class _Clock:
    """Seconds spent on this budget, those before a resume included, and when something is due again."""

    def __init__(self, before: float) -> None:
        now = time.monotonic()
        self._start = now - before
        self._last: dict[str, float] = dict.fromkeys(("log", "save", "validate"), now)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    def due(self, what: str, seconds: float) -> bool:
        if time.monotonic() - self._last[what] < seconds:
            return False
        self._last[what] = time.monotonic()
        return True
