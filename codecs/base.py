"""What every codec offers: a signal in, the bytes of one whole file out, and back."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..errors import ModelError, UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from .picture import Picture

Kind = Literal["picture", "sound", "symbols"]

DEFAULT_QUALITY = 50.0


def check_quality(quality: float | None) -> float:
    """Return `quality` as a float in 1..100, `DEFAULT_QUALITY` for None; raises UsageError otherwise."""
    if quality is None:
        return DEFAULT_QUALITY
    value = float(quality)
    if not (math.isfinite(value) and 1.0 <= value <= 100.0):
        raise UsageError(f"quality {quality} is out of range: it goes from 1 (smallest file) to 100 (best)")
    return value


class Codec(ABC):
    """One codec with its model loaded. A subclass may add keyword options of its own to `encode`."""

    name: ClassVar[str]
    kind: ClassVar[Kind]

    @classmethod
    def load(cls, model: str | None = None, *, fingerprint: bytes | None = None) -> Codec:
        """Return the codec with its model in it.

        That is the model called `model` (a name of `bitfloor models`, or a path), else the one with the
        4-byte `fingerprint` that stands in a file, else the codec's default. A codec with models overrides
        this. Raises ModelError where there is no such model.
        """
        if model is not None:
            raise ModelError(f"the codec {cls.name} works without a model, so there is no model {model!r}")
        return cls()

    @abstractmethod
    def encode(self, source: Any, *, quality: float | None = None) -> bytes:
        """Return the bytes of a whole file that holds `source`; quality runs continuously over 1..100.

        Raises UsageError for a source or a quality that the codec does not take.
        """

    @abstractmethod
    def decode(self, data: bytes) -> Any:
        """Return what `encode` was given, as the usual object of the codec's kind.

        Raises CorruptStreamError for damaged data, ModelError where `data` needs another model.
        """


class PictureCodec(Codec):
    """A codec of pictures. A subclass writes `encode_picture` and `decode_picture`; the rest follows.

    PIL image, array, tensor --as_picture--> Picture --encode_picture--> bytes
    PIL image <--to_pil-- Picture <--decode_picture-- bytes
    """

    kind: ClassVar[Kind] = "picture"

    @abstractmethod
    def encode_picture(self, picture: Picture, quality: float, effort: int = 0) -> bytes:
        """Return the file for `picture`. `quality` in 1..100; `effort` 0 is one pass of the encoder."""

    @abstractmethod
    def decode_picture(self, data: bytes) -> Picture:
        """Return the picture that `data` holds, its alpha, colour profile and depth with it."""

    def encode(self, source: Any, *, quality: float | None = None, effort: int = 0) -> bytes:
        """Return the file for `source`, anything that `picture_objects.as_picture` takes.

        That is a PIL image, an HxW or HxWx3 array of uint8 or uint16, a 3xHxW float tensor in 0..1,
        or a `Picture`.
        """
        from .picture_objects import as_picture

        return self.encode_picture(as_picture(source), check_quality(quality), effort)

    def decode(self, data: bytes) -> Image:
        """Return the picture in `data` as a PIL image (a 16-bit one is rounded to 8 bits unless grey)."""
        from .picture_objects import to_pil

        return to_pil(self.decode_picture(data))
