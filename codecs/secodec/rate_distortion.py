"""Codes chosen by what they cost as well as by how near they are: residual quantisation with entropy constraint.

Of a thousand centroids in 64 dimensions several are almost equally near to a frame; the token model finds some of them
far likelier. Each layer takes argmin of (squared distance + price * bits), bits by the model that codes the file
(entropy-constrained vector quantisation, Chou, Lookabaugh and Gray 1989, with a price for every layer). A decoder
does not notice; nothing here needs exact arithmetic.

The price of a bit is the slope of Gaussian rate-distortion theory: D = c 2^(-2 R / dim) gives -dD/dR = 2 ln 2 D / dim.
With D the mean squared error after a layer this needs no tuning, and leaves what the later layers see unchanged.
On held-out speakers half that price and twice that price both did worse. D is the model's, what its codebooks left over
in training (`ResidualQuantiser.errors`), not the sound's: a frame costs the same whatever comes minutes later.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ...entropy_models.tokens.token_coding import BLOCK_STEPS, walk
from ...entropy_models.tokens.token_model import TokenModel, delay
from .residual_vq import ResidualQuantiser

_LEAST_SHARE = 2.0**-24  # that the range coder gives a token


class PricedChoice:
    """Chooses codes of latents (T, D), layer after layer, at the model's prices."""

    def __init__(self, quantiser: ResidualQuantiser, latents: Tensor) -> None:
        self.centroids = [quantiser.centroids()[layer, :size] for layer, size in enumerate(quantiser.sizes)]
        self.prices = [2 * math.log(2) * error / quantiser.dim for error in quantiser.errors()]
        self.residual = latents.clone()

    def choose(self, layer: int, frames: Tensor, bits: Tensor) -> Tensor:
        """Codes (M,) of a layer for `frames` (M,), whose codes of the layers before are chosen; bits (M, >= K)."""
        centroids = self.centroids[layer]
        residual = self.residual[frames]
        distance = centroids.square().sum(1) - 2 * residual @ centroids.T
        chosen = (distance + self.prices[layer] * bits[:, : len(centroids)]).argmin(1)
        self.residual[frames] = residual - centroids[chosen]
        return chosen


class Choosing:
    """A `TokenSource` that asks `choice` for every token; contexts inside a block are those of `codes` (T, L)."""

    block = BLOCK_STEPS

    def __init__(self, codes: Tensor, choice: PricedChoice) -> None:
        self.steps = delay(codes[None])[0].numpy()
        self.choice = choice

    def take(self, rows: np.ndarray, places: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """See `TokenSource`."""
        steps, layers = (torch.from_numpy(place) for place in places)
        frequencies = torch.from_numpy(rows).float()
        share = frequencies / frequencies.sum(1, keepdim=True)
        bits = -torch.log2(share.clamp_(min=_LEAST_SHARE))
        codes = torch.empty_like(steps)
        for layer in layers.unique().tolist():
            here = layers == layer
            codes[here] = self.choice.choose(layer, steps[here] - layer, bits[here])
        return codes.numpy()


def choose_codes(model: TokenModel, quantiser: ResidualQuantiser, latents: Tensor, nearest: Tensor) -> np.ndarray:
    """Codes (T, L) int64 of latents (T, D) under a frozen token model, beginning with the `nearest` codes (T, L)."""
    choice = PricedChoice(quantiser, latents)
    return walk(model, nearest.shape[0], nearest.shape[1], Choosing(nearest, choice))


@torch.no_grad()
def choose_in_training(model: TokenModel, quantiser: ResidualQuantiser, latents: Tensor, nearest: Tensor) -> Tensor:
    """The same under a token model in training, in one block."""
    layers = nearest.shape[1]
    context, _ = model.context(model.before(delay(nearest[None])), torch.tensor([layers]), model.start(1))
    log2 = model.log2_frequencies(context, layers)[0]
    choice = PricedChoice(quantiser, latents)
    frames = torch.arange(len(nearest))
    codes = [choice.choose(layer, frames, -log2[frames + layer, layer]) for layer in range(layers)]
    return torch.stack(codes, dim=1)
