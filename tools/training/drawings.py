"""Drawings, text and patterns made while training: what photographs lack and people send all the same.

Every function returns a crop (S, S, 3) uint8 from a random generator. A network that has seen photographs only turns
chequers into grey and blurs letters; a tenth of the crops is enough for it to learn them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Crop = NDArray[np.uint8]
_LETTERS = "eeeetttaaaooiinnsshhrrdlucmwfgypbvkjxqz"
_PLAIN = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]], np.uint8)


def draw(rng: np.random.Generator, size: int) -> Crop:
    """One crop of a kind drawn at random."""
    kind = _KINDS[int(rng.integers(len(_KINDS)))]
    return kind(rng, size)


def patch_over(rng: np.random.Generator, photograph: Crop) -> Crop:
    """The photograph (S, S, 3) with a drawing over a rectangle of it."""
    size = photograph.shape[0]
    top, left = rng.integers(0, 3 * size // 4, 2)
    height, width = rng.integers(size // 8, size, 2)
    crop = photograph.copy()
    part = crop[top : top + height, left : left + width]
    part[:] = draw(rng, size)[: part.shape[0], : part.shape[1]]
    return crop


def chequers(rng: np.random.Generator, size: int) -> Crop:
    """Two colours in squares, or rectangles, of 1 to 32 pixels."""
    cell = 2 ** rng.uniform(0, 5, 2) if rng.random() < 0.3 else np.repeat(2 ** rng.uniform(0, 5), 2)
    rows, columns = (_phase(rng, size, max(1, round(float(c)))) for c in cell)
    return _two_colours(rng, (rows[:, None] + columns) % 2 == 0)


def stripes(rng: np.random.Generator, size: int) -> Crop:
    """Hard stripes of 1 to 32 pixels, level, upright or slanted."""
    width = max(1, round(float(2 ** rng.uniform(0, 5))))
    grid = np.arange(size)
    slope = int(rng.integers(-1, 2))
    lines = _phase(rng, 3 * size, width)[(grid[:, None] + slope * grid) + size] % 2 == 0
    return _two_colours(rng, lines.T if rng.random() < 0.5 else lines)


def waves(rng: np.random.Generator, size: int) -> Crop:
    """A sine of any direction with a period of 4 to 64 pixels between two colours."""
    period, angle = 2 ** rng.uniform(2, 6), rng.uniform(0, np.pi)
    if rng.random() < 0.5:
        angle = round(angle / (np.pi / 2)) * np.pi / 2
    grid = np.arange(size)
    along = np.cos(angle) * grid[:, None] + np.sin(angle) * grid
    return _blend(rng, 0.5 + 0.5 * np.sin(2 * np.pi * (along / period + rng.random())))


def gradient(rng: np.random.Generator, size: int) -> Crop:
    """From one colour to another over the crop, or one colour alone."""
    if rng.random() < 0.4:
        return np.broadcast_to(_colour(rng), (size, size, 3)).copy()
    angle, grid = rng.uniform(0, 2 * np.pi), np.arange(size) / size - 0.5
    return _blend(rng, np.clip(0.5 + np.cos(angle) * grid[:, None] + np.sin(angle) * grid, 0, 1))


def text(rng: np.random.Generator, size: int) -> Crop:
    """Lines of words in one size, dark on light, light on dark or in colours."""
    picture = Image.new("RGB", (size, size), _ground(rng))
    pen = ImageDraw.Draw(picture)
    height = int(rng.integers(8, 33))
    _write(
        rng, pen, (int(rng.integers(-20, 10)), int(rng.integers(-height, 4))), size, size, height, _ink(rng, picture)
    )
    return np.asarray(picture)


def interface(rng: np.random.Generator, size: int) -> Crop:
    """Boxes, lines, circles and labels, as programs and diagrams have them."""
    picture = Image.new("RGB", (size, size), _ground(rng))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(3, 12))):
        left, top = (int(v) for v in rng.integers(-10, size, 2))
        right, bottom = left + int(rng.integers(4, size)), top + int(rng.integers(4, size // 2))
        fill, outline = tuple(map(int, _colour(rng))), tuple(map(int, _colour(rng)))
        match int(rng.integers(4)):
            case 0:
                pen.rounded_rectangle((left, top, right, bottom), int(rng.integers(0, 8)), fill, outline)
            case 1:
                pen.line((left, top, right, bottom), fill, int(rng.integers(1, 4)))
            case 2:
                pen.ellipse((left, top, right, bottom), fill, outline)
            case _:
                _write(rng, pen, (left, top), right - left, 16, int(rng.integers(9, 20)), fill)
    return np.asarray(picture)


_KINDS: tuple[Callable[[np.random.Generator, int], Crop], ...] = (
    chequers, chequers, stripes, waves, gradient, text, text, text, interface, interface,
)  # fmt: skip


def _phase(rng: np.random.Generator, size: int, width: int) -> NDArray[np.int64]:
    """Number of the bar of `width` pixels that each of `size` pixels lies in, from a random start."""
    return (np.arange(size) + int(rng.integers(2 * width))) // width


def _colour(rng: np.random.Generator) -> NDArray[np.uint8]:
    if rng.random() < 0.6:
        return _PLAIN[int(rng.integers(len(_PLAIN)))]
    return rng.integers(0, 256, 3).astype(np.uint8)


def _two_colours(rng: np.random.Generator, where: NDArray[np.bool_]) -> Crop:
    """One colour where the mask (S, S) holds and another elsewhere; black and white in a third of all cases."""
    first, second = (_PLAIN[0], _PLAIN[1]) if rng.random() < 1 / 3 else (_colour(rng), _colour(rng))
    return np.where(where[..., None], first, second)


def _blend(rng: np.random.Generator, share: NDArray[np.float64]) -> Crop:
    """From one colour to another by a share (S, S) in [0, 1]."""
    mixed = _colour(rng) * share[..., None] + _colour(rng) * (1 - share[..., None])
    return np.rint(mixed).astype(np.uint8)


def _ground(rng: np.random.Generator) -> tuple[int, int, int]:
    draw_of = rng.random()
    if draw_of < 0.5:
        return (255, 255, 255)
    base = rng.integers(200, 256) if draw_of < 0.75 else rng.integers(0, 60)
    r, g, b = (int(v) for v in np.clip(base + rng.integers(-12, 13, 3), 0, 255))
    return r, g, b


def _ink(rng: np.random.Generator, picture: Image.Image) -> tuple[int, ...]:
    light = sum(picture.getpixel((0, 0))) > 3 * 128  # type: ignore[arg-type]
    if rng.random() < 0.7:
        return (0, 0, 0) if light else (255, 255, 255)
    return tuple(int(v) for v in rng.integers(0, 128, 3) + (0 if light else 128))


def _write(
    rng: np.random.Generator,
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    width: int,
    height: int,
    letter: int,
    ink: tuple[int, ...],
) -> None:
    """Words from `at` on over a box of `width` and `height` pixels in letters of `letter` pixels."""
    for top in range(0, height, round(1.3 * letter)):
        words = (
            "".join(rng.choice(list(_LETTERS), int(rng.integers(1, 10)))) for _ in range(1 + 2 * width // (3 * letter))
        )
        line = " ".join(w.capitalize() if rng.random() < 0.2 else w for w in words)
        pen.text((at[0], at[1] + top), line[: 1 + 2 * width // letter], ink, font=_font(letter))


@cache
def _font(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(height)
