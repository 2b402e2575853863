"""`bitfloor encode`: files into compressed files, at a quality or at a target."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ... import weights
from ...codecs import registry
from ...codecs.aim import Aim, encode_to_aim
from ...codecs.base import DEFAULT_QUALITY, Codec
from ...codecs.fallback import WISHES, check_fallback
from ...codecs.info import describe
from ...codecs.media.files import is_stream, shown_name, write_bytes
from ...codecs.media.pictures.picture import Picture
from ...codecs.sources import codec_for, read_source, take
from ...errors import UsageError
from ..console import common_options, detail, note
from ..gather import gather
from ..jobs import Existing, Job, Sizes, naming, plan, run_jobs
from ..options import (
    CODEC,
    JOBS_OPTION,
    MAX_PIXELS_OPTION,
    MODEL,
    POSITIVE,
    QUALITY,
    SEED,
    SIZE,
    STREAM,
    TARGET,
    Number,
)
from ..refining import refining
from ..suffixes import READABLE, SUFFIX, is_media, stem
from ..threads import threads_option


@click.command()
@click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=STREAM)
@click.option("-o", "--out", type=TARGET, help=f"File, or folder for several. [IN{SUFFIX}]")
@click.option("-q", "--quality", type=QUALITY, help=f"1 smallest to 100 best. [{DEFAULT_QUALITY:g}]")
@click.option("--bpp", type=POSITIVE, help="Bits for a pixel at most, instead of a quality.")
@click.option("--psnr", type=POSITIVE, help="PSNR in dB at least, instead of a quality.")
@click.option("--size", type=SIZE, help="Bytes of the file at most, as 30000, 10k, 1.5M; instead of a quality.")
@click.option("--effort", type=click.IntRange(0, 9), default=0, help="Time for smaller files of pictures, 0 to 9. [0]")
@click.option("--lossless", is_flag=True, help="Keep every sample of a picture, instead of a quality.")
@click.option(
    "--fallback",
    type=click.Choice(WISHES),
    default="auto",
    help="auto: a lossless file where it beats the network's; never: the network's in any case. [auto]",
)
@click.option("--exact", is_flag=True, help="Code the colours that alpha hides, too, instead of smooth ones.")
@click.option("--strip", is_flag=True, help="Leave out EXIF, XMP and resolution; colour profiles stay.")
@MAX_PIXELS_OPTION
@click.option("--codec", type=CODEC, help="Codec; else chosen by the kind of the file.")
@click.option("--model", type=MODEL, help="Model: a name of `bitfloor models`, a file, or a folder with one.")
@click.option("--tune", type=click.Choice(weights.TUNES), help="Pictures: what the model was trained for. [psnr]")
@click.option("--rate", type=Number(0), metavar="BITS", help="Codec mecb: bits a symbol at most.")
@click.option("--law", type=STREAM, help="Codec mecb: law of the output, CSV or .npy.")
@click.option("--seed", type=SEED, help="Codec mecb: what the output is drawn with. [0]")
@click.option("-f", "--force", is_flag=True, help="Overwrite.")
@click.option("--skip-existing", is_flag=True, help="Leave out what is encoded already.")
@click.option("--recursive", is_flag=True, help="Of a folder take the folders in it too.")
@JOBS_OPTION
@threads_option
@common_options
def command(
    *,
    inputs: tuple[Path, ...],
    out: str | None,
    quality: float | None,
    bpp: float | None,
    psnr: float | None,
    size: int | None,
    effort: int,
    lossless: bool,
    fallback: str,
    exact: bool,
    strip: bool,
    max_pixels: int,
    codec: str | None,
    model: str | None,
    tune: str | None,
    rate: float | None,
    law: Path | None,
    seed: int | None,
    force: bool,
    skip_existing: bool,
    recursive: bool,
    workers: int,
) -> None:
    """Compress each IN, a file or all pictures and sounds of a folder; "-" is standard input and output."""
    aim = Aim(quality, size, bpp, psnr, lossless)
    if lossless:
        codec = registry.lossless_codec(codec)
    existing = Existing(force, skip_existing)
    _check_out(out)
    jobs = plan(gather(inputs, recursive, READABLE), inputs, out, _name)
    options = _symbol_options(codec, rate, law, seed)

    for_pictures = {"effort": effort, "exact": exact or lossless, "strip": strip, "max_pixels": max_pixels}
    work = _Encode(aim, codec, model, tune, force, options, for_pictures, check_fallback(fallback), len(jobs) == 1)
    run_jobs(jobs, work, existing, workers)


def _name(source: Path, below: Path, whole: bool) -> str:
    """See `jobs.Namer`."""
    if below.suffix.lower() == SUFFIX:
        raise UsageError(f"{source} ends in {SUFFIX} already: name the output with -o")
    return (below.name if whole else stem(below.name)) + SUFFIX


def _check_out(out: str | None) -> None:
    """Raise UsageError for an output that other programs would take for a picture or a sound."""
    if out is not None and is_media(out) and not os.path.isdir(out) and not is_stream(out) and not out.endswith("/"):
        better = stem(out) + SUFFIX
        raise UsageError(f"{out} would not be what its name says, but a bitfloor file: name it {better}")


def _symbol_options(codec: str | None, rate: float | None, law: Path | None, seed: int | None) -> dict[str, Any]:
    """Return the options that only the codec of symbols has; raises UsageError for any other codec."""
    given = {"rate": rate, "output_law": law, "seed": seed}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if options and codec != "mecb":
        raise UsageError("--rate, --law and --seed need --codec mecb")
    if law is not None:
        from ..coupling.law_files import read_law

        options["output_law"] = read_law(law)
    return options


@dataclass(frozen=True)
class _Encode:
    """What is done with every input."""

    aim: Aim
    codec: str | None
    model: str | None
    tune: str | None
    force: bool
    options: dict[str, Any]
    for_pictures: dict[str, Any]
    may_fall_back: bool
    alone: bool

    def __call__(self, job: Job) -> Sizes:
        """Write the compressed file of one."""
        with naming(job.source):
            return self._file(job)

    def _file(self, job: Job) -> Sizes:
        name = shown_name(job.source)
        start = time.perf_counter()
        file = take(job.source)
        codec_name = self.codec or codec_for(file, name)
        source = read_source(file, codec_name, name, self.for_pictures["max_pixels"])
        entry = registry.by_name(codec_name)
        options = self.options
        if entry.kind == "picture":
            options = options | self.for_pictures
        elif any(self.for_pictures[name] for name in ("exact", "strip", "effort")):
            raise UsageError(f"--effort, --exact and --strip are for pictures, not for the codec {codec_name}")
        read = time.perf_counter()

        from ...codecs.api import load

        codec = load(codec_name, self.model, tune=self.tune)
        loaded = time.perf_counter()
        may_fall_back = self.may_fall_back and entry.fallback is not None
        with refining(name) if options.get("effort") else nullcontext() as watched:
            data, result = _encode(codec, source, self.aim, options, may_fall_back)
        encoded = time.perf_counter()
        write_bytes(data, job.target, self.force)
        note(f"{name} -> {job.target}: {result}")
        size = len(file) if isinstance(file, bytes) else file.stat().st_size
        detail(
            f"  codec {codec_name}; read {read - start:.2f} s, loaded the codec {loaded - read:.2f} s, "
            f"encoded {encoded - loaded:.2f} s; {size:,} bytes before"
        )
        if watched is not None and watched.stopped and not self.alone:
            raise KeyboardInterrupt  # this file is done, the others are not wanted any more
        return Sizes(size, len(data))


def _encode(codec: Codec, source: Any, aim: Aim, options: Mapping[str, Any], may_fall_back: bool) -> tuple[bytes, str]:
    """Return the file that meets `aim` and words that describe it; raises as `encode_to_aim`."""

    def tell(quality: float, data: bytes) -> None:
        detail(f"  quality {quality:.4g} gives {len(data):,} bytes")

    found = encode_to_aim(codec, source, aim, options, tell, may_fall_back=may_fall_back)
    if "rate" in options:
        return found.data, f"{len(found.data):,} bytes{_symbol_words(codec, found.data)}"
    words = "" if found.psnr is None or found.quality is None else f", PSNR {found.psnr:.2f} dB"
    words += f" (instead of: {found.instead})" if found.instead else ""
    return found.data, _describe(found.data, source, found.quality) + words


def _symbol_words(codec: Codec, data: bytes) -> str:
    """Return what a file of symbols keeps, in bits a symbol; nothing for another codec."""
    from ...codecs.mecb import MECBCodec

    if not isinstance(codec, MECBCodec):
        return ""
    found = codec.summary(data)
    return (
        f", {found.file_bits:.4f} bit/symbol: H(T) {found.rate:.4f}, I(X;Y) {found.information:.4f} "
        f"of H(X) {found.source_entropy:.4f}"
    )


def _describe(data: bytes, source: Any, quality: float | None) -> str:
    rate = ""
    if isinstance(source, Picture):
        rate = f", {8 * len(data) / (source.width * source.height):.4f} bit/pixel"
    if seconds := getattr(source, "seconds", None):
        rate = f", {8 * len(data) / seconds / 1000:.3f} kbit/s"
    kept = f"lossless ({describe(data).lossless})" if quality is None else f"quality {quality:.4g}"
    return f"{len(data):,} bytes{rate}, {kept}"
