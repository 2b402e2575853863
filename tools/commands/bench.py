"""`bitfloor bench`: rate and distortion of any codecs on pictures or sounds; `compare`, `speed`, `speech-synthesis`."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import click

from ...codecs.seslm.wishes import TEMPERATURE, TEMPERATURES
from ...errors import UsageError
from ..console import QUIET, common_options, is_terminal, note, resume_hint, setting
from ..groups import DefaultGroup
from ..options import MODEL, PATH, POSITIVE, STREAM, TEXT, Number

DEFAULT_CODECS = {"picture": "mlicv2,jpeg,webp,avif,jpeg2000", "sound": "secodec,opus"}
WRITTEN = ("results.csv", "averages.csv", "summary.json", "table.md", "report.html", "json")
IF_HERE: dict[str, tuple[str, ...]] = {
    "picture": (),
    "sound": ("codec2",),
}  # measured too where their programs are installed


class BenchGroup(DefaultGroup):
    """Pictures instead of a subcommand mean `run`."""

    default = "run"


@click.group(cls=BenchGroup, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Measure codecs honestly: every number comes from a real file that was decoded again.

    `bitfloor bench IMAGES... --codecs jpeg,webp,avif --out DIR` is short for `bitfloor bench run …`;
    `bitfloor bench run --help` lists its options.
    """


@command.command()
@click.argument("inputs", metavar="FILE...", nargs=-1, type=PATH)
@click.option("--codecs", type=TEXT, help="Names with commas, as `jpeg,webp:method=4,compressai:mbt2018-mean`.")
@click.option("--exec", "programs", type=TEXT, multiple=True, metavar="'cjxl {in} {out.jxl} -q {q} => djxl {in} {out}'",
              help="A codec by its command lines. May be repeated.")  # fmt: skip
@click.option("-q", "--quality", multiple=True, metavar="[CODEC=]10,30 or 5:95:10", help="Qualities. May be repeated.")
@click.option("-o", "--out", type=PATH, default=Path("bench-out"), show_default=True)
@click.option("--metrics", type=TEXT, metavar="NAME,...",
              help="Of psnr,ms_ssim,ssimulacra2; pesq,stoi,si_sdr,log_mel,wer,speaker [all]; visqol.")  # fmt: skip
@click.option("--whisper", type=PATH, metavar="FOLDER",
              help="Model of faster-whisper, for wer. [BITFLOOR_WHISPER]")  # fmt: skip
@click.option(
    "--anchor",
    "anchors",
    type=TEXT,
    multiple=True,
    help="What BD-rates are taken against: a codec or a published curve.",
)
@click.option("--published", type=click.Choice(["auto", "always", "never"]), default="auto",
              help="Published curves beside the measured ones; auto: on Kodak.")  # fmt: skip
@click.option("--draw", type=TEXT, help="Published curves to draw, with commas.")
@click.option("--viewer", type=click.IntRange(0), default=3, show_default=True, help="Pictures in the report's viewer.")
@click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Measurements at a time.")
@click.option("--scheduler", default="", metavar="tcp://HOST:PORT", help="Measure on a Dask cluster.")
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True, help="Timed runs of a fast call.")
@click.option(
    "--timeout",
    type=POSITIVE,
    default=1800.0,
    show_default=True,
    help="Seconds after which a measurement failed.",
)
@click.option("--fresh", is_flag=True, help="Measure again what the output folder holds already.")
@click.option("--list", "show", is_flag=True, help="List codecs and published curves.")
@common_options
def run(*, inputs: tuple[Path, ...], show: bool, **settings: Any) -> None:
    """Measure pictures or sounds; a folder stands for its files. A stopped run goes on from there."""
    if show:
        _list()
        return
    if not inputs:
        raise UsageError("name the pictures or sounds to measure")
    from ..bench.finish import DRAWN, Presentation, finish
    from ..bench.run import Options, Runner, carry_out
    from ..bench.store import Store

    plan = _plan(inputs, settings)
    progress = is_terminal(sys.stderr) and not _quiet()
    options = Options(
        settings["jobs"],
        settings["scheduler"],
        settings["repeats"],
        settings["timeout"],
        progress,
        settings["fresh"],
    )
    out = _folder(settings["out"])
    resume_hint(f"the same command goes on from here, what was measured is kept in {out}")
    store = Store(out)
    drawn = tuple(settings["draw"].split(",")) if settings["draw"] else DRAWN
    wanted = Presentation(settings["anchors"], settings["published"], drawn, settings["viewer"])
    with Runner(options) as runner:
        results = carry_out(plan, store, runner)
        if results.reused:
            note(f"{results.reused} of {len(results.records)} results were there already, see --fresh")
        for line in finish(plan, results, store, runner, wanted):
            click.echo(line)


