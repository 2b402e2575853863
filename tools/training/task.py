"""What the training loop asks of a codec's task."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn


class Task(Protocol):
    """One network, where its examples come from and what counts as good."""

    model: nn.Module
    dtype: torch.dtype  # of matrix products, chosen by the trainer
    config: str  # of the network, as JSON: what a checkpoint says of itself

    def batch(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, ...]:
        """Inputs of one step; `progress` in [0, 1) lets a task change crops late in the run."""

    def loss(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        """Scalar to minimise and scalars to log."""

    def validate(self, model: nn.Module, seconds: float) -> dict[str, float]:
        """Figures over held-out training data, in about `seconds` at most."""
