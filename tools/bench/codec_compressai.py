"""CompressAI's networks through its own classes: `compressai:mbt2018-mean`, quality 1 to 8.

Nothing is downloaded: a network's published weights must already lie where torch.hub keeps them, or in the
folder of `weights=DIR`. `random=1` takes untrained weights, which tells times and memory and nothing of
quality.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...errors import ModelError, UsageError
from .codecs import BenchCodec, parse_options, register

_HEAD = struct.Struct(">HHHHB")  # height, width, the two sides of z, number of strings
_LENGTH = struct.Struct(">I")


def zoo() -> Any:
    """The module `compressai.zoo.image`; raises UsageError where it cannot be imported."""
    try:
        from compressai.zoo import image
    except ModuleNotFoundError as error:
        if error.name == "compressai":
            raise UsageError("this codec needs CompressAI: pip install 'bitfloor[bench]'") from None
        raise UsageError(f"CompressAI cannot be imported: {error}") from None
    except Exception as error:  # beside a torch that it does not fit, its import fails in many ways
        raise UsageError(
            f"CompressAI cannot be imported ({type(error).__name__}: {str(error).splitlines()[0]}): "
            "install compressai in an environment whose torchvision matches its torch"
        ) from None
    return image


def pack(strings: list[list[bytes]], shape: tuple[int, int], size: tuple[int, int]) -> bytes:
    """One file out of what `compress` returned for one picture; `size` is its (height, width)."""
    parts = [_HEAD.pack(*size, *shape, len(strings))]
    for (string,) in strings:
        parts += [_LENGTH.pack(len(string)), string]
    return b"".join(parts)


def unpack(data: bytes) -> tuple[list[list[bytes]], tuple[int, int], tuple[int, int]]:
    """The inverse of `pack`: (strings, shape, size)."""
    height, width, z_height, z_width, count = _HEAD.unpack_from(data)
    strings, at = [], _HEAD.size
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        strings.append([data[at : at + length]])
        at += length
    return strings, (z_height, z_width), (height, width)


@register("compressai")
class CompressAI(BenchCodec):
    """One architecture of CompressAI's zoo; one network for each quality, the last one kept loaded."""

    suffix, quality_unit, searchable = ".cai", "CompressAI's quality", False

    def __init__(self, spec: str, options: str = "") -> None:
        super().__init__(spec)
        self.zoo = zoo()
        self.name, _, rest = options.partition("+")
        if self.name not in self.zoo.model_urls:
            raise UsageError(f"compressai has no {self.name!r}; choose of {', '.join(self.zoo.model_urls)}")
        chosen = parse_options(spec, rest, {"metric": str, "random": int, "weights": Path})
        self.metric: str = chosen.get("metric", "mse")
        self.random = bool(chosen.get("random", 0))
        self.folder: Path | None = chosen.get("weights")
        urls = self.zoo.model_urls[self.name].get(self.metric)
        if urls is None:
            raise UsageError(f"compressai: {self.name} was not trained for {self.metric!r}")
        self.urls: dict[int, str] = urls
        self.default_qualities = tuple(float(quality) for quality in urls)
        self._loaded: tuple[int, Any] = (0, None)

    @property
    def label(self) -> str:
        """The architecture, its metric if not MSE, and a word where the weights are random."""
        metric = "" if self.metric == "mse" else f" ({self.metric})"
        return f"{self.name}{metric}{', untrained' if self.random else ''}"

    @property
    def version(self) -> str:
        """CompressAI's version and where the weights come from."""
        from importlib.metadata import version

        return f"compressai {version('compressai')}, {self.metric}, {'random' if self.random else 'zoo'} weights"

    def _weights(self, quality: int) -> Any:
        import torch

        name = self.urls[quality].rsplit("/", 1)[1]
        folder = self.folder or Path(torch.hub.get_dir()) / "checkpoints"
        if not (folder / name).is_file():
            raise ModelError(
                f"{self.name} quality {quality}: there is no {folder / name}; download it from "
                f"{self.urls[quality]}, or add +random=1 for untrained weights"
            )
        return torch.load(folder / name, map_location="cpu", weights_only=True)

    def network(self, quality: int) -> Any:
        """The network of one quality, in evaluation mode with its tables built."""
        import torch

        if self._loaded[0] != quality:
            if quality not in self.urls:
                raise UsageError(f"{self.name}: quality {quality} is none of {', '.join(map(str, self.urls))}")
            if self.random:
                torch.manual_seed(quality)
                network = self.zoo.model_architectures[self.name](*self.zoo.cfgs[self.name][quality])
            else:
                state = self.zoo.load_pretrained(self._weights(quality))
                network = self.zoo.model_architectures[self.name].from_state_dict(state)
            network.eval().requires_grad_(False).update(force=True)
            self._loaded = (quality, network)
        return self._loaded[1]

    def load(self, quality: float) -> None:
        """Load the network of one quality."""
        self.network(int(quality))

    def encode(self, source: Image.Image, path: Path, quality: float) -> None:
        """Compress, padded to a multiple of 64 by repeating the border, and write one file."""
        import torch
        from torch.nn.functional import pad

        network = self.network(int(quality))
        x = torch.from_numpy(np.array(source)).permute(2, 0, 1)[None].float() / 255
        padded = pad(x, (0, -source.width % 64, 0, -source.height % 64), mode="replicate")
        with torch.inference_mode():
            out = network.compress(padded)
        data = pack(out["strings"], tuple(out["shape"]), (source.height, source.width))
        path.write_bytes(struct.pack("B", int(quality)) + data)

    def decode(self, path: Path, folder: Path) -> Image.Image:
        """Read the file and decompress; the network's quality stands in its first byte."""
        import torch

        data = path.read_bytes()
        strings, shape, (height, width) = unpack(data[1:])
        with torch.inference_mode():
            x = self.network(data[0]).decompress(strings, shape)["x_hat"][0, :, :height, :width]
        pixels = x.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)
        return Image.fromarray(pixels.numpy())

    def networks(self) -> list[Any]:
        """The network that is loaded now."""
        return [network for _, network in [self._loaded] if network is not None]
