"""Patterns and text through the shipped picture networks themselves, without the lossless fallback."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import bitfloor

SIDE = 256
PLACES = np.arange(SIDE)


def _chequers() -> np.ndarray:
    cells = (PLACES[:, None] // 8 + PLACES // 8) % 2 * 255
    return np.repeat(cells[..., None], 3, 2).astype(np.uint8)


def _sine() -> np.ndarray:
    wave = 127.5 + 127.5 * np.sin(2 * np.pi * PLACES / 16)
    return np.broadcast_to(wave.round().astype(np.uint8)[None, :, None], (SIDE, SIDE, 3)).copy()


def _page() -> np.ndarray:
    picture = Image.new("RGB", (SIDE, SIDE), "white")
    pen = ImageDraw.Draw(picture)
    for top in range(4, SIDE - 6, 17):
        pen.text((4, top), f"The quick brown fox jumps over it {top}", fill="black", font=ImageFont.load_default(13))
    return np.array(picture)


@pytest.mark.parametrize("draw", [_chequers, _sine, _page])
@pytest.mark.parametrize("model", [("mlicv2", "mlicv2-small"), ("s2lic", "s2lic-small")], ids=lambda model: model[1])
def test_patterns_and_text_stay_sharp(draw, model):
    """A network that had seen photographs only left 12 dB of the chequers, whatever the quality."""
    codec, picture = bitfloor.load(*model), draw()
    found = {}
    for quality in (10, 50, 100):
        decoded = np.array(codec.decode(codec.encode(picture, quality=quality))).astype(float)
        found[quality] = 10 * np.log10(255**2 / np.mean((decoded - picture) ** 2))
    assert found[10] > 20 and found[50] > 30 and found[100] > 33, found
    assert found[10] < found[50] < found[100] + 1.0, found
