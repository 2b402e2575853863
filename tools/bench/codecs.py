"""What the benchmark asks of a codec, and how a codec is found by its name.

A new codec is one small class:

    @register("mycodec")
    class MyCodec(BenchCodec):
        suffix, default_qualities, quality_unit = ".my", (10, 50, 90), "quality 0-100"

        def encode(self, source, path, quality): ...   # writes the file `path`
        def decode(self, path, folder): ...            # returns what it holds
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from ...errors import UsageError

Kind = Literal["picture", "sound"]


class BenchCodec(ABC):
    """One codec with its settings. `spec` is the text that names it on the command line.

        source --prepare--> prepared --encode--> a file on disk --decode--> decoded --collect--> result

    `encode` and `decode` are timed, `prepare` and `collect` are not. A picture is a PIL image in mode RGB,
    a sound a `sounds.Sound`.
    """

    kind: Kind = "picture"
    suffix: str  # ending of the compressed file, with its dot
    default_qualities: tuple[float, ...]
    quality_unit: str
    whole_qualities: bool = True  # only integers are qualities
    searchable: bool = True  # there are qualities between the default ones, and bytes rise or fall along them

    def __init__(self, spec: str, options: str = "") -> None:
        self.spec = spec
        if options:
            raise UsageError(f"codec {spec!r}: it takes no options after the colon")

    @property
    def label(self) -> str:
        """The name in tables and plots."""
        return self.spec

    @property
    def version(self) -> str:
        """Name and version of the encoder and its settings: a result is reused only under the same text."""
        return self.spec

    def load(self, quality: float) -> None:  # noqa: B027 - most codecs are ready once they are made
        """Load what one quality needs, so that the next `encode` is warm."""

    def prepare(self, source: Any, folder: Path) -> Any:
        """Turn the source into what `encode` takes; untimed."""
        return source

    @abstractmethod
    def encode(self, source: Any, path: Path, quality: float) -> None:
        """Write the compressed file `path`; raises any exception where it cannot."""

    @abstractmethod
    def decode(self, path: Path, folder: Path) -> Any:
        """Read the compressed file `path` back; `folder` is free for scratch files."""

    def collect(self, decoded: Any) -> Any:
        """Turn what `decode` returned into a picture or a sound; untimed."""
        return decoded

    def networks(self) -> list[Any]:
        """The `torch.nn.Module`s of a learned codec, whose parameters and MACs are counted."""
        return []

    def children_peak_mib(self) -> tuple[float | None, float | None]:
        """Peak memory in MiB of the child process in which the last encode, and decode, ran; None for neither."""
        return None, None


Factory = Callable[[str, str], BenchCodec]


_REGISTRY: dict[str, Factory] = {}  # builds a codec from (spec, options)
_MODULES = ("own", "pillow", "jpegxl", "compressai", "external", "opus", "codec2")


def register(name: str) -> Callable[[type[BenchCodec]], type[BenchCodec]]:
    """Class decorator: makes the class known under `name`."""

    def add(factory: type[BenchCodec]) -> type[BenchCodec]:
        _REGISTRY[name] = factory
        return factory

    return add


def known() -> list[str]:
    """The names that `make` knows, bitfloor's own codecs among them."""
    for module in _MODULES:
        import_module(f".codec_{module}", __package__)
    return list(_REGISTRY)


@lru_cache(maxsize=16)
def make(spec: str) -> BenchCodec:
    """Build the codec that `spec`, `NAME` or `NAME:OPTIONS`, names; it is kept for the next call.

    Raises UsageError for an unknown name, unknown options, or a package that is not installed.
    """
    name, _, options = spec.partition(":")
    names = known()
    if name not in names:
        raise UsageError(f"there is no codec {name!r}; choose of {', '.join(sorted(names))}")
    return _REGISTRY[name](spec, options)


def parse_options(spec: str, options: str, allowed: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """Read `key=value+key=value` by the converters in `allowed`; raises UsageError that lists the keys."""
    parsed: dict[str, Any] = {}
    for item in filter(None, options.split("+")):
        key, equals, value = item.partition("=")
        if key not in allowed or not equals:
            raise UsageError(f"codec {spec!r}: {item!r} is none of {', '.join(f'{k}=…' for k in allowed)}")
        try:
            parsed[key] = allowed[key](value)
        except ValueError:
            raise UsageError(f"codec {spec!r}: {value!r} does not suit {key}") from None
    return parsed
