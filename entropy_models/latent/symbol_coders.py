"""Symbol coders of a latent: what one pass of the walk does with means and scales.

    TrainingCoder    takes the symbols from a latent, adds up likelihoods under noise
    AnnealingCoder   takes relaxed symbols, for the refinement of one picture's latent
    ChangingCoder    takes the symbols from a latent and asks what a change of each would bring, for the same
    EncodingCoder    takes the symbols from a latent, writes them
    DecodingCoder    reads the symbols

All have `code(place, means, log_scales, coded)`, and the walk does not know which one it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import CorruptStreamError
from ..coding.range_coder import RangeDecoder, RangeEncoder
from ..coding.tables import ProbabilityTables
from .checkerboard import merged, pack
from .gaussian import bounded_scales, gaussian_likelihood, scale_index
from .rounding import annealed, perturbed, round_straight_through

SYMBOL_LIMIT = 2**13  # keeps y_hat inside the range in which the entropy path is exact


class Pass(NamedTuple):
    """One step of the walk: a slice and one half of its cells, ANCHOR or NON_ANCHOR."""

    slice: int
    parity: int


class SymbolCoder(Protocol):
    """Where the symbols of one pass come from, or go to."""

    def code(self, place: Pass, means: Tensor, log_scales: Tensor, coded: Tensor | None = None) -> Tensor:
        """Symbols of a packed half slice, all tensors (B, H / 2, 2, W / 2, C).

        Where `coded` is False nothing is coded and the symbol is 0; None codes all.
        """


class _LatentCoder:
    """What the coders share that know the latent (B, H, W, M), in the gained domain."""

    def __init__(self, latent: Tensor, channels: Sequence[int]) -> None:
        self.parts = latent.split(list(channels), -1)

    def residual(self, place: Pass, means: Tensor) -> Tensor:
        """Latent minus mean of one pass."""
        return pack(self.parts[place.slice], place.parity) - means


class _EstimatingCoder(_LatentCoder):
    """What the coders share that only add up likelihoods."""

    def __init__(self, latent: Tensor, channels: Sequence[int]) -> None:
        super().__init__(latent, channels)
        self.taken: list[Tensor] = []

    def sample(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """The symbols of a residual, and the values whose likelihoods count."""
        raise NotImplementedError

    def code(self, place: Pass, means: Tensor, log_scales: Tensor, coded: Tensor | None = None) -> Tensor:
        """See `SymbolCoder`."""
        symbols, values = self.sample(self.residual(place, means))
        likelihood = gaussian_likelihood(values, bounded_scales(log_scales))
        if coded is not None:
            likelihood, symbols = torch.where(coded, likelihood, 1.0), symbols * coded
        self.taken.append(likelihood)
        return symbols

    def likelihoods(self) -> Tensor:
        """(B, number of symbols) in coding order."""
        return torch.cat([likelihood.flatten(1) for likelihood in self.taken], 1)

    def bits(self) -> Tensor:
        """Bits of every cell, (B, H, W, 1)."""
        return -torch.log2(merged(self.taken)).sum(-1, keepdim=True)


class TrainingCoder(_EstimatingCoder):
    """Symbols by rounding with a straight-through gradient, likelihoods of the latent under uniform noise.

    Outside training the likelihoods are those of the rounded symbols.
    """

    def __init__(self, latent: Tensor, channels: Sequence[int], training: bool) -> None:
        super().__init__(latent, channels)
        self.training = training

    def sample(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Rounded, and with noise."""
        return round_straight_through(residual), perturbed(residual, self.training)


class AnnealingCoder(_EstimatingCoder):
    """Relaxed symbols between two integers, for symbols and likelihoods alike; see `rounding.annealed`."""

    def __init__(self, latent: Tensor, channels: Sequence[int], temperature: float) -> None:
        super().__init__(latent, channels)
        self.temperature = temperature

    def sample(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """The same relaxed symbols twice."""
        symbols = annealed(residual, self.temperature)
        return symbols, symbols


class Coded(NamedTuple):
    """What symbols were coded with, each (B, H, W, channels); not coded ones are no `coded`."""

    means: Tensor
    log_scales: Tensor
    symbols: Tensor
    coded: Tensor


class ChangingCoder(_EstimatingCoder):
    """Rounded symbols, to which `change` (B, H, W, M) of zeros is added: its gradient is what a change of each brings.

    All but the bits of the changed symbol itself: its likelihood is that of the symbol without the change.
    """

    def __init__(self, latent: Tensor, channels: Sequence[int], change: Tensor) -> None:
        super().__init__(latent, channels)
        self.changes = change.split(list(channels), -1)
        self._passes: list[Coded] = []

    def sample(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """The same rounded symbols twice."""
        symbols = round_straight_through(residual)
        return symbols, symbols

    def code(self, place: Pass, means: Tensor, log_scales: Tensor, coded: Tensor | None = None) -> Tensor:
        """See `SymbolCoder`."""
        symbols = super().code(place, means, log_scales, coded)
        chosen = torch.ones_like(symbols, dtype=torch.bool) if coded is None else coded
        self._passes.append(Coded(means.detach(), log_scales.detach(), symbols.detach(), chosen))
        return symbols + pack(self.changes[place.slice], place.parity) * chosen

    def coded(self) -> Coded:
        """What the slices that were coded were coded with."""
        return Coded(*(merged(list(halves)) for halves in zip(*self._passes, strict=True)))


class EncodingCoder(_LatentCoder):
    """Rounds the latent around the means and writes the symbols; keeps them for the check value."""

    def __init__(
        self, latent: Tensor, channels: Sequence[int], encoder: RangeEncoder, tables: ProbabilityTables
    ) -> None:
        super().__init__(latent, channels)
        self.encoder, self.tables = encoder, tables
        self.symbols: list[NDArray[np.int32]] = []

    def code(self, place: Pass, means: Tensor, log_scales: Tensor, coded: Tensor | None = None) -> Tensor:
        """See `SymbolCoder`."""
        rounded = torch.round(self.residual(place, means)).clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)
        rounded = rounded if coded is None else rounded * coded
        symbols = rounded.to(torch.int32).cpu().numpy()
        indexes = scale_index(log_scales).cpu().numpy()
        chosen = ... if coded is None else coded.cpu().numpy()
        self.encoder.encode(symbols[chosen], indexes[chosen], self.tables)
        self.symbols.append(symbols)
        return rounded.to(means.dtype)


class DecodingCoder:
    """Reads the symbols; keeps them for the check value."""

    def __init__(self, decoder: RangeDecoder, tables: ProbabilityTables) -> None:
        self.decoder, self.tables = decoder, tables
        self.symbols: list[NDArray[np.int32]] = []

    def code(self, place: Pass, means: Tensor, log_scales: Tensor, coded: Tensor | None = None) -> Tensor:
        """See `SymbolCoder`. Raises CorruptStreamError for symbols that no encoder writes."""
        indexes = scale_index(log_scales).cpu().numpy()
        symbols = np.zeros(indexes.shape, np.int32)
        chosen = ... if coded is None else coded.cpu().numpy()
        symbols[chosen] = self.decoder.decode(indexes[chosen], self.tables)
        if symbols.size and max(-int(symbols.min()), int(symbols.max())) > SYMBOL_LIMIT:
            raise CorruptStreamError("the file is damaged: its latents are out of range; get it again")
        self.symbols.append(symbols)
        return torch.from_numpy(symbols).to(means)
