"""`bitfloor tokens`: speech as tokens for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from ...codecs.media.files import shown_name
from ...codecs.sources import take
from ...errors import UsageError
from ..console import common_options, note
from ..jobs import Existing, naming, single
from ..options import MODEL, STREAM, TARGET
from ..suffixes import stem


@click.command()
@click.argument("source", metavar="IN", type=STREAM)
@click.option("-o", "--out", type=TARGET, help='File, .npy or .json. [IN.npy; "-" for "-"]')
@click.option("--layers", type=click.IntRange(1), help="Layers of tokens. [all]")
@click.option("--model", type=MODEL, help="Model: a name of `bitfloor models`, a file, or a folder with one.")
@click.option("-f", "--force", is_flag=True, help="Overwrite.")
@common_options
def command(source: Path, out: str | None, layers: int | None, model: str | None, force: bool) -> None:
    """Write the tokens of IN, a sound or a compressed one: 50 frames a second, a row of codes for each.

    Layer 1 holds most of what is said, the others how it sounds. `bitfloor say` turns tokens back into sound. A .json
    file also holds how loud the sound is; an .npy file holds the tokens alone.

    Codes are chosen by what they cost beside the other layers, so the three layers of `--layers 3` of a sound are not
    the first three of eight; of a compressed sound, whose tokens are chosen already, they are.
    """
    from ...codecs.secodec.token_files import check_suffix, read_tokens, write_tokens

    target = single(source, out, _name, Existing(force))
    check_suffix(target)
    data = take(source)

    from ...codecs.secodec.codec import open_speech_codec

    with naming(source):
        codec = open_speech_codec(data, model)
    if layers is not None and layers > codec.network.config.layers:
        raise UsageError(f"{layers} layers were asked for, but the codec has {codec.network.config.layers}")
    with naming(source):
        found = read_tokens(data, shown_name(source), codec, layers)
    write_tokens(found, codec, target, force)
    note(f"{shown_name(source)} -> {target}: {found.codes.shape[0]} frames of {found.codes.shape[1]} tokens")


def _name(source: Path, below: Path, whole: bool) -> str:
    """See `jobs.Namer`."""
    return (below.name if whole else stem(below.name)) + ".npy"
