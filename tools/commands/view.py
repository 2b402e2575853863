"""`bitfloor view`: a compressed picture in the browser, beside the original or any other picture."""

from __future__ import annotations

import io
import math
import tempfile
import webbrowser
from pathlib import Path
from typing import Any

import click
import numpy as np

from ...codecs import registry
from ...codecs.container import MAGIC, unpack
from ...codecs.media.files import check_output, read_bytes, write_bytes
from ...codecs.media.pictures.files import read_picture
from ...codecs.media.pictures.objects import as_picture, to_pil
from ...codecs.media.pictures.picture import Picture, to_depth
from ...codecs.media.pictures.psnr import picture_psnr
from ...errors import UsageError
from ..console import common_options, note
from ..jobs import naming
from ..options import PATH, PathName
from ..suffixes import SUFFIX, is_media

LARGEST = 16383  # pixels along a side that WebP, in which the page holds its pictures, can have


@click.command()
@click.argument("file", type=PathName(exists=True))
@click.argument("other", type=PathName(exists=True), required=False)
@click.option("-o", "--out", type=PATH, help="Write the page there, and open nothing.")
@click.option("-f", "--force", is_flag=True, help="Overwrite the page.")
@common_options
def command(file: Path, other: Path | None, out: Path | None, force: bool) -> None:
    """Show the picture FILE in the browser, with zoom; with OTHER a slider divides the two.

    Both may be files of bitfloor or of any other format. The page is one file that fetches nothing.
    """
    from ..bench.html import page

    if out is not None:
        if is_media(out) or out.suffix.lower() == SUFFIX:
            raise UsageError(f"{out} would not be what its name says, but a page: name it {out.with_suffix('.html')}")
        check_output(out, force, file, other)
    paths = [file] if other is None else [file, other]
    sizes_of_files, pictures = zip(*(_read(path) for path in paths), strict=True)
    sizes = {(picture.width, picture.height) for picture in pictures}
    if len(sizes) > 1:
        named = " and ".join(f"{p} {s.width}x{s.height}" for p, s in zip(paths, pictures, strict=True))
        raise UsageError(f"pictures of one size can be compared, these are {named}")
    items = [_item(*both) for both in zip(paths, sizes_of_files, pictures, strict=True)]
    if other is not None:
        items[0]["caption"] += f", {_psnr(*pictures)}"
    width, height = sizes.pop()
    entry = {"name": file.name, "original": None, "width": width, "height": height}
    title = " and ".join(path.name for path in paths)
    data = {"title": title, "viewer": [{**entry, "targets": [{"rate": None, "items": items}]}]}
    html = page("view.html", data, "base.js", "viewer.js").encode()
    if out is not None:
        write_bytes(html, out, force)
        return
    place = Path(tempfile.mkdtemp(prefix="bitfloor-")) / "view.html"
    write_bytes(html, place)
    note(f"the page is {place}")
    if not webbrowser.open(place.as_uri()):
        note("no browser was found: open the page by hand")


def _read(path: Path) -> tuple[int, Picture]:
    """Bytes of a file of any kind, which may be a pipe, and its picture in 8 bits as a browser shows it."""
    from ... import decode

    data = read_bytes(path)
    with naming(path):
        if not data.startswith(MAGIC):
            picture = read_picture(data, str(path))
        elif registry.by_id(unpack(data).header.codec_id).kind == "picture":
            picture = as_picture(decode(data))
        else:
            raise UsageError("it holds no picture")
        if max(picture.width, picture.height) > LARGEST:
            raise UsageError(f"a page shows at most {LARGEST} pixels along a side")
    eight = np.dtype(np.uint8)
    alpha = None if picture.alpha is None else to_depth(picture.alpha, eight)
    return len(data), Picture(to_depth(picture.rgb, eight), alpha, picture.icc)


def _item(path: Path, size: int, picture: Picture) -> dict[str, Any]:
    """What the page shows of one file."""
    from ..bench.html import data_uri

    file = io.BytesIO()
    to_pil(picture).save(file, "WEBP", lossless=True, method=2)
    bpp = 8 * size / (picture.width * picture.height)
    caption = f"{path.name}: {size:,} bytes, {bpp:.3f} bpp"
    return {"codec": str(path), "caption": caption, "uri": data_uri(file.getvalue(), "image/webp")}


def _psnr(one: Picture, other: Picture) -> str:
    psnr = picture_psnr(other, one)
    return "equal to the other" if math.isinf(psnr) else f"{psnr:.2f} dB against the other"


if __name__ == "__main__":
    command()
