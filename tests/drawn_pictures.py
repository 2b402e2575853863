"""Twenty pictures as programs make them: screens, drawings, patterns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 144, 96
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]


def _canvas(colour: str = "white", mode: str = "RGB") -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new(mode, (WIDTH, HEIGHT), colour)
    return image, ImageDraw.Draw(image)


def _words(seed: int, count: int) -> str:
    rng = np.random.default_rng(seed)
    return " ".join("".join(chr(c) for c in rng.integers(97, 123, rng.integers(2, 9))) for _ in range(count))


def _text(ink: str, paper: str) -> Image.Image:
    image, draw = _canvas(paper)
    for line in range(12):
        draw.text((6, 4 + 13 * line), _words(line, 6), fill=ink)
    return image


def _window() -> Image.Image:
    image, draw = _canvas("#3a6ea5")
    draw.rectangle((20, 16, 190, 140), fill="#f0f0f0", outline="black")
    draw.rectangle((20, 16, 190, 28), fill="#0a246a")
    draw.text((24, 17), "Settings", fill="white")
    for row in range(5):
        draw.rectangle((30, 38 + 18 * row, 40, 48 + 18 * row), fill="white", outline="grey")
        draw.text((46, 37 + 18 * row), _words(row, 3), fill="black")
    return image


def _table() -> Image.Image:
    image, draw = _canvas()
    for row in range(10):
        draw.rectangle((0, 16 * row, WIDTH, 16 * row + 15), fill="#eef" if row % 2 else "white", outline="#ccc")
        for column in range(4):
            draw.text((4 + 52 * column, 16 * row + 2), str((row * 7919 + column * 104729) % 9973), fill="black")
    return image


def _curves() -> Image.Image:
    image, draw = _canvas()
    draw.line((20, 140, 200, 140), fill="black")
    draw.line((20, 140, 20, 10), fill="black")
    for number, colour in enumerate(("red", "blue", "green")):
        points = [(x, 75 + 50 * np.sin(x / 20 + number)) for x in range(20, 200, 2)]
        draw.line(points, fill=colour, width=2)
    return image


def _bars() -> Image.Image:
    image, draw = _canvas()
    for number in range(12):
        colour = f"hsl({number * 30}, 80%, 50%)"
        draw.rectangle((8 + 16 * number, 150 - 10 * (number * 5 % 13), 20 + 16 * number, 150), fill=colour)
    return image


def _logo() -> Image.Image:
    image, draw = _canvas("#00000000", "RGBA")
    draw.ellipse((40, 20, 160, 140), fill="#d33c")
    draw.polygon([(100, 30), (150, 120), (50, 120)], fill="#fff")
    return image


def _map() -> Image.Image:
    image, draw = _canvas("#e8f0d8")
    rng = np.random.default_rng(3)
    for _ in range(14):
        draw.polygon([tuple(p) for p in rng.integers(0, 200, (5, 2))], fill=f"hsl({rng.integers(360)}, 40%, 75%)")
    for _ in range(12):
        draw.line([tuple(p) for p in rng.integers(0, 200, (4, 2))], fill="#c80", width=2)
    return image


def _lines() -> Image.Image:
    image, draw = _canvas()
    for number in range(40):
        draw.line((number * 5, 0, WIDTH - number * 3, HEIGHT), fill="black")
    return image


def _sprites() -> Image.Image:
    rng = np.random.default_rng(4)
    half = rng.integers(0, 4, (12, 9, 8, 4))
    sprites = np.concatenate([half, half[..., ::-1]], axis=3)
    colours = np.array([[20, 20, 40], [220, 60, 40], [240, 220, 80], [80, 180, 240]], np.uint8)
    grid = sprites.transpose(0, 2, 1, 3).reshape(96, 72)
    return Image.fromarray(colours[np.repeat(grid, 2, axis=1)])


def _code() -> Image.Image:
    blocks = np.random.default_rng(5).integers(0, 2, (24, 36)).astype(np.uint8) * 255
    return Image.fromarray(np.kron(blocks, np.ones((4, 4), np.uint8)))


def _chequers(side: int, first: tuple[int, ...], second: tuple[int, ...]) -> Image.Image:
    odd = (ROWS // side + COLUMNS // side) % 2
    return Image.fromarray(np.where(odd[:, :, None], first, second).astype(np.uint8))


def _array(*planes: np.ndarray) -> Image.Image:
    return Image.fromarray(np.stack([plane.astype(np.uint8) for plane in planes], 2))


PICTURES: dict[str, Callable[[], Image.Image]] = {
    "text": lambda: _text("black", "white"),
    "terminal": lambda: _text("#40e040", "black"),
    "window": _window,
    "table": _table,
    "curves": _curves,
    "bars": _bars,
    "logo": _logo,
    "map": _map,
    "lines": _lines,
    "sprites": _sprites,
    "code": _code,
    "pixels": lambda: _chequers(1, (0, 0, 0), (255, 255, 255)),
    "chequers": lambda: _chequers(8, (0, 0, 0), (255, 255, 255)),
    "red and green": lambda: _chequers(3, (255, 0, 0), (0, 255, 0)),
    "one colour": lambda: Image.new("RGB", (WIDTH, HEIGHT), "#c02942"),
    "gradient": lambda: _array(COLUMNS, ROWS, COLUMNS + ROWS),
    "rings": lambda: _array(*[128 + 127 * np.sin(np.hypot(ROWS - 80, COLUMNS - 100) ** 2 / 90 + k) for k in range(3)]),
    "dither": lambda: _curves().convert("1").convert("L"),
    "sierpinski": lambda: _array(*[255 * ((ROWS & COLUMNS) == 0)] * 3),
    "xor": lambda: _array(ROWS ^ COLUMNS, ROWS + COLUMNS, ROWS * COLUMNS // 64),
}
