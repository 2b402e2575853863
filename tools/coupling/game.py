"""Markov coding games under a rate limit: a message is sent through the actions of an agent that does its
job.

    message ──H(T) <= R──► agent ──action──► MDP (reward)
                             └──────action──► receiver guesses the message

At each step the belief on the message is coupled, through a bottleneck of R bits, with the policy's law of
actions; the agent takes the action drawn for the true message and the receiver updates by Bayes. Actions
keep exactly the policy's law, so the reward is that of the policy (Sokota et al., ICML 2022; Ebrahimi, Chen
and Khisti, NeurIPS 2024).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...entropy_models.coupling.checks import check_number
from ...entropy_models.coupling.ebim import greedy_labels, uniform_quantiser
from ...entropy_models.coupling.greedy import pair_off, sorted_support
from ...entropy_models.coupling.laws import Floats, Ints, entropy
from .mdp import MDP

EncoderName = Literal["ebim", "quantiser"]
CACHED_NUMBERS = 1 << 23
"""How many probabilities the cache of couplings may hold, 64 MB."""
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class Episode:
    """One episode: the states (steps + 1,), the actions (steps,), the discounted reward, and the message.

    `belief` (steps,) is what the receiver gives the true message after each action; `correct` says whether
    the likeliest message at the end is the true one.
    """

    states: list[int]
    actions: list[int]
    reward: float
    message: int
    belief: list[float]
    correct: bool


class CodingGame:
    """Plays episodes of one MDP, policy, encoder and rate.

    `rate` is a share of the prior's entropy: H(T) <= rate * H(prior) bits at every step; 1 is no limit. The
    paper's baseline `quantiser` sends one of floor(2^R) blocks of consecutive messages, whatever the belief.
    """

    def __init__(self, mdp: MDP, policy: Floats, prior: Floats, rate: float, encoder: EncoderName = "ebim") -> None:
        """`policy` has shape (S, A), `prior` (messages,). Raises `UsageError` for a rate outside 0..1."""
        rate = check_number(rate, "the rate, a share of the message's entropy,", 0, 1)
        self.mdp, self.policy, self.prior = mdp, policy, prior
        self.bits = rate * entropy(prior)
        self.encoder = encoder
        self._blocks = uniform_quantiser(len(prior), self.bits)
        self._cumulative = np.cumsum(mdp.transitions, axis=2)
        self._cache: OrderedDict[tuple[int, bytes], Floats] = OrderedDict()

    def play(self, message: int, rng: np.random.Generator, discount: float, max_steps: int) -> Episode:
        """One episode; it ends in a terminal state or after `max_steps`."""
        state, belief, reward = self.mdp.start, self.prior, 0.0
        states, actions, beliefs = [state], [], []
        for step in range(max_steps):
            if self.mdp.terminal[state]:
                break
            actions_given = self.action_laws(state, belief)
            action = _draw(np.cumsum(actions_given[:, message]), rng)
            belief = belief * actions_given[action]
            belief = np.where(belief < _NEGLIGIBLE * belief.sum(), 0.0, belief)
            belief = belief / belief.sum()
            state = _draw(self._cumulative[state, action], rng)
            reward += discount ** (step + 1) * float(self.mdp.rewards[state])
            states.append(state)
            actions.append(action)
            beliefs.append(float(belief[message]))
        guess = int(rng.choice(np.flatnonzero(belief == belief.max())))
        return Episode(states, actions, reward, message, beliefs, guess == message)

    def action_laws(self, state: int, belief: Floats) -> Floats:
        """q(a|m), shape (A, messages): the bottleneck coupling of the belief with the policy in a state.

        Columns of messages that the belief excludes are the policy itself.
        """
        key = (state, belief.tobytes())
        laws = self._cache.get(key)
        if laws is None:
            laws = self._cache[key] = self._couple(self.policy[state], belief)
            if len(self._cache) * laws.size > CACHED_NUMBERS:
                self._cache.popitem(last=False)
        return laws

    def _couple(self, policy: Floats, belief: Floats) -> Floats:
        order = np.argsort(-belief, kind="stable")
        order = order[: np.count_nonzero(belief)]
        laws = np.repeat(policy[:, None], len(belief), axis=1)
        if len(order) < 2:
            return laws
        labels = self._label(belief, order)
        label_law = np.bincount(labels, weights=belief[order])
        rows, columns, mass, _, _ = pair_off(*sorted_support(label_law), *sorted_support(policy))
        joint = np.zeros((len(policy), len(label_law)))
        joint[columns, rows] = mass
        total = joint.sum(axis=0)
        given = np.where(total > 0, joint / np.where(total > 0, total, 1), policy[:, None])
        laws[:, order] = given[:, labels]
        return laws

    def _label(self, belief: Floats, order: Ints) -> Ints:
        """T of each message in `order`, from 0 without gaps."""
        if self.encoder == "ebim":
            return greedy_labels(belief[order], self.bits)
        labels: Ints = np.unique(self._blocks[order], return_inverse=True)[1]
        return labels


def _draw(cumulative: Floats, rng: np.random.Generator) -> int:
    """Draw from a cumulative law; never an outcome of probability zero."""
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
