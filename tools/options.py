"""What the options of every command take: names of files, finite numbers, sizes in bytes, names of things.

An empty text means nothing in any of them. `$name` of a shell without a value is one, and `Path("")` would be the
current folder.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..codecs.aim import MAX_BYTES
from ..codecs.media.files import STANDARD
from ..codecs.media.pictures.picture import MAX_PIXELS

SHOWN = 60  # characters of a wrong value that an error repeats
MAX_SEED = 2**32 - 1
UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1024, "mi": 1024**2, "gi": 1024**3}
_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([kmg]?i?)b?", re.IGNORECASE | re.ASCII)


def shown(value: object) -> str:
    """`value` in quotes for an error, cut where it is very long."""
    text = str(value)
    return repr(text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…")


class PathName(click.Path):
    """The name of a file or folder, as a `Path`, or as it was typed with `raw` (a "/" at its end is kept).

    Only a bare "-" is standard input or output, and only with `dash`; `./-` is a file. pathlib forgets the
    difference, so such a name is made absolute.
    """

    name = "path"

    def __init__(self, *, dash: bool = False, raw: bool = False, exists: bool = False) -> None:
        super().__init__(exists=exists, allow_dash=dash)
        self.raw = raw

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name, or fail for one that is empty, holds a NUL, or is "-" where no stream can be."""
        text = os.fspath(value)
        if not text:
            self.fail("the name is empty (a variable without a value?): '.' is the current folder", param, ctx)
        if "\0" in text:
            self.fail(f"{shown(text)} holds a NUL character, which no name can", param, ctx)
        if text == STANDARD and not self.allow_dash:
            self.fail("standard input and output are not possible here; ./- is a file called so", param, ctx)
        if text != STANDARD and Path(text) == Path(STANDARD):
            text = os.path.join(os.getcwd(), text)
        text = str(super().convert(text, param, ctx))
        return text if self.raw else Path(text)


class Number(click.ParamType):
    """A finite float; `low` and `high` are its range, `above` and `below` bounds that it must not reach."""

    name = "number"

    def __init__(
        self, low: float = -math.inf, high: float = math.inf, *, above: float = -math.inf, below: float = math.inf
    ) -> None:
        self.low, self.high, self.above, self.below = low, high, above, below

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail for what is none, not finite, or out of range."""
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        fits = self.above < number < self.below and self.low <= number <= self.high
        if not (math.isfinite(number) and fits):
            self.fail(f"{shown(value)} is not {self._words()}", param, ctx)
        return number

    def _words(self) -> str:
        bounds = {" of at least ": self.low, " above ": self.above, " of at most ": self.high, " below ": self.below}
        limits = [f"{words}{bound:g}" for words, bound in bounds.items() if math.isfinite(bound)]
        return "a positive number" if limits == [" above 0"] else f"a finite number{' and'.join(limits)}"


class ByteCount(click.ParamType):
    """A size: `30000`, `10k`, `1.5M`, `200kB` (steps of 1000), `64KiB` (steps of 1024); rounded down.

    `unit` is what is counted.
    """

    def __init__(self, unit: str = "byte") -> None:
        self.unit = unit
        self.name = f"{unit}s"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the whole number, or fail for what is no size, less than one, or beyond any file."""
        found = _SIZE.fullmatch(str(value).strip())
        if found is None or found[2].lower() not in UNITS:
            self.fail(f"{shown(value)} is no size in {self.unit}s, such as 30000, 10k, 1.5M or 64KiB", param, ctx)
        count = float(found[1]) * UNITS[found[2].lower()]  # a float: digits without end become infinite
        if count < 1:
            self.fail(f"{shown(value)} is less than one {self.unit}", param, ctx)
        if count > MAX_BYTES:
            self.fail(f"{shown(value)} is more than any file has", param, ctx)
        return int(count)


class Name(click.ParamType):
    """A name that is not empty: of a codec, a model, a list of them. `known` gives those to complete."""

    name = "text"

    def __init__(self, known: str = "") -> None:
        self.known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, or fail for an empty one."""
        if not str(value).strip():
            self.fail("the name is empty (a variable without a value?)", param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names of codecs or models that begin as the person began; none of a broken list."""
        from .. import weights
        from ..codecs import registry
        from ..errors import BitfloorError

        try:
            models = [entry.name for entry in weights.entries()] if self.known == "models" else []
        except BitfloorError:
            models = []
        names = [entry.name for entry in registry.CODECS] if self.known == "codecs" else models
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


PATH, STREAM = PathName(), PathName(dash=True)
TARGET = PathName(dash=True, raw=True)
CODEC, MODEL, TEXT = Name("codecs"), Name("models"), Name()
SIZE, PIXELS, POSITIVE, QUALITY = ByteCount(), ByteCount("pixel"), Number(above=0), Number(1, 100)
SEED = click.IntRange(0, MAX_SEED)
MAX_PIXELS_OPTION = click.option(
    "--max-pixels",
    type=PIXELS,
    default=MAX_PIXELS,
    metavar="PIXELS",
    help=f"Refuse pictures with more, as 500M. [{MAX_PIXELS}]",
)
JOBS_OPTION = click.option(
    "--jobs", "workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes at work."
)
