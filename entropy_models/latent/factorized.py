"""Factorised prior of the hyper-latent z, trained without a parametric family (Ballé et al. 2018, appendix 6.1)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .full_precision import full_precision

LIKELIHOOD_FLOOR = 1e-9


class FactorizedPrior(nn.Module):
    """Learned cumulative distribution of every channel; the likelihood is its increase over a bin of width one.

    The parameters and the likelihoods are those of CompressAI's `EntropyBottleneck` (filters 3, 3, 3, 3), so
    either can read the other's. What differs is the use: no quantiles are learned, because z is coded around
    zero and the frozen tables find their own extent.
    """

    def __init__(self, channels: int, init_scale: float = 10.0, filters: tuple[int, ...] = (3, 3, 3, 3)) -> None:
        super().__init__()
        self.channels = channels
        widths = (1, *filters, 1)
        scale = init_scale ** (1 / (len(filters) + 1))
        layers = list(pairwise(widths))
        self.matrices = nn.ParameterList(
            nn.Parameter(torch.full((channels, n, m), _inverse_softplus(1 / scale / n))) for m, n in layers
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.empty(channels, n, 1).uniform_(-0.5, 0.5)) for _, n in layers)
        self.factors = nn.ParameterList(nn.Parameter(torch.zeros(channels, n, 1)) for _, n in layers[:-1])

    def logits(self, values: Tensor) -> Tensor:
        """Logit of the cumulative distribution at `values` (C, 1, N), in the same shape."""
        for index, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            values = torch.matmul(F.softplus(matrix), values) + bias
            if index < len(self.factors):
                values = values + torch.tanh(self.factors[index]) * torch.tanh(values)
        return values

    def likelihood(self, z: Tensor, scale: Tensor | None = None, floor: float = LIKELIHOOD_FLOOR) -> Tensor:
        """Probability of the unit bin around each element of z.

        z: (C, N), one row for each channel. scale: same shape or broadcastable; the prior is stretched by it,
        P(z) = F((z + 1/2) / scale) - F((z - 1/2) / scale), which is how one prior serves every quality.
        """
        inverse = 1.0 if scale is None else 1.0 / scale
        with full_precision(z):  # a difference of two sigmoids needs all its bits
            lower = self.logits(((z - 0.5) * inverse).unsqueeze(1)).squeeze(1)
            upper = self.logits(((z + 0.5) * inverse).unsqueeze(1)).squeeze(1)
        # Evaluated in the tail where both sigmoids are small, or their difference would cancel.
        sign = -torch.sign(lower + upper).detach()
        return torch.abs(torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower)).clamp_min(floor)

    def grid_likelihood(self, z: Tensor, scale: Tensor) -> Tensor:
        """Likelihoods (B, Z * h * w) of z (B, h, w, Z), stretched by scale (B, Z)."""
        b, h, w, c = z.shape
        rows = z.permute(3, 0, 1, 2).flatten(1)
        stretched = scale.t()[:, :, None].expand(c, b, h * w).flatten(1)
        return self.likelihood(rows, stretched).unflatten(1, (b, h * w)).transpose(0, 1).flatten(1)


def _inverse_softplus(value: float) -> float:
    return math.log(math.expm1(value))
