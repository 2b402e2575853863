"""What stands for rounding where a gradient is wanted."""

from __future__ import annotations

import torch
from torch import Tensor

ANNEALING_EDGE = 1e-5  # keeps the logits of annealed rounding finite


def perturbed(x: Tensor, training: bool) -> Tensor:
    """x with uniform noise in training, rounded in evaluation.

    There noise would charge a silent channel 0.15 bits a symbol.
    """
    return x + torch.rand_like(x) - 0.5 if training else torch.round(x)


def round_straight_through(x: Tensor) -> Tensor:
    """Rounded x, with the gradient of x."""
    return x + (torch.round(x) - x).detach()


def annealed(x: Tensor, temperature: float) -> Tensor:
    """x pulled at random towards the integer below or above it: stochastic Gumbel annealing.

    The nearer an integer, the likelier; the lower the temperature, the closer to it. The two logits are
    -atanh(distance) / temperature, and a relaxed sample is drawn from them (Yang, Bamler and Mandt, "Improving
    inference for neural image compression", NeurIPS 2020, section 3.2).

    Args:
        x: any shape; gradients flow through the distances.
        temperature: above 0.
    """
    low = torch.floor(x).detach()
    above = (x - low).clamp(ANNEALING_EDGE, 1 - ANNEALING_EDGE)
    logits = torch.stack((-torch.atanh(above), -torch.atanh(1 - above)), -1) / temperature
    share_of_high = torch.nn.functional.gumbel_softmax(logits, temperature)[..., 1]
    return low + share_of_high
