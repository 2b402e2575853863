"""What a network costs, found without its weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..model_file import WithoutValues
from .config import ImageConfig
from .model import ImageNetwork

HEIGHT, WIDTH = 512, 768  # a Kodak picture, for attention whose cost grows with the picture


@dataclass(frozen=True)
class Cost:
    """Parameters, and multiplications for each pixel of encoding and decoding a Kodak picture together.

    The entropy model, which both run, counts once.
    """

    parameters: int
    macs_per_pixel: float


def cost_of(config: ImageConfig) -> Cost:
    """Count parameters and multiplications of matrix products and convolutions; nothing is computed."""
    with WithoutValues():
        network = ImageNetwork(config).eval().to("meta")
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, HEIGHT, WIDTH), torch.zeros(1))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(parameters, counter.get_total_flops() / 2 / (HEIGHT * WIDTH))
