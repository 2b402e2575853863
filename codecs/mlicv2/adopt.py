"""A trained network's weights in one whose last channel group is wider or narrower, or that has a linear path.

A latent of 192 channels for the 768 samples of a 16x16 block is full at high rates: nine tenths of the squared error
are there before anything is rounded. New channels with random filters are silenced by the rate term long before the
synthesis has learned what they mean. Here they start as what lowers the error most without any training: the linear
transform of a block that predicts best what the narrow network lost (reduced-rank regression), with the step that the
loss itself asks for and the spread that it has.

The channels of the last group have no order, as no context follows them: to fit a smaller model those go that are most
often zero.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ...entropy_models.latent.checkerboard import ANCHOR_WINDOW
from ...errors import ModelError
from .model import MLICv2
from .quality import GAIN_HIGH, LAMBDA_HIGH, POSITIONS
from .transforms import CELL, CELL_SAMPLES, unshuffle

_BLOCKS = {".third.": (0, 2), ".direct.": (1, len(ANCHOR_WINDOW))}  # axis and number of blocks that change each
_MARGIN = 2 * CELL  # of a crop, where the error is not yet what it is inside a picture
_BATCH = 16
_RIDGE = 1e-4


def adopt(trained: MLICv2, model: MLICv2, crops: Tensor) -> None:
    """Load the weights of `trained` into `model`, as far as they have the same place in both.

    crops (B, 3, S, S) in [0, 1], S a multiple of 64 from 128 on: training pictures for new channels to be fitted to, or
    to find the channels that can go.
    Raises ModelError where the two differ in more than their last group, `direct_channels` and the linear path.
    """
    wide = model.config
    if trained.config.groups[-1] > wide.groups[-1]:
        trained = shrink(trained, wide.groups[-1], crops)
    groups = (*trained.config.groups[:-1], wide.groups[-1])
    path = wide.linear_path or trained.config.linear_path
    if replace(trained.config, groups=groups, direct_channels=wide.direct_channels, linear_path=path) != wide:
        raise ModelError("cannot start from a model that differs in more than its last group and its linear path")
    target, source = model.state_dict(), trained.state_dict()
    for name, new in target.items():
        if not name.startswith("quality."):  # new gains keep the levels of the nodes
            new.zero_()
        if name not in source:
            continue
        axis, blocks = next((v for part, v in _BLOCKS.items() if part in name and new.ndim > v[0]), (0, 1))
        for into, part in zip(new.chunk(blocks, axis), source[name].chunk(blocks, axis), strict=True):
            common = tuple(slice(min(a, b)) for a, b in zip(into.shape, part.shape, strict=True))
            into[common] = part[common]
    if wide.latent > trained.config.latent and wide.linear_path:
        _fit_new_channels(trained, model, crops)


@torch.no_grad()
def shrink(model: MLICv2, channels: int, crops: Tensor) -> MLICv2:
    """The network with `channels` of its last group: those that are most often not zero at the highest quality.

    The first `direct_channels`, which the local context convolves, stay. For crops see `adopt`.
    """
    config = model.config
    before = config.groups[-1]
    position = torch.tensor([POSITIONS])
    latent = torch.cat([_analyse(model, part, position) for part in crops.split(_BATCH)])
    used = (torch.round(latent * model.quality.state(position).gain[:, 0]) != 0).double().mean((0, 1, 2))[-before:]
    used[: config.direct_channels] += 1
    kept = used.argsort(descending=True, stable=True)[:channels].sort().values
    result = MLICv2(replace(config, groups=(*config.groups[:-1], channels)))
    source = model.state_dict()
    for name, into in result.state_dict().items():
        value = source[name]
        for axis, (old, new) in enumerate(zip(value.shape, into.shape, strict=True)):
            if old == new:
                continue
            parts = value.chunk((old - new) // (before - channels), axis)  # the group ends each of them
            first = parts[0].shape[axis] - before
            index = torch.cat((torch.arange(first), first + kept))
            value = torch.cat([part.index_select(axis, index) for part in parts], axis)
        into.copy_(value)
    return result


@torch.no_grad()
def _fit_new_channels(narrow: MLICv2, model: MLICv2, crops: Tensor) -> None:
    start, stop = narrow.config.latent, model.config.latent
    blocks, lost = _losses(narrow, crops)
    mean = blocks.mean(0)
    centred = blocks - mean
    ridge = _RIDGE * centred.square().sum(0).mean() * torch.eye(CELL_SAMPLES, dtype=torch.float64)
    predictor = torch.linalg.solve(centred.T @ centred + ridge, centred.T @ lost)
    directions = torch.linalg.svd(centred @ predictor, full_matrices=False).Vh[: stop - start]
    # At a high rate bpp + lambda 255^2 MSE of an orthonormal transform is least for this step of the quantiser.
    step = math.sqrt(6 * 3 / (math.log(2) * 255**2 * LAMBDA_HIGH))
    scale = 1 / (step * GAIN_HIGH)
    filters = scale * directions @ predictor.T
    if model.analysis.linear is None or model.synthesis.linear is None:
        raise ModelError("new channels need a linear path")
    model.analysis.linear.weight[start:stop] = filters.float()
    model.analysis.latent.bias[start:stop] = -(filters @ mean).float()
    model.synthesis.linear.weight[:, start:stop] = (directions.T / scale).float()
    spread = (centred @ filters.T).std(0).log().float()
    last = model.context.group_model(len(model.config.groups) - 1)
    for head in (last.anchor_head, last.other_head):
        head.third.bias[start - stop :] = spread


def _losses(model: MLICv2, crops: Tensor) -> tuple[Tensor, Tensor]:
    """Blocks of the crops' inner parts, and what of them is lost before rounding, (N, 768) float64."""
    inner = slice(_MARGIN, crops.shape[-1] - _MARGIN)
    blocks: list[Tensor] = []
    lost: list[Tensor] = []
    position = torch.tensor([POSITIONS])
    state = model.quality.state(position)
    gains = (state.gain * state.inverse_gain)[:, 0]  # one is learned apart from the other
    modulation = model.modulation(model.quality.synthesis, position)
    for part in crops.split(_BATCH):
        x = part.permute(0, 2, 3, 1)
        x_hat = model.synthesis(_analyse(model, part, position) * gains, modulation)
        for into, grid in ((blocks, x - 0.5), (lost, x - x_hat)):
            into.append(unshuffle(grid[:, inner, inner], CELL).reshape(-1, CELL_SAMPLES).double())
    return torch.cat(blocks), torch.cat(lost)


def _analyse(model: MLICv2, crops: Tensor, position: Tensor) -> Tensor:
    """y (B, H, W, M) before its gain."""
    latent: Tensor = model.analysis(crops.permute(0, 2, 3, 1), model.modulation(model.quality.analysis, position))
    return latent
