"""Minimum-entropy couplings, with and without a bottleneck, and messages hidden in samples of a source.

Entropies are in bits, laws are lists of probabilities, and wrong input is a `bitfloor.UsageError`.

Two laws are coupled, that is, made the marginals of one joint law of little entropy; two lower bounds say how good
that is:

>>> from bitfloor import coupling
>>> found = coupling.greedy_coupling([0.6, 0.4], [0.5, 0.3, 0.2])
>>> found.dense().round(3).tolist()
[[0.5, 0.0, 0.1], [0.0, 0.3, 0.1]]
>>> round(found.entropy, 4), round(coupling.profile_bound([0.6, 0.4], [0.5, 0.3, 0.2]), 4)
(1.6855, 1.4855)

An encoder X -> T with H(T) of at most half a bit. A function of X can keep 0.469 bit, the exact-rate solver splits one
symbol and keeps more; `brute_force_ebim` is the optimum for up to 10 symbols:

>>> law = [0.7, 0.2, 0.1]
>>> coupling.greedy_ebim(law, 0.5).function().tolist()
[0, 0, 1]
>>> found = coupling.exact_ebim(law, 0.5)
>>> round(found.rate, 6), round(found.information, 4), round(coupling.brute_force_ebim(law, 0.5), 4)
(0.5, 0.4761, 0.4761)

Both ends prescribed, X - T - Y:

>>> through = coupling.bottleneck_coupling(law, [0.5, 0.5], rate=0.9, encoder="best", decoder="best")
>>> through.dense().sum(axis=0).round(6).tolist()
[0.5, 0.5]
>>> through.rate <= 0.9 and through.information <= through.rate
True

A message hidden in symbols that are distributed exactly as samples of a source (`NgramSource`, or any object with
`alphabet`, `state` and `masses`). The blocks must be uniform, as encrypted ones are, and `draw` must be secret:

>>> import secrets
>>> source = coupling.NgramSource([0, 1, 2, 1, 0, 2, 2, 1, 0, 1] * 20, alphabet=3, order=1)
>>> fimec = coupling.Fimec(source, bits=8)
>>> cover = []
>>> risk = fimec.hide([7, 200, 31], cover, secrets.randbelow)
>>> fimec.reveal(3, cover).values, risk < 1e-8
([7, 200, 31], True)
"""

from __future__ import annotations

from .entropy_models.coupling import (
    GREEDY_GAP,
    BottleneckCoupling,
    Coupling,
    Encoder,
    as_law,
    best_function,
    bottleneck_coupling,
    brute_force_ebim,
    budget_gap_bound,
    entropy,
    exact_ebim,
    greedy_cells,
    greedy_coupling,
    greedy_ebim,
    majorisation_bound,
    posterior_decoder,
    profile_bound,
    uniform_quantiser,
)
from .entropy_models.coupling.fimec import CoverEndsError, Fimec, Revealed, Source, information
from .entropy_models.coupling.ngram import NgramSource
from .entropy_models.coupling.sampling import Sampler, WordStream, integer_masses

__all__ = [
    "GREEDY_GAP",
    "BottleneckCoupling",
    "Coupling",
    "CoverEndsError",
    "Encoder",
    "Fimec",
    "NgramSource",
    "Revealed",
    "Sampler",
    "Source",
    "WordStream",
    "as_law",
    "best_function",
    "bottleneck_coupling",
    "brute_force_ebim",
    "budget_gap_bound",
    "entropy",
    "exact_ebim",
    "greedy_cells",
    "greedy_coupling",
    "greedy_ebim",
    "information",
    "integer_masses",
    "majorisation_bound",
    "posterior_decoder",
    "profile_bound",
    "uniform_quantiser",
]
