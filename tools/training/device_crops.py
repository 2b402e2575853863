"""Training pictures in a GPU's memory: crops are cut, flipped and turned there, by one gather for a whole batch.

    bytes of all pictures, one after the other          crop = bytes[origin + row * down + column * across + channel]

A processor that has to cut the crops could not keep up with a GPU; and a GPU that waits is wasted.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from .drawings import draw, patch_over
from .pictures import PATCHES, RandomCrops

DRAWN = 2048  # drawings that are made at the beginning; crops of them differ in place and direction
_TOGETHER = 32  # of them that one process makes at once


class DeviceCrops:
    """What `RandomCrops` gives, on a device.

    Args:
        crops: the pictures, and the share of drawings among the crops.
        side: of a drawing in pixels; no smaller than the largest crop.
        device: where the pictures are kept, 3 bytes a pixel.
    """

    def __init__(self, crops: RandomCrops, side: int, device: torch.device) -> None:
        self.device, self.share = device, crops.drawings
        self.photographs = len(crops.pictures)
        drawn = _drawn(crops, side) if crops.drawings else []
        pictures = [*crops.pictures, *drawn]
        self.heights, self.widths = (np.array([p.shape[axis] for p in pictures]) for axis in (0, 1))
        sizes = 3 * self.heights * self.widths
        self.starts = np.cumsum(sizes) - sizes
        self.cumulative = crops.cumulative
        self.bytes = torch.empty(int(sizes.sum()), dtype=torch.uint8, device=device)
        for start, size, picture in zip(self.starts, sizes, pictures, strict=True):
            whole = np.require(picture, requirements=("C", "W"))  # torch warns of what it may not write to
            self.bytes[start : start + size] = torch.from_numpy(whole.reshape(-1)).to(device)

    def draw(self, rng: np.random.Generator, batch: int, size: int) -> Tensor:
        """(batch, 3, size, size) in [0, 1] on the device; some photograph has `size` pixels in height and width."""
        places = torch.from_numpy(np.stack([self._place(rng, size) for _ in range(batch)]))
        places = (places.pin_memory() if self.device.type == "cuda" else places).to(self.device, non_blocking=True)
        origin, down, across = (column[:, None, None, None] for column in places.unbind(1))
        along = torch.arange(size, device=self.device)
        channel = torch.arange(3, device=self.device)[:, None, None]
        return self.bytes[origin + channel + down * along[:, None] + across * along].float() / 255

    def _place(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Where one crop's first byte is, and how many bytes lie between its rows and between its columns."""
        number = self._choose(rng)
        while min(self.heights[number], self.widths[number]) < size:
            number = self._choose(rng)
        width = int(self.widths[number])
        top, left = (int(rng.integers(extent - size + 1)) for extent in (int(self.heights[number]), width))
        down, across = 3 * width, 3
        if rng.random() < 0.5:
            left, across = left + size - 1, -across
        origin = int(self.starts[number]) + 3 * (top * width + left)
        return np.array([origin, across, down] if rng.random() < 0.25 else [origin, down, across])

    def _choose(self, rng: np.random.Generator) -> int:
        if rng.random() < self.share:
            return self.photographs + int(rng.integers(len(self.heights) - self.photographs))
        return int(np.searchsorted(self.cumulative, rng.random()))


def _drawn(crops: RandomCrops, side: int) -> list[np.ndarray]:
    """`DRAWN` drawings (side, side, 3), a third of them laid over parts of pictures."""
    rng = np.random.default_rng(0)
    patched = round(PATCHES * DRAWN)
    side_of_parts = min(side, crops.largest)
    jobs: list[tuple[int, int, np.ndarray | None]] = []
    for number in range(DRAWN):
        part = crops.crop(rng, side_of_parts).transpose(1, 2, 0).copy() if number < patched else None
        jobs.append((number, side, part))
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        made = pool.map(_one, jobs, chunksize=_TOGETHER)
        return list(tqdm(made, total=DRAWN, desc="drawings", unit="", mininterval=1))


def _one(job: tuple[int, int, np.ndarray | None]) -> np.ndarray:
    seed, side, part = job
    rng = np.random.default_rng((1, seed))
    return draw(rng, side) if part is None else patch_over(rng, part)
