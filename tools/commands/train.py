"""`bitfloor train`: train or resume a network on folders of your own data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import UsageError
from ..console import note
from ..options import MODEL, PATH, POSITIVE, SEED, TEXT, Number, PathName

if TYPE_CHECKING:
    from ..training.task import Task

COUNT = click.IntRange(1)
THOROUGH_MINUTES = 30  # of training, after which an export takes all the pictures that it likes


@click.command()
@click.argument("folders", nargs=-1, type=PathName(exists=True))
@click.option("--codec", type=TEXT, default="mlicv2", show_default=True, help="Codec to train.")
@click.option("--preset", type=TEXT, default="small", show_default=True, help="Of `bitfloor models --presets`.")
@click.option("--config", type=PATH, help="Pictures: a network in a JSON file instead.")
@click.option(
    "-o",
    "--out",
    type=PATH,
    default=Path(".training"),
    show_default=True,
    help="Folder for checkpoint and log.",
)
@click.option("--minutes", type=POSITIVE, help="Wall-clock budget; the learning rate reaches its end with it.")
@click.option("--steps", type=COUNT, help="Budget in steps instead.")
@click.option("--lr", type=POSITIVE, default=1e-3, show_default=True, help="Peak learning rate.")
@click.option("--batch", type=COUNT, default=16, show_default=True, help="Crops or clips in a step.")
@click.option("--crop", type=COUNT, default=128, show_default=True, help="Side of a picture's crop, a multiple of 64.")
@click.option("--resume", is_flag=True, help="Go on with the checkpoint in the folder under its old schedule.")
@click.option("--restart", is_flag=True, help="Go on with its averaged weights under a new schedule.")
@click.option("--from", "start", type=MODEL, help="Begin with this model: a name or a path.")
@click.option("--imitate", type=MODEL, help="Pictures: learn the latents of this model in the first 40 % of the run.")
@click.option("--export", is_flag=True, help="Only write the model of the checkpoint in the folder, or of --from.")
@click.option("--name", type=TEXT, help="Name of the model that is written [default: CODEC-FINGERPRINT].")
@click.option("--rule", default="nearest", show_default=True, help="Speech: nearest or structural.")
@click.option("--codes", type=COUNT, help="Speech: codes of layer 1, by k-means; else structural entropy finds them.")
@click.option("--keep-codebooks", is_flag=True, help="Speech, after --from or --restart: find no codebooks anew.")
@click.option("--neighbours", type=COUNT, default=10, show_default=True, help="Speech: in the graph; fewer give more.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="Of matrix products; auto measures which is faster here.",
)
@click.option("--drawings", type=Number(0, 1), default=0.1, show_default=True, help="Pictures: share of drawn crops.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--seed", type=SEED, default=0, show_default=True)
def command(
    folders: tuple[Path, ...],
    codec: str,
    preset: str,
    config: Path | None,
    out: Path,
    minutes: float | None,
    steps: int | None,
    lr: float,
    batch: int,
    crop: int,
    resume: bool,
    restart: bool,
    start: str | None,
    imitate: str | None,
    export: bool,
    name: str | None,
    rule: str,
    codes: int | None,
    keep_codebooks: bool,
    neighbours: int,
    precision: str,
    drawings: float,
    device: str,
    seed: int,
) -> None:
    """Train a network on the pictures or speech in FOLDERS and write it as a model that the codec loads.

    The folder gets last.safetensors (checkpoint), log.csv, validation.csv and at the end the model with its
    card. `--model FOLDER` of other commands takes it from there; decode finds it by itself in the folders that
    BITFLOOR_MODELS names. Several processes: start it with torchrun. For speech
    a JSON index may stand for a folder: a list of objects with file, source and speaker.

    The speech codec takes two or three runs with the same -o: --codec secodec; then, if time allows, --codec
    secodec-adversarial, which trains its decoder against discriminators; then --codec secodec-tokens, which trains
    the model of its tokens and writes the model. --codec seslm trains what `bitfloor say` speaks with, on files that
    `python -m bitfloor.tools.training.aligned_speech` makes.

    A picture model is written with 8 bits a weight: how to round them is learned from FOLDERS, and what it costs is
    measured there, on pictures that no training sees.
    """
    if not export and not folders:
        raise UsageError("name at least one folder with pictures or speech")
    if not export and (minutes is None) == (steps is None):
        raise UsageError("give either --minutes or --steps")
    from ..training.export_image import export_image
    from ..training.export_secodec import STAGES, export_secodec
    from ..training.export_seslm import export_seslm
    from ..training.loop import Budget, Trainer, check_folder
    from ..training.model_card import check_name
    from ..training.precision import check_device
    from ..training.tasks import SpeechOptions, check_codec, is_picture_codec, make_task

    pictures = is_picture_codec(codec)
    if config is not None and not pictures:
        raise UsageError("--config is for codecs of pictures")
    if imitate is not None and not pictures:
        raise UsageError("--imitate is for codecs of pictures")
    if start is not None and not (pictures or (codec == "secodec" and not export)):
        raise UsageError("--from takes a model of pictures, or of secodec to begin a training")
    check_codec(codec, preset)
    if name is not None:
        check_name(codec.partition("-")[0], name)

    def write() -> Path:
        if pictures:
            share = 1.0 if export or minutes is None else min(1.0, minutes / THOROUGH_MINUTES)
            return export_image(out, codec, folders, name, start if export else None, share)
        if codec == "seslm":
            return export_seslm(out, folders, name)
        return export_secodec(out, preset, name)

    if export:
        click.echo(write())
        return
    check_device(device)
    folder = out / STAGES.get(codec, "")
    check_folder(folder, go_on=resume or restart)
    speech = SpeechOptions(rule, codes, neighbours, keep_codebooks)
    trainer = Trainer(
        make_task(
            codec,
            preset,
            folders,
            batch=batch,
            crop=crop,
            folder=out,
            speech=speech,
            drawings=drawings,
            config=config,
            teacher=imitate,
            device=device,
        ),
        Budget(minutes=minutes, steps=steps, lr=lr, seed=seed, precision=precision),
        folder,
        device,
    )
    if resume or restart:
        trainer.resume(trainer.path, new_budget=restart)
    elif start is not None:
        _begin_with(start, codec, trainer.task)
        trainer.restart_average()
    trainer.run()
    if trainer.rank == 0:
        for figure, value in trainer.validate().items():
            click.echo(f"{figure} {value if isinstance(value, int) else format(value, '.4f')}")
        writing = pictures or codec in ("secodec-tokens", "seslm")  # the other trainings have a next stage
        click.echo(write() if writing else trainer.path)


def _begin_with(model: str, codec: str, task: Task) -> None:
    """Give the network of `task` the weights of a model of `codec`."""
    from ...codecs.image.frozen import load_network
    from ...codecs.secodec.codec import SECodecCodec
    from ..training.image import ImageTask
    from ..training.secodec import SECodecTask
    from ..training.start import picture_model, start_from

    if isinstance(task, ImageTask):
        note(f"from {model}: {start_from(load_network(picture_model(model, codec)), task.network)}")
    elif isinstance(task, SECodecTask):
        task.begin_with(SECodecCodec.load(model).network)


if __name__ == "__main__":
    command()
