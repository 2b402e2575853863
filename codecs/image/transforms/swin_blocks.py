"""Residual Swin Transformer V2 blocks over grids of features (B, H, W, C), in ordinary floats."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....entropy_models.latent.grids import Depthwise

LARGEST_SCALE = math.log(100)  # of the learned temperature
FIRST_SCALE = math.log(10)
BIAS_HIDDEN = 512
FARTHEST = 8.0  # offsets are scaled to +-8 before their logarithm, and by its base-2 logarithm after it
BIAS_LIMIT = 16.0


class WindowAttention(nn.Module):
    """Scaled cosine attention inside windows that may be shifted (Swin V2, arXiv 2111.09883, section 3.2 and 3.3).

        softmax(cos(q, k) * temperature + bias(log-spaced offset)) v

    Windows do not reach beyond the grid: what a shift brings together from opposite borders does not see each other,
    and a grid that is no multiple of a window is padded with zeros, as torchvision does it.
    """

    def __init__(self, channels: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels cannot be shared among {heads} heads")
        self.heads, self.window, self.shift = heads, window, shift
        self.qkv, self.leave = nn.Linear(channels, 3 * channels, bias=False), nn.Linear(channels, channels)
        self.query_bias, self.value_bias = (nn.Parameter(torch.zeros(channels)) for _ in range(2))  # keys have none
        self.log_scale = nn.Parameter(torch.full((heads, 1, 1), FIRST_SCALE))
        self.bias = nn.Sequential(nn.Linear(2, BIAS_HIDDEN), nn.ReLU(), nn.Linear(BIAS_HIDDEN, heads, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        height, width = x.shape[1:3]
        side = self.window
        padded = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        rows, columns = padded.shape[1:3]
        shifts = [0 if size <= side else self.shift for size in (rows, columns)]
        moved = torch.roll(padded, (-shifts[0], -shifts[1]), (1, 2)) if any(shifts) else padded
        tokens = self._attend(_windows(moved, side), self._logits_bias(rows, columns, shifts))
        grid = _grid(tokens, rows, columns, side)
        if any(shifts):
            grid = torch.roll(grid, tuple(shifts), (1, 2))
        return grid[:, :height, :width]

    def _attend(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """Tokens (B, windows, N, C); bias broadcasts over (B, windows, heads, N, N)."""
        zeros = torch.zeros_like(self.query_bias)
        qkv = self.qkv(tokens) + torch.cat((self.query_bias, zeros, self.value_bias))
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)  # each (B, windows, heads, N, D)
        q = F.normalize(q, dim=-1) * self.log_scale.clamp_max(LARGEST_SCALE).exp().to(q.dtype)
        shares = torch.softmax(q @ F.normalize(k, dim=-1).transpose(-1, -2) + bias.to(q.dtype), -1)
        read: Tensor = self.leave((shares @ v).transpose(2, 3).flatten(3))
        return read

    def _logits_bias(self, rows: int, columns: int, shifts: list[int]) -> Tensor:
        """(heads, N, N), or (windows, heads, N, N) where shifted windows hold what is far apart."""
        table = BIAS_LIMIT * torch.sigmoid(self.bias(_offsets(self.window, self.log_scale)))
        bias = table[_offset_index(self.window, table.device)].permute(2, 0, 1)
        if not any(shifts):
            return bias
        return bias + _apart(rows, columns, self.window, shifts, table.device)[:, None]


class SwinBlock(nn.Module):
    """x + norm(attention(x)), then x + norm(MLP(x)): norms after the branches, as Swin V2 has them.

    They begin with small weights, so a block begins near the identity.

    With `local` the MLP has a 3x3 depthwise convolution beside its hidden features, which begins at zero. Windows meet
    only where they are shifted, so without it, and at few blocks, borders of windows show in what g_s makes.
    """

    def __init__(self, channels: int, heads: int, window: int, shift: int, ratio: float, local: bool = False) -> None:
        super().__init__()
        self.attention = WindowAttention(channels, heads, window, shift)
        self.attention_norm, self.mixer_norm = nn.LayerNorm(channels), nn.LayerNorm(channels)
        inner = round(ratio * channels)
        self.enter, self.leave = nn.Linear(channels, inner), nn.Linear(inner, channels)
        self.around = Depthwise(inner) if local else None
        if self.around is not None:
            nn.init.zeros_(self.around.weight)
            nn.init.zeros_(self.around.bias)  # type: ignore[arg-type]
        for norm in (self.attention_norm, self.mixer_norm):
            nn.init.constant_(norm.weight, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        x = x + self.attention_norm(self.attention(x))
        hidden = F.gelu(self.enter(x))
        hidden = hidden if self.around is None else hidden + self.around(hidden)
        return x + self.mixer_norm(self.leave(hidden))


class ResidualSwin(nn.Module):
    """(x + blocks(x)) / 2, every other block with shifted windows (S2LIC's RS2TB, arXiv 2403.14471, section 3.2).

    Halved, so that blocks that begin near the identity make a whole that does; the paper's is a factor of the next
    layer away.
    """

    def __init__(self, channels: int, depth: int, heads: int, window: int, ratio: float, local: bool = False) -> None:
        super().__init__()
        shifts = (window // 2 * (number % 2) for number in range(depth))
        self.blocks = nn.Sequential(*(SwinBlock(channels, heads, window, shift, ratio, local) for shift in shifts))

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        y: Tensor = self.blocks(x)
        return (x + y) * 0.5


def reach(depth: int, window: int, local: bool = False) -> int:
    """Positions around its own that one depends on after so many blocks: a window, then half of one for each shift.

    With a local convolution it sees its neighbour's window too, which at the border of its own is the next one; that
    one more counts once, since windows of the blocks before reach across every border.
    """
    return window - 1 + local + window // 2 * (depth - 1) if depth else 0


def _windows(grid: Tensor, side: int) -> Tensor:
    """(B, H, W, C) to (B, windows, side side, C)."""
    b, h, w, c = grid.shape
    split = grid.view(b, h // side, side, w // side, side, c)
    return split.transpose(2, 3).reshape(b, -1, side * side, c)


def _grid(tokens: Tensor, rows: int, columns: int, side: int) -> Tensor:
    """Inverse of `_windows`."""
    split = tokens.view(len(tokens), rows // side, columns // side, side, side, -1)
    return split.transpose(2, 3).reshape(len(tokens), rows, columns, -1)


def _offsets(side: int, like: Tensor) -> Tensor:
    """Log-spaced offsets between two places of a window, ((2 side - 1)^2, 2)."""
    steps = torch.arange(1 - side, side, device=like.device, dtype=like.dtype) / max(side - 1, 1) * FARTHEST
    spaced = torch.sign(steps) * torch.log2(steps.abs() + 1) / math.log2(FARTHEST)
    return torch.cartesian_prod(spaced, spaced)


def _offset_index(side: int, device: torch.device) -> Tensor:
    """Which of `_offsets` lies between places n and m, (N, N)."""
    places = torch.cartesian_prod(torch.arange(side, device=device), torch.arange(side, device=device))
    difference = places[:, None] - places[None] + side - 1
    return difference[..., 0] * (2 * side - 1) + difference[..., 1]


def _apart(rows: int, columns: int, side: int, shifts: list[int], device: torch.device) -> Tensor:
    """-100 between places of a shifted window that are no neighbours in the grid, else 0, (windows, N, N)."""
    regions = []
    for size, shift in zip((rows, columns), shifts, strict=True):
        place = torch.arange(size, device=device)
        # the last window, of which the part behind the shift came from the other border
        regions.append((place >= size - side).int() + (place >= size - shift).int() * (shift > 0))
    region = regions[0][:, None] * 3 + regions[1][None]
    of_window = _windows(region[None, :, :, None], side)[0, :, :, 0]
    return (of_window[:, None] != of_window[:, :, None]).float() * -100.0
