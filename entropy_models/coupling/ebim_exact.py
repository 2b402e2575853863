"""EBIM at an exact rate: the two moves of Theorem 3, and brute force on small alphabets.

Between the entropies of functions the best encoder splits one symbol between two labels:

    I(X;T)                      .o'     a function g at H(T) = R_g (Theorem 1: on the diagonal)
      |             .o''''''''''        R_g + eps: take the cell that is the smallest share of its label and
      |     .o''''''                               move a little of it to a new label
      |.o'''                            R_g - eps: take the smallest label and move a little of its smallest
      +----------------- H(T)                      cell to the largest label

That no more than one symbol needs splitting holds at every rate: I is convex in p(t|x), {H(T) > R} is convex,
and a convex function on a polytope less a convex set is largest on an edge of the polytope (Hillestad and
Jacobsen 1980). An edge of this polytope is "all symbols but one fixed, that one split between two labels", so
`brute_force_ebim` is the true optimum. The paper only proves it next to functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import UsageError
from .ebim import RATE_TOLERANCE, Encoder, check_rate, encoder_of, greedy_labels
from .laws import Floats, Ints, as_law, entropy, entropy_terms

PARTITION_LIMIT = 10
"""Largest support whose functions are all enumerated (Bell(10) = 115,975)."""
BISECTIONS = 60


def partitions(size: int) -> Ints:
    """All functions of `size` >= 1 symbols up to renaming of labels: (Bell(size), size), one a row."""
    rows = np.zeros((1, 1), dtype=np.int64)
    for _ in range(size - 1):
        fresh = rows.max(axis=1) + 2  # the labels that exist, and a new one
        label = np.arange(fresh.sum()) - np.repeat(np.cumsum(fresh) - fresh, fresh)
        rows = np.column_stack([np.repeat(rows, fresh, axis=0), label])
    return rows


def label_masses(law: Floats, labels: Ints) -> Floats:
    """Masses of the labels of each function, (functions, n) -> (functions, n + 1), unused ones zero."""
    width = len(law) + 1
    flat = (labels + width * np.arange(len(labels))[:, None]).ravel()
    masses = np.bincount(flat, weights=np.tile(law, len(labels)), minlength=width * len(labels))
    return masses.reshape(len(labels), width).astype(np.float64)


def raise_rate(law: Floats, labels: Ints) -> tuple[Ints, Ints]:
    """Theorem 3 upwards: the cell with the smallest share of its label, and a new label; one per function."""
    share = law / np.take_along_axis(label_masses(law, labels), labels, axis=1)
    return share.argmin(axis=1), labels.max(axis=1) + 1


def lower_rate(law: Floats, labels: Ints) -> tuple[Ints, Ints]:
    """Theorem 3 downwards: the smallest cell of the smallest label, and the largest label, per function."""
    masses = label_masses(law, labels)
    smallest = np.where(masses > 0, masses, np.inf).argmin(axis=1)
    own = labels == smallest[:, None]
    return np.where(own, law, np.inf).argmin(axis=1), masses.argmax(axis=1)


def move_mass(law: Floats, labels: Ints, symbol: int, label: int, moved: float) -> Encoder:
    """The encoder after `moved` of a symbol's mass has gone from its label to another one."""
    x = np.append(np.arange(len(law)), symbol)
    t = np.append(labels, label)
    mass = np.append(law, moved)
    mass[symbol] -= moved
    keep = mass > 0
    _, t = np.unique(t[keep], return_inverse=True)
    return Encoder(x[keep], t, mass[keep], len(law))


def exact_ebim(law: ArrayLike, rate: float) -> Encoder:
    """Solve for H(T) = rate with Theorem 3's moves from every starting function, and keep the best.

    From each function below the rate mass moves by `raise_rate`, from each above it by `lower_rate`, from
    none of it to the whole cell; H(T) is concave in the moved mass, so bisection finds where it meets the
    rate. With up to 10 symbols every function is a start, beyond that the ones on the path of Algorithm 1.
    Rates above H(X) give the identity.

    The result is never worse than `greedy_ebim`. Raises `UsageError` when `law` is no law or the rate is
    negative.
    """
    law, rate = as_law(law, "the source law"), check_rate(rate)
    order = np.argsort(-law, kind="stable")
    order = order[: np.count_nonzero(law)]
    falling = law[order]
    small = len(falling) <= PARTITION_LIMIT
    best = _best_from(falling, rate, partitions(len(falling)) if small else _greedy_path(falling, rate))
    return Encoder(order[best.x], best.t, best.mass, len(law))


def _greedy_path(falling: Floats, rate: float) -> Ints:
    """The functions that Algorithm 1 visits next to the rate: its answer, the states above and below it."""
    final = greedy_labels(falling, rate)
    merges = int(np.count_nonzero(final == 0)) - 1
    states = [s for s in (merges - 1, merges, merges + 1) if 0 <= s < len(falling)]
    return np.stack([final, *(np.maximum(np.arange(len(falling)) - s, 0) for s in states)])


