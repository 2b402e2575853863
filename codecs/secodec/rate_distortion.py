"""Codes chosen by what they cost as well as by how near they are: residual quantisation with entropy constraint.

Of a thousand centroids in 64 dimensions several are almost equally near to a frame; the token model finds some of them
far likelier. So codes minimise squared distance + price * bits, bits by the model that codes the file
(entropy-constrained vector quantisation, Chou, Lookabaugh and Gray 1989). And a layer's best code is not always the one
that lets the later layers come nearest: the best `WIDTH` rows of codes are followed from layer to layer (beam search).

    frame --layer 1--> 8 best codes --layer 2--> 8 best pairs --layer 3--> 8 best triples ...  --> the best row

The price of a bit is the slope of Gaussian rate-distortion theory: D = c 2^(-2 R / dim) gives -dD/dR = 2 ln 2 D / dim.
With D the mean squared error after a layer this needs no tuning: what a bit is worth after a layer shrinks in later
ones as the error does. D is the model's, what its codebooks left over in training (`ResidualQuantiser.errors`), not
the sound's: a frame costs the same whatever comes minutes later. A decoder notices nothing of all this; nothing here
needs exact arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...entropy_models.exact.settings import one_thread, own_settings
from ...entropy_models.tokens.token_coding import BLOCK_STEPS
from ...entropy_models.tokens.token_model import TokenModel, delay
from .residual_vq import ResidualQuantiser

WIDTH = 8  # rows of codes that are followed: 16 gain little more


def search(latents: Tensor, codebooks: Sequence[Tensor], bits: Tensor, prices: Sequence[float], width: int) -> Tensor:
    """Codes (T, L) for latents (T, D): of all rows that a beam search sees, those of least distance + price * bits.

    After each layer the `width` rows of least cost stay, judged at that layer's price.

    Args:
        latents: what to quantise.
        codebooks: (K, D) centroids of each layer.
        bits: (T, L, K') what each code costs, K' at least K.
        prices: squared distance that a bit is worth, after each layer.
        width: rows that are followed; 1 takes the best code in each layer.
    """
    left, spent = latents[:, None], latents.new_zeros(len(latents), 1)
    rows = torch.empty(len(latents), 1, 0, dtype=torch.int64, device=latents.device)
    for layer, (centroids, price) in enumerate(zip(codebooks, prices, strict=True)):
        size, asked = len(centroids), bits[:, layer, : len(centroids)]
        cost = left @ (-2 * centroids.T)  # of a row's squared distance the part that row and code share
        cost += (centroids.square().sum(1) + price * asked)[:, None]
        cost += (left.square().sum(2) + price * spent)[:, :, None]
        best = cost.flatten(1).topk(min(width, cost[0].numel()), largest=False).indices
        row, code = best // size, best % size
        left = left.gather(1, row[:, :, None].expand(-1, -1, left.shape[2])) - centroids[code]
        spent = spent.gather(1, row) + asked.gather(1, code)
        rows = torch.cat([rows.gather(1, row[:, :, None].expand(-1, -1, layer)), code[:, :, None]], dim=2)
    return rows[:, 0]  # topk sorts


def choose_codes(
    model: TokenModel, quantiser: ResidualQuantiser, latents: Tensor, nearest: Tensor, width: int = WIDTH
) -> np.ndarray:
    """Codes (T, L) int64 of latents (T, D) under a token model, frozen or in training.

    What codes cost is asked with the `nearest` codes (T, L) as the past.
    """
    codes: np.ndarray = choose_batch(model, quantiser, latents[None], nearest[None], width)[0].numpy()
    return codes


@torch.no_grad()
@own_settings()
@one_thread()
def choose_batch(
    model: TokenModel, quantiser: ResidualQuantiser, latents: Tensor, nearest: Tensor, width: int = WIDTH
) -> Tensor:
    """The same for several sounds, (B, T, D) and (B, T, L) to (B, T, L); -1 in `nearest` where a sound has ended."""
    layers = nearest.shape[2]
    codebooks = [quantiser.centroids()[layer, :size] for layer, size in enumerate(quantiser.sizes[:layers])]
    prices = [2 * math.log(2) * error / quantiser.dim for error in quantiser.errors()[:layers]]
    chosen, start = torch.empty_like(nearest), 0
    for bits in costs(model, nearest):
        part = slice(start, start + bits.shape[1])
        found = search(latents[:, part].flatten(0, 1), codebooks, bits.flatten(0, 1), prices, width)
        chosen[:, part] = found.view(bits.shape[:3])
        start = part.stop
    return chosen.masked_fill_(nearest < 0, -1)


def costs(model: TokenModel, codes: Tensor) -> Iterator[Tensor]:
    """Bits (B, T', L, K) float32 of all codes in blocks of frames, codes (B, T, L) being the past of each."""
    batch, _, layers = codes.shape
    active, past = torch.tensor([layers], device=codes.device), model.start(batch)
    before = F.pad(delay(codes)[:, :-1], (0, 0, 1, 0), value=-1)
    steps = torch.empty(batch, 0, layers, model.config.codes, dtype=torch.float32, device=codes.device)
    for entered in before.split(BLOCK_STEPS, dim=1):
        context, past = model.context(model.enter(entered), active, past)
        steps = torch.cat([steps, model.log2_frequencies(context, layers).float()], dim=1)
        frames = max(0, steps.shape[1] - layers + 1)  # of which every layer's step is here
        if frames:
            log2 = torch.stack([steps[:, layer : layer + frames, layer] for layer in range(layers)], dim=2)
            yield torch.logsumexp(log2 * math.log(2), dim=3, keepdim=True) / math.log(2) - log2
        steps = steps[:, frames:]
