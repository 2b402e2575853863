"""Refinement of a picture's latent at the encoder; the decoder does not change.

y is moved against the gradient of J = bits per pixel + lambda 255^2 MSE, with every symbol rounded and the gradient
passed straight through the rounding. Every step so measures J as it is, and the best latent seen is kept. Plain steps
serve better than Adam's, which moves silent symbols as far as others.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

import torch
from torch import Tensor

from ...entropy_models.latent.symbol_coders import TrainingCoder
from .loss import lagrangian
from .model import ImageNetwork
from .tiles import Tile

STEPS = (0, 4, 8, 12, 20, 30, 40, 60, 100, 200)  # by effort
WINDOW = 48  # cells along one side of what is refined at a time: bounds the memory
FIRST_MOVE = 4e-4  # mean change of y in the first step
GROWTH, SHRINKAGE = 1.15, 0.7  # of the step after a better and after a worse J
PATIENCE = 2  # steps without a better J before a return to the best
MOMENTUM = 0.5

Watcher = Callable[[int, int], bool]
# Hears after every step how many of all are done; where it returns True, the best latent so far is enough.
WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


def refine_window(
    network: ImageNetwork,
    rgb: Tensor,
    y: Tensor,
    hyper: Tensor,
    q_index: Tensor,
    inner: Tile,
    steps: int,
    enough: Callable[[], bool] = lambda: False,
) -> Tensor:
    """A better latent for a part of a picture, to be called outside inference mode.

    Args:
        network: float32, in evaluation.
        rgb: (1, 16 H, 16 W, 3) in [0, 1].
        y: (1, H, W, M) before its gain.
        hyper: features of h_s (1, H, W, features).
        q_index: (1,).
        inner: the cells that may change; those around them are context.
        steps: at least 1.
        enough: asked after every step whether to stop early.

    Returns:
        y with other values in `inner`, or y itself where no step made J smaller.
    """
    state, scales = network.gains.state(q_index), network.q_scale.of_synthesis(q_index)
    weight = float(lagrangian(q_index.float(), network.config.lambdas)) * 255**2
    pixels = rgb.shape[1] * rgb.shape[2]

    def cost(latent: Tensor) -> Tensor:
        coder = TrainingCoder(latent * state.gain[:, 0], network.config.slices.channels, training=False)
        y_hat = network.context(hyper, state, coder)
        error = network.synthesis(y_hat, scales).clamp(0, 1) - rgb
        return -torch.log2(coder.likelihoods()).sum() / pixels + weight * error.square().mean()

    free = torch.zeros_like(y[..., :1])
    inner.of(free).fill_(1)
    return descend(cost, y, free, steps, enough)


def descend(
    cost: Callable[[Tensor], Tensor],
    start: Tensor,
    free: Tensor,
    steps: int,
    enough: Callable[[], bool] = lambda: False,
) -> Tensor:
    """The best of `start` and what `steps` steps reach; `free` (broadcast, 0 or 1) says what may move."""
    best, least, worse = start, float("inf"), 0
    latent, velocity, step = start, torch.zeros_like(start), 0.0
    for number in range(steps + 1):
        variable = latent.detach().requires_grad_()
        with torch.enable_grad():
            value = cost(variable)
        if float(value.detach()) < least:
            best, least, worse = latent, float(value.detach()), 0
            step *= GROWTH
        else:
            worse += 1
            step *= SHRINKAGE
        if number == steps or (number and enough()):
            break
        gradient = torch.autograd.grad(value, variable)[0] * free
        if number == 0:
            moved = float(gradient.abs().sum() / (free.sum() * start.shape[-1]))
            if moved == 0:
                break
            step = FIRST_MOVE / moved
        if worse >= PATIENCE:
            latent, velocity, worse = best, torch.zeros_like(start), 0
        velocity = MOMENTUM * velocity + gradient
        latent = latent - step * (1 - MOMENTUM / 2) * velocity
    return best
