"""bitfloor's own codecs, by the package's registry, in the benchmark's interface.

A codec of sounds takes (samples, rate), mono float32 in -1..1 with its rate in Hz, and decodes to the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...codecs import registry
from ...codecs.container import unpack
from .codecs import BenchCodec, parse_options, register
from .sounds import Sound


class OwnCodec(BenchCodec):
    """A codec of this package; after the colon options of its encoder, model=NAME or tune=visual for another model."""

    suffix = ".bf"
    default_qualities = (1, 15, 29, 43, 57, 71, 86, 100)
    quality_unit, whole_qualities = "quality 1-100", False

    def __init__(self, spec: str, options: str = "") -> None:
        super().__init__(spec)
        from ... import __version__, load

        entry = registry.by_name(spec.partition(":")[0])
        self.kind = "sound" if entry.kind == "sound" else "picture"
        allowed: dict[str, Callable[[str], Any]] = {**registry.load(entry.name).options, "model": str, "tune": str}
        self.options = parse_options(spec, options, allowed)
        self.codec: Any = load(entry.name, self.options.pop("model", None), tune=self.options.pop("tune", None))
        self.package_version = __version__

    @property
    def version(self) -> str:
        """Version of the package, fingerprint of the model, options."""
        options = "".join(f" {key}={value}" for key, value in self.options.items())
        return f"bitfloor {self.package_version}, model {self.fingerprint}{options}"

    @cached_property
    def fingerprint(self) -> str:
        """The model's fingerprint as a file of the codec names it."""
        header = unpack(self.codec.encode(self._least_source(), quality=50)).header
        return header.fingerprint.hex()

    def _least_source(self) -> Any:
        if self.kind == "picture":
            return Image.new("RGB", (16, 16))
        return np.zeros(16000, np.float32), 16000

    def encode(self, source: Any, path: Path, quality: float) -> None:
        """Write the codec's file."""
        if self.kind == "sound":
            source = (source.samples, source.rate)
        # Other codecs are not given EXIF data either.
        strip = {"strip": True} if self.kind == "picture" else {}
        path.write_bytes(self.codec.encode(source, quality=quality, **self.options, **strip))

    def decode(self, path: Path, folder: Path) -> Any:
        """Read the codec's file."""
        return self.codec.decode(path.read_bytes())

    def collect(self, decoded: Any) -> Any:
        """A picture as it is, a sound from its (samples, rate)."""
        if self.kind == "picture":
            return decoded
        samples, rate = decoded
        return Sound(np.asarray(samples, dtype=np.float32).reshape(-1), int(rate))

    def networks(self) -> list[Any]:
        """Every torch module that the codec holds, itself or in an object it holds; none inside another."""
        import torch

        held = [self.codec, *vars(self.codec).values()]
        held += [value for item in held if hasattr(item, "__dict__") for value in vars(item).values()]
        found = dict.fromkeys(value for value in held if isinstance(value, torch.nn.Module))
        inner = {module for outer in found for module in outer.modules() if module is not outer}
        return [module for module in found if module not in inner]


for _entry in registry.CODECS:
    if _entry.kind in ("picture", "sound"):
        register(_entry.name)(OwnCodec)
