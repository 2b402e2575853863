"""`bitfloor decode`: compressed files back into pictures and sounds."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from ...codecs.base import Codec, PictureCodec, SoundCodec
from ...codecs.info import FileInfo, describe
from ...codecs.media.files import STANDARD, is_stream, read_bytes, shown_name
from ...errors import CorruptStreamError, UsageError
from ..console import common_options, detail, note
from ..gather import gather
from ..jobs import Existing, Job, Sizes, naming, plan, run_jobs
from ..options import JOBS_OPTION, MAX_PIXELS_OPTION, MODEL, STREAM, TARGET
from ..suffixes import SUFFIX, stem
from ..threads import threads_option

DECODED = (".png", ".wav", ".npy", ".bin")  # what outputs are called where no option says


@click.command()
@click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=STREAM)
@click.option(
    "-o",
    "--out",
    type=TARGET,
    help="File, whose suffix says the format, or folder. [IN.png, IN.wav]",
)
@click.option("--model", type=MODEL, help="The model that IN names: its name, file or folder. [found by itself]")
@MAX_PIXELS_OPTION
@click.option("-f", "--force", is_flag=True, help="Overwrite; beside IN only what -o names.")
@click.option("--skip-existing", is_flag=True, help="Leave out what is decoded already.")
@click.option("--recursive", is_flag=True, help="Of a folder take the folders in it too.")
@JOBS_OPTION
@threads_option
@common_options
def command(
    *,
    inputs: tuple[Path, ...],
    out: str | None,
    model: str | None,
    max_pixels: int,
    force: bool,
    skip_existing: bool,
    recursive: bool,
    workers: int,
) -> None:
    """Bring each compressed IN back; codec and model are found from the file. "-" is standard input.

    A file beside IN may be the original that IN was made from, so -f replaces it only where -o names that file.
    """
    existing = Existing(force, skip_existing, originals=True)
    files = _Files()
    jobs = plan(gather(inputs, recursive, [SUFFIX]), inputs, out, files.name)

    run_jobs(jobs, _Decode(files, existing, model, max_pixels), existing, workers)


@dataclass
class _Files:
    """Reads inputs, a pipe only once: what was read to name its output is kept until it is decoded."""

    kept: dict[Path, bytes] = field(default_factory=dict)

    def read(self, path: Path) -> bytes:
        return self.kept.pop(path, b"") or read_bytes(path)

    def name(self, source: Path, below: Path, whole: bool) -> str:
        """See `jobs.Namer`: the suffix is that of what the file holds."""
        if below.suffix.lower() in DECODED:
            raise UsageError(f"{source} is no compressed file by its name: name the output with -o if it is one")
        data = read_bytes(source)
        with naming(source):
            suffix = default_suffix(describe(data))
        if is_stream(source):
            self.kept[source] = data
        name = below.name if whole else stem(below.name, (SUFFIX,))
        return name if not whole and name.lower().endswith(suffix) else name + suffix


@dataclass(frozen=True)
class _Decode:
    """What is done with every input."""

    files: _Files
    existing: Existing
    model: str | None
    max_pixels: int

    def __call__(self, job: Job) -> Sizes:
        """Write what is in one of them."""
        with naming(job.source):
            data = self.files.read(job.source)
            return _decode_file(job, data, self.existing.replaces(job), self.model, self.max_pixels)


def default_suffix(info: FileInfo) -> str:
    """Suffix of the file that a compressed one becomes; raises CorruptStreamError for an unknown codec."""
    if info.kind == "symbols":
        from ...codecs.symbol_files import suffix_of

        return suffix_of(info.fields.get("form", 0))
    if info.kind is None:
        raise CorruptStreamError(f"the file needs codec {info.codec_id}, which this bitfloor does not have")
    return ".wav" if info.kind == "sound" else ".png"


def check_suffix(info: FileInfo, target: Path) -> None:
    """Raise UsageError where what a compressed file holds does not go into a file called `target`."""
    if info.kind == "symbols":
        from ...codecs.symbol_files import check_suffix

        check_suffix(info.fields.get("form", 0), target)
    elif info.kind == "sound":
        from ...codecs.media import sound

        sound.check_suffix(target)
    else:
        from ...codecs.media.pictures import files as picture_files

        picture_files.check_suffix(target)


def _decode_file(job: Job, data: bytes, overwrite: bool, model: str | None, max_pixels: int) -> Sizes:
    start = time.perf_counter()
    info = describe(data)
    default_suffix(info)
    check_suffix(info, job.target)  # before torch is imported

    from ...codecs.api import codec_of

    codec = codec_of(data, None if info.model is None else model)  # lossless files among others name none
    loaded = time.perf_counter()
    decoded = _decode(codec, data, max_pixels)
    ready = time.perf_counter()
    words = _write(decoded, info, job.target, overwrite)
    note(f"{shown_name(job.source)} -> {job.target}: {words}")
    detail(
        f"  codec {codec.name}; loaded the codec {loaded - start:.2f} s, decoded {ready - loaded:.2f} s, "
        f"written {time.perf_counter() - ready:.2f} s"
    )
    written = os.stat(job.target).st_size if str(job.target) != STANDARD else 0
    return Sizes(len(data), written)


def _decode(codec: Codec, data: bytes, max_pixels: int) -> Any:
    """What a file holds, as `_write` takes it: of a sound a stream, whose samples are made as they are written."""
    if isinstance(codec, PictureCodec):
        return codec.decode_picture(data, max_pixels=max_pixels)
    return codec.decode_stream(data) if isinstance(codec, SoundCodec) else codec.decode(data)


def _write(decoded: Any, info: FileInfo, target: Path, overwrite: bool) -> str:
    """Write what was decoded; returns words that describe it."""
    if info.kind == "sound":
        from ...codecs.media.sound import write_sound

        write_sound(decoded, target, overwrite)
        return f"{decoded.seconds:.2f} s at {decoded.rate} Hz"
    if info.kind == "symbols":
        from ...codecs.symbol_files import write_symbols

        write_symbols(decoded, target, overwrite)
        return f"{info.size:,} bytes were read"
    from ...codecs.media.pictures.files import write_picture

    write_picture(decoded, target, overwrite)
    return f"{decoded.width}x{decoded.height}"
