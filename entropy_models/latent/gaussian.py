"""Conditional Gaussian of the latent y: training-time likelihoods and the grid of coded scales."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..exact.grid import divide
from .factorized import LIKELIHOOD_FLOOR

# 128 scales from 0.11 to 128 in equal ratios. Both numbers are exact in binary, so that no logarithm of any
# mathematical library decides where one scale index ends and the next begins.
SCALE_COUNT = 128
LOG_SCALE_LOW = -2260 / 2**10
LOG_SCALE_STEP = 3643 / 2**16
LOG_SCALE_HIGH = LOG_SCALE_LOW + (SCALE_COUNT - 1) * LOG_SCALE_STEP


def coded_scales() -> list[float]:
    """The standard deviations that have a frozen table, by scale index."""
    return [math.exp(LOG_SCALE_LOW + index * LOG_SCALE_STEP) for index in range(SCALE_COUNT)]


def scale_index(log_scales: Tensor) -> Tensor:
    """Index of the nearest coded scale in ratio, float64 in and int32 out, any shape."""
    nearest = torch.round(divide(log_scales - LOG_SCALE_LOW, LOG_SCALE_STEP))
    return nearest.clamp(0, SCALE_COUNT - 1).to(torch.int32)


def gaussian_likelihood(residual: Tensor, scales: Tensor) -> Tensor:
    """Probability of the unit bin around `residual` = y - mean under N(0, scales^2), any shape."""
    distance = residual.abs()
    upper = _standard_normal_cdf((0.5 - distance) / scales)
    lower = _standard_normal_cdf((-0.5 - distance) / scales)
    return (upper - lower).clamp_min(LIKELIHOOD_FLOOR)


def bounded_scales(log_scales: Tensor) -> Tensor:
    """exp(log_scales) held inside the coded range; the gradient still leads back from outside."""
    clamped = log_scales.clamp(LOG_SCALE_LOW, LOG_SCALE_HIGH)
    return torch.exp(_ClampTowards.apply(log_scales, clamped))


def _standard_normal_cdf(x: Tensor) -> Tensor:
    return 0.5 * torch.erfc(x * -math.sqrt(0.5))


class _ClampTowards(torch.autograd.Function):
    """Forward: the clamped value. Backward: the gradient, except where it would push further outside."""

    @staticmethod
    def forward(ctx, raw: Tensor, clamped: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(torch.sign(raw - clamped))
        return clamped

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        (outside,) = ctx.saved_tensors
        return gradient * ((outside == 0) | (gradient * outside > 0)), None
