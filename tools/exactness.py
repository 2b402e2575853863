"""The exactness matrix: encode under every setting, decode every file under every setting, compare.

    python -m bitfloor.tools.exactness PICTURE_OR_SOUND... [--model NAME_OR_PATH] [--python OTHER_INTERPRETER] [-q 40]

A setting is a number of threads, an instruction set, a convolution library switched on or off, a memory layout, or
another interpreter with another torch. Each runs in a process of its own, because most of them are read once at
start-up. One line a setting is printed; the exit code is 1 if any two disagree.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from ..errors import BitfloorError
from .options import CODEC, MODEL, QUALITY, PathName


@dataclass(frozen=True)
class Setting:
    """One way to run: environment variables, and switches for the process itself."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    switches: tuple[str, ...] = ()
    python: str = sys.executable


SETTINGS = (
    Setting("1 thread", {"OMP_NUM_THREADS": "1"}),
    Setting("2 threads", {"OMP_NUM_THREADS": "2"}),
    Setting("oneDNN off", switches=("no-mkldnn",)),
    Setting("column-major weights", switches=("transposed",)),
    Setting("aten default", {"ATEN_CPU_CAPABILITY": "default"}),
    Setting("aten avx2", {"ATEN_CPU_CAPABILITY": "avx2"}),
    Setting("aten avx512", {"ATEN_CPU_CAPABILITY": "avx512"}),
    Setting("oneDNN sse4.1", {"DNNL_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}),
    Setting("oneDNN avx2", {"DNNL_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}),
    Setting("bf16 fpmath", {"ONEDNN_DEFAULT_FPMATH_MODE": "BF16"}),
)


def run_worker(setting: Setting, job: str, arguments: Sequence[str]) -> dict[str, str]:
    """Run one job of this module in a process under `setting` and return what it printed as JSON."""
    command = [
        setting.python,
        "-m",
        "bitfloor.tools.exactness_worker",
        job,
        ",".join(setting.switches),
        *arguments,
    ]
    done = subprocess.run(
        command, env={**os.environ, **setting.environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BitfloorError(f"setting '{setting.name}' failed: {done.stderr.strip().splitlines()[-1:]}")
    printed: dict[str, str] = json.loads(done.stdout)
    return printed


def matrix(
    pictures: Sequence[Path],
    quality: float,
    settings: Sequence[Setting],
    folder: Path,
    model: str = "",
    codecs: Sequence[str] = (),
    effort: int = 0,
) -> dict[str, dict[str, str]]:
    """Latents hash of every file under every setting: {decoding setting: {file: SHA-256}}.

    Without a model each codec has its default; without codecs every file has that of its kind. `effort`
    is for pictures.
    """
    files: list[str] = []
    for number, setting in enumerate(settings):
        stem = str(folder / f"{number}")
        wishes = [",".join(codecs), model, str(quality), str(effort)]
        made = run_worker(setting, "encode", [*wishes, stem, *map(str, pictures)])
        files.extend(made)
    return {s.name: run_worker(s, "decode", [model, *files]) for s in settings}


def disagreements(hashes: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Names of the settings that differ from the first on any file, or failed."""
    reference = next(iter(hashes.values()))
    return [name for name, row in hashes.items() if dict(row) != dict(reference)]


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=PathName(exists=True))
@click.option("-q", "--quality", type=QUALITY, default=40.0, show_default=True)
@click.option("--model", type=MODEL, default="", help="Name or path, as for encode; else the codec's default.")
@click.option("--codec", "codecs", type=CODEC, multiple=True, help="In place of that of the file's kind.")
@click.option("--effort", type=click.IntRange(0, 9), default=0, show_default=True, help="Of the encoder of pictures.")
@click.option("--python", "pythons", multiple=True, help="Another interpreter that has bitfloor.")
def command(
    pictures: tuple[Path, ...],
    quality: float,
    model: str,
    codecs: tuple[str, ...],
    effort: int,
    pythons: tuple[str, ...],
) -> None:
    """Run the exactness matrix over PICTURES; sounds are taken too."""
    settings = [*SETTINGS, *(Setting(f"other torch {n}", python=p) for n, p in enumerate(pythons, 1))]
    with tempfile.TemporaryDirectory() as folder:
        hashes = matrix(pictures, quality, settings, Path(folder), model, codecs, effort)
    for name, row in hashes.items():
        digest = hashlib.sha256("".join(row[k] for k in sorted(row)).encode()).hexdigest()
        click.echo(f"{name:20} {len(row)} files  {digest[:16]}")
    wrong = disagreements(hashes)
    click.echo(f"different: {', '.join(wrong)}" if wrong else "all settings agree on every file")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    command()
