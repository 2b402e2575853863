"""Nonlinear functions of the entropy path: the usual ones in float32, tables over the grid in float64.

A table holds the correctly rounded value at every point of the grid (`make_tables` computed them with 40 digits and
they are part of the package), so no mathematical library of any machine takes part.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from .grid import ACTIVATION_BITS, is_exact, snap

POINTS = 2**ACTIVATION_BITS  # points of the grid in one unit
VALUE_BITS = 14  # values of exp, tanh and softplus are multiples of 2^-14, those of gelu of 2^-10
GELU_REACH, TANH_REACH, SOFTPLUS_REACH = 8, 8, 16
EXP_LOW, EXP_HIGH = -16, 4
KEY_LOW = -8.0  # smallest logit of an attention key


@cache
def table(name: str) -> Tensor:
    """The values of one function as float64, one for each point of its grid."""
    with as_file(files(__package__) / "tables.safetensors") as path:
        integers = load_file(path)[name]
    return integers.double() * 2.0 ** -(ACTIVATION_BITS if name == "gelu_gap" else VALUE_BITS)


def gelu(x: Tensor) -> Tensor:
    """x * Phi(x), any shape. The table holds relu(x) - gelu(x), which is even and ends at 8."""
    if not is_exact(x):
        return F.gelu(x)
    x = snap(x)
    return torch.relu(x) - _read("gelu_gap", x.abs(), GELU_REACH)


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent, any shape."""
    if not is_exact(x):
        return torch.tanh(x)
    x = snap(x)
    return torch.sign(x) * _read("tanh", x.abs(), TANH_REACH)


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), any shape. The table holds softplus(x) - relu(x), which is even and ends at 16."""
    if not is_exact(x):
        return F.softplus(x)
    x = snap(x)
    return torch.relu(x) + _read("softplus_gap", x.abs(), SOFTPLUS_REACH)


def exp(x: Tensor) -> Tensor:
    """e^x for logits of attention keys, any shape; the argument is held in [-8, 4]."""
    x = x.clamp(KEY_LOW, EXP_HIGH)
    return _read("exp", snap(x) - EXP_LOW, EXP_HIGH - EXP_LOW) if is_exact(x) else torch.exp(x)


def softmax(x: Tensor) -> Tensor:
    """Softmax over the last dimension; exact sums, then one division for each value, then the grid."""
    if not is_exact(x):
        return torch.softmax(x, -1)
    x = snap(x)
    below = (x - x.amax(-1, keepdim=True)).clamp_min(EXP_LOW)
    weights = _read("exp", below - EXP_LOW, EXP_HIGH - EXP_LOW)
    return snap(weights / weights.sum(-1, keepdim=True), VALUE_BITS, 1.0)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float = 2.0**-16) -> Tensor:
    """LayerNorm over the last dimension (C): exact sums, one division, one square root, the grid.

    weight, bias: (C,), on the grid where x is exact. C is at most 2^13, so that the sum of squares is exact.
    """
    if not is_exact(x):
        return F.layer_norm(x, x.shape[-1:], weight, bias, epsilon)
    x = snap(x)
    channels = x.shape[-1]
    centred = snap(x - x.sum(-1, keepdim=True) / channels)
    variance = (centred * centred).sum(-1, keepdim=True) / channels
    return snap(snap(centred / torch.sqrt(variance + epsilon), VALUE_BITS) * weight + bias)


def _read(name: str, x: Tensor, reach: int) -> Tensor:
    """Table values at grid points x in [0, reach); the last entry stands for everything beyond."""
    values = table(name).to(x.device)
    index = (x * POINTS).clamp_max(len(values) - 1).to(torch.int32)
    return values[index]
