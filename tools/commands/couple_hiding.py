"""`bitfloor couple hide` and `reveal`: a message in samples of a character model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ...codecs.media.files import check_output, read_bytes, write_bytes
from ...errors import UsageError
from ..console import QUIET, common_options, is_terminal, note, setting
from ..options import STREAM

if TYPE_CHECKING:
    from ..coupling.hiding import Hider
    from ..coupling.text_source import TextSource

Function = TypeVar("Function", bound=Callable[..., Any])


def _shared_options(function: Function) -> Function:
    """The options that sender and receiver must give alike."""
    for option in (
        click.option("-o", "--out", type=STREAM, default="-", help="File. [standard output]"),
        click.option("-f", "--force", is_flag=True, help="Overwrite."),
        click.option("--block-bits", type=click.Choice(["4", "8"]), default="8", show_default=True),
        click.option("--order", type=click.IntRange(0, 12), default=4, show_default=True, help="Context."),
        click.option("--key-file", type=STREAM, help="File with the key; else it is asked for."),
        click.option(
            "--text",
            required=True,
            type=STREAM,
            help="Text that the model learns (UTF-8).",
        ),
    ):
        function = option(function)
    return function


@click.command()
@click.argument("message", type=STREAM)
@_shared_options
@common_options
def hide(
    *, message: Path, text: Path, key_file: Path | None, order: int, block_bits: str, force: bool, out: Path
) -> None:
    """Hide the file MESSAGE ("-" is standard input) in new text that has exactly the law of a model of
    --text.

    Who has the same text, order and key can read it; without the key no test tells the cover from other
    text of the same model. It is as good a disguise as the model is a model of what people expect to see.
    The model knows the plain form of the text: one space for white space of any kind, ASCII quotes and dashes,
    no markup. So a cover survives trimming, other line ends, wrapping, quoting, and words around it.
    """
    from ..coupling.plain_text import in_paragraphs

    check_output(out, force, message, text, key_file)
    secret = read_bytes(message, empty=True)  # an empty message is one too
    source, hider = _set_up(text, key_file, order, int(block_bits))
    hidden = hider.hide(secret, watch=_progress)
    cover = source.text([*hidden.symbols, *source.ending(hidden.symbols)])
    write_bytes((in_paragraphs(cover) + "\n").encode("utf-8"), out, force)
    note(
        f"{len(secret):,} bytes hidden in {hidden.carrying:,} characters "
        f"({8 * len(secret) / hidden.carrying:.2f} bit of message each); "
        f"the receiver errs with probability {_bound(hidden.error_probability)}"
    )


@click.command()
@click.argument("cover", type=STREAM)
@_shared_options
@common_options
def reveal(
    *, cover: Path, text: Path, key_file: Path | None, order: int, block_bits: str, force: bool, out: Path
) -> None:
    """Read the message that is hidden in the file COVER ("-" is standard input).

    Words before it and anything after it do not matter.
    """
    from ..coupling.text_source import read_text

    check_output(out, force, cover, text, key_file)
    cover_text = read_text(cover)
    source, hider = _set_up(text, key_file, order, int(block_bits))
    symbols = source.symbols(cover_text)
    found = hider.reveal(symbols, source.starts(symbols), _progress)
    write_bytes(found.message, out, force)
    before = f", after {found.start:,} others" if found.start else ""
    note(
        f"{len(found.message):,} bytes found in {found.carrying:,} characters{before}; "
        f"probability of an error {_bound(found.error_probability)}"
    )


def _progress(blocks: Iterable[int]) -> Iterable[int]:
    from tqdm import tqdm

    quiet = setting(click.get_current_context(silent=True), QUIET) or not is_terminal(sys.stderr)
    return tqdm(blocks, unit="block", disable=quiet, leave=False)


def _set_up(text: Path, key_file: Path | None, order: int, bits: int) -> tuple[TextSource, Hider]:
    from ...entropy_models.coupling.fimec import Fimec
    from ..coupling.hiding import Hider
    from ..coupling.text_source import TextSource

    if key_file is None and not is_terminal(sys.stdin):
        raise UsageError("there is no terminal to ask for the key: name a file with --key-file")
    key = read_bytes(key_file) if key_file else click.prompt("key", hide_input=True, err=True).encode("utf-8")
    key = key.removeprefix(b"\xef\xbb\xbf").strip()  # what editors add is no part of a key
    if not key:
        raise UsageError("the key is empty")
    source = TextSource.from_file(text, order)
    return source, Hider(Fimec(source, bits), key, source.digest)


def _bound(probability: float) -> str:
    return f"{probability:.1e}" if probability > 1e-12 else "below 1e-12"
