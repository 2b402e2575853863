"""`bitfloor say`: a text as speech, in the voice of a prompt or in the one in the box."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ...codecs.media.files import STANDARD, check_output, read_bytes, shown_name
from ...codecs.seslm.wishes import SPEEDS, TEMPERATURE, TEMPERATURES
from ...errors import UnreadableInputError, UsageError
from ..console import QUIET, common_options, note, setting
from ..options import MODEL, SEED, STREAM, TARGET, Number


@click.command()
@click.argument("text", required=False)
@click.option("--file", "source", type=STREAM, help="Read the text from a file.")
@click.option("-o", "--out", type=TARGET, required=True, help="Sound: .wav, .flac, .ogg, .aiff.")
@click.option("--voice", type=STREAM, help="Speak like the voice in this sound: 3 s or more of one person.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Another reading, above temperature 0.")
@click.option("--temperature", type=Number(*TEMPERATURES), default=TEMPERATURE, show_default=True,
              help="Lower is plainer; 0 always takes the likeliest.")  # fmt: skip
@click.option("--speed", type=Number(*SPEEDS), default=1.0, show_default=True, help="2 is twice as fast.")
@click.option("--model", type=MODEL, help="Model: a name of `bitfloor models`, a file, or a folder with one.")
@click.option("-f", "--force", is_flag=True, help="Overwrite.")
@common_options
def command(
    *, text: str | None, source: Path | None, out: str, voice: Path | None, seed: int, temperature: float,
    speed: float, model: str | None, force: bool,
) -> None:  # fmt: skip
    """Speak TEXT, which is English; "-" reads it from standard input.

    The sound is synthetic and its file says so. Use another person's voice only with their consent.
    """
    from ...codecs.media.sound import Sound, check_suffix, write_sound

    if (text is None) == (source is None):
        raise UsageError("give either a text or --file")
    check_suffix(out)
    check_output(out, force, source, voice)
    source = Path(STANDARD) if text == STANDARD else source
    content = _read(source) if source is not None else str(text)

    import numpy as np
    from tqdm import tqdm

    from ...codecs.seslm.synthesis import COMMENT, Speaker
    from ...codecs.sources import take

    speaker = Speaker.load(model)
    pieces = len(speaker.plan(content))
    heard = None if voice is None else take(voice)
    if isinstance(heard, bytes):
        raise UsageError(f"{shown_name(str(voice))} is no sound: give the voice as a sound file")
    made = speaker.say_sentences(content, voice=heard, seed=seed, temperature=temperature, speed=speed)
    quiet = setting(click.get_current_context(silent=True), QUIET) or pieces == 1
    bar = tqdm(made, total=pieces, unit="sentence", disable=quiet or None, file=sys.stderr)
    sound = Sound(np.concatenate([part.samples for part in bar]), speaker.frozen.codec.sample_rate)
    write_sound(sound, out, force, comment=COMMENT)
    note(f"{out}: {sound.seconds:.2f} s of synthetic speech")


def _read(source: Path) -> str:
    try:
        return read_bytes(source).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableInputError(f"{shown_name(source)} is no text in UTF-8") from None
