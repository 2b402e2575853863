"""Several picture networks trained at once on one GPU, as the shipped ones were.

    python -m bitfloor.tools.train_together photos/ --minutes 10 -o OUT \\
        --network s2lic-small,from=s2lic-small --network mlicv2-small,from=mlicv2-small
    bitfloor train photos/ --codec s2lic -o OUT/s2lic-small --export

A network is a preset, and after commas: from=MODEL to begin with, imitate=MODEL (see `bitfloor train`), batch=16,
crop=256, name=NAME of its folder below OUT. Pictures lie in the GPU's memory, every step is one CUDA graph, and graphs
of different networks run beside each other: on an H100 three small networks with 16 crops of 256x256 made 38 steps a
second together while five more with crops of 128x128 made 42 (bfloat16). Networks after --beside run at lower priority
for --share of the time, all the same number of steps: for comparisons.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

import click
import torch
from tqdm import tqdm

from ..codecs.image.frozen import load_network
from ..codecs.image.presets import all_presets
from ..errors import BitfloorError, UsageError
from .options import PATH, POSITIVE, PathName
from .training import checkpoint
from .training.captured import CapturedTraining
from .training.device_crops import DeviceCrops
from .training.image import IMITATION, ImageTask
from .training.loop import check_folder
from .training.pictures import RandomCrops, find_pictures, is_held_out, load_pictures
from .training.precision import check_device, choose
from .training.start import picture_model, start_from

OPTIONS = ("from", "imitate", "batch", "crop", "name")
WARM_STEPS = 200
LAST = 0.002  # of the peak learning rate, at the end of its cosine
SAID_SECONDS = 15.0
SAVED_SECONDS = 180.0


class Member:
    """One of the networks: its options, its training and its folder."""

    def __init__(self, words: str, out: Path, pictures: Sequence[Path], precision: str, device: torch.device) -> None:
        preset, *pairs = words.split(",")
        self.options = dict(pair.partition("=")[::2] for pair in pairs)
        if unknown := self.options.keys() - set(OPTIONS):
            raise UsageError(f"no option {', '.join(sorted(unknown))} of a network: there is {', '.join(OPTIONS)}")
        if preset not in all_presets():
            raise UsageError(f"no preset '{preset}': there is {', '.join(all_presets())}")
        self.name, self.codec = self.options.get("name", preset), preset.partition("-")[0]
        self.folder = out / self.name
        check_folder(self.folder, go_on=False)
        teacher = self.options.get("imitate")
        known = None if teacher is None else load_network(picture_model(teacher, self.codec))
        self.task = ImageTask(all_presets()[preset], pictures, self.batch, self.crop, self.crop, teacher=known)
        self.task.dtype = choose(precision, device)
        if start := self.options.get("from"):
            begun = start_from(load_network(picture_model(start, self.codec)), self.task.network)
            click.echo(f"{self.name} from {start}: {begun}")
        self.task.network.to(device)
        if self.task.teacher is not None:
            self.task.teacher.to(device)

    @property
    def batch(self) -> int:
        """Crops in a step."""
        return _count(self.options, "batch", 16)

    @property
    def crop(self) -> int:
        """Side of a crop."""
        return _count(self.options, "crop", 256)

    def prepare(self, crops: DeviceCrops, seed: int, priority: int) -> None:
        """Record the step."""
        self.training = CapturedTraining(self.task, crops, self.batch, self.crop, seed, priority)
        self.training.record()

    def go(self, lr: float, progress: float) -> None:
        """One step, `progress` (0..1) of the way."""
        warm = min(1.0, (self.training.steps + 1) / WARM_STEPS)
        rate = lr * warm * (LAST + (1 - LAST) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))
        self.training.go(rate, imitating=self.task.teacher is not None and progress < IMITATION)

    def save(self, seconds: float, lr: float) -> None:
        """A checkpoint in the folder, as `bitfloor train` writes it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        budget = {"minutes": seconds / 60, "lr": lr, "batch": self.batch, "crop": self.crop}
        steps = self.training.steps
        progress: dict[str, object] = {
            "step": steps, "seconds": seconds, "total_steps": steps, "total_seconds": seconds, "budget": budget,
        }  # fmt: skip
        path = self.folder / "last.safetensors"
        checkpoint.save(
            path, self.task.network, self.training.average(), self.training.optimizer, progress, self.task.config
        )

    def __str__(self) -> str:
        figures = " ".join(f"{name} {float(value):.4g}" for name, value in self.training.figures.items())
        return f"{self.name}: {self.training.steps:,} steps, {figures}"


