"""Lower bounds on the entropy of any coupling of given marginals, in bits.

* majorisation: the greatest lower bound of the marginals in the majorisation order (Cicalese, Gargano and
  Vaccaro 2019); every coupling is majorised by it, so its entropy is no smaller.
* profile (Compton, Katz, Qi, Greenewald and Kocaoglu, AISTATS 2023): lay the states of each marginal out by
  size; no coupling has more mass in large cells than the smallest of the marginals' states at each quantile
  allows. Greedy is within 0.53 bit of it, which no bound by majorisation could show.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .laws import Floats, as_law, entropy

GREEDY_GAP = float(np.log2(np.e) / np.e)
"""Greedy's distance to the profile bound for two marginals is at most log2(e)/e = 0.5307 bit."""


def majorisation_bound(*marginals: ArrayLike) -> float:
    """Entropy of the majorisation meet: z_i = min over marginals of the sum of the i largest masses."""
    laws = [np.sort(as_law(law, f"law {k + 1}"))[::-1] for k, law in enumerate(marginals)]
    size = max(len(law) for law in laws)
    prefix = [np.cumsum(np.pad(law, (0, size - len(law)))) for law in laws]
    meet = np.diff(np.minimum.reduce(prefix), prepend=0.0)
    return entropy(np.maximum(meet, 0.0))


def profile_bound(*marginals: ArrayLike) -> float:
    """Integral over s in (0, 1) of log2(1 / min_k F_k(s)), F_k(s) the state of marginal k at mass quantile s.

    States are laid out from the smallest to the largest, so F_k is a rising staircase and the integral is a
    finite sum over the union of all steps.
    """
    laws = [np.sort(as_law(law, f"law {k + 1}")) for k, law in enumerate(marginals)]
    laws = [law[law > 0] for law in laws]
    steps = [np.minimum(np.cumsum(law), 1.0) for law in laws]
    edges = np.unique(np.concatenate([[0.0, 1.0], *steps]))
    width = np.diff(edges)
    middle = edges[:-1] + width / 2
    smallest: Floats = np.minimum.reduce(
        [law[np.minimum(np.searchsorted(step, middle), len(law) - 1)] for law, step in zip(laws, steps, strict=True)]
    )
    return max(0.0, -float(np.sum(width * np.log2(smallest))))
