"""The greedy coupling of a block's belief with a source's law, made for millions of couplings a message.

The cells are those of `greedy_cells`. It is faster because a belief is mostly equal masses (a block starts
uniform, and a symbol leaves a part of the block): as long as the law has a mass at least as large as theirs,
each of the equal values goes whole to one symbol, and all of them are placed by one sort:

    four values of 0.2      law .55 .45       steps of 0.2:  .55 .35      -> sorted .55 .45 .35 .25
                                                             .45 .25         values  0   1   2   3

Masses and symbols of the law travel together in one integer, mass * 2^20 + (2^20 - 1 - symbol), so that
sorting puts the larger mass first and the smaller symbol first among equals.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable

import numpy as np

from ...errors import CorruptStreamError
from .laws import Ints

TOTAL = 1 << 40
"""What beliefs and source laws sum to."""
Masses = tuple[list[int], list[int]]
"""Positive masses in falling order, equal ones by symbol, and their symbols."""
_SHIFT = 20
_LAST = (1 << _SHIFT) - 1
_FEW = 4
"""A run of fewer equal masses is not worth the sort."""


def law_keys(masses: Ints) -> list[int]:
    """A law's masses (at most 2^20 symbols), summing to `TOTAL`, as sorted keys of its positive ones."""
    symbols = np.flatnonzero(masses)
    keys: list[int] = np.sort((masses[symbols] << _SHIFT) + (_LAST - symbols)).tolist()  # 2^60 at most
    return keys


class BlockCells:
    """The cells (value, symbol, mass) of one coupling, in the order in which the greedy rule makes them."""

    def __init__(self, belief: Masses, law: list[int]) -> None:
        """Couple a belief with the keys of a law; both have the same total."""
        self.values: list[int] = []
        self.symbols: list[int] = []
        self.masses: list[int] = []
        left = list(law)
        placed = self._place_whole(*belief, left)
        if placed < len(belief[0]):
            self._place_split(belief[0][placed:], belief[1][placed:], left)

    def _place_whole(self, masses: list[int], values: list[int], left: list[int]) -> int:
        """Give whole values, the likeliest first, to symbols until one does not fit; returns how many."""
        place, count = 0, len(masses)
        while place < count:
            mass = masses[place]
            step = mass << _SHIFT
            run = masses.count(mass) if masses[min(place + _FEW, count) - 1] == mass else 1
            if run < _FEW:
                run = 1
                if left[-1] < step:
                    return place
                largest = left.pop()
                chosen = [largest]
                if largest - step > _LAST:
                    insort(left, largest - step)
            else:
                chosen = _largest_steps(left, step, run)
            end = place + len(chosen)
            self.values += values[place:end]
            self.symbols += [_LAST - (key & _LAST) for key in chosen]
            self.masses += [mass] * len(chosen)
            place = end
            if len(chosen) < run:
                return place
        return place

    def _place_split(self, masses: list[int], values: list[int], left: list[int]) -> None:
        """The greedy rule step by step: the largest value against the largest symbol, the rest goes back."""
        waiting = [(mass << _SHIFT) + _LAST - value for mass, value in zip(masses, values, strict=True)]
        waiting.reverse()
        cell_values, cell_symbols, cell_masses = self.values, self.symbols, self.masses
        while waiting:
            of_value, of_symbol = waiting.pop(), left.pop()
            value, symbol = of_value & _LAST, of_symbol & _LAST
            cell_values.append(_LAST - value)
            cell_symbols.append(_LAST - symbol)
            more = (of_value - value) - (of_symbol - symbol)  # what the value has left, times 2^20
            if more > 0:
                cell_masses.append(of_symbol >> _SHIFT)
                insort(waiting, more + value)
            else:
                cell_masses.append(of_value >> _SHIFT)
                if more:
                    insort(left, symbol - more)

    def draw(self, value: int, draw: Callable[[int], int]) -> int:
        """A symbol given the block's value; `draw(n)` gives a uniform integer of 0..n-1."""
        first = self.values.index(value)
        if self.values.count(value) == 1:
            return self.symbols[first]
        own = [k for k, v in enumerate(self.values) if v == value]
        point = draw(sum(self.masses[k] for k in own))
        for k in own:
            if point < self.masses[k]:
                return self.symbols[k]
            point -= self.masses[k]
        raise ValueError("draw(n) must return an integer of 0..n-1")

    def given(self, symbol: int) -> Masses:
        """The law of the block given the symbol, brought to `TOTAL`; rounding errors go to the likeliest."""
        own = [k for k, s in enumerate(self.symbols) if s == symbol]
        if not own:
            raise CorruptStreamError(f"the source never gives symbol {symbol} at this place")
        if len(own) == 1:
            return [TOTAL], [self.values[own[0]]]
        masses = [self.masses[k] for k in own]
        total = sum(masses)
        # Most masses are equal: each is brought to the total once.
        scaled = {mass: (mass * TOTAL // total or 1) << _SHIFT for mass in set(masses)}
        keys = [scaled[mass] + _LAST - self.values[k] for mass, k in zip(masses, own, strict=True)]
        keys.sort(reverse=True)
        keys[0] += (TOTAL << _SHIFT) - sum([scaled[mass] for mass in masses])
        keys.sort(reverse=True)
        return [key >> _SHIFT for key in keys], [_LAST - (key & _LAST) for key in keys]


def _largest_steps(left: list[int], step: int, count: int) -> list[int]:
    """Take `step` from the largest of `left`, again and again, `count` times or until none is so large.

    Returns the keys as they were before each step, and leaves in `left` what remains, sorted.
    """
    steps: list[int] = []
    large = [key for key in left if key >= step]
    for key in large:
        # The last step of a key leaves less than `step`, which is what keys below `step` have at the start.
        steps += range(key, step - 1, -step)[:count]
    steps.sort(reverse=True)
    del steps[count:]
    lowest = steps[-1] if steps else 0
    rest = [key - step * ((key - lowest) // step + 1) if key >= lowest else key for key in large]
    left[len(left) - len(large) :] = [key for key in rest if key > _LAST]
    left.sort()
    return steps
