"""`bitfloor thumbnail`: a small PNG of a .bf picture, as file managers ask for it."""

from __future__ import annotations

import io
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
from PIL import Image

from ...codecs.media.files import write_bytes
from ...errors import UnreadableInputError
from ..console import common_options
from ..jobs import naming
from ..options import PathName

LARGEST = 1024


@click.command()
@click.argument("source")
@click.argument("target", type=PathName())
@click.option("--size", type=click.IntRange(1, LARGEST), default=256, show_default=True, help="Longest side, pixels.")
@common_options
def command(source: str, target: Path, size: int) -> None:
    """Write a small PNG of the .bf picture SOURCE (a name or a file: address) to TARGET."""
    from ... import pillow  # noqa: F401 - registers .bf

    path = Path(unquote(urlsplit(source).path)) if source.startswith("file:") else Path(source)
    with naming(path):
        try:
            with Image.open(path, formats=("BITFLOOR",)) as picture:
                picture.thumbnail((size, size))
                small = picture.convert("RGB" if picture.mode in ("RGB", "L", "I;16") else "RGBA")
        except OSError as error:
            raise UnreadableInputError(str(error)) from error
    out = io.BytesIO()
    small.save(out, "PNG")
    write_bytes(out.getvalue(), target, overwrite=True)  # file managers make the name, and know what they replace
