"""Finite Markov decision processes, their maximum-entropy policies, and the grid world of the MEC-B paper."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ...codecs.media.files import read_bytes
from ...entropy_models.coupling.checks import check_integer, check_number
from ...entropy_models.coupling.laws import Floats
from ...errors import UnreadableInputError, UsageError

LARGEST_LOG_BETA = 500.0
"""exp(500) and exp(-500) are far from the ends of the range of a float."""
ACTIONS = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""Up, right, down, left as (rows, columns)."""


@dataclass(frozen=True)
class MDP:
    """States 0..S-1, actions 0..A-1.

    `transitions` (S, A, S) holds T(s'|s,a); `rewards` (S,) is what entering a state pays; an episode ends
    in a state of `terminal` (S,); it starts in `start`. Raises `UsageError` for arrays that are no MDP.
    """

    transitions: Floats
    rewards: Floats
    terminal: np.ndarray
    start: int

    def __post_init__(self) -> None:
        """Check the shapes and that every T(.|s,a) is a law."""
        shape = self.transitions.shape
        if len(shape) != 3 or shape[0] != shape[2] or 0 in shape:
            raise UsageError(f"transitions must have the shape (states, actions, states), not {shape}")
        if self.rewards.shape != shape[:1] or self.terminal.shape != shape[:1]:
            raise UsageError(f"rewards and terminal must have {shape[0]} entries, one for each state")
        if not np.isfinite(self.rewards).all():
            raise UsageError("the rewards must be finite numbers")
        sums = self.transitions.sum(axis=2)
        if not np.isfinite(self.transitions).all():
            raise UsageError("the transitions must be finite numbers")
        if not (self.transitions.min() >= 0 and np.allclose(sums, 1, atol=1e-6)):
            raise UsageError("the transitions out of a state under an action must be a law: sum to 1, none negative")
        if not 0 <= self.start < shape[0]:
            raise UsageError(f"the start {self.start} is no state of 0..{shape[0] - 1}")


def read_mdp(path: str | Path) -> MDP:
    """The MDP in a `.npz` file with the arrays transitions, rewards, terminal and start.

    Raises UnreadableInputError where one is missing, UsageError where they do not fit.
    """
    data = read_bytes(path)
    if not data.startswith(b"PK"):
        raise UnreadableInputError(f"{path} is no .npz file")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            transitions, rewards, terminal, start = (
                np.asarray(arrays[name]) for name in ("transitions", "rewards", "terminal", "start")
            )
    except (KeyError, ValueError, OSError, EOFError, TypeError, BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise UnreadableInputError(
            f"{path} is no .npz file with transitions, rewards, terminal and start ({reason})"
        ) from None
    if transitions.dtype.kind not in "iuf" or rewards.dtype.kind not in "iuf":
        raise UsageError("transitions and rewards must be real numbers")
    if not np.isin(terminal, (0, 1)).all():
        raise UsageError("terminal must hold true or false for each state")
    if start.shape != ():
        raise UsageError("start must be one state")
    return MDP(
        transitions.astype(np.float64),
        rewards.astype(np.float64),
        terminal.astype(bool),
        check_integer(start.item(), "start", 0, max(0, len(terminal) - 1) if terminal.ndim else 0),
    )


@dataclass(frozen=True)
class GridWorld:
    """A board with obstacles, a goal and a trap; cells are (row, column), states row * columns + column."""

    shape: tuple[int, int]
    obstacles: frozenset[tuple[int, int]]
    goal: tuple[int, int]
    trap: tuple[int, int]
    start: tuple[int, int]
    noise: float

    def state(self, cell: tuple[int, int]) -> int:
        """State of a cell."""
        return cell[0] * self.shape[1] + cell[1]

    def cell(self, state: int) -> tuple[int, int]:
        """Cell of a state."""
        return divmod(state, self.shape[1])

    def mdp(self) -> MDP:
        """The board as arrays: an intended move happens with 1 - 2 noise, each perpendicular one with noise.

        A move into an obstacle or off the board stays. Goal and trap end an episode and pay +1 and -1.
        """
        states = self.shape[0] * self.shape[1]
        transitions = np.zeros((states, len(ACTIONS), states))
        for state in range(states):
            landing = [self._after(self.cell(state), move) for move in ACTIONS]
            for action in range(len(ACTIONS)):
                for turn, chance in ((0, 1 - 2 * self.noise), (1, self.noise), (-1, self.noise)):
                    transitions[state, action, landing[(action + turn) % len(ACTIONS)]] += chance
        rewards = np.zeros(states)
        rewards[self.state(self.goal)], rewards[self.state(self.trap)] = 1, -1
        return MDP(transitions, rewards, rewards != 0, self.state(self.start))

    def _after(self, cell: tuple[int, int], move: tuple[int, int]) -> int:
        row, column = cell[0] + move[0], cell[1] + move[1]
        inside = 0 <= row < self.shape[0] and 0 <= column < self.shape[1]
        blocked = not inside or (row, column) in self.obstacles
        return self.state(cell if blocked else (row, column))


def paper_grid(noise: float = 0.1) -> GridWorld:
    """The 8 x 8 board of Ebrahimi, Chen and Khisti (NeurIPS 2024): a diagonal wall open at (0, 0)."""
    wall: Collection[tuple[int, int]] = [(k, k) for k in range(1, 8)]
    return GridWorld((8, 8), frozenset(wall), goal=(0, 7), trap=(1, 7), start=(5, 4), noise=noise)


def soft_policy(mdp: MDP, log_beta: float, discount: float = 0.95, iterations: int = 100) -> Floats:
    """The maximum-entropy policy pi(a|s), shape (S, A), by soft Q-iteration at temperature beta = e^log_beta.

    Q <- r + discount * T V,  V(s) = beta log sum_a exp(Q(s,a) / beta), V = r in terminal states, pi =
    softmax(Q / beta). A larger beta gives a more random policy. Raises `UsageError` for |log beta| above 500,
    a discount outside 0..1 (1 excluded), or rewards so large that the policy is no number.
    """
    log_beta = check_number(log_beta, "log beta", -LARGEST_LOG_BETA, LARGEST_LOG_BETA)
    if check_number(discount, "the discount", 0, 1) == 1:
        raise UsageError("the discount must be below 1")
    beta = float(np.exp(log_beta))
    q = np.zeros(mdp.transitions.shape[:2])
    with np.errstate(over="ignore", invalid="ignore"):  # the check below finds what becomes of it
        for _ in range(iterations):
            value = np.where(mdp.terminal, mdp.rewards, _soft_maximum(q, beta))
            q = mdp.rewards[:, None] + discount * mdp.transitions @ value
        policy: Floats = np.exp((q - q.max(axis=1, keepdims=True)) / beta)
        policy = policy / policy.sum(axis=1, keepdims=True)
    if not np.isfinite(policy).all():
        raise UsageError(f"log beta {log_beta:g} is too extreme for rewards of up to {np.abs(mdp.rewards).max():g}")
    return policy


def _soft_maximum(q: Floats, beta: float) -> Floats:
    """beta log sum_a exp(q / beta) over the last axis; differences first, so that a small beta overflows nothing."""
    peak = q.max(axis=-1)
    soft: Floats = peak + beta * np.log(np.exp((q - peak[..., None]) / beta).sum(axis=-1))
    return soft
