"""bitfloor's own codecs, by the package's registry, in the benchmark's interface."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...codecs import registry
from .codecs import BenchCodec, parse_options


def own_names() -> list[str]:
    """Names of the package's codecs of pictures and sounds."""
    return [entry.name for entry in registry.CODECS if entry.kind in ("picture", "sound")]


class OwnCodec(BenchCodec):
    """A codec of this package; `effort=N` after the colon is passed on to its encoder."""

    suffix = ".bf"
    default_qualities = (5, 15, 25, 37, 50, 65, 80, 95)
    quality_unit, whole_qualities = "quality 1-100", False

    def __init__(self, spec: str, options: str = "") -> None:
        super().__init__(spec)
        from ... import __version__, load

        entry = registry.by_name(spec.partition(":")[0])
        self.kind = "sound" if entry.kind == "sound" else "picture"
        self.options = parse_options(spec, options, {"effort": int})
        self.codec: Any = load(entry.name)
        self.package_version = __version__

    @property
    def version(self) -> str:
        """Version of the package, fingerprint of the weights, options."""
        fingerprint = getattr(self.codec, "fingerprint", b"")
        text = fingerprint.hex() if isinstance(fingerprint, bytes) else str(fingerprint)
        options = "".join(f" {key}={value}" for key, value in self.options.items())
        return f"bitfloor {self.package_version}, weights {text or 'without a fingerprint'}{options}"

    def encode(self, source: Any, path: Path, quality: float) -> None:
        """Write the codec's file."""
        path.write_bytes(self.codec.encode(source, quality=quality, **self.options))

    def decode(self, path: Path, folder: Path) -> Any:
        """Read the codec's file."""
        return self.codec.decode(path.read_bytes())

    def networks(self) -> list[Any]:
        """Every torch module that the codec object holds directly."""
        import torch

        if isinstance(self.codec, torch.nn.Module):
            return [self.codec]
        return [value for value in vars(self.codec).values() if isinstance(value, torch.nn.Module)]
