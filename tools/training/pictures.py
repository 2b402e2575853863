"""Training pictures: decoded once, kept as bytes in memory, cropped anew for every step."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ...codecs.media.pictures.files import read_picture
from ...codecs.media.pictures.hidden import fill_hidden
from ...codecs.media.pictures.picture import to_depth
from ...errors import UnreadableInputError
from ..console import note
from ..suffixes import PICTURES
from .drawings import draw, patch_over

HELD_OUT_SHARE = 32  # one picture in so many is for validation, chosen by its name
SMALLEST_SIDE = 64
PATCHES = 1 / 3  # of the drawings are laid over a picture


def find_pictures(folders: Sequence[Path]) -> list[Path]:
    """Every picture below the folders, sorted; what is named itself is taken whatever its suffix."""
    paths = []
    for place in folders:
        below = [p for p in sorted(place.rglob("*")) if p.suffix.lower() in PICTURES and p.is_file()]
        paths += [place] if place.is_file() else below
    if not paths:
        raise UnreadableInputError(f"no pictures in {', '.join(map(str, folders))}: name folders with photographs")
    return paths


def is_held_out(path: Path) -> bool:
    """Whether a picture is for validation; depends on its name only, so every run agrees."""
    return hashlib.sha256(path.name.encode()).digest()[0] % HELD_OUT_SHARE == 0


def load_pictures(paths: Sequence[Path], workers: int | None = None) -> list[np.ndarray]:
    """(H, W, 3) uint8 arrays; unreadable and tiny ones are left out with a line above the bar."""
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        loaded = list(tqdm(pool.map(_load, paths), total=len(paths), desc="pictures", unit="", mininterval=1))
    return [array for array in loaded if array is not None]


def _load(path: Path) -> np.ndarray | None:
    try:
        array = to_depth(fill_hidden(read_picture(path)).rgb, np.dtype(np.uint8))
    except UnreadableInputError as error:
        note(f"left out: {error}")
        return None
    if min(array.shape[:2]) < SMALLEST_SIDE:
        note(f"left out: {path} has less than {SMALLEST_SIDE} pixels in height or width")
        return None
    return array


class RandomCrops:
    """Square crops of pictures drawn in proportion to their area, flipped and turned at random.

    A share of `drawings` of them is not from a picture: drawn patterns, text and diagrams, a third of them laid over a
    picture (`drawings.py`).
    """

    def __init__(self, pictures: Sequence[np.ndarray], drawings: float = 0.0) -> None:
        self.pictures, self.drawings = list(pictures), drawings
        areas = np.array([p.shape[0] * p.shape[1] for p in self.pictures], dtype=np.float64)
        self.cumulative = np.cumsum(areas / areas.sum())

    @property
    def largest(self) -> int:
        """The side of the largest crop that there is."""
        return max(min(picture.shape[:2]) for picture in self.pictures)

    def draw(self, rng: np.random.Generator, batch: int, size: int) -> Tensor:
        """(batch, 3, size, size) in [0, 1]; `size` is at most `largest`."""
        return torch.from_numpy(np.stack([self._one(rng, size) for _ in range(batch)])).float() / 255

    def _one(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """(3, S, S) uint8."""
        if self.drawings and rng.random() < self.drawings:
            if rng.random() < PATCHES:
                return patch_over(rng, self.crop(rng, size).transpose(1, 2, 0)).transpose(2, 0, 1)
            return draw(rng, size).transpose(2, 0, 1)
        return self.crop(rng, size)

    def crop(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """(3, S, S) uint8 of a picture."""
        while True:
            picture = self.pictures[int(np.searchsorted(self.cumulative, rng.random()))]
            if min(picture.shape[:2]) >= size:
                break
        top, left = (int(rng.integers(extent - size + 1)) for extent in picture.shape[:2])
        crop = picture[top : top + size, left : left + size].transpose(2, 0, 1)
        if rng.random() < 0.5:
            crop = crop[:, :, ::-1]
        return crop.transpose(0, 2, 1) if rng.random() < 0.25 else crop
