"""Small pictures and codecs of bad character for the benchmark's tests."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

KODAK = Path(__file__).parents[2] / "shared" / "data" / "kodak"
SPEECH = Path(__file__).parents[2] / "shared" / "data" / "speech-test"


def picture(seed: int = 0, width: int = 192, height: int = 176) -> Image.Image:
    """Smooth shapes, an edge and a little noise: something that codecs shrink and metrics tell apart."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 40.0
    phase = rng.uniform(0, 6, 6)
    planes = [np.sin(x * (1 + k) + phase[k]) + np.cos(y * (2 - k / 2) + phase[k + 3]) for k in range(3)]
    rgb = 128 + 45 * np.stack(planes, -1) + rng.normal(0, 4, (height, width, 3))
    rgb[height // 3 : height // 2, width // 4 : width // 2] += 60
    return Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8))


def save_pictures(folder: Path, count: int) -> list[Path]:
    """`count` different pictures as PNG files."""
    paths = []
    for seed in range(count):
        paths.append(folder / f"picture{seed}.png")
        picture(seed).save(paths[-1])
    return paths


def script_codec(folder: Path, name: str, encoder: str, decoder: str = "") -> str:
    """The `--exec` text of a codec of two little Python programs; they find in, out and q in sys.argv."""
    parts = []
    for which, code in (("encode", encoder), ("decode", decoder)):
        if code:
            file = folder / f"{name}_{which}.py"
            file.write_text("import sys, os\nfrom PIL import Image\n" + code)
            parts.append(f"{sys.executable} {file} {{in}} {{out}} {{q}}")
    return f"{name}: " + " => ".join(parts)
