"""What each part of MLICv2's entropy model is worth, on the frozen transforms of a trained network.

    python -m bitfloor.tools.context_ablation photos/ --test kodak/ --minutes 15 -o ablation

Every row lacks one part, and trains hyper synthesis, contexts and heads from random weights (with --warm from the
trained ones, where both networks have the part) for the same wall-clock minutes. Bytes are those of real files with 8
bits a weight, each decoded again, which verifies the check value of its latents. The row without skipping needs no
training: a rule that is no network changes nothing in it, so it codes with the weights of `whole`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from msgspec.structs import replace

from .. import weights
from ..codecs.image.config import ImageConfig
from ..codecs.image.frozen import ENTROPY, load_network
from ..codecs.image.presets import find
from ..entropy_models.latent.contexts.hyper_global import HyperGlobal
from ..entropy_models.latent.contexts.inter_attention import InterAttention
from ..entropy_models.latent.contexts.intra_attention import IntraAttention
from ..entropy_models.latent.slice_model import Slices
from ..entropy_models.parts import tag_of
from ..errors import BitfloorError, UsageError
from .bench.bd import BjontegaardError, Points, delta
from .bench.measure import Job, measure
from .options import PATH, POSITIVE, PathName
from .training.export_image import export_image
from .training.image import ImageTask
from .training.loop import Budget, Trainer
from .training.pictures import find_pictures
from .training.start import start_from

CODEC, MODEL = "mlicv2", "mlicv2-small"
QUALITIES = (10.0, 40.0, 70.0, 95.0)  # four, which a BD-rate needs
WHOLE, SKIP = "whole", "skip"
EXPORT_SHARE = 0.25  # of the pictures from which an export learns how to round

Row = dict[str, Any]


def whole(config: ImageConfig) -> ImageConfig:
    """A small network with all that MLICv2 has: the papers' global contexts in place of the thrifty ones, and HGCP."""
    kept = tuple(part for part in config.slices.contexts if tag_of(part) in ("channel", "local"))
    added = (
        HyperGlobal(),
        InterAttention(rope=True, reweight=True, width=64, head=16),
        IntraAttention(rope=True, reweight=True),
    )
    return replace(config, slices=replace(config.slices, contexts=(*kept, *added)))


def _drop(tag: str) -> Callable[[Slices], Slices]:
    return lambda slices: replace(slices, contexts=tuple(c for c in slices.contexts if tag_of(c) != tag))


def _switch_off(field: str) -> Callable[[Slices], Slices]:
    def change(slices: Slices) -> Slices:
        contexts: list[Any] = [*slices.contexts]
        off = [replace(part, **{field: False}) if hasattr(part, field) else part for part in contexts]
        return replace(slices, contexts=tuple(off))

    return change


def _without_residual(slices: Slices) -> Slices:
    head: Any = slices.head
    return replace(slices, head=replace(head, residual=0))


ROWS: dict[str, Callable[[Slices], Slices]] = {
    WHOLE: lambda slices: slices,
    "hyper-global": _drop("hyper_global"),
    "reweighting": _switch_off("reweight"),
    "rotary": _switch_off("rope"),
    SKIP: lambda slices: replace(slices, skip=None),
    "intra": _drop("intra_attention"),
    "inter": _drop("inter_attention"),
    "local": _drop("local"),
    "channel": _drop("channel"),
    "residual": _without_residual,
}


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=PathName(exists=True))
@click.option("--test", required=True, type=PathName(exists=True), help="Folder of other pictures.")
@click.option("--minutes", type=POSITIVE, required=True, help="Of training for every row.")
@click.option("--rows", default=",".join(ROWS), show_default=True, help="What to leave out; `whole` is always there.")
@click.option("--model", default=MODEL, show_default=True, help="Whose transforms are taken.")
@click.option("--preset", default="small", show_default=True, help="Of that model.")
@click.option("--warm", is_flag=True, help="Begin with the model's entropy networks, too.")
@click.option("--batch", default=16, show_default=True, help="Crops in a step.")
@click.option("--crop", default=128, show_default=True, help="Side of a crop.")
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True)
@click.option("--lr", type=POSITIVE, default=1e-3, show_default=True, help="Peak learning rate.")
@click.option("--seed", default=0, show_default=True)
@click.option("-o", "--out", type=PATH, required=True)
def command(pictures: tuple[Path, ...], test: Path, rows: str, out: Path, **settings: Any) -> None:
    """Train and measure the rows that OUT/results.json lacks, and write OUT/table.md."""
    wanted = dict.fromkeys((WHOLE, *rows.split(",")))
    unknown = wanted.keys() - ROWS.keys()
    if unknown:
        raise UsageError(f"no row {', '.join(sorted(unknown))}: there is {', '.join(ROWS)}")
    tested = find_pictures([test])
    described = {**settings, "qualities": list(QUALITIES), "test": [path.name for path in tested]}
    out.mkdir(parents=True, exist_ok=True)
    done = read_results(out / "results.json", described)
    for row in wanted:
        if row not in done:
            done[row] = make_row(row, pictures, tested, out, settings)
            _write(out / "results.json", json.dumps({"settings": described, "rows": done}, indent=1) + "\n")
        _write(out / "table.md", table(done))
    click.echo(table(done))


