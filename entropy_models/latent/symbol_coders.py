"""Symbol coders of a latent: the same walk writes a file or reads it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import CorruptStreamError
from ..coding.range_coder import RangeDecoder, RangeEncoder
from ..coding.tables import ProbabilityTables
from .checkerboard import pack
from .gaussian import scale_index

SYMBOL_LIMIT = 2**13  # keeps y_hat inside the range in which the entropy path is exact


class EncodingCoder:
    """Rounds the latent (B, H, W, M) around the means and writes the symbols; keeps them for the check value."""

    def __init__(
        self, latent: Tensor, groups: tuple[int, ...], encoder: RangeEncoder, tables: ProbabilityTables
    ) -> None:
        self.parts = latent.split(groups, -1)
        self.encoder, self.tables = encoder, tables
        self.symbols: list[NDArray[np.int32]] = []

    def code(self, group: int, parity: int, means: Tensor, log_scales: Tensor) -> Tensor:
        """See `SymbolCoder`."""
        residual = pack(self.parts[group], parity) - means
        rounded = torch.round(residual).clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)
        symbols = rounded.to(torch.int32).cpu().numpy()
        self.encoder.encode(symbols, scale_index(log_scales).cpu().numpy(), self.tables)
        self.symbols.append(symbols)
        return rounded


class DecodingCoder:
    """Reads the symbols; keeps them for the check value."""

    def __init__(self, decoder: RangeDecoder, tables: ProbabilityTables, device: torch.device) -> None:
        self.decoder, self.tables, self.device = decoder, tables, device
        self.symbols: list[NDArray[np.int32]] = []

    def code(self, group: int, parity: int, means: Tensor, log_scales: Tensor) -> Tensor:
        """See `SymbolCoder`. Raises CorruptStreamError for symbols that no encoder writes."""
        symbols = self.decoder.decode(scale_index(log_scales).cpu().numpy(), self.tables)
        if symbols.size and max(-int(symbols.min()), int(symbols.max())) > SYMBOL_LIMIT:
            raise CorruptStreamError("the file is damaged: its latents are out of range; get it again")
        self.symbols.append(symbols)
        return torch.from_numpy(symbols).to(self.device).double()