def _best_from(law: Floats, rate: float, starts: Ints) -> Encoder:
    """The best encoder that one move from any of the functions `starts` (functions, n) gives."""
    masses = label_masses(law, starts)
    rates = entropy_terms(masses).sum(axis=1)
    reachable = np.where(rates <= rate + RATE_TOLERANCE, rates, -1.0)
    best = encoder_of(law, starts[reachable.argmax()] if reachable.max() >= 0 else np.zeros_like(starts[0]))

    below = rates <= rate
    symbol = np.empty(len(starts), dtype=np.int64)
    label = np.empty(len(starts), dtype=np.int64)
    for move, own in ((raise_rate, below), (lower_rate, ~below)):
        if own.any():
            symbol[own], label[own] = move(law, starts[own])
    moves = _Moves(masses, starts[np.arange(len(starts)), symbol], label, law[symbol])
    moved, information = moves.meet(rate)
    winner = int(information.argmax())
    if information[winner] > best.information:
        best = move_mass(law, starts[winner], int(symbol[winner]), int(label[winner]), float(moved[winner]))
    return best


@dataclass(frozen=True)
class _Moves:
    """One move from each of several functions: a cell of mass `cell` on its way from `giver` to `taker`.

    `masses` (functions, labels) before the move; the other three (functions,).
    """

    masses: Floats
    giver: Ints
    taker: Ints
    cell: Floats

    def meet(self, rate: float) -> tuple[Floats, Floats]:
        """The moved mass at which H(T) first meets the rate, and I(X;T) there, -1 where it never does."""
        rows = np.arange(len(self.cell))
        source, target = self.masses[rows, self.giver], self.masses[rows, self.taker]
        terms = entropy_terms(self.masses)
        rest = terms.sum(axis=1) - terms[rows, self.giver] - terms[rows, self.taker]

        def total(moved: Floats) -> Floats:
            return rest + entropy_terms(source - moved) + entropy_terms(target + moved)

        # `low` stays within the budget. H(T) rises while the giver is the larger one and falls after that.
        below = total(np.zeros_like(self.cell)) <= rate
        low = np.where(below, 0.0, self.cell)
        high = np.where(below, np.clip((source - target) / 2, 0.0, self.cell), 0.0)
        meets = (total(low) <= rate) & (total(high) >= rate) & (self.giver != self.taker)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            inside = total(middle) <= rate
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        stays = np.maximum(self.cell - low, 0.0)
        lost = entropy_terms(low) + entropy_terms(stays) - entropy_terms(self.cell)
        return low, np.where(meets, total(low) - lost, -1.0)


def best_function(law: ArrayLike, rate: float) -> Encoder:
    """The function of largest H(g(X)) <= rate, by enumerating all of them (at most 10 symbols)."""
    law, rate = _small_law(law), check_rate(rate)
    support = np.flatnonzero(law)
    labels = partitions(len(support))
    rates = entropy_terms(label_masses(law[support], labels)).sum(axis=1)
    every = np.full(len(law), -1, dtype=np.int64)
    every[support] = labels[np.where(rates <= rate + RATE_TOLERANCE, rates, -1.0).argmax()]
    return encoder_of(law, every)


def brute_force_ebim(law: ArrayLike, rate: float) -> float:
    """The optimum I_EBIM(law, rate) in bits, by trying every edge of the encoder polytope.

    For each symbol, each partition of the others and each pair of labels (one of them possibly new), the
    symbol is split so that H(T) = rate; functions count as well. At most 10 symbols, comfortable up to 7.
    """
    law, rate = _small_law(law), check_rate(rate)
    law = law[law > 0]
    if entropy(law) <= rate:
        return entropy(law)
    best = best_function(law, rate).information
    if len(law) < 2:
        return best
    groups = partitions(len(law) - 1)
    for split in range(len(law)):
        others, cell = np.delete(law, split), float(law[split])
        best = max(best, _best_split(label_masses(others, groups), cell, rate))
    return best


def _best_split(masses: Floats, cell: float, rate: float) -> float:
    """Best I(X;T) with `cell` split between two labels at H(T) = rate.

    `masses` of shape (functions, labels) holds the labels without that cell.
    """
    one, two = np.triu_indices(masses.shape[1], 1)
    terms = entropy_terms(masses)
    rest = terms.sum(axis=1, keepdims=True) - terms[:, one] - terms[:, two]
    first, second = masses[:, one], masses[:, two]

    def total(share: Floats) -> Floats:
        return rest + entropy_terms(first + (1 - share) * cell) + entropy_terms(second + share * cell)

    peak = np.clip(0.5 + (first - second) / (2 * cell), 0.0, 1.0)
    best = 0.0
    for end in (np.zeros_like(peak), np.ones_like(peak)):
        crosses = (total(end) <= rate) & (total(peak) >= rate)
        low, high = end, peak
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            inside = total(middle) <= rate
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        information = total(low) - cell * (entropy_terms(low) + entropy_terms(1 - low))
        best = max(best, float(np.max(information[crosses], initial=0.0)))
    return best


def _small_law(law: ArrayLike) -> Floats:
    checked = as_law(law, "the source law")
    if np.count_nonzero(checked) > PARTITION_LIMIT:
        raise UsageError(f"brute force is for up to {PARTITION_LIMIT} symbols, not {np.count_nonzero(checked)}")
    return checked
