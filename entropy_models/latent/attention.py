"""Global context by linear attention: cost grows with the number of positions, not with its square."""

from __future__ import annotations

from torch import Tensor, nn

from ..exact.attention import linear_attention
from ..exact.layers import ExactLinear


class LinearAttention(nn.Module):
    """Every query position reads channel statistics gathered over all key positions.

    Efficient attention (MLIC++, arXiv 2307.15421, section 3.4); see `exact.attention.linear_attention`.
    """

    def __init__(self, query: int, key: int, value: int, inner: int, out: int, head: int = 16) -> None:
        super().__init__()
        self.head = head
        self.query, self.key = ExactLinear(query, inner), ExactLinear(key, inner)
        self.value, self.out = ExactLinear(value, inner), ExactLinear(inner, out)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, on_grid: bool = False) -> Tensor:
        """Tokens (B, M, Cq), (B, N, Ck), (B, N, Cv) to (B, M, out); `on_grid`: they have been snapped."""
        keys, values = self._heads(self.key(key, on_grid)), self._heads(self.value(value, on_grid))
        read = linear_attention(self._heads(self.query(query, on_grid)), keys, values)
        return self.out(read.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.head)).transpose(1, 2)
