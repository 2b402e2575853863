"""Muon for matrices, AdamW for everything else, under one learning rate."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn


class MatrixOptimizer:
    """Muon (Jordan et al. 2024, as torch ships it) on 2-D weights with both sides of at least 16; AdamW on the rest.

    In nine-minute runs of equal wall time Muon stood 0.7 dB above AdamW at middle rates and 2 dB at high ones.
    """

    def __init__(self, model: nn.Module, lr: float) -> None:
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        self.names = [n for n, _ in named]
        matrices = [p for _, p in named if p.ndim == 2 and min(p.shape) >= 16]
        chosen = {id(p) for p in matrices}
        rest = [p for _, p in named if id(p) not in chosen]
        self.parts: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(
                matrices, lr=lr, momentum=0.95, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.99), weight_decay=0.0),
        )

    def step(self, lr: float) -> None:
        """One update of all parameters at learning rate `lr`."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = lr
            part.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """The state as named tensors, for a checkpoint."""
        for index, part in enumerate(self.parts):
            for number, state in part.state_dict()["state"].items():
                for key, value in state.items():
                    yield f"{index}.{number}.{key}", torch.as_tensor(value)

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave."""
        for index, part in enumerate(self.parts):
            whole = part.state_dict()
            for name, value in tensors.items():
                which, number, key = name.split(".")
                if int(which) == index:
                    whole["state"].setdefault(int(number), {})[key] = value
            part.load_state_dict(whole)
