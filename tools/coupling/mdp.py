"""Finite Markov decision processes, their maximum-entropy policies, and the grid world of the MEC-B paper."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ...codecs.files import read_bytes
from ...entropy_models.coupling.laws import Floats
from ...errors import UnreadableInputError, UsageError

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
        if not (self.transitions.min() >= 0 and np.allclose(sums, 1, atol=1e-6)):
            raise UsageError(
                "the transitions out of a state under an action must be a law: sum to 1, none negative"
            )
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
            return MDP(
                np.asarray(arrays["transitions"], dtype=np.float64),
                np.asarray(arrays["rewards"], dtype=np.float64),
                np.asarray(arrays["terminal"], dtype=bool),
                int(arrays["start"]),
            )
    except (KeyError, ValueError, OSError, EOFError, TypeError, BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise UnreadableInputError(
            f"{path} is no .npz file with transitions, rewards, terminal and start ({reason})"
        ) from None


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
    softmax(Q / beta). A larger beta gives a more random policy.
    """
    if not (np.isfinite(log_beta) and 0 <= discount < 1):
        raise UsageError(f"log beta must be finite and the discount in 0..1, not {log_beta} and {discount}")
    beta = float(np.exp(log_beta))
    q = np.zeros(mdp.transitions.shape[:2])
    for _ in range(iterations):
        value = np.where(mdp.terminal, mdp.rewards, beta * _log_sum_exp(q / beta))
        q = mdp.rewards[:, None] + discount * mdp.transitions @ value
    scaled = q / beta
    policy: Floats = np.exp(scaled - _log_sum_exp(scaled)[:, None])
    return policy / policy.sum(axis=1, keepdims=True)


def _log_sum_exp(values: Floats) -> Floats:
    peak = values.max(axis=-1)
    total: Floats = peak + np.log(np.exp(values - peak[..., None]).sum(axis=-1))
    return total
