"""A trained picture network in 8 bits: which numbers to round to which, and what it costs.

layers = eight_bits(network, pictures)     grids and rounded weights, from what the layers read of pictures
cost(before, after, pictures)              bytes and PSNR of real files, before and after
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from ...codecs.image.codec import ImageCodec
from ...codecs.image.frozen import ENTROPY, FULL_PRECISION
from ...codecs.image.model import ImageNetwork
from ...codecs.media.pictures.picture import Picture
from ...codecs.media.pictures.psnr import picture_psnr
from ...codecs.small_weights import LARGEST, Rows, nearest, row_steps
from ...entropy_models.exact.layers import ExactLayer
from ...entropy_models.exact.quantise import quantise, settle
from ...entropy_models.exact.tabulate import tabulate
from ...entropy_models.latent.q_index import q_index_of
from .calibrate import choose_grid, fits_single, round_weight, watch

QUALITIES = (10.0, 50.0, 90.0)
SIDE = 384  # pixels of the part of a picture that is looked at


@dataclass(frozen=True)
class EightBits:
    """What became of a network.

    Attributes:
        weights: of the transforms, by name.
        single, double: layers of the entropy path with and without a proof for float32.
    """

    weights: dict[str, Rows]
    single: int
    double: int


def takes_grids(network: ImageNetwork, state: dict[str, Tensor]) -> None:
    """Prepare a network for the weights of a training with grids in the loop, if `state` is of one."""
    if any(".rounding." in name for name in state):
        for part in ENTROPY:
            quantise(getattr(network, part))


@torch.no_grad()
def eight_bits(network: ImageNetwork, pictures: Sequence[NDArray[np.uint8]]) -> EightBits:
    """Round a network in place for `save_model`, from pictures (H, W, 3).

    Every layer of the entropy path gets its grid, unless it was trained with one, and weights on it; their sums are
    exact in float32 where possible. Weights of the transforms become integers of 8 bits. All are rounded so that
    results change least on such pictures (`calibrate.round_weight`).
    """
    network.eval()
    exact, plain = _layers(network)
    trained = {name for name, layer in exact.items() if layer.rounding is not None}
    for part in ENTROPY:
        tabulate(getattr(network, part))
        settle(getattr(network, part))

    def run() -> None:
        for number, picture in enumerate(tqdm(pictures, desc="rounding", unit="", mininterval=1)):
            position = torch.tensor([q_index_of(QUALITIES[number % len(QUALITIES)])])
            network(_whole_blocks(picture, network.config.block), position)

    seen = watch({**exact, **plain}, run)
    single = [
        fits_single(layer) if name in trained or name not in seen else choose_grid(layer, seen[name])
        for name, layer in exact.items()
    ]
    weights = {}
    for name, layer in plain.items():
        steps = row_steps(layer.weight)
        moments = seen[name].moments if name in seen else None
        rounded, bias = round_weight(layer.weight, layer.bias, steps, LARGEST, moments)
        weights[f"{name}.weight"] = nearest(rounded, steps)
        if bias is not None:
            layer.bias.copy_(bias)
    return EightBits(weights, sum(single), len(single) - sum(single))


def cost(before: ImageCodec, after: ImageCodec, pictures: Sequence[NDArray[np.uint8]]) -> list[dict[str, float]]:
    """How the files of `after` differ from those of `before` in bytes (per cent) and PSNR (dB)."""
    rows = []
    for quality in QUALITIES:
        points: list[tuple[int, int, float]] = []
        for picture in tqdm(pictures, desc=f"quality {quality:g}", unit="", mininterval=1):
            part = Picture(_centre(picture, SIDE))
            files = [codec.encode_picture(part, quality) for codec in (before, after)]
            decoded = before.decode_picture(files[0]), after.decode_picture(files[1])
            gained = picture_psnr(part, decoded[1]) - picture_psnr(part, decoded[0])
            points.append((len(files[0]), len(files[1]), gained))
        old, new, changes = (np.array(column) for column in zip(*points, strict=True))
        rate = 100 * (float(new.sum()) / float(old.sum()) - 1)
        change = round(float(changes.mean()), 4)
        rows.append({"quality": quality, "bytes_percent": round(rate, 3), "psnr_change": change})
    return rows


def _layers(network: ImageNetwork) -> tuple[dict[str, ExactLayer], dict[str, Any]]:
    """The layers of the entropy path, and the others that have a matrix or a kernel, by name."""
    exact: dict[str, ExactLayer] = {}
    plain: dict[str, Any] = {}
    for part, module in network.named_children():
        for name, layer in _named(part, module):
            if isinstance(layer, ExactLayer):
                exact[name] = layer
            elif isinstance(layer, (nn.Linear, nn.Conv2d)) and not isinstance(module, FULL_PRECISION):
                plain[name] = layer
    return exact, plain


def _named(part: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return ((f"{part}.{name}" if name else part, layer) for name, layer in module.named_modules())


def _centre(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The middle of a picture, at most `side` pixels high and wide."""
    top, left = (max(0, extent - side) // 2 for extent in picture.shape[:2])
    return np.ascontiguousarray(picture[top : top + side, left : left + side])


def _whole_blocks(picture: NDArray[np.uint8], block: int) -> Tensor:
    """The middle of a picture, padded to whole blocks, (1, 3, H, W) in [0, 1]."""
    part = _centre(picture, SIDE)
    bottom, right = (-extent % block for extent in part.shape[:2])
    padded = np.pad(part, ((0, bottom), (0, right), (0, 0)), mode="edge")
    return torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
