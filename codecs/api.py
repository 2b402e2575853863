"""The library in four functions: load, encode, decode, info.

Threads may call them at the same time and share a codec; forked workers may go on with a codec of their parent. What a
program has set in torch (default type and device, autocast, gradients, threads, random state) neither matters nor
changes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, overload

from .. import weights
from ..errors import UsageError
from . import registry
from .aim import Aim, encode_to_aim
from .base import Codec, Model, PictureCodec
from .container import file_bytes, unpack
from .fallback import check_fallback
from .info import FileInfo, describe
from .media.pictures.picture import MAX_PIXELS
from .sources import contents

if TYPE_CHECKING:
    from .image.presets.mlicv2 import MLICv2Codec
    from .image.presets.s2lic import S2LICCodec
    from .lossless import LosslessCodec
    from .mecb import MECBCodec
    from .secodec.codec import SECodecCodec
    from .seslm.synthesis import Speaker

Source = Any
Data = bytes | bytearray | memoryview | str | os.PathLike[str]


@overload
def load(name: Literal["mlicv2"] = "mlicv2", model: Model | None = None, *, tune: str | None = None) -> MLICv2Codec: ...
@overload
def load(name: Literal["s2lic"], model: Model | None = None, *, tune: str | None = None) -> S2LICCodec: ...
@overload
def load(name: Literal["secodec"], model: Model | None = None) -> SECodecCodec: ...
@overload
def load(name: Literal["mecb"], model: Model | None = None) -> MECBCodec: ...
@overload
def load(name: Literal["lossless"], model: Model | None = None) -> LosslessCodec: ...
@overload
def load(name: Literal["seslm"], model: Model | None = None) -> Speaker: ...  # type: ignore[overload-overlap]
@overload
def load(name: str, model: Model | None = None, *, tune: str | None = None) -> Codec: ...
def load(name: str = "mlicv2", model: Model | None = None, *, tune: str | None = None) -> Codec | Speaker:
    """Return the codec called `name` with its model: one object for one model, however it is asked for.

    `model` is a name that `bitfloor models` shows, a model file, or a folder with one model; None is the codec's
    default. Instead of a model `tune` may say what a network of pictures shall have been trained for: "psnr" or
    "visual", structure and edges as the eye weighs them. "seslm" gives a `Speaker`, which is no codec: it says texts.
    Raises UsageError for an unknown codec, ModelError where there is no such model.
    """
    if tune is not None:
        model = _tuned(name, tune, model)
    if name == "seslm":
        from .seslm.synthesis import Speaker

        return Speaker.load(model)
    return registry.load(name).load(model)


def _tuned(name: str, tune: str, model: Model | None) -> Model:
    if registry.by_name(name).kind != "picture":
        raise UsageError(f"tune is for pictures, not for the codec {name}")
    return weights.tuned(name, tune, model)


def encode(
    source: Source,
    *,
    codec: str | None = None,
    model: Model | None = None,
    quality: float | None = None,
    size: int | None = None,
    bpp: float | None = None,
    psnr: float | None = None,
    lossless: bool = False,
    fallback: str = "auto",
    effort: int = 0,
    tune: str | None = None,
    **options: Any,
) -> bytes:
    """Return the file for `source`: what the codec's `encode` takes, or the name of a file (str or path).

    Without `codec` a named file gets the codec of its kind, as on the command line, and all else is a picture.
    At most one of: `quality` 1..100; `size`, most bytes of the file; for pictures `bpp`, most bits for a pixel of the
    whole file, and `psnr`, least PSNR in dB. The last three are met on the real file, by trying qualities.
    `lossless` keeps every sample of a picture. So does the file of any picture where that is better than the
    network's, by the rule of `codecs/fallback.py`, unless `fallback` is "never". `effort`
    above 0 spends more time on a picture, where the codec can; `tune` is as for `load`. `options` are further ones of
    the codec's `encode`.
    Raises UsageError for a source or a wish that cannot be, UnreadableInputError for a file that cannot be read,
    TargetError where no quality reaches what was asked for.
    """
    aim, may_fall_back = Aim(quality, size, bpp, psnr, lossless), check_fallback(fallback)
    if lossless:
        codec = registry.lossless_codec(codec)
    source, codec = contents(source, codec, options.get("max_pixels", MAX_PIXELS))
    name = registry.by_name("mlicv2" if codec is None else codec).name  # not "seslm", which encodes nothing
    loaded = load(name, model, tune=tune)
    if effort:
        if not isinstance(loaded, PictureCodec):
            raise UsageError(f"effort is for pictures, not for the codec {loaded.name}")
        options["effort"] = effort
    may_fall_back = may_fall_back and registry.by_name(name).fallback is not None
    return encode_to_aim(loaded, source, aim, options, may_fall_back=may_fall_back).data


def decode(data: Data, *, model: Model | None = None, **options: Any) -> Any:
    """Return what a compressed file holds, as the usual object of its kind: a picture as a PIL image.

    `data` are its bytes, or its name (str or path). Codec and model are found from the file; `model` says where the
    model is that the file names, as for `load`; `options` (such as max_pixels=2**30 for a picture) are those of the
    codec's `decode`. Raises CorruptStreamError for damaged data, ModelError where its model is not here.
    """
    content = file_bytes(data)
    return codec_of(content, model).decode(content, **options)


def codec_of(data: bytes, model: Model | None = None) -> Codec:
    """Return the codec that decodes the file `data` with the model that it names; raises as `decode`."""
    header = unpack(data).header
    return registry.load(registry.by_id(header.codec_id).name).load(model, fingerprint=header.fingerprint)


def info(data: Data) -> FileInfo:
    """Return what a compressed file, its bytes or its name, says of itself; needs neither the model nor torch."""
    return describe(file_bytes(data))
