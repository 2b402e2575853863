"""MLICv2 as a picture codec: pictures in, files out, and back."""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...entropy_models.coding.range_coder import RangeDecoder, RangeEncoder
from ...entropy_models.exact.grid import ACTIVATION_BITS
from ...entropy_models.exact.settings import own_settings
from ...entropy_models.latent.context_model import SymbolCoder
from ...entropy_models.latent.symbol_coders import SYMBOL_LIMIT, DecodingCoder, EncodingCoder
from ...errors import CorruptStreamError, ModelError, UsageError
from ..base import ModelCodec, PictureCodec
from ..container import Container, Header, latents_check, pack, unpack, verify_latents
from ..picture import MAX_PIXELS, Picture, check_pixels
from .frozen import FrozenMLICv2
from .model import STRIDE
from .quality import POSITIONS, position_of
from .tiles import map_tiles, tiles
from .transforms import CELL

CODEC_ID = 1
BLOCK = STRIDE // CELL  # cells of one cell of z


class MLICv2Codec(ModelCodec, PictureCodec):
    """One network for every quality; see `bitfloor.load`."""

    name: ClassVar[str] = "mlicv2"

    def __init__(self, frozen: FrozenMLICv2) -> None:
        self.frozen = frozen

    @classmethod
    def from_path(cls, path: Path) -> MLICv2Codec:
        """See `ModelCodec`."""
        return cls(FrozenMLICv2.load(path))

    @property
    def fingerprint(self) -> bytes:
        """See `ModelCodec`."""
        return self.frozen.fingerprint

    @own_settings()
    def encode_picture(self, picture: Picture, quality: float, effort: int = 0) -> bytes:
        """See `PictureCodec`."""
        if effort:
            raise UsageError("mlicv2 has no --effort above 0 yet")
        position = torch.tensor([position_of(quality)])
        latent = self._analyse(picture, position)
        encoder = RangeEncoder()
        symbols: list[NDArray[np.int32]] = []
        for tile in tiles(*latent.shape[1:3]):
            symbols += self._encode_tile(tile.of(latent), position, encoder)
        header = Header(
            CODEC_ID,
            self.frozen.fingerprint,
            (picture.width, picture.height, int(position)),
            picture.to_sections(),
        )
        return pack(header, encoder.finish(), latents_check(symbols))

    @own_settings()
    def decode_picture(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> Picture:
        """See `PictureCodec`."""
        container = unpack(data)
        width, height, position = self._fields(container, max_pixels)
        y_hat, symbols = self._decode_latent(container, height, width, position)
        verify_latents(container.latents_check, symbols)
        rgb = self._synthesise(y_hat, position)[:height, :width]
        return Picture.from_sections(rgb, container.header.sections)

    @own_settings()
    def decode_symbols(self, data: bytes) -> list[NDArray[np.int32]]:
        """All that the check value covers: symbols of z and y in coding order, y_hat in units of the grid."""
        container = unpack(data)
        width, height, position = self._fields(container, MAX_PIXELS)
        return self._decode_latent(container, height, width, position)[1]

    def _decode_latent(
        self, container: Container, height: int, width: int, position: Tensor
    ) -> tuple[Tensor, list[NDArray[np.int32]]]:
        decoder = RangeDecoder(container.payload)
        cells = _cells(height, width)
        y_hat = torch.empty((1, *cells, self.frozen.model.config.latent), dtype=torch.float32)
        symbols: list[NDArray[np.int32]] = []
        for tile in tiles(*cells):
            part, own = self._decode_tile(tile.of(y_hat).shape[1:3], position, decoder)
            tile.of(y_hat).copy_(part)
            symbols += own
        return y_hat, symbols

    def _analyse(self, picture: Picture, position: Tensor) -> Tensor:
        """y (1, H / 16, W / 16, M) of a picture padded to whole blocks."""
        cells = _cells(picture.height, picture.width)
        bottom, right = cells[0] * CELL - picture.height, cells[1] * CELL - picture.width
        padded = torch.from_numpy(np.pad(picture.rgb, ((0, bottom), (0, right), (0, 0)), mode="edge"))
        modulation = self.frozen.modulation("analysis", position)

        def transform(part: Tensor) -> Tensor:
            latent: Tensor = self.frozen.model.analysis(part.float() / picture.peak, modulation)
            return latent

        return map_tiles(transform, padded[None], cells, CELL, 1)

    def _synthesise(self, y_hat: Tensor, position: Tensor) -> NDArray[np.float32]:
        """Picture (H, W, 3) of a whole latent."""
        modulation = self.frozen.modulation("synthesis", position)
        cells = (y_hat.shape[1], y_hat.shape[2])
        rgb = map_tiles(lambda y: self.frozen.model.synthesis(y, modulation), y_hat, cells, 1, CELL)
        return rgb[0].numpy()

    def _encode_tile(
        self, latent: Tensor, position: Tensor, encoder: RangeEncoder
    ) -> list[NDArray[np.int32]]:
        frozen = self.frozen
        state = frozen.state(position)
        z = frozen.model.hyper_analysis(latent, state.embedding[:, 0].float())
        z_hat = torch.round(z).clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT).to(torch.int32).numpy()
        encoder.encode(z_hat, frozen.z_indexes(position, z_hat.shape), frozen.z_tables)
        gained = latent.double() * state.gain[:, 0]
        coder = EncodingCoder(gained, frozen.model.config.groups, encoder, frozen.y_tables)
        y_hat = self._walk(z_hat, position, coder)
        return [z_hat, *coder.symbols, _on_grid(y_hat)]

    def _decode_tile(
        self, cells: tuple[int, ...], position: Tensor, decoder: RangeDecoder
    ) -> tuple[Tensor, list[NDArray[np.int32]]]:
        frozen = self.frozen
        shape = (1, cells[0] // BLOCK, cells[1] // BLOCK, frozen.model.config.hyper_latent)
        z_hat = decoder.decode(frozen.z_indexes(position, shape), frozen.z_tables)
        if np.abs(z_hat.astype(np.int64)).max() > SYMBOL_LIMIT:
            raise CorruptStreamError("the file is damaged: its hyper-latents are out of range; get it again")
        coder = DecodingCoder(decoder, frozen.y_tables, torch.device("cpu"))
        y_hat = self._walk(z_hat, position, coder)
        return y_hat, [z_hat, *coder.symbols, _on_grid(y_hat)]

    def _walk(self, z_hat: NDArray[np.int32], position: Tensor, coder: SymbolCoder) -> Tensor:
        """y_hat of one tile, exact; encoder and decoder go the same way and differ in the coder only."""
        state = self.frozen.state(position)
        hyper = self.frozen.model.hyper_synthesis(torch.from_numpy(z_hat).double(), state.embedding[:, 0])
        y_hat: Tensor = self.frozen.model.context(hyper, state, coder)
        return y_hat

    def _fields(self, container: Container, max_pixels: int) -> tuple[int, int, Tensor]:
        """Width, height and quality index of a file, believed only after a look at its size."""
        header = container.header
        if header.codec_id != CODEC_ID or len(header.fields) != 3:
            raise CorruptStreamError("the header does not describe a picture of mlicv2")
        if header.fingerprint != self.frozen.fingerprint:
            raise ModelError(
                f"the file needs model {header.fingerprint.hex()}, "
                f"but {self.frozen.name} is {self.frozen.fingerprint.hex()}"
            )
        width, height, position = header.fields
        if not (width * height and position <= POSITIONS):
            raise CorruptStreamError(f"the header claims {width}x{height} pixels at quality index {position}")
        blocks = math.prod(_cells(height, width)) // BLOCK**2
        if blocks * self.frozen.least_bits_per_block() > len(container.payload) * 8 + 64:
            raise CorruptStreamError(
                f"the header claims {width}x{height} pixels, more than {len(container.payload)} bytes can hold"
            )
        check_pixels(width, height, max_pixels, CorruptStreamError)
        return width, height, torch.tensor([position])


def _cells(height: int, width: int) -> tuple[int, int]:
    """Size of the latent: whole blocks of 64 pixels."""
    return -(-height // STRIDE) * BLOCK, -(-width // STRIDE) * BLOCK


def _on_grid(y_hat: Tensor) -> NDArray[np.int32]:
    """y_hat as integers in units of the grid, for the check value."""
    return (y_hat * 2.0**ACTIVATION_BITS).to(torch.int32).numpy()
