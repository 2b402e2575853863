"""`bitfloor demo`: the bundled photograph, or speech, into a file and back, everything measured here and now."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ... import weights
from ...codecs import registry
from ...codecs.base import PictureCodec
from ...codecs.media.files import check_output, write_bytes
from ...errors import UsageError
from ..console import common_options
from ..options import CODEC, PATH, QUALITY

if TYPE_CHECKING:
    from ...codecs.media.pictures.picture import Picture

PHOTOGRAPH = "demo.avif"
CREDIT = '"Lighthouse" by Dominik Czernetzky, CC BY 4.0'
ORIGINAL, FILE, DECODED = "original.png", "lighthouse.bf", "decoded.png"


@dataclass(frozen=True)
class Row:
    """One line of the table: sizes in bytes, PSNR in dB, times in seconds where they were taken."""

    name: str
    size: int
    psnr: float
    ms_ssim: float | None
    encode: float | None = None
    decode: float | None = None


@click.command()
@click.option("-o", "--out", type=PATH, help="Folder for the files. [a new temporary one]")
@click.option("-q", "--quality", type=QUALITY, default=50, show_default=True, help="1 to 100.")
@click.option("--codec", "codec_name", type=CODEC, default="mlicv2", show_default=True, help="mlicv2 or secodec.")
@click.option("-f", "--force", is_flag=True, help="Overwrite the files of an earlier demo in the folder.")
@common_options
def command(out: Path | None, quality: float, codec_name: str, force: bool) -> None:
    """Encode and decode the bundled photograph, or speech, print what came of it, and leave the files to try."""
    from ...codecs.api import load

    start = time.perf_counter()
    codec = load(registry.by_name(codec_name).name)
    loading = time.perf_counter() - start
    if codec.kind == "sound":
        from .. import demo_sound

        demo_sound.run(codec, quality, _folder(out, force, demo_sound.FILES), force)
        return
    if not isinstance(codec, PictureCodec):
        raise UsageError(f"the codec {codec_name} is for neither pictures nor sounds")
    from ...codecs.media.pictures.files import read_picture

    folder = _folder(out, force, (ORIGINAL, FILE, DECODED))
    picture = read_picture(resources.files(weights).joinpath(PHOTOGRAPH).read_bytes(), PHOTOGRAPH)
    click.echo(f"{CREDIT}, {picture.width}x{picture.height} pixels; {codec_name} loaded in {loading:.1f} s")
    row = _there_and_back(codec, picture, quality, folder, force)
    _print_table([row, *_others(picture, row.size)], picture)
    for what, name in (("photograph", ORIGINAL), ("compressed", FILE), ("decoded", DECODED)):
        click.echo(f"{what:<12}{folder / name}")


def _folder(out: Path | None, force: bool, names: tuple[str, ...]) -> Path:
    if out is None:
        return Path(tempfile.mkdtemp(prefix="bitfloor-demo-"))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {out}: {error.strerror or error}") from None
    for name in names:
        check_output(out / name, force)
    return out


def _there_and_back(codec: PictureCodec, picture: Picture, quality: float, folder: Path, force: bool) -> Row:
    """Write the three files; what is measured is the file that was read again."""
    from ...codecs.media.pictures.files import write_picture

    start = time.perf_counter()
    data = codec.encode_picture(picture, quality)
    encoded = time.perf_counter()
    write_bytes(data, folder / FILE, force)
    data = (folder / FILE).read_bytes()
    read = time.perf_counter()
    decoded = codec.decode_picture(data)
    end = time.perf_counter()
    write_picture(picture, folder / ORIGINAL, force)
    write_picture(decoded, folder / DECODED, force)
    row = _row(f"{codec.name}, quality {quality:g}", len(data), picture, decoded)
    return replace(row, encode=encoded - start, decode=end - read)


def _others(picture: Picture, size: int) -> Iterator[Row]:
    """Yield the best JPEG and WebP of Pillow that are no larger than `size` bytes."""
    from ...codecs.media.pictures.files import read_picture
    from ...codecs.media.pictures.objects import to_pil

    image = to_pil(picture)
    options: dict[str, dict[str, Any]] = {
        "JPEG": {"optimize": True, "progressive": True},
        "WEBP": {"method": 6},
    }
    for name, extra in options.items():
        best = None
        low, high = 0, 100
        while low <= high:
            middle = (low + high) // 2
            buffer = io.BytesIO()
            image.save(buffer, name, quality=middle, **extra)
            if buffer.tell() <= size:
                best, low = (middle, buffer.getvalue()), middle + 1
            else:
                high = middle - 1
        if best:
            title = "WebP" if name == "WEBP" else name
            yield _row(f"{title}, quality {best[0]}", len(best[1]), picture, read_picture(best[1]))


def _row(name: str, size: int, picture: Picture, decoded: Picture) -> Row:
    from ...codecs.media.pictures.objects import to_pil
    from ...codecs.media.pictures.psnr import picture_psnr
    from ..bench.metrics import ms_ssim

    similarity = ms_ssim(to_pil(picture), to_pil(decoded))
    return Row(name, size, picture_psnr(picture, decoded), similarity)


def _print_table(rows: list[Row], picture: Picture) -> None:
    pixels = picture.width * picture.height
    click.echo(f"\n{'':22}{'bytes':>8}{'bit/pixel':>11}{'PSNR dB':>9}{'MS-SSIM':>9}{'encode s':>10}{'decode s':>10}")
    for row in rows:
        times = "".join(f"{'' if value is None else format(value, '.2f'):>10}" for value in (row.encode, row.decode))
        similarity = "" if row.ms_ssim is None else format(row.ms_ssim, ".4f")
        rate = 8 * row.size / pixels
        click.echo(f"{row.name:22}{row.size:>8,}{rate:>11.4f}{row.psnr:>9.2f}{similarity:>9}{times}".rstrip())
    click.echo("JPEG and WebP are the best of Pillow that are no larger.\n")
