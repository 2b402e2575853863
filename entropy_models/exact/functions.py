"""Nonlinear functions of the entropy path: the usual ones in training, tables over the grid where exact.

A table holds the correctly rounded value at every point of the grid (`make_tables` computed them with 40 digits and
they are part of the package), so no mathematical library of any machine takes part. Results have the type of x.
"""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import as_file, files

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from .grid import ACTIVATION, ACTIVATION_BITS, Grid, divide, is_exact, snap, snap_
from .products import total

POINTS = 2**ACTIVATION_BITS  # points of the grid in one unit
VALUE_BITS = 14  # values of exp, tanh and softplus are multiples of 2^-14, those of gelu of 2^-10
GELU_REACH, TANH_REACH, SOFTPLUS_REACH = 8, 8, 16
EXP_LOW, EXP_HIGH = -16, 4
KEY_LOW = -8.0  # smallest logit of an attention key
EXP_GRID = Grid(VALUE_BITS, 6)  # e^4 is 54.6
SHARE_GRID = Grid(VALUE_BITS, 0)  # softmax, tanh, cosines: at most 1


@cache
def table(name: str) -> Tensor:
    """The values of one function as float64, one for each point of its grid."""
    with as_file(files(__package__) / "tables.safetensors") as path:
        integers = load_file(path)[name]
    return integers.double() * 2.0 ** -(ACTIVATION_BITS if name == "gelu_gap" else VALUE_BITS)


def gelu(x: Tensor) -> Tensor:
    """x * Phi(x), any shape. The table holds relu(x) - gelu(x), which is even and ends at 8."""
    return gelu_(snap(x))


def gelu_(x: Tensor) -> Tensor:
    """`gelu` that may overwrite x: for a tensor that nobody else reads, such as a layer's result."""
    if not is_exact(x):
        return F.gelu(x)
    x = snap_(x)
    gap = _read_even("gelu_gap", x)
    return x.clamp_min_(0).sub_(gap)


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent, any shape."""
    if not is_exact(x):
        return torch.tanh(x)
    x = snap(x)
    values = _read_even("tanh", x)
    return x.sign_().mul_(values)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e^-x), any shape: (1 + tanh(x / 2)) / 2.

    Multiples of 2^-15 in [0, 1], off by 2^-12 at most
    (and a table entry's rounding), because x / 2 is rounded to the grid.
    """
    return torch.sigmoid(x) if not is_exact(x) else tanh(x * 0.5).add_(1).mul_(0.5)


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), any shape. The table holds softplus(x) - relu(x), which is even and ends at 16."""
    if not is_exact(x):
        return F.softplus(x)
    x = snap(x)
    gap = _read_even("softplus_gap", x)
    return x.clamp_min_(0).add_(gap)


def exp(x: Tensor) -> Tensor:
    """e^x for logits of attention keys, any shape, on `EXP_GRID`; the argument is held in [-8, 4]."""
    x = x.clamp(KEY_LOW, EXP_HIGH)
    return _read_exp(snap_(x)) if is_exact(x) else torch.exp(x)


def exp_below(x: Tensor) -> Tensor:
    """e^x for x at most 0, any shape, on `SHARE_GRID`: numerators of a softmax, the largest of which is 1."""
    return _read_exp(snap(x).clamp_min_(EXP_LOW)) if is_exact(x) else torch.exp(x)


def softmax(x: Tensor) -> Tensor:
    """Softmax over the last dimension; exact sums, then one division for each value, then the grid."""
    if not is_exact(x):
        return torch.softmax(x, -1)
    x = snap(x)
    weights = exp_below(x.sub_(x.amax(-1, keepdim=True)))
    return snap_(weights / total(weights, -1, SHARE_GRID), VALUE_BITS, 1.0)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float = 2.0**-16) -> Tensor:
    """LayerNorm over the last dimension (C): exact sums, one division, one square root, the grid.

    weight, bias: (C,), on the grid where x is exact. C is below 2^21, so that the sum of squares is exact. The squares
    need more than float32 holds, so the float32 path runs this function in float64.
    """
    if not is_exact(x):
        return F.layer_norm(x, x.shape[-1:], weight, bias, epsilon)
    path = x.dtype
    x = snap(x.double())
    channels = x.shape[-1]
    centred = snap_(x - divide(total(x, -1, ACTIVATION), channels))
    squares = Grid(2 * ACTIVATION.bits, 2 * ACTIVATION.reach)
    variance = divide(total(centred * centred, -1, squares), channels)
    normal = snap_(centred / torch.sqrt(variance + epsilon), VALUE_BITS)
    return snap_(normal.mul_(weight.double()).add_(bias.double())).to(path)


def root(number: int) -> float:
    """Square root of a count, correctly rounded: IEEE 754 demands it of `sqrt`, but not of a power like n ** 0.5."""
    return math.sqrt(number)


def inverse_root(number: int) -> float:
    """1 / sqrt(number) by two correctly rounded operations, the scale of attention logits; see `root`."""
    return math.sqrt(1.0 / number)


@cache
def _values(name: str, dtype: torch.dtype, device: torch.device) -> Tensor:
    return table(name).to(device, dtype)


def _read_even(name: str, x: Tensor) -> Tensor:
    """Values of an even table at grid points x; its last entry stands for everything beyond."""
    values = _values(name, x.dtype, x.device)
    index = (x * POINTS).to(torch.int32).abs_().clamp_max_(len(values) - 1)
    return values.index_select(0, index.reshape(-1)).view(x.shape)


def _read_exp(x: Tensor) -> Tensor:
    """e^x at grid points in [-16, 4]."""
    index = (x * POINTS).to(torch.int32).sub_(EXP_LOW * POINTS)
    return _values("exp", x.dtype, x.device).index_select(0, index.reshape(-1)).view(x.shape)
