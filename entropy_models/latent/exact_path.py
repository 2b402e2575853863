"""The exact half of a network, frozen: what both ends of a file must compute alike.

    h_s, contexts and heads      float64 on the grid, or float32 on grids of eight bits and more (see `exact.grid`)
    gains, embeddings            multiples of a power of two, tabulated at export
    probability tables           integers, tabulated at export

`tabulate` does once, at export, what needs a mathematical library; `ExactPath` only rounds and proves when it loads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import CorruptStreamError, ModelError
from ..coding.range_coder import RangeDecoder, RangeEncoder
from ..coding.tables import ProbabilityTables, gaussian_tables, tables_from_pmfs
from ..exact.grid import ACTIVATION_BITS, float32_path
from ..exact.layers import freeze
from .context_model import ContextModel
from .factorized import FactorizedPrior
from .gains import Gains, GainState, nearest_node, state_between
from .gaussian import SCALE_COUNT, coded_scales
from .q_index import NODES
from .symbol_coders import SYMBOL_LIMIT, DecodingCoder, EncodingCoder, SymbolCoder

Z_REACH = 512  # z is tabulated over -Z_REACH..Z_REACH; what has no mass there is dropped
NODE_VECTORS = ("embedding", "gain", "inverse_gain", "log_gain")  # as `GainState` calls them


@torch.no_grad()
def tabulate(prior: FactorizedPrior, gains: Gains) -> dict[str, Tensor]:
    """All that a decoder needs beside the weights, by name: vectors of the nodes, tables of y and of z."""
    tensors = {f"nodes.{name}": vectors for name, vectors in gains.tabulate().items()}
    for name, tables in (("y", gaussian_tables(coded_scales())), ("z", _hyper_tables(prior, gains))):
        arrays = tables.to_arrays(f"tables.{name}.")
        tensors |= {key: torch.from_numpy(array.astype(np.int32)) for key, array in arrays.items()}
    return tensors


def _hyper_tables(prior: FactorizedPrior, gains: Gains) -> ProbabilityTables:
    """One table for each quality node and channel of z, node-major, in float64 from the trained prior."""
    values = torch.arange(-Z_REACH, Z_REACH + 1, dtype=torch.float64)
    double = FactorizedPrior(prior.channels).double()
    double.load_state_dict({name: value.double() for name, value in prior.state_dict().items()})
    pmfs: list[NDArray[np.float64]] = []
    for node in range(NODES):
        scale = gains.log_z_scale[node].double().exp()[:, None]
        pmfs.extend(double.likelihood(values.expand(len(scale), -1), scale, floor=0.0).numpy())
    return tables_from_pmfs(pmfs, [-Z_REACH] * len(pmfs))


class ExactPath(nn.Module):
    """Codes the latents of one tile; encoder and decoder go the same way and differ in the symbol coder only.

    Args:
        hyper_synthesis, context: with float weights; they are frozen in place.
        tensors: what `tabulate` gave.
        path: type of the tensors between the layers. It belongs to the model: where two exact sums are added, float32
            may round and float64 not.

    Raises:
        FreezeError: where a layer's sums could leave the range in which they are exact.
        ModelError: where tables are missing, or do not fit.
    """

    def __init__(
        self,
        hyper_synthesis: nn.Module,
        context: ContextModel,
        hyper_channels: int,
        tensors: Mapping[str, Tensor],
        path: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        self.path = path
        self.hyper_synthesis, self.context, self.hyper_channels = hyper_synthesis, context, hyper_channels
        for part in (hyper_synthesis, context):
            freeze(part.double(), path)
        self.nodes = nn.Module()
        for name in NODE_VECTORS:
            self.nodes.register_buffer(name, tensors[f"nodes.{name}"].double())
        arrays = {name: value.numpy() for name, value in tensors.items() if name.startswith("tables.")}
        self.y_tables = ProbabilityTables.from_arrays(arrays, "tables.y.")
        self.z_tables = ProbabilityTables.from_arrays(arrays, "tables.z.")
        if len(self.y_tables) != SCALE_COUNT or len(self.z_tables) != NODES * hyper_channels:
            raise ModelError(f"{len(self.y_tables)} tables for y and {len(self.z_tables)} for z do not fit")
        self.eval().requires_grad_(False)

    def content(self) -> Iterator[NDArray[np.generic]]:
        """Every number that decides what a file decodes to, in the order in which the modules declare them."""
        double = self.path == torch.float64
        for value in self.state_dict().values():
            yield (value.double() if double else value).cpu().numpy()
        for tables in (self.y_tables, self.z_tables):
            yield from tables.to_arrays().values()

    def state(self, q_index: Tensor) -> GainState:
        """What one quality index (1,) means, exact."""
        state = state_between(dict(self.nodes.named_buffers()), q_index)  # float64, which holds what lies between nodes
        return GainState(**{name: vectors.to(self.path) for name, vectors in vars(state).items()})

    def encode(self, latent: Tensor, z: Tensor, q_index: Tensor, encoder: RangeEncoder) -> list[NDArray[np.int32]]:
        """Write a tile: y (1, H, W, M) before its gain and z (1, H / 4, W / 4, Z). Returns what `decode` returns."""
        z_hat = torch.round(z).clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT).to(torch.int32).cpu().numpy()
        encoder.encode(z_hat, self._z_indexes(q_index, z_hat.shape), self.z_tables)
        gained = latent.double() * self.state(q_index).gain[:, 0]
        coder = EncodingCoder(gained, self.context.config.channels, encoder, self.y_tables)
        y_hat = self.walk(z_hat, q_index, coder)
        return [z_hat, *coder.symbols, _on_grid(y_hat)]

    def decode(
        self, z_shape: tuple[int, ...], q_index: Tensor, decoder: RangeDecoder
    ) -> tuple[Tensor, list[NDArray[np.int32]]]:
        """Read a tile whose z is of that shape (1, H / 4, W / 4, Z).

        Returns y_hat (1, H, W, M) without its gain, and all that the check value covers: symbols of z and y in
        coding order, y_hat in units of the grid.

        Raises:
            CorruptStreamError: for symbols that no encoder writes.
        """
        z_hat = decoder.decode(self._z_indexes(q_index, z_shape), self.z_tables)
        if np.abs(z_hat.astype(np.int64)).max() > SYMBOL_LIMIT:
            raise CorruptStreamError("the file is damaged: its hyper-latents are out of range; get it again")
        coder = DecodingCoder(decoder, self.y_tables)
        y_hat = self.walk(z_hat, q_index, coder)
        return y_hat, [z_hat, *coder.symbols, _on_grid(y_hat)]

    def walk(self, z_hat: NDArray[np.int32], q_index: Tensor, coder: SymbolCoder) -> Tensor:
        """y_hat (1, H, W, M) of one tile, without its gain."""
        state = self.state(q_index)
        with float32_path() if self.path == torch.float32 else nullcontext():
            hyper = self.hyper_synthesis(torch.from_numpy(z_hat).to(state.gain), state.embedding[:, 0])
            y_hat: Tensor = self.context(hyper, state, coder)
        return y_hat

    def least_bits_per_block(self) -> float:
        """Fewest bits that one cell of z can cost at any quality: a bound for hostile headers."""
        best = np.maximum.reduceat(self.z_tables.frequencies, self.z_tables.starts[:-1])
        total = float(self.z_tables.row(0).sum())
        return float(np.log2(total / best).reshape(NODES, -1).sum(1).min())

    def _z_indexes(self, q_index: Tensor, shape: tuple[int, ...]) -> NDArray[np.int32]:
        """Table index of every element of z (..., Z) at one quality index."""
        first = int(nearest_node(q_index)) * self.hyper_channels
        row = np.arange(first, first + self.hyper_channels, dtype=np.int32)
        return np.broadcast_to(row, shape)


def _on_grid(y_hat: Tensor) -> NDArray[np.int32]:
    """y_hat as integers in units of the grid, for the check value."""
    grid: NDArray[np.int32] = (y_hat * 2.0**ACTIVATION_BITS).to(torch.int32).cpu().numpy()
    return grid
