"""Generalised divisive normalisation (Ballé, Laparra and Simoncelli, arXiv 1511.06281)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ....entropy_models.latent.full_precision import full_precision

LEAST = 1e-6


class GDN(nn.Module):
    """x / sqrt(beta + gamma x^2) over the channels of (B, H, W, C); with `inverse` times the root instead.

    beta and gamma are squares of the parameters, so that they cannot become negative.
    """

    def __init__(self, channels: int, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.root_beta = nn.Parameter(torch.ones(channels))
        self.root_gamma = nn.Parameter(0.1**0.5 * torch.eye(channels) + 1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape, in float32: squares of features need its range."""
        with full_precision(x):
            energy = nn.functional.linear(x.float().square(), self.root_gamma.square(), self.root_beta.square())
            norm = torch.sqrt(energy + LEAST)
            return x * norm if self.inverse else x / norm
