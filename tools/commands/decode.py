"""`bitfloor decode`: compressed files back into pictures and sounds."""

from __future__ import annotations

import time
from pathlib import Path

import click

from ...codecs import registry
from ...codecs.base import PictureCodec
from ...codecs.container import unpack
from ...codecs.files import STANDARD, read_bytes
from ..console import common_options, detail, note
from ..jobs import Job, naming, plan, run_jobs
from ..options import STREAM, TARGET
from .encode import SUFFIX


@click.command()
@click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=STREAM)
@click.option(
    "-o",
    "--out",
    type=TARGET,
    help="File, whose suffix says the format, or folder. [IN.png, IN.wav]",
)
@click.option("-f", "--force", is_flag=True, help="Overwrite.")
@click.option("--recursive", is_flag=True, help="Of a folder take the folders in it too.")
@common_options
def command(inputs: tuple[Path, ...], out: str | None, force: bool, recursive: bool) -> None:
    """Bring each compressed IN back; codec and model are found from the file. "-" is standard input."""
    jobs = plan(inputs, out, ".png", recursive, [SUFFIX])

    def work(job: Job) -> None:
        with naming(job.source):
            _decode_file(job, force)

    run_jobs(jobs, work, force)


def _decode_file(job: Job, force: bool) -> None:
    start = time.perf_counter()
    data = read_bytes(job.source)
    entry = registry.by_id(unpack(data).header.codec_id)  # before torch is imported
    if entry.kind == "symbols":
        _decode_symbols(job, data, force)
        return
    if entry.kind == "sound":
        _decode_sound(job, data, force)
        return

    from ...codecs.api import codec_of
    from ...codecs.picture_files import check_suffix, write_picture

    check_suffix(job.target)
    codec = codec_of(data)
    if not isinstance(codec, PictureCodec):
        raise TypeError(f"{entry.name} is registered for pictures and is no PictureCodec")
    loaded = time.perf_counter()
    picture = codec.decode_picture(data)
    decoded = time.perf_counter()
    write_picture(picture, job.target, force)
    name = "standard input" if str(job.source) == STANDARD else str(job.source)
    note(f"{name} -> {job.target}: {picture.width}x{picture.height}")
    detail(
        f"  codec {codec.name}; loaded the codec {loaded - start:.2f} s, decoded {decoded - loaded:.2f} s, "
        f"written {time.perf_counter() - decoded:.2f} s"
    )


def _decode_sound(job: Job, data: bytes, force: bool) -> None:
    """Write a sound, as WAV unless named otherwise."""
    from ...codecs.api import codec_of
    from ...codecs.sound import Sound, write_sound

    start = time.perf_counter()
    sound = Sound(*codec_of(data).decode(data))
    target = job.target.with_suffix(".wav") if job.target.suffix.lower() == ".png" else job.target
    write_sound(sound, target, force)
    name = "standard input" if str(job.source) == STANDARD else str(job.source)
    note(f"{name} -> {target}: {sound.seconds:.2f} s at {sound.rate} Hz")
    detail(f"  loaded, decoded and written in {time.perf_counter() - start:.2f} s")


def _decode_symbols(job: Job, data: bytes, force: bool) -> None:
    """Write what the codec of symbols drew: a picture, an array as .npy, or bytes as .bin unless named."""
    from ...codecs.api import codec_of
    from ...codecs.symbol_files import suffix_of, write_symbols

    symbols = codec_of(data).decode(data)
    target = job.target
    if target.suffix.lower() == ".png":
        target = target.with_suffix(suffix_of(symbols))
    write_symbols(symbols, target, force)
    name = "standard input" if str(job.source) == STANDARD else str(job.source)
    note(f"{name} -> {target}: {len(data):,} bytes were read")