def _plan(inputs: tuple[Path, ...], settings: dict[str, Any]) -> Any:
    from ..bench.metrics import choose_metrics
    from ..bench.qualities import parse_qualities
    from ..bench.run import make_plan
    from ..bench.sound_metrics import choose_sound_metrics
    from ..bench.sources import find, open_all
    from ..bench.words import model_folder

    kind, paths = find(inputs)
    good, bad = open_all(paths, kind)
    for _, reason in bad:
        note(f"left out: {reason}")
    if not good:
        raise UsageError(f"none of the inputs can be read as a {kind}")
    chosen = settings["codecs"] or ("" if settings["programs"] else _default_codecs(kind))
    specs = [*filter(None, chosen.split(",")), *(f"exec:{program}" for program in settings["programs"])]
    names = tuple(settings["metrics"].split(",")) if settings["metrics"] else None
    whisper = model_folder(settings["whisper"]) if kind == "sound" else None
    metrics = choose_metrics(names) if kind == "picture" else choose_sound_metrics(names, whisper)
    return make_plan(
        kind,
        good,
        specs=specs,
        qualities=parse_qualities(settings["quality"]),
        metrics=metrics,
        bad_sources=bad,
        whisper=whisper,
    )


def _default_codecs(kind: Literal["picture", "sound"]) -> str:
    from ..bench.codecs import make

    found = [DEFAULT_CODECS[kind]]
    for name in IF_HERE[kind]:
        with suppress(UsageError):
            found.append(make(name).spec)
    return ",".join(found)


