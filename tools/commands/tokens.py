"""`bitfloor tokens`: speech as tokens for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from ...codecs.files import check_output, read_bytes
from ...errors import UsageError
from ..console import common_options, note
from ..jobs import naming
from ..options import MODEL, STREAM


@click.command()
@click.argument("source", metavar="IN", type=STREAM)
@click.option("-o", "--out", type=STREAM, help="File, .npy or .json. [IN.npy]")
@click.option("--layers", type=click.IntRange(1), help="Only the first layers. [all]")
@click.option("--model", type=MODEL, help="Model: a name of `bitfloor models`, a file, or a folder with one.")
@click.option("-f", "--force", is_flag=True, help="Overwrite.")
@common_options
def command(source: Path, out: Path | None, layers: int | None, model: str | None, force: bool) -> None:
    """Write the tokens of IN, a sound or a compressed one: 50 frames a second, a row of codes for each.

    Layer 1 holds most of what is said, the others how it sounds. `bitfloor say` turns tokens back into sound.
    """
    target = out or source.with_suffix(".npy")
    check_output(target, force)
    data = read_bytes(source)

    from ...codecs.secodec.codec import open_speech_codec
    from ...codecs.secodec.token_files import read_tokens, write_tokens

    codec = open_speech_codec(data, model)
    if layers is not None and layers > codec.network.config.layers:
        raise UsageError(f"{layers} layers were asked for, but the codec has {codec.network.config.layers}")
    with naming(source):
        tokens = read_tokens(data, str(source), codec, layers)
    write_tokens(tokens, codec, target, force)
    note(f"{source} -> {target}: {tokens.shape[0]} frames of {tokens.shape[1]} tokens")
