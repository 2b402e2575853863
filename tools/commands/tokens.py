"""`bitfloor tokens`: speech as tokens for other programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...codecs.media.files import format_suffix, is_stream, shown_name, write_bytes
from ...errors import UsageError
from ..console import QUIET, common_options, note, setting
from ..gather import gather
from ..jobs import Existing, Job, Sizes, changed, is_due, plan
from ..options import JOBS_OPTION, MODEL, STREAM, TARGET, TEXT
from ..suffixes import SOUNDS, stem
from ..tally import Tally
from ..threads import threads_option

if TYPE_CHECKING:
    from ..tokens.batches import Tokens, Wish

EACH = {"npy": ".npy", "json": ".json"}  # formats of one file for each sound
ALL = {"parquet": ".parquet", "webdataset": ".tar"}  # formats of one file for all
FORMATS = EACH | ALL


@click.command()
@click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=STREAM)
@click.option(
    "-o",
    "--out",
    type=TARGET,
    help='File, whose suffix says the format (.npy, .json, .parquet, .tar), or folder. [IN.npy; "-" for "-"]',
)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), help="Format, where no suffix says it. [npy]")
@click.option("--layers", type=click.IntRange(1), help="Layers of tokens. [all]")
@click.option("--model", type=MODEL, help="Model: a name of `bitfloor models`, a file, or a folder with one.")
@click.option("--device", type=TEXT, help="Where the networks run, as cuda:0. [cpu]")
@JOBS_OPTION
@click.option("--batch", type=click.IntRange(1, 4096), default=32, show_default=True, help="Files taken at a time.")
@click.option("-f", "--force", is_flag=True, help="Overwrite.")
@click.option("--skip-existing", "--resume", "skip_existing", is_flag=True, help="Leave out what is done already.")
@click.option("--recursive", is_flag=True, help="Of a folder take the folders in it too.")
@threads_option
@common_options
def command(
    *,
    inputs: tuple[Path, ...],
    out: str | None,
    form: str | None,
    layers: int | None,
    model: str | None,
    device: str | None,
    workers: int,
    batch: int,
    force: bool,
    skip_existing: bool,
    recursive: bool,
) -> None:
    """Write the tokens of each IN, a sound, a compressed one, or all sounds of a folder: 50 rows of codes a second.

    Layer 1 holds most of what is said, the others how it sounds. `bitfloor continue` turns them back into sound.
    An .npy file holds the tokens alone, (frames, layers); a .json file also how loud the sound is. A .parquet file
    has a row for each sound; a .tar file, as WebDataset reads them, an .npy and a .json.

    A run that was interrupted goes on with --skip-existing.

    Codes are chosen by what they cost beside the other layers, so the three layers of `--layers 3` of a sound are not
    the first three of eight; of a compressed sound, whose tokens are chosen already, they are.
    """
    existing = Existing(force, skip_existing)
    form = _format(out, form, inputs)
    found = gather(inputs, recursive, SOUNDS)
    target = _single_target(out, form) if form in ALL else None
    suffix = FORMATS[form]
    planned = [] if target else plan(found, inputs, out, lambda source, below, whole: _name(below, whole, suffix))

    from ..tokens.batches import Wish

    wish = Wish(model, layers, device)
    if len(found) > 1 or target is not None:
        _check(wish)
    if target is not None:
        from ..tokens.collect import collect
        from ..tokens.formats import COLLECTIONS

        collect(found, target, COLLECTIONS[form], wish, workers=workers, batch=batch, existing=existing)
    elif len(planned) == 1:
        _one(planned[0], wish, suffix, existing)
    else:
        _each(planned, wish, suffix, existing, workers=workers, batch=batch)


def _format(out: str | None, form: str | None, inputs: Sequence[Path]) -> str:
    """One of `FORMATS`. Raises UsageError for a suffix that has none, or another than `form`."""
    if out is None or out.endswith("/") or os.path.isdir(out):
        return form or "npy"
    suffix = format_suffix(out, FORMATS.values(), FORMATS[form or "npy"])
    found = next((name for name, known in FORMATS.items() if known == suffix), None)
    several = len(inputs) > 1 or any(os.path.isdir(path) for path in inputs)
    if several and not os.path.splitext(out)[1]:
        return form or "npy"  # a folder to be made
    if found is None:
        raise UsageError(f"tokens go into {', '.join(FORMATS.values())}, not {suffix}")
    if form not in (None, found):
        raise UsageError(f"{out} is no {form} file by its name: {FORMATS[form or found]} is what those end in")
    if several and found in EACH and not is_stream(out):
        raise UsageError(f"several sounds go into a folder, as -o {stem(out)}/, or into one .parquet or .tar file")
    return found


def _single_target(out: str | None, form: str) -> Path:
    """The file for all sounds. Raises UsageError where none is named."""
    if out is None or out.endswith("/") or os.path.isdir(out):
        raise UsageError(f"name the file for all sounds, as -o {os.path.join(out or '', 'tokens' + FORMATS[form])}")
    return Path(out)


def _name(below: Path, whole: bool, suffix: str) -> str:
    """See `jobs.Namer`."""
    return (below.name if whole else stem(below.name)) + suffix


def _check(wish: Wish) -> None:
    """Say what is wrong with the wish itself once, before the work starts."""
    from ...codecs.secodec.batch import check_device
    from ...codecs.secodec.codec import SECodecCodec

    SECodecCodec.load(wish.model).check_layers(wish.layers)
    if wish.device is not None:
        check_device(wish.device)


def _one(job: Job, wish: Wish, suffix: str, existing: Existing) -> None:
    from ..tokens.batches import Tokens, tokenise

    if not is_due(job, existing):
        note(f"{job.target} is there already: skipped")
        return
    if wish.device is not None:
        from ...codecs.secodec.batch import check_device

        check_device(wish.device)
    (result,) = tokenise([job.source], wish).results
    if not isinstance(result, Tokens):
        raise result
    _write(job, result, suffix, existing)


def _each(planned: Sequence[Job], wish: Wish, suffix: str, existing: Existing, *, workers: int, batch: int) -> None:
    """One file for each sound; see `run_jobs`, which does the same for other commands, one file at a time."""
    from tqdm import tqdm

    from ..tokens.batches import Tokens, tokens_of

    tally, due, sizes = Tally(len(planned)), [], []
    for job in planned:
        try:
            if is_due(job, existing):
                due.append(job)
            else:
                tally.there += 1
        except Exception as error:
            tally.fail(job.source, error)
    quiet = setting(click.get_current_context(silent=True), QUIET)
    results = tokens_of([job.source for job in due], wish, workers, batch)
    tally.hint()
    for number, result in tqdm(results, total=len(due), unit="file", disable=quiet or None, file=sys.stderr):
        try:
            if not isinstance(result, Tokens):
                raise result
            sizes.append(_write(due[number], result, suffix, existing))
            tally.done += 1
        except Exception as error:
            tally.fail(due[number].source, error)
        tally.hint()
    tally.close(changed(sizes))


def _write(job: Job, result: Tokens, suffix: str, existing: Existing) -> Sizes:
    from ...codecs.secodec.token_files import token_bytes

    data = token_bytes(result.found, result.meaning, suffix)
    write_bytes(data, job.target, existing.replaces(job))
    frames, layers = result.found.codes.shape
    note(f"{shown_name(job.source)} -> {job.target}: {frames} frames of {layers} tokens")
    return Sizes(result.size, len(data))