def read_results(path: Path, settings: Mapping[str, Any]) -> dict[str, Row]:
    """The rows that are there. Raises UsageError where they were made with other settings."""
    if not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["settings"] != settings:
        raise UsageError(f"{path} was made with other settings: name another folder with -o")
    return dict(found["rows"])


def make_row(row: str, pictures: Sequence[Path], tested: Sequence[Path], out: Path, settings: Row) -> Row:
    """Train, write the model, measure."""
    trainer = train(row, pictures, out / (WHOLE if row == SKIP else row), settings)
    folder = out / row
    if row == SKIP:
        trainer = _copied(trainer, row, pictures, folder, settings)
    model = export_image(folder, CODEC, pictures, f"without-{row}" if row != WHOLE else row, share=EXPORT_SHARE)
    network = trainer.task.model
    parameters = sum(p.numel() for part in ENTROPY for p in getattr(network, part).parameters())
    found = measured(model, tested)
    return {"parameters": parameters, "steps": trainer.total_steps, **found}


def train(row: str, pictures: Sequence[Path], folder: Path, settings: Row) -> Trainer:
    """A trainer whose budget is spent; one that was interrupted goes on."""
    trainer = _trainer(WHOLE if row == SKIP else row, pictures, folder, settings)
    if trainer.path.exists():
        trainer.resume(trainer.path)
    trainer.run()
    return trainer


def _trainer(row: str, pictures: Sequence[Path], folder: Path, settings: Row) -> Trainer:
    """On the frozen transforms of the model, nothing trained yet."""
    base = whole(find(settings["preset"], CODEC))
    torch.manual_seed(settings["seed"])
    config = replace(base, slices=ROWS[row](base.slices))
    crop = settings["crop"]
    task = ImageTask(config, pictures, settings["batch"], crop, crop * 3 // 2)
    trained = load_network(weights.find(CODEC, settings["model"]))
    fresh = {part: {k: v.clone() for k, v in getattr(task.network, part).state_dict().items()} for part in ENTROPY}
    start_from(trained, task.network)
    for part, module in task.network.named_children():
        if part in ENTROPY and not settings["warm"]:
            module.load_state_dict(fresh[part])
        module.requires_grad_(part in ENTROPY)
    budget = Budget(
        minutes=settings["minutes"], lr=settings["lr"], seed=settings["seed"], precision=settings["precision"]
    )
    return Trainer(task, budget, folder)


def _copied(trained: Trainer, row: str, pictures: Sequence[Path], folder: Path, settings: Row) -> Trainer:
    """The row's network with the weights of another one of the same parameters, as a checkpoint in its folder."""
    trainer = _trainer(row, pictures, folder, {**settings, "minutes": 1e-9})
    trainer.resume(trained.path)
    trainer.run()  # its budget is spent: it writes the checkpoint
    return trainer


def measured(model: Path, tested: Sequence[Path]) -> Row:
    """Mean bytes, bits a pixel, PSNR (dB) and seconds of decoding at each quality, by way of files.

    Raises:
        BitfloorError: where a file did not come back.
    """
    points: dict[str, list[float]] = {"bytes": [], "bpp": [], "psnr": [], "decode_s": []}
    for quality in QUALITIES:
        records = []
        for path in tested:
            job = Job(f"{CODEC}:model={model}", quality, str(path), "picture", ("psnr",), repeats=1)
            record = measure(job).record
            if record["status"] != "ok":
                raise BitfloorError(f"{model.name}, quality {quality:g}, {path.name}: {record['error']}")
            records.append((record["bytes"], record["rate"], record["metrics"]["psnr"], record["decode_s"]))
        for name, values in zip(points, zip(*records, strict=True), strict=True):
            points[name].append(float(np.mean(values)))
    return points


def table(done: Mapping[str, Row]) -> str:
    """Markdown: every row against the whole one."""
    reference = done[WHOLE]
    qualities = " | ".join(f"bytes at {quality:g}" for quality in QUALITIES)
    lines = [f"| without | BD-rate | {qualities} | PSNR | decode | parameters | steps |"]
    lines.append("|---" * (len(QUALITIES) + 6) + "|")
    for name, row in done.items():
        sizes = [100 * (new / old - 1) for new, old in zip(row["bytes"], reference["bytes"], strict=True)]
        cells = ["nothing" if name == WHOLE else name, _bd_rate(reference, row), *(f"{size:+.2f} %" for size in sizes)]
        cells.append(f"{np.mean(row['psnr']) - np.mean(reference['psnr']):+.3f} dB")
        cells.append(f"{np.mean(row['decode_s']):.3f} s")
        lines.append(f"| {' | '.join(cells)} | {row['parameters'] / 1e6:.2f} M | {row['steps']} |")
    return "\n".join(lines) + "\n"


def _bd_rate(reference: Row, row: Row) -> str:
    """The BD-rate of a row by its mean points, or a dash where none is defined."""
    anchor, test = (Points(name, r["bpp"], r["psnr"]) for name, r in (("whole", reference), ("row", row)))
    try:
        return f"{delta(anchor, test).rate_pchip:+.2f} %"
    except BjontegaardError:
        return "-"


def _write(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    command()