def _count(options: dict[str, str], name: str, usual: int) -> int:
    text = options.get(name, str(usual))
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"{name}={text} is no whole number above 0")
    return int(text)


@click.command()
@click.argument("folders", nargs=-1, required=True, type=PathName(exists=True))
@click.option("--network", "networks", multiple=True, required=True, metavar="PRESET[,from=MODEL]…")
@click.option("--beside", multiple=True, metavar="PRESET[,…]", help="At lower priority, for a share of the time.")
@click.option("--share", type=click.FloatRange(0, 1, min_open=True), default=0.5, show_default=True)
@click.option("--minutes", type=POSITIVE, required=True, help="Wall-clock time, reading and recording included.")
@click.option("--lr", type=POSITIVE, default=1e-3, show_default=True, help="Peak learning rate.")
@click.option("--drawings", type=click.FloatRange(0, 1), default=0.1, show_default=True)
@click.option("--precision", type=click.Choice(["auto", "float32", "bfloat16"]), default="auto", show_default=True)
@click.option("--device", default="cuda", show_default=True)
@click.option("-o", "--out", type=PATH, required=True)
def main(
    folders: tuple[Path, ...],
    networks: tuple[str, ...],
    beside: tuple[str, ...],
    share: float,
    minutes: float,
    lr: float,
    drawings: float,
    precision: str,
    device: str,
    out: Path,
) -> None:
    """Train the networks on the pictures in FOLDERS; each has a folder below OUT with a checkpoint."""
    start = time.monotonic()
    try:
        check_device(device)
        place = torch.device(device)
        paths = [p for p in find_pictures(folders) if not is_held_out(p)]
        few = paths[:1]  # a task of its own pictures is not needed: all draw from the same
        first, others = ([Member(w, out, few, precision, place) for w in words] for words in (networks, beside))
        members = [*first, *others]
        if len({m.name for m in members}) < len(members):
            raise UsageError("two networks have one name: give name=NAME")
        pictures = RandomCrops(load_pictures(paths), drawings)
        side = max(member.crop for member in members)
        if side > pictures.largest:
            raise UsageError(f"no picture has {side} pixels in height and width: give a smaller crop=")
        crops = DeviceCrops(pictures, side, place)
        for number, member in enumerate(members):
            member.prepare(crops, *((number, -3) if member in first else (len(first), 0)))
        train(first, others, 60 * minutes - (time.monotonic() - start), share, lr)
    except BitfloorError as error:
        raise click.ClickException(str(error)) from error


def train(first: Sequence[Member], others: Sequence[Member], seconds: float, share: float, lr: float) -> None:
    """Steps of all for so many seconds; checkpoints at times and at the end."""
    start = said = saved = time.monotonic()
    running = list(others)
    bar = tqdm(total=1000, unit="‰", mininterval=5, desc="training")
    while (progress := (time.monotonic() - start) / seconds) < 1:
        bar.update(int(1000 * progress) - bar.n)
        busy = True
        for member in first:
            if member.training.ready:
                member.go(lr, progress)
                busy = False
        if running and progress >= share:
            _finish(running, share * seconds, lr)
            running = []
        elif running and all(member.training.ready for member in running):
            for member in running:
                member.go(lr, progress / share)
            busy = False
        now = time.monotonic()
        if now - said > SAID_SECONDS:
            said = now
            bar.write("\n".join(map(str, [*first, *running])))
        if now - saved > SAVED_SECONDS:
            saved = now
            for member in first:
                member.save(now - start, lr)
        if busy:
            time.sleep(0.0003)
    _finish([*first, *running], seconds, lr)
    bar.close()


def _finish(members: Sequence[Member], seconds: float, lr: float) -> None:
    for member in members:
        member.save(seconds, lr)
        click.echo(f"{member}: {json.dumps(str(member.folder))}")


if __name__ == "__main__":
    main()
