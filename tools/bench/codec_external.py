"""Any codec with a command line: `cjxl {in} {out.jxl} -q {q} => djxl {in} {out}`.

Placeholders of the encoder: `{in}` is the source as a PNG (a WAV for a sound; `{in.ppm}` asks for another
format), `{out}` the compressed file (`{out.jxl}` gives it an ending), `{q}` the quality. After ` => ` comes
the decoder, whose `{in}` is the compressed file and `{out}` a PNG or WAV; without it the file is opened with
Pillow, imagecodecs (JPEG XL) or libsndfile. A leading `NAME: ` names the codec; otherwise it is the program's
name.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from ...errors import UsageError
from .codecs import BenchCodec, register

_PLACEHOLDER = re.compile(r"\{(in|out)(\.\w+)?\}|\{q\}")
_NAME = re.compile(r"\s*([\w.+-]+):\s+(.*)", re.DOTALL)


def split_template(template: str) -> tuple[str, str, str]:
    """Return (name, encoder, decoder) of a template; the decoder may be empty. Raises UsageError."""
    named = _NAME.match(template)
    name, commands = (named.group(1), named.group(2)) if named else ("", template)
    encoder, _, decoder = commands.partition("=>")
    if "{out" not in encoder or "{in" not in encoder:
        raise UsageError(f"--exec {template!r}: the encoder needs both {{in}} and {{out}}")
    if decoder and ("{out" not in decoder or "{in" not in decoder):
        raise UsageError(f"--exec {template!r}: the decoder after => needs both {{in}} and {{out}}")
    try:
        program = shlex.split(encoder)[0]
        shlex.split(decoder)
    except ValueError as error:
        raise UsageError(f"--exec {template!r}: {error}") from None
    return name or Path(program).name, encoder.strip(), decoder.strip()


def ending(command: str, which: str, default: str) -> str:
    """The ending that `{which.ending}` asks for in `command`, or `default`."""
    for match in _PLACEHOLDER.finditer(command):
        if match.group(1) == which and match.group(2):
            return match.group(2)
    return default


def fill(command: str, source: Path, target: Path, quality: float) -> list[str]:
    """The arguments of `command` with its placeholders replaced; no shell sees them."""
    values = {"in": str(source), "out": str(target), None: f"{quality:g}"}
    return [_PLACEHOLDER.sub(lambda match: values[match.group(1)], word) for word in shlex.split(command)]


def run(arguments: Sequence[str]) -> float | None:
    """Run a program and return its peak memory in MiB (None where the system does not tell it).

    Raises UsageError where there is no such program, RuntimeError where it fails, with its last line.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
        except OSError as error:
            raise UsageError(f"cannot run {arguments[0]!r}: {error.strerror}") from None
        peak = _wait(process)
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
    if process.returncode:
        last = said[-1] if said else "it said nothing"
        raise RuntimeError(f"{Path(arguments[0]).name} exited with {process.returncode}: {last}")
    return peak


def _wait(process: subprocess.Popen[bytes]) -> float | None:
    """Wait for the child; return its peak memory in MiB where the system tells it for a single child."""
    if not hasattr(os, "wait4"):
        process.wait()
        return None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return float(usage.ru_maxrss) / (1 << 20 if sys.platform == "darwin" else 1 << 10)


class ProgramCodec(BenchCodec):
    """A codec whose encoder, or decoder too, is a program; keeps what memory each took."""

    _encode_peak: float | None = None
    _decode_peak: float | None = None

    def run_encoder(self, arguments: Sequence[str]) -> None:
        """Run the encoder's program."""
        self._encode_peak = run(arguments)

    def run_decoder(self, arguments: Sequence[str]) -> None:
        """Run the decoder's program."""
        self._decode_peak = run(arguments)

    def children_peak_mib(self) -> tuple[float | None, float | None]:
        """Peak memory of the programs' processes; None for a part that no program does."""
        return self._encode_peak, self._decode_peak


@register("exec")
class ExternalCodec(ProgramCodec):
    """An encoder and a decoder that are programs; their start-up counts in the times."""

    default_qualities = (10, 30, 50, 70, 90)
    quality_unit, whole_qualities, searchable = "whatever {q} means to the program", False, False

    def __init__(self, spec: str, options: str = "") -> None:
        super().__init__(spec)
        self.name, self.encoder, self.decoder = split_template(options)
        self.suffix = ending(self.encoder, "out", ".bin")

    @property
    def label(self) -> str:
        """The name before the colon, or the encoder's program."""
        return self.name

    @property
    def version(self) -> str:
        """The commands themselves."""
        return f"{self.encoder} => {self.decoder or 'opened by a library'}"

    def prepare(self, source: Any, folder: Path) -> Path:
        """Write the source in the format that the encoder reads."""
        if isinstance(source, Image.Image):
            path = folder / f"source{ending(self.encoder, 'in', '.png')}"
            source.save(path)
            return path
        from .sounds import write_sound

        path = folder / f"source{ending(self.encoder, 'in', '.wav')}"
        write_sound(source, path)
        return path

    def encode(self, source: Path, path: Path, quality: float) -> None:
        """Run the encoder."""
        self.run_encoder(fill(self.encoder, source, path, quality))
        if not path.is_file():
            raise RuntimeError("the encoder exited well but wrote no file")

    def decode(self, path: Path, folder: Path) -> Path:
        """Run the decoder."""
        if not self.decoder:
            return path
        kind = ".wav" if self.kind == "sound" else ".png"
        target = folder / f"decoded{ending(self.decoder, 'out', kind)}"
        target.unlink(missing_ok=True)
        self.run_decoder(fill(self.decoder, path, target, 0))
        return target

    def collect(self, decoded: Path) -> Any:
        """Open what the decoder wrote, or the compressed file itself."""
        if self.kind == "sound":
            from .sounds import read_sound

            return read_sound(decoded)
        try:
            with Image.open(decoded) as image:
                return image.convert("RGB")
        except UnidentifiedImageError:
            from .codec_jpegxl import libjxl

            return Image.fromarray(libjxl().jpegxl_decode(decoded.read_bytes())).convert("RGB")
