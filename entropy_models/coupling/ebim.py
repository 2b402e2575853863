"""Entropy-bounded information maximisation (EBIM), the encoder half of MEC-B.

    maximise I(X;T) over p(t|x)   subject to   H(T) <= R,  X ~ p

(Ebrahimi, Chen and Khisti, NeurIPS 2024.) R bounds the entropy of T, not I(X;T), so the aim is a T that is
(nearly) a function of X: for a function I(X;T) = H(T), and I = R exactly where some function has entropy R
(Theorem 1). `greedy_ebim` is the paper's Algorithm 1; `ebim_exact.py` reaches every rate in between and
holds the brute force.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ...errors import UsageError
from .checks import check_integer, check_number
from .laws import Floats, Ints, as_law, entropy, entropy_terms, merge_loss

RATE_TOLERANCE = 1e-12
"""Bits by which a computed H(T) may exceed the budget: the rounding of a sum of logarithms."""


@dataclass(frozen=True)
class Encoder:
    """A map X -> T as the cells of the joint law of X and T.

    Cell c joins symbol `x[c]` and label `t[c]` with mass `mass[c] > 0`; labels are 0 .. labels-1, label 0 the
    likeliest of a greedy result. Symbols of probability zero have no cell. `size` is the alphabet of X.
    """

    x: Ints
    t: Ints
    mass: Floats
    size: int

    @cached_property
    def label_law(self) -> Floats:
        """The law of T, shape (labels,)."""
        return np.bincount(self.t, weights=self.mass).astype(np.float64)

    @cached_property
    def rate(self) -> float:
        """H(T) in bits."""
        return entropy(self.label_law)

    @cached_property
    def information(self) -> float:
        """I(X;T) = H(T) - H(T|X) in bits."""
        if self.is_function:
            return self.rate
        source = np.bincount(self.x, weights=self.mass, minlength=self.size)
        return max(0.0, self.rate - (entropy(self.mass) - entropy(source)))

    @property
    def is_function(self) -> bool:
        """Whether every symbol has one label only."""
        return len(self.x) == len(np.unique(self.x))

    def function(self) -> Ints:
        """Label of every symbol, shape (size,), -1 for symbols of probability zero.

        Raises `UsageError` when the encoder splits a symbol.
        """
        if not self.is_function:
            raise UsageError("this encoder is no function: one symbol is split between two labels")
        labels = np.full(self.size, -1, dtype=np.int64)
        labels[self.x] = self.t
        return labels


def check_rate(rate: float) -> float:
    """Return the rate in bits; raises `UsageError` when it is negative, infinite or no number."""
    return check_number(rate, "the rate", low=0)


def encoder_of(law: Floats, labels: Ints) -> Encoder:
    """The encoder of a function given as a label per symbol; symbols of probability zero are dropped."""
    support = np.flatnonzero(law)
    return Encoder(support, labels[support], law[support], len(law))


def greedy_ebim(law: ArrayLike, rate: float) -> Encoder:
    """Find a function with H(g(X)) <= rate by the paper's Algorithm 1, in O(n log n).

    Start from the identity and merge labels until the budget is met: if merging the two smallest suffices, do
    that and stop; otherwise merge the two largest. Since merged labels are the largest of all, the state
    after k merges is always {the k+1 likeliest symbols} and single symbols, so all its entropies come from
    two running sums and the stopping point from a search in them. rate - H(T) is at most h(p2), p2 the second
    largest probability (Theorem 2).

    Raises `UsageError` when `law` is no law or the rate is negative.
    """
    law, rate = as_law(law, "the source law"), check_rate(rate)
    order = np.argsort(-law, kind="stable")
    order = order[: np.count_nonzero(law)]
    labels = np.full(len(law), -1, dtype=np.int64)
    labels[order] = greedy_labels(law[order], rate)
    return encoder_of(law, labels)


def greedy_labels(falling: Floats, rate: float) -> Ints:
    """Algorithm 1 on masses in falling order, all positive: the label of each."""
    budget, count = rate + RATE_TOLERANCE, len(falling)
    state = state_entropies(falling)
    if state[0] <= budget:
        return np.arange(count)
    # "Smallest two" is tried first in every state. From three labels on these are the last two symbols.
    saving = merge_loss(falling[-1], falling[-2]) if count > 2 else 0.0
    small = _first_at_most(state[: max(count - 2, 0)] - saving, budget)
    large = 1 + _first_at_most(state[1:], budget)
    merges = min(small, large)
    labels = np.maximum(np.arange(count) - merges, 0)
    if small < large:
        labels[-1] = labels[-2]
    return labels


def state_entropies(falling: Floats) -> Floats:
    """H(T) after k merges of the largest labels, k = 0 .. n-1, for masses in falling order; shape (n,)."""
    terms = entropy_terms(falling)
    tail = np.append(np.cumsum(terms[::-1])[::-1][1:], 0.0)
    blob = np.minimum(np.cumsum(falling), 1.0)
    state = np.maximum(entropy_terms(blob) + tail, 0.0)
    state[-1] = 0.0
    return state


def _first_at_most(falling: Floats, bound: float) -> int:
    """Index of the first entry <= bound of a falling array; its length when there is none."""
    return int(np.searchsorted(-falling, -bound, side="left"))


def budget_gap_bound(law: ArrayLike) -> float:
    """Theorem 2: `greedy_ebim` leaves at most h(p2) bits of any budget unused, p2 the second largest mass."""
    top = np.sort(as_law(law, "the source law"))[::-1]
    second = float(top[1]) if len(top) > 1 else 0.0
    return merge_loss(second, 1 - second) if second < 1 else 0.0


def uniform_quantiser(size: int, rate: float) -> Ints:
    """The paper's baseline (Algorithm 5): floor(2^rate) blocks of consecutive symbols; label per symbol.

    H(T) <= log2(floor(2^rate)) <= rate whatever the law.
    """
    size, rate = check_integer(size, "the number of symbols", 1, 1 << 32), check_rate(rate)
    cells = size if rate >= math.log2(size) else max(1, math.floor(2**rate + 1e-9))
    return np.arange(size) // math.ceil(size / cells)
