"""Part of the bundled photograph after JPEG, WebP and bitfloor at equal bytes, side by side.

python -m bitfloor.tools.comparison_picture [--bytes 5700] -o photograph.png
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import click
from PIL import Image, ImageDraw, ImageFont

from .. import decode, load, weights
from ..codecs.media.pictures.objects import from_pil
from ..codecs.media.pictures.psnr import picture_psnr
from ..codecs.target import encode_to_size
from .options import PATH

BOX = (90, 85, 370, 365)  # left, top, right, bottom: the lighthouse and what lies around it
GAP, HEAD = 4, 22


@click.command()
@click.option("--bytes", "size", default=5700, show_default=True, help="Most bytes of each file.")
@click.option("-o", "--out", type=PATH, default=Path("photograph.png"), show_default=True)
def command(size: int, out: Path) -> None:
    """Write the picture."""
    original = Image.open(Path(weights.__file__).parent / "demo.avif").convert("RGB")
    codec = load("mlicv2")
    encoders: dict[str, Callable[[float], bytes]] = {
        "JPEG": lambda quality: _by_pillow(original, "JPEG", quality, optimize=True),
        "WebP": lambda quality: _by_pillow(original, "WEBP", quality, method=6),
        "bitfloor": lambda quality: codec.encode(original, quality=quality),
    }
    panels = {"original": original}
    for name, encode in encoders.items():
        data = encode_to_size(encode, size).data
        decoded = (decode(data) if name == "bitfloor" else Image.open(io.BytesIO(data))).convert("RGB")
        quality = picture_psnr(from_pil(original), from_pil(decoded))
        panels[f"{name}: {len(data):,} bytes, {quality:.2f} dB"] = decoded
    width, height = BOX[2] - BOX[0], BOX[3] - BOX[1]
    sheet = Image.new("RGB", (len(panels) * (width + GAP) - GAP, height + HEAD), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (title, panel) in enumerate(panels.items()):
        left = number * (width + GAP)
        draw.text((left, 3), title, "black", ImageFont.load_default(14))
        sheet.paste(panel.crop(BOX), (left, HEAD))
    sheet.quantize(256).save(out, optimize=True)
    click.echo(out)


def _by_pillow(image: Image.Image, file_format: str, quality: float, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, quality=round(quality), **options)
    return buffer.getvalue()


if __name__ == "__main__":
    command()
