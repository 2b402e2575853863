"""`bitfloor thumbnail`: a small PNG of a .bf picture, as file managers ask for it."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click
from PIL import Image, UnidentifiedImageError

from ...codecs.media.files import check_output, read_bytes, write_bytes
from ...errors import UnreadableInputError, UsageError
from ..console import common_options
from ..jobs import naming
from ..options import PathName
from ..suffixes import SUFFIX, is_media

LARGEST = 1024


class Address(PathName):
    """The name of a file, or its file: address; a name of that beginning is one only where no such file is there."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `PathName`."""
        if isinstance(value, str) and value.startswith("file:") and not os.path.exists(value):
            value = unquote(urlsplit(value).path)
        return super().convert(value, param, ctx)


@click.command()
@click.argument("source", type=Address())
@click.argument("target", type=PathName())
@click.option("--size", type=click.IntRange(1, LARGEST), default=256, show_default=True, help="Longest side, pixels.")
@click.option("-f", "--force", is_flag=True, help="Overwrite.")
@common_options
def command(source: Path, target: Path, size: int, force: bool) -> None:
    """Write a small PNG of the .bf picture SOURCE (a name or a file: address) to TARGET."""
    from ... import pillow  # noqa: F401 - registers .bf

    suffix = target.suffix.lower()
    if suffix == SUFFIX or (is_media(target) and suffix != ".png"):  # file managers give names of any other suffix
        raise UsageError(f"{target} would not be what its name says, but a PNG")
    check_output(target, force, source)
    data = read_bytes(source)
    with naming(source):
        try:
            with Image.open(io.BytesIO(data), formats=("BITFLOOR",)) as picture:
                picture.thumbnail((size, size))
                small = picture.convert("RGB" if picture.mode in ("RGB", "L", "I;16") else "RGBA")
        except UnidentifiedImageError:
            raise UnreadableInputError("it is no picture of bitfloor") from None
        except OSError as error:
            raise UnreadableInputError(str(error)) from error
    out = io.BytesIO()
    small.save(out, "PNG")
    write_bytes(out.getvalue(), target, force)
