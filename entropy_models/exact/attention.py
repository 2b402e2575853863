"""The sums of attention, exact: over positions, over channels, and by channel statistics.

All take queries, keys and values that a layer has just computed and snap them first. Divisions come after the sums, so
that a sum over positions has no rounding at all; `products` proves each from the shapes it meets. Softmax is e^(x -
largest) from the table, an exact sum and one division.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .functions import EXP_GRID, SHARE_GRID, exp, exp_below, inverse_root, root, softmax
from .grid import ACTIVATION, ACTIVATION_BITS, Grid, divide, snap, snap_
from .products import matmul, total

VALUE_GRID = Grid(ACTIVATION_BITS, 4)  # of what linear attention gathers: at most 16
CHUNK = 1024  # queries whose logits are in memory at once


def linear_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention whose cost grows with the number of positions, not with its square.

    Every query reads channel statistics that are gathered over all positions; keys are normalised over positions,
    queries over the channels of a head (Shen et al., "Efficient attention", arXiv 1812.01243):

        context = sum_n exp(k_n) v_n^T / sum_n exp(k_n)        (head width x head width)
        out_m   = softmax(q_m) context

    Args:
        query: (B, heads, M, D).
        key: (B, heads, N, D).
        value: (B, heads, N, E).

    Returns:
        (B, heads, M, E), on no grid: for a layer that snaps its input.
    """
    weights = exp(snap(key))
    values = snap(value, VALUE_GRID.bits, VALUE_GRID.limit)
    gathered = matmul(weights.transpose(-1, -2), values, EXP_GRID, VALUE_GRID)
    context = snap_(gathered / total(weights, -2, EXP_GRID).transpose(-1, -2))
    return matmul(softmax(query), context, SHARE_GRID, ACTIVATION)


def softmax_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None = None,
    visible: Tensor | None = None,
    chunk: int = CHUNK,
) -> Tensor:
    """softmax(q k^T / sqrt(D) + bias) v, quadratic in the number of positions, queries a chunk at a time.

    Args:
        query: (B, heads, M, D).
        key: (B, heads, N, D).
        value: (B, heads, N, E).
        bias: broadcasts over (B, heads, M, N), or None.
        visible: bool, broadcasts likewise: which keys a query may see. One that sees none reads zeros.
        chunk: queries whose logits are in memory at once; the result does not depend on it.

    Returns:
        (B, heads, M, E), snapped.
    """
    keys, values = snap(key).transpose(-1, -2), snap(value)
    parts = []
    for start in range(0, query.shape[-2], chunk):
        rows = slice(start, start + chunk)
        logits = matmul(snap(query[..., rows, :]), keys, ACTIVATION, ACTIVATION) * inverse_root(query.shape[-1])
        if bias is not None:
            logits = logits + snap(_rows(bias, rows))
        parts.append(_read(snap(logits), values, None if visible is None else _rows(visible, rows)))
    return torch.cat(parts, -2)


def channel_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of channels to channels, MLICv2's context reweighting (arXiv 2504.19119).

    A = softmax(q^T k / sqrt(N)) is a statistic over all positions of the tile:

        out_n = A v_n

    Args:
        query, key, value: (B, N, C).

    Returns:
        (B, N, C), snapped.
    """
    similarity = matmul(snap(query).transpose(-1, -2), snap(key), ACTIVATION, ACTIVATION)
    shares = softmax(divide(similarity, root(query.shape[-2])))
    return snap_(matmul(snap(value), shares.transpose(-1, -2), ACTIVATION, SHARE_GRID))


def _read(logits: Tensor, values: Tensor, visible: Tensor | None) -> Tensor:
    """Values (B, heads, N, E) weighed by the softmax of logits (B, heads, M, N)."""
    if visible is not None:
        logits = logits.masked_fill(~visible, -float("inf"))
    largest = logits.amax(-1, keepdim=True).clamp_min(-ACTIVATION.limit)  # finite where nothing is visible
    weights = exp_below(logits - largest)
    if visible is not None:
        weights = weights.masked_fill(~visible, 0)
    shared = total(weights, -1, SHARE_GRID).clamp_min(SHARE_GRID.unit)
    return snap_(matmul(weights, values, SHARE_GRID, ACTIVATION) / shared)


def _rows(x: Tensor, rows: slice) -> Tensor:
    """Some queries' part of a tensor that broadcasts over (B, heads, M, N)."""
    return x if x.ndim < 2 or x.shape[-2] == 1 else x[..., rows, :]
