"""Global context by linear attention: cost grows with the number of positions, not with its square."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..exact.functions import exp, softmax
from ..exact.grid import snap
from ..exact.layers import ExactLinear


class LinearAttention(nn.Module):
    """Every query position reads channel statistics gathered over all key positions.

    Keys are normalised over positions, queries over the channels of a head (Shen et al., "Efficient
    attention"; MLIC++, arXiv 2307.15421, section 3.4):

        context = sum_n exp(k_n) v_n^T / sum_n exp(k_n)        (head width x head width)
        out_m   = softmax(q_m) context

    The division comes after the sum, so that on the exact path the sum over positions has no rounding at all.
    """

    def __init__(self, query: int, key: int, value: int, inner: int, out: int, head: int = 16) -> None:
        super().__init__()
        self.head = head
        self.query, self.key = ExactLinear(query, inner), ExactLinear(key, inner)
        self.value, self.out = ExactLinear(value, inner), ExactLinear(inner, out)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Tokens (B, M, Cq), (B, N, Ck), (B, N, Cv) to (B, M, out)."""
        weights = exp(snap(self._heads(self.key(key))))
        values = snap(self._heads(self.value(value)), limit=16.0)
        context = torch.matmul(weights.transpose(-1, -2), values) / weights.sum(-2).unsqueeze(-1)
        queries = softmax(snap(self._heads(self.query(query))))
        read = torch.matmul(queries, snap(context))
        return self.out(read.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.head)).transpose(1, 2)
