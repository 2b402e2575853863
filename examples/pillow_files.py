"""Pillow reads and writes .bf pictures: python examples/pillow_files.py"""

import tempfile
from pathlib import Path

from PIL import Image

import bitfloor.pillow  # noqa: F401 - registers .bf

folder = Path(tempfile.mkdtemp())
photograph = Image.radial_gradient("L").convert("RGB")
# --8<-- [start:example]
photograph.save(folder / "photo.bf", quality=40)
with Image.open(folder / "photo.bf") as opened:  # reads the header only
    print(opened.size, opened.info["codec"], round(opened.info["quality"]))
    opened.resize((64, 64)).save(folder / "small.png")  # decodes
# --8<-- [end:example]
assert Image.open(folder / "small.png").size == (64, 64)
