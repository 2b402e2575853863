"""Minimum-entropy coupling, with and without a bottleneck: numpy only, entropies in bits.

>>> from bitfloor.entropy_models.coupling import greedy_coupling, profile_bound
>>> coupling = greedy_coupling([0.6, 0.4], [0.5, 0.3, 0.2])
>>> round(coupling.entropy, 4), round(profile_bound([0.6, 0.4], [0.5, 0.3, 0.2]), 4)
(1.6855, 1.4855)
"""

from .bounds import GREEDY_GAP, majorisation_bound, profile_bound
from .ebim import Encoder, budget_gap_bound, greedy_ebim, uniform_quantiser
from .ebim_exact import best_function, brute_force_ebim, exact_ebim
from .greedy import Coupling, greedy_cells, greedy_coupling
from .laws import as_law, entropy
from .mecb import BottleneckCoupling, bottleneck_coupling, posterior_decoder

__all__ = [
    "GREEDY_GAP",
    "BottleneckCoupling",
    "Coupling",
    "Encoder",
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
    "majorisation_bound",
    "posterior_decoder",
    "profile_bound",
    "uniform_quantiser",
]