def _folder(out: Path) -> Path:
    """Make the folder of a run; raises UsageError where that cannot be, or would overwrite what no run made."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {out}: {error.strerror or error}") from None
    foreign = [name for name in WRITTEN if (out / name).exists()]
    if foreign and not (out / "records").is_dir():
        raise UsageError(f"{out / foreign[0]} is there, but no earlier run in {out}: name another folder with -o")
    return out


def _quiet() -> bool:
    from ..console import QUIET, setting

    return setting(click.get_current_context(silent=True), QUIET)


def _list() -> None:
    from ..bench.codecs import known, make
    from ..bench.published import curves

    for name in sorted(known()):
        if name == "exec":
            continue
        try:
            codec = make("compressai:mbt2018-mean" if name == "compressai" else name)
            click.echo(f"{name:<12} {codec.kind:<8} -q {codec.quality_unit}; {codec.version}")
        except Exception as error:
            click.echo(f"{name:<12} not here: {' '.join(str(error).split())}")
    click.echo("published curves (Kodak): " + ", ".join(curve.name for curve in curves()))


@command.command()
@click.argument("old", type=PATH)
@click.argument("new", type=PATH)
@click.option("--bd-rate", type=Number(0), default=0.5, show_default=True, help="Allowed rise of BD-rate in percent.")
@click.option(
    "--rate", type=Number(0), default=0.5, show_default=True, help="Allowed rise of a point's rate in percent."
)
@click.option(
    "--quality", type=Number(0), default=0.02, show_default=True, help="Allowed loss at a point, in dB or score."
)
@click.option(
    "--time",
    "factor",
    type=POSITIVE,
    help="Allowed factor of encode and decode time; else times are not compared.",
)
@click.option("--metric", "metrics", type=TEXT, multiple=True, default=("psnr", "ms_ssim_db"), show_default=True)
@click.option("--strict", is_flag=True, help="Improvements beyond the tolerance fail too.")
@common_options
def compare(*, old: Path, new: Path, metrics: tuple[str, ...], factor: float | None, **allowed: Any) -> None:
    """Say what changed from OLD to NEW, folders of two runs; exit with 1 where it is worse than allowed."""
    from ..bench.compare import Tolerances, compare, read_curves

    tolerances = Tolerances(time=factor, **allowed)
    changes = compare(read_curves(old), read_curves(new), tolerances, metrics)
    for change in changes:
        click.echo(("WORSE  " if change.bad else "       ") + change.text)
    if not changes:
        click.echo("no change")
    if any(change.bad for change in changes):
        sys.exit(1)


@command.command()
@click.argument("picture", type=PATH)
@click.option("--codecs", type=TEXT, help="Names with commas. [mlicv2, three of CompressAI's, avif, webp]")
@click.option("-q", "--quality", type=Number(), help="One quality for every codec; else the middle of each one's own.")
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True, help="Runs; the median one counts.")
@click.option("--threads", type=click.IntRange(1), help="Threads of the networks. [OMP_NUM_THREADS, else every core]")
@click.option("--json", "out", type=STREAM, help="Write the numbers into this file too.")
@click.option("-f", "--force", is_flag=True, help="Overwrite that file.")
@common_options
def speed(
    *,
    picture: Path,
    codecs: str | None,
    quality: float | None,
    repeats: int,
    threads: int | None,
    out: Path | None,
    force: bool,
) -> None:
    """Time the encode and decode of one picture by part: transform, entropy networks, range coder, rest.

    CompressAI's networks are taken with random weights, which will do for time.
    """
    import json

    from ...codecs.media.files import check_output, write_bytes
    from ..bench.speed import DEFAULT_CODECS, run_speed, table
    from ..pool import cores
    from ..threads import wished_threads

    if not picture.is_file():
        raise UsageError(f"there is no file {picture}")
    if out:
        check_output(out, force, picture)
    used = threads or wished_threads() or cores()
    speeds = list(run_speed(picture, codecs.split(",") if codecs else DEFAULT_CODECS, quality, repeats, used))
    for line in table(speeds, used):
        click.echo(line)
    if out:
        text = json.dumps([speed.as_dict() for speed in speeds], indent=1) + "\n"
        write_bytes(text.encode(), out, force)


@command.command("speech-synthesis")
@click.argument("table", type=PATH)
@click.option("--whisper", type=PATH, help="Folder of a Whisper model for faster-whisper. [BITFLOOR_WHISPER]")
@click.option("--temperature", type=Number(*TEMPERATURES), default=TEMPERATURE, show_default=True)
@click.option("--model", type=MODEL, help="Model: a name of `bitfloor models`, a file, or a folder with one.")
@common_options
def speech_synthesis(*, table: Path, whisper: Path | None, temperature: float, model: str | None) -> None:
    """Let a recogniser hear `bitfloor say` speak the texts of TABLE, and count the words that it gets wrong.

    TABLE has the columns file and text, divided by tabs. Beside that stand a text's own recording, where its file is
    there, and that recording after the speech codec.
    """
    from tqdm import tqdm

    from ...codecs.seslm.synthesis import Speaker
    from ..bench.speech_synthesis import read_texts, understand
    from ..bench.words import Recogniser, model_folder

    folder = model_folder(whisper)
    if folder is None:
        raise UsageError("name the folder of a Whisper model with --whisper")
    if find_spec("faster_whisper") is None:
        raise UsageError("a recogniser needs the package faster-whisper: pip install 'bitfloor[bench-speech]'")
    texts, speaker = read_texts(table), Speaker.load(model)
    quiet = setting(click.get_current_context(silent=True), QUIET)
    made = understand(texts, speaker, Recogniser(str(folder)), temperature)
    *_, last = tqdm(made, total=len(texts), unit="text", disable=quiet or None, file=sys.stderr)
    for line in last.lines():
        click.echo(line)
