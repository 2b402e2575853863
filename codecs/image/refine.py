"""Refinement of a picture's latent at the encoder; the decoder does not change.

Two searches for a smaller J = bits per pixel + lambda 255^2 D, D the distortion that the network is trained for, one
after the other, both of which measure J as it is, with every symbol rounded, and keep the best latent seen:

    descent   moves all of y against the gradient, passed straight through the rounding. Plain steps serve better than
              Adam's, which moves silent symbols as far as others.
    flips     change single symbols, slice after slice; see `flips`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor

from .config import ImageConfig
from .flips import flip
from .model import ImageNetwork
from .objective import Objective
from .tiles import Tile


class Plan(NamedTuple):
    """Steps of a refinement: of the descent, and of the flips in each of the last `slices` slices."""

    descent: int
    slices: int
    flips: int

    def firsts(self, slices: int) -> range:
        """The first slices that flips begin with, one after the other, of all `slices`."""
        return range(max(0, slices - self.slices), slices)

    def steps(self, slices: int) -> int:
        """Of all together."""
        return self.descent + self.flips * len(self.firsts(slices))


# By effort. The last two slices of the small network hold two thirds of its bits.
PLANS = (
    Plan(0, 0, 0),
    Plan(3, 2, 2),
    Plan(5, 2, 3),
    Plan(8, 2, 5),
    Plan(10, 2, 7),
    Plan(14, 2, 10),
    Plan(20, 5, 6),
    Plan(30, 5, 10),
    Plan(40, 5, 16),
    Plan(60, 5, 30),
)
WINDOW = 48  # cells along one side of what is refined at a time: bounds the memory
FIRST_MOVE = 4e-4  # mean change of y in the first step
GROWTH, SHRINKAGE = 1.15, 0.7  # of the step after a better and after a worse J
PATIENCE = 2  # steps without a better J before a return to the best
MOMENTUM = 0.5

Watcher = Callable[[int, int], bool]
# Hears after every step how many of all are done; where it returns True, the best latent so far is enough.
WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


def plan_for(config: ImageConfig, effort: int) -> Plan:
    """The plan of an effort 0..9 for a network.

    Where the distortion is no sum over cells, a change cannot be judged by its own cell: all steps are the descent's.
    """
    plan = PLANS[effort]
    return plan if config.distortion == "mse" else Plan(plan.steps(len(config.slices.channels)), 0, 0)


class Steps:
    """Counts the steps of a refinement for whoever watches it, who may find them enough."""

    def __init__(self, total: int) -> None:
        self.done, self.total, self.stopped = 0, total, False
        self._watcher = WATCHER.get()

    def __call__(self) -> bool:
        """Count one; whether that is enough."""
        self.done += 1
        if self._watcher is not None:
            self.stopped = self._watcher(self.done, self.total)
        return self.stopped


def refine_window(
    network: ImageNetwork,
    rgb: Tensor,
    y: Tensor,
    hyper: Tensor,
    q_index: Tensor,
    inner: Tile,
    plan: Plan,
    count: Steps,
) -> Tensor:
    """A better latent for a part of a picture, to be called outside inference mode.

    Args:
        network: float32, in evaluation.
        rgb: (1, 16 H, 16 W, 3) in [0, 1].
        y: (1, H, W, M) before its gain.
        hyper: features of h_s (1, H, W, features).
        q_index: (1,).
        inner: the cells that may change; those around them are context.
        plan: at least one step.
        count: counts every step and says whether to stop early.

    Returns:
        y with other values in `inner`, or y itself where no step made J smaller.
    """
    objective = Objective(network, rgb, hyper, q_index)
    free = torch.zeros_like(y[..., :1])
    inner.of(free).fill_(1)
    with torch.no_grad():
        found = descend(lambda latent: objective.cost(latent * objective.gain), y, free, plan.descent, count)
        gained = found * objective.gain
        for first in plan.firsts(len(objective.channels)):
            if count.stopped:
                break
            gained = flip(objective, gained, free, first, plan.flips, count)
        if torch.equal(gained, y * objective.gain):
            return y
        return torch.where(free > 0, objective.centred(gained) / objective.gain, y)


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
