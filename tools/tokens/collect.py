"""Many sounds into one file of tokens, going on where an interrupted run stopped."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from tqdm import tqdm

from ...codecs.media.files import atomic_output, check_output, is_stream
from ...codecs.secodec.level import STEP
from ...errors import UsageError
from ..console import QUIET, note, setting
from ..gather import Found
from ..jobs import Existing
from ..tally import Tally
from .batches import Tokens, Wish, tokens_of
from .formats import Collection
from .journal import SUFFIX, Journal, Sample


def collect(
    found: Sequence[Found], target: Path, form: Collection, wish: Wish, *, workers: int, batch: int, existing: Existing
) -> None:
    """Write the tokens of all sounds `found` into `target`; ends the command with the code of the first failure.

    With `existing.skip` what `target`, or the journal of an interrupted run, holds already stays and is not done again.
    Raises UsageError for a target, or a journal, that is there already.
    """
    form.check()
    check_output(target, existing.force or existing.skip)
    names = _names(found)
    tally = Tally(len(found))
    with _journal(target, existing) as journal:
        kept = _keep(journal, target, form, existing)
        due = [number for number, name in enumerate(names) if name not in journal]
        tally.there = len(names) - len(due)
        if kept and not due:
            journal.forget()
            note(f"{target} holds all {len(names):,} sounds already")
            return
        _fill(journal, found, names, due, wish, workers=workers, batch=batch, tally=tally)
        if journal.meaning is None:
            tally.close(f"{target} is not written: no sound could be read")
            return
        order = [*(name for name in journal.names() if name not in set(names)), *names]
        with atomic_output(target, existing.force or existing.skip) as file:
            form.write(journal.samples(order), journal.meaning, file)
        journal.forget()
        tally.close(f"{target}: {_summary(journal)}")


def _names(found: Sequence[Found]) -> list[str]:
    """What the sounds are called in the file: their paths below the folder that was named, unless two are alike."""
    counts = Counter(item.below.as_posix() for item in found)
    return [item.below.as_posix() if counts[item.below.as_posix()] == 1 else item.path.as_posix() for item in found]


@contextmanager
def _journal(target: Path, existing: Existing) -> Iterator[Journal]:
    """The journal of `target`; a pipe has none that lasts."""
    path = None if is_stream(target) else target.with_name(target.name + SUFFIX)
    if path is not None and path.exists() and not existing.skip:
        if not existing.force:
            raise UsageError(
                f"{path} is of a run that was interrupted: --skip-existing goes on with it, -f begins anew"
            )
        path.unlink()
    with Journal(path) as journal:
        try:
            yield journal
        finally:
            if not len(journal):
                journal.forget()


def _keep(journal: Journal, target: Path, form: Collection, existing: Existing) -> bool:
    """Take over what a finished `target` holds; True where the journal adds nothing to that."""
    if not (existing.skip and os.path.isfile(target)):
        return False
    before = len(journal)
    there = 0
    for sample in form.read(target):
        there += 1
        if sample.path not in journal:
            journal.add(sample)
    return len(journal) == there or before == 0


def _fill(
    journal: Journal,
    found: Sequence[Found],
    names: Sequence[str],
    due: Sequence[int],
    wish: Wish,
    *,
    workers: int,
    batch: int,
    tally: Tally,
) -> None:
    readable = []
    for number in due:
        problem = found[number].problem
        if problem is None:
            readable.append(number)
        else:
            tally.fail(found[number].path, problem)
    quiet = setting(click.get_current_context(silent=True), QUIET)
    results = tokens_of([found[number].path for number in readable], wish, workers, batch)
    tally.hint()
    for place, result in tqdm(results, total=len(readable), unit="file", disable=quiet or None, file=sys.stderr):
        number = readable[place]
        try:
            if not isinstance(result, Tokens):
                raise result
            one = result.found
            journal.add(Sample(names[number], one.codes, one.gain * STEP, result.seconds, result.meaning))
            tally.done += 1
        except Exception as error:
            tally.fail(found[number].path, error)
        tally.hint()


def _summary(journal: Journal) -> str:
    meaning = journal.meaning
    assert meaning is not None
    seconds = frames = 0.0
    for sample in journal.samples(journal.names()):
        seconds, frames = seconds + sample.seconds, frames + len(sample.tokens)
    return f"{len(journal):,} sounds of {seconds:,.1f} s, {frames:,.0f} frames of {len(meaning.codes)} tokens"
