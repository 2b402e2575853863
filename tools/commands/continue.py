"""`bitfloor continue`: tokens as sound, and a beginning of speech continued by the token model."""

# ruff: noqa: N999 - the command has the name of a word of the language
from __future__ import annotations

from pathlib import Path

import click

from ...codecs.media.files import shown_name
from ...codecs.sources import take
from ..console import common_options, note
from ..jobs import Existing, naming, single
from ..options import MODEL, SEED, STREAM, TARGET, Number


@click.command()
@click.argument("prompt", metavar="IN", type=STREAM)
@click.option("-o", "--out", type=TARGET, required=True, help="Sound: .wav, .flac, .ogg, .aiff.")
@click.option("--seconds", type=Number(0, 600), default=0.0, show_default=True, help="To go on after IN.")
@click.option("--temperature", type=Number(above=0, high=10), default=0.9, show_default=True,
              help="Below 1 the likelier goes on.")  # fmt: skip
@click.option("--seed", type=SEED, default=0, show_default=True, help="Another seed, another continuation.")
@click.option("--model", type=MODEL, help="Model: a name of `bitfloor models`, a file, or a folder with one.")
@click.option("-f", "--force", is_flag=True, help="Overwrite.")
@common_options
def command(
    *, prompt: Path, out: str, seconds: float, temperature: float, seed: int, model: str | None, force: bool
) -> None:
    """Write the sound of IN (tokens, a sound, or a compressed one) and what the token model makes of its end.

    The model knows which sounds follow which, not words: it goes on in the voice, without sense.
    """
    from ...codecs.media.sound import check_suffix, write_sound

    target = single(prompt, out, None, Existing(force))
    check_suffix(target)
    data = take(prompt)

    from ...codecs.secodec.codec import open_speech_codec
    from ...codecs.secodec.continuation import go_on
    from ...codecs.secodec.token_files import read_tokens

    with naming(prompt):
        codec = open_speech_codec(data, model)
    with naming(prompt):
        found = read_tokens(data, shown_name(prompt), codec)
    tokens = found.codes
    frames = len(tokens) + round(seconds * codec.network.config.frame_rate)
    if frames > len(tokens):
        tokens = go_on(codec, tokens, frames, temperature=temperature, seed=seed)
    sound = codec.synthesise(tokens, found.gain)
    write_sound(sound, target, force)
    note(f"{shown_name(prompt)} -> {target}: {sound.seconds:.2f} s, the last {seconds:g} s of them new")
