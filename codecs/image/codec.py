"""Pictures in, files out, and back: the same for every picture network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...entropy_models.coding.range_coder import RangeDecoder, RangeEncoder
from ...entropy_models.exact.settings import own_settings
from ...entropy_models.latent.q_index import Q_INDEX_MAX, q_index_of
from ...errors import CorruptStreamError, ModelError
from .. import registry
from ..base import ModelCodec, PictureCodec, check_effort
from ..container import Container, Header, latents_check, pack, unpack, verify_latents
from ..media.pictures.picture import MAX_PIXELS, Picture, check_pixels
from ..media.pictures.psnr import picture_psnr
from .frozen import FrozenImage
from .loss import lagrangian
from .narrow_products import narrow_products
from .refine import WINDOW, Plan, Steps, plan_for, refine_window
from .tiles import TILE, Tile, map_tiles, tiles
from .visual import visual_distance

if TYPE_CHECKING:
    from typing_extensions import Self


def _windows(tile: Tile) -> Iterator[Tile]:
    """The parts of a tile that are refined one after the other, in its coordinates."""
    return tiles(tile.bottom - tile.top, tile.right - tile.left, side=WINDOW)


class ImageCodec(ModelCodec, PictureCodec):
    """One network for every quality; see `bitfloor.load`. A subclass gives a system's name, and no more."""

    def __init__(self, frozen: FrozenImage) -> None:
        self.frozen = frozen
        transform = frozen.network.config.transform
        # Tiles and margins begin at multiples of the transform's alignment.
        self._margin = -(-transform.reach // transform.alignment) * transform.alignment
        if TILE % transform.alignment:
            raise ModelError(f"{frozen.name} works in windows of {transform.alignment} cells, which no tile holds")

    @classmethod
    def from_path(cls, path: Path) -> Self:
        """See `ModelCodec`."""
        return cls(FrozenImage.load(path))

    @property
    def fingerprint(self) -> bytes:
        """See `ModelCodec`."""
        return self.frozen.fingerprint

    @own_settings()
    def encode_picture(self, picture: Picture, quality: float, effort: int = 0) -> bytes:
        """See `PictureCodec`."""
        plan = plan_for(self.frozen.network.config, check_effort(effort))
        q_index = torch.tensor([q_index_of(quality)])
        y = self._analyse(picture, q_index)
        plain = self._write(picture, y, y, q_index)
        if not effort:
            return plain
        refined = self._write(picture, self._refine(picture, y, q_index, plan), y, q_index)
        return min(plain, refined, key=lambda data: self._lagrangian(data, picture, q_index))

    def _write(self, picture: Picture, y: Tensor, unrefined: Tensor, q_index: Tensor) -> bytes:
        """The file with latent y; z is that of the unrefined one."""
        encoder = RangeEncoder()
        symbols: list[NDArray[np.int32]] = []
        for tile in tiles(*y.shape[1:3]):
            z = self._hyper_latent(tile.of(unrefined), q_index)
            symbols += self.frozen.exact.encode(tile.of(y), z, q_index, encoder)
        fields = (picture.width, picture.height, int(q_index))
        header = Header(self._codec_id, self.frozen.fingerprint, fields, picture.to_sections())
        return pack(header, encoder.finish(), latents_check(symbols))

    def _hyper_latent(self, y: Tensor, q_index: Tensor) -> Tensor:
        """z (1, H / 4, W / 4, Z) of a tile."""
        z: Tensor = self.frozen.network.hyper_analysis(y, self.frozen.exact.state(q_index).embedding[:, 0].float())
        return z

    def _refine(self, picture: Picture, y: Tensor, q_index: Tensor, plan: Plan) -> Tensor:
        """y after a search in windows, each with the latest values of its neighbours around it."""
        network = self.frozen.network
        stride = network.config.transform.stride
        unit = math.lcm(network.config.transform.alignment, network.config.hyper.factor)
        margin = -(-self._margin // unit) * unit
        padded = self._padded(picture)
        with torch.inference_mode(False):
            q_index, refined = q_index.clone(), y.clone()
            embedding = network.gains.state(q_index).embedding[:, 0]
            windows = sum(1 for tile in tiles(*y.shape[1:3]) for _ in _windows(tile))
            count = Steps(plan.steps(len(network.config.slices.channels)) * windows)
            for tile in tiles(*y.shape[1:3]):
                if count.stopped:
                    break
                own, pixels = tile.of(refined), tile.of(padded, stride)
                z = self._hyper_latent(tile.of(y).clone(), q_index)
                hyper = network.hyper_synthesis(torch.round(z), embedding)
                for window in _windows(tile):
                    outer = window.widened(margin, *own.shape[1:3])
                    inner = window.inside(outer)
                    rgb = outer.of(pixels, stride).float() / picture.peak
                    around = outer.of(own).clone(), outer.of(hyper).clone()
                    found = refine_window(network, rgb, *around, q_index, inner, plan, count)
                    window.of(own).copy_(inner.of(found))
                    if count.stopped:
                        break
        return refined

    def _lagrangian(self, data: bytes, picture: Picture, q_index: Tensor) -> float:
        """bpp + lambda 255^2 D of a whole file, decoded, with the distortion D that the network is for."""
        pixels, config = picture.width * picture.height, self.frozen.network.config
        decoded = self.decode_picture(data, max_pixels=max(pixels, MAX_PIXELS))
        if config.distortion == "mse":
            distance = 10 ** (-picture_psnr(picture, decoded, exact=True) / 10)
        else:
            distance = _visual_distance(picture, decoded, config.transform.stride)
        return 8 * len(data) / pixels + float(lagrangian(q_index.float(), config.lambdas)) * 255**2 * distance

    @own_settings()
    def decode_picture(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> Picture:
        """See `PictureCodec`."""
        container = unpack(data)
        width, height, q_index = self._fields(container, max_pixels)
        y_hat, symbols = self._decode_latent(container, height, width, q_index)
        verify_latents(container.latents_check, symbols)
        rgb = self._synthesise(y_hat, q_index)[:height, :width]
        return Picture.from_sections(rgb, container.header.sections)

    @own_settings()
    def decode_latents(self, data: bytes) -> list[NDArray[np.int32] | NDArray[np.int64]]:
        """All that the check value covers: symbols of z and y in coding order, y_hat in units of the grid."""
        container = unpack(data)
        width, height, q_index = self._fields(container, MAX_PIXELS)
        return list(self._decode_latent(container, height, width, q_index)[1])

    def exact_parts(self) -> list[Any]:
        """See `Codec`."""
        return [self.frozen.exact]

    def _decode_latent(
        self, container: Container, height: int, width: int, q_index: Tensor
    ) -> tuple[Tensor, list[NDArray[np.int32]]]:
        decoder = RangeDecoder(container.payload)
        cells, config = self._cells(height, width), self.frozen.network.config
        y_hat = torch.empty((1, *cells, config.slices.latent), dtype=torch.float32)
        symbols: list[NDArray[np.int32]] = []
        for tile in tiles(*cells):
            own = tile.of(y_hat)
            z_shape = (1, *(extent // config.hyper.factor for extent in own.shape[1:3]), config.hyper.channels)
            part, of_tile = self.frozen.exact.decode(z_shape, q_index, decoder)
            own.copy_(part)
            symbols += of_tile
        return y_hat, symbols

    def _analyse(self, picture: Picture, q_index: Tensor) -> Tensor:
        """y (1, H / 16, W / 16, M) of a picture padded to whole blocks."""
        network = self.frozen.network
        cells, stride = self._cells(picture.height, picture.width), network.config.transform.stride
        scales = network.q_scale.of_analysis(q_index)

        def transform(part: Tensor) -> Tensor:
            y: Tensor = network.analysis(part.float() / picture.peak, scales)
            return y

        return map_tiles(transform, self._padded(picture), cells, source=stride, result=1, margin=self._margin)

    def _padded(self, picture: Picture) -> Tensor:
        """(1, H, W, 3), padded to whole blocks."""
        cells, stride = self._cells(picture.height, picture.width), self.frozen.network.config.transform.stride
        bottom, right = cells[0] * stride - picture.height, cells[1] * stride - picture.width
        return torch.from_numpy(np.pad(picture.rgb, ((0, bottom), (0, right), (0, 0)), mode="edge"))[None]

    def _synthesise(self, y_hat: Tensor, q_index: Tensor) -> NDArray[np.float32]:
        """Picture (H, W, 3) of a whole latent."""
        network = self.frozen.network
        scales, stride = network.q_scale.of_synthesis(q_index), network.config.transform.stride
        cells = (y_hat.shape[1], y_hat.shape[2])
        with narrow_products():
            rgb = map_tiles(
                lambda y: network.synthesis(y, scales), y_hat, cells, source=1, result=stride, margin=self._margin
            )
        return rgb[0].numpy()

    def _fields(self, container: Container, max_pixels: int) -> tuple[int, int, Tensor]:
        """Width, height and quality index (1,) of a file, believed only after a look at its size."""
        header = container.header
        if header.codec_id != self._codec_id or len(header.fields) != 3:
            raise CorruptStreamError(f"the header does not describe a picture of {self.name}")
        if header.fingerprint != self.fingerprint:
            raise ModelError(
                f"the file needs model {header.fingerprint.hex()}, but {self.frozen.name} is {self.fingerprint.hex()}"
            )
        width, height, q_index = header.fields
        if not (width * height and q_index <= Q_INDEX_MAX):
            raise CorruptStreamError(f"the header claims {width}x{height} pixels at quality index {q_index}")
        blocks = math.prod(self._cells(height, width)) // self.frozen.network.config.hyper.factor**2
        if blocks * self.frozen.exact.least_bits_per_block() > len(container.payload) * 8 + 64:
            raise CorruptStreamError(
                f"the header claims {width}x{height} pixels, more than {len(container.payload)} bytes can hold"
            )
        check_pixels(width, height, max_pixels, CorruptStreamError)
        return width, height, torch.tensor([q_index])

    @property
    def _codec_id(self) -> int:
        return registry.by_name(self.name).codec_id

    def _cells(self, height: int, width: int) -> tuple[int, int]:
        """Size of the latent: whole blocks."""
        config = self.frozen.network.config
        rows, columns = (-(-extent // config.block) * config.hyper.factor for extent in (height, width))
        return rows, columns


def _visual_distance(picture: Picture, decoded: Picture, stride: int) -> float:
    """Mean visual distance of the tiles of two pictures, by area."""
    cells = (-(-picture.height // stride), -(-picture.width // stride))
    total = 0.0
    for tile in tiles(*cells):
        parts = [
            tile.of(torch.from_numpy(p.rgb[None]), stride).permute(0, 3, 1, 2).float() / p.peak
            for p in (picture, decoded)
        ]
        total += float(visual_distance(*parts)) * parts[0].shape[2] * parts[0].shape[3]
    return total / (picture.width * picture.height)
