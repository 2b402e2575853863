"""What every codec offers: a signal in, the bytes of one whole file out, and back."""

from __future__ import annotations

import math
import operator
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from .. import weights
from ..errors import ModelError, UsageError
from .loaded import one_in_memory
from .media.pictures.picture import MAX_PIXELS, check_pixels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from .media.pictures.picture import Picture
    from .media.sound.signal import Stream

Kind = Literal["picture", "sound", "symbols"]
C = TypeVar("C", bound="Codec")
M = TypeVar("M", bound="ModelCodec")

DEFAULT_QUALITY = 50.0
HIGHEST_EFFORT = 9
Model = str | os.PathLike[str]


def check_quality(quality: float | None) -> float:
    """Return `quality` as a float in 1..100, `DEFAULT_QUALITY` for None; raises UsageError otherwise."""
    if quality is None:
        return DEFAULT_QUALITY
    try:
        value = float(quality)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if isinstance(quality, (bool, str)) or not 1.0 <= value <= 100.0:  # false for NaN too
        raise UsageError(f"quality {quality!r} is none: it is a number from 1 (smallest file) to 100 (best)")
    return value


def check_effort(effort: Any) -> int:
    """Return `effort` as an int in 0..9; raises UsageError otherwise."""
    try:
        value = -1 if isinstance(effort, bool) else operator.index(effort)
    except TypeError:
        value = -1
    if not 0 <= value <= HIGHEST_EFFORT:
        raise UsageError(f"effort {effort!r} is none: it is a whole number from 0 (one pass) to {HIGHEST_EFFORT}")
    return value


def _effort_of(text: str) -> int:
    return check_effort(int(text))


class Codec(ABC):
    """One codec, ready to work. A subclass may add keyword options of its own to `encode`.

    Threads may share it: `encode` and `decode` leave nothing behind in the object.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    # What `encode` takes beside source and quality and can be given as text, by name: what makes its value of the text.
    options: ClassVar[Mapping[str, Callable[[str], Any]]] = MappingProxyType({})

    @classmethod
    def load(cls: type[C], model: Model | None = None, *, fingerprint: bytes | None = None) -> C:
        """Return the codec; the same object every time.

        `model` and `fingerprint` are for a `ModelCodec`. Raises ModelError where a codec without models is given one.
        """
        if model is not None:
            raise ModelError(f"the codec {cls.name} works without a model, so there is no model {str(model)!r}")
        return one_in_memory(cls, None, cls)

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

    def decode_latents(self, data: bytes) -> list[NDArray[np.int32] | NDArray[np.int64]]:
        """Return the integer arrays that the file's check value covers, equal on every machine.

        Raises as `decode`, and UsageError where the codec has none to compare.
        """
        raise UsageError(f"the codec {self.name} has no latents to compare")

    def exact_parts(self) -> list[Any]:
        """Return the torch modules whose results must be the same on every machine."""
        return []


class ModelCodec(Codec):
    """A codec with a trained model. A subclass writes `from_path` and `fingerprint`; `load` follows."""

    @classmethod
    @abstractmethod
    def from_path(cls: type[M], path: Path) -> M:
        """Return the codec with the model in a file, read anew. Raises ModelError."""

    @property
    @abstractmethod
    def fingerprint(self) -> bytes:
        """The 4 bytes by which files name the model."""

    @classmethod
    def load(cls: type[M], model: Model | None = None, *, fingerprint: bytes | None = None) -> M:
        """Return the codec with its model in it; the same object every time.

        That is the model called `model` (a name of `bitfloor models`, a file, or a folder with one model of this
        codec), else the one with the 4-byte `fingerprint` that stands in a file, else the codec's default.
        Raises ModelError where there is no such model, or `model` is not the one with the fingerprint.
        """
        path = weights.find(cls.name, model, fingerprint)
        codec = one_in_memory(cls, path, lambda: cls.from_path(path))
        if fingerprint is not None and codec.fingerprint != fingerprint:
            raise ModelError(
                f"the file needs {cls.name} model {fingerprint.hex()}, but {path} is {codec.fingerprint.hex()}"
            )
        return codec


class PictureCodec(Codec):
    """A codec of pictures. A subclass writes `encode_picture` and `decode_picture`; the rest follows.

    PIL image, array, tensor --as_picture--> Picture --encode_picture--> bytes
    PIL image <--to_pil-- Picture <--decode_picture-- bytes
    """

    kind: ClassVar[Kind] = "picture"
    options: ClassVar[Mapping[str, Callable[[str], Any]]] = MappingProxyType({"effort": _effort_of})

    @abstractmethod
    def encode_picture(self, picture: Picture, quality: float, effort: int = 0) -> bytes:
        """Return the file for `picture`. `quality` in 1..100; `effort` 0 is one pass of the encoder."""

    @abstractmethod
    def decode_picture(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> Picture:
        """Return the picture that `data` holds, its alpha, colour profile and depth with it.

        Raises CorruptStreamError where it has more than `max_pixels` pixels, before they take memory.
        """

    def encode(
        self,
        source: Any,
        *,
        quality: float | None = None,
        effort: int = 0,
        exact: bool = False,
        strip: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> bytes:
        """Return the file for `source`, anything that `objects.as_picture` takes.

        That is a PIL image, an array or tensor of uint8, uint16 or floats in 0..1 (HxW, HxWx3 or 3xHxW, and some
        more, see `pictures.arrays`), a `Picture`, or the name of a file (str or path). Colours that alpha
        hides wholly are replaced by what codes well, unless `exact`. EXIF, XMP and resolution are kept, unless `strip`.
        Raises UsageError for anything else and for more than `max_pixels` pixels.
        """
        from .media.pictures.hidden import fill_hidden
        from .media.pictures.objects import as_picture
        from .sources import contents

        picture = as_picture(contents(source, self.name, max_pixels)[0])
        check_pixels(picture.width, picture.height, max_pixels, UsageError)
        picture = picture.stripped() if strip else picture
        return self.encode_picture(picture if exact else fill_hidden(picture), check_quality(quality), effort)

    def decode(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image:
        """Return the picture in `data` as a PIL image (a 16-bit one is rounded to 8 bits unless grey)."""
        from .media.pictures.objects import to_pil

        return to_pil(self.decode_picture(data, max_pixels=max_pixels))


class SoundCodec(Codec):
    """A codec of sounds of any length: it takes their blocks one after the other, and gives them back like that."""

    kind: ClassVar[Kind] = "sound"

    @abstractmethod
    def decode_stream(self, data: bytes) -> Stream:
        """Return the sound that `data` holds; its samples are made as its blocks are asked for."""

    def decode(self, data: bytes) -> tuple[np.ndarray, int]:
        """Return samples (T,) float32 and the rate of what was encoded. Raises as `Codec.decode`."""
        import numpy as np

        stream = self.decode_stream(data)
        return np.concatenate(list(stream.blocks())), stream.rate
