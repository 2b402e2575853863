"""Entropy coding that decodes on every machine: integer probability tables, the range coder, exact layers.

The rule that makes it so: nothing computed in inexact arithmetic may decide a table or a symbol. Tables are integers
that are stored with a model; what chooses among them comes from layers whose sums are exact.

Tables and a stream. Each symbol names its table; symbols outside their table are coded by an escape, so any 32-bit
integer can be:

>>> import numpy as np
>>> from bitfloor import entropy_coding as ec
>>> tables = ec.tables_from_pmfs([[0.5, 0.25, 0.25], [0.9, 0.1]], offsets=[-1, 0])
>>> symbols, indexes = np.array([0, -1, 1, 0, 1000]), np.array([0, 0, 0, 1, 1])
>>> encoder = ec.RangeEncoder()
>>> encoder.encode(symbols, indexes, tables)
>>> encoder.encode_uniform([3, 5], 6)
>>> data = encoder.finish()
>>> decoder = ec.RangeDecoder(data)
>>> decoder.decode(indexes, tables).tolist(), decoder.decode_uniform(2, 6).tolist()
([0, -1, 1, 0, 1000], [3, 5])

One table for each of 64 scales of a Gaussian, as codecs with a hyperprior use them; the stream is as long as the
tables' own information says, to a few bytes:

>>> tables = ec.gaussian_tables()
>>> scale = 20
>>> symbols = np.random.default_rng(0).normal(0, ec.SCALES[scale], 10_000).round().astype(np.int32)
>>> encoder = ec.RangeEncoder()
>>> encoder.encode(symbols, np.full(10_000, scale), tables)
>>> ideal = tables.ideal_bits(symbols, np.full(10_000, scale)) / 8
>>> 0 <= len(encoder.finish()) - ideal < 8
True

A model whose frequencies differ from symbol to symbol gives them as rows of integers:

>>> rows = np.array([[5, 1, 1], [1, 1, 30]])
>>> encoder = ec.RangeEncoder()
>>> encoder.encode_rows([0, 2], rows)
>>> ec.RangeDecoder(encoder.finish()).decode_rows(rows).tolist()
[0, 2]

A layer whose frozen result is the same on every machine, in whatever order its terms are added: weights and
activations lie on grids, `freeze` proves from the weights that no sum leaves the range in which floating point is
exact, and `inexact` names what is not:

>>> import torch
>>> layer = ec.ExactLinear(64, 16)
>>> layer.freeze()
>>> x, order = torch.randn(8, 64, dtype=torch.float64), torch.randperm(64)
>>> turned = ec.ExactLinear(64, 16)
>>> turned.load_state_dict({"weight": layer.weight[:, order], "bias": layer.bias})
<All keys matched successfully>
>>> turned.freeze()
>>> torch.equal(layer(x), turned(x[:, order]))
True
>>> ec.inexact(layer, x), len(ec.inexact(torch.nn.Linear(64, 16).double(), x)) > 0
([], True)
"""

from __future__ import annotations

from .entropy_models.coding.range_coder import RangeDecoder, RangeEncoder
from .entropy_models.coding.tables import (
    SCALES,
    ProbabilityTables,
    gaussian_tables,
    normalised_rows,
    scale_table,
    tables_from_pmfs,
)
from .entropy_models.exact.check import inexact
from .entropy_models.exact.convolution import ExactConv2d, ExactSubPixel
from .entropy_models.exact.frequencies import frequencies
from .entropy_models.exact.functions import exp, gelu, layer_norm, sigmoid, softmax, softplus, tanh
from .entropy_models.exact.grid import ACTIVATION, Grid, float32_path, snap
from .entropy_models.exact.layers import ExactDepthwise, ExactLayer, ExactLinear, FreezeError

__all__ = [
    "ACTIVATION",
    "SCALES",
    "ExactConv2d",
    "ExactDepthwise",
    "ExactLayer",
    "ExactLinear",
    "ExactSubPixel",
    "FreezeError",
    "Grid",
    "ProbabilityTables",
    "RangeDecoder",
    "RangeEncoder",
    "exp",
    "float32_path",
    "frequencies",
    "gaussian_tables",
    "gelu",
    "inexact",
    "layer_norm",
    "normalised_rows",
    "scale_table",
    "sigmoid",
    "snap",
    "softmax",
    "softplus",
    "tables_from_pmfs",
    "tanh",
]
