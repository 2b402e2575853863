"""The codecs by name and by the id that stands in a file; a codec is imported when it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from ..entropy_models.latent.q_index import Q_INDEX_MAX
from ..errors import CorruptStreamError, UsageError

if TYPE_CHECKING:
    from .base import Codec

Kind = Literal["picture", "sound", "symbols"]


@dataclass(frozen=True)
class CodecEntry:
    """One codec: its name, its id in files, what it codes, its class as `module:Class`, its header fields.

    A header field "quality" runs over 0..`quality_positions` for qualities 1..100; 0 where there is none.
    `has_models` says whether the fingerprint in a file names a model; `fallback` names the codec whose file is stored
    where that is better.
    """

    name: str
    codec_id: int
    kind: Kind
    target: str
    field_names: tuple[str, ...]
    quality_positions: int = 0
    has_models: bool = True
    fallback: str | None = None


WEBP, JPEG_XL = 1, 2  # the field "form" of a lossless file
FORMS = {WEBP: "WebP", JPEG_XL: "JPEG XL"}
# Never chosen by the kind of a file: it stands after the others.
LOSSLESS = CodecEntry(
    "lossless",
    5,
    "picture",
    "bitfloor.codecs.lossless:LosslessCodec",
    ("width", "height", "form"),
    has_models=False,
)
# An id is for ever. The first codec of a kind is the default of that kind.
CODECS = (
    CodecEntry(
        "mlicv2",
        1,
        "picture",
        "bitfloor.codecs.image.presets.mlicv2:MLICv2Codec",
        ("width", "height", "quality"),
        quality_positions=Q_INDEX_MAX,
        fallback=LOSSLESS.name,
    ),
    CodecEntry(
        "s2lic",
        2,
        "picture",
        "bitfloor.codecs.image.presets.s2lic:S2LICCodec",
        ("width", "height", "quality"),
        quality_positions=Q_INDEX_MAX,
        fallback=LOSSLESS.name,
    ),
    CodecEntry(
        "secodec",
        3,
        "sound",
        "bitfloor.codecs.secodec.codec:SECodecCodec",
        ("rate", "samples", "layers", "gain"),
    ),
    CodecEntry(
        "mecb",
        4,
        "symbols",
        "bitfloor.codecs.mecb:MECBCodec",
        ("form", "rows", "columns", "seed"),
        has_models=False,
    ),
    LOSSLESS,
)


def by_name(name: str) -> CodecEntry:
    """Return the codec called `name`; raises UsageError where there is none."""
    for entry in CODECS:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in CODECS)
    raise UsageError(f"there is no codec {name!r}; choose one of {known}")


def lossless_codec(named: str | None) -> str:
    """Return the name of the codec without loss; raises UsageError where another one was `named`."""
    if named not in (None, LOSSLESS.name):
        raise UsageError(f"without loss is a codec of its own, so leave out the codec {named}")
    return LOSSLESS.name


def by_id(codec_id: int) -> CodecEntry:
    """Return the codec whose id a file holds; raises CorruptStreamError where this version has none."""
    for entry in CODECS:
        if entry.codec_id == codec_id:
            return entry
    raise CorruptStreamError(f"the file needs codec {codec_id}, which this bitfloor does not have: upgrade bitfloor")


def load(name: str) -> type[Codec]:
    """Import the codec called `name` and return its class; raises UsageError for an unknown name."""
    module, _, attribute = by_name(name).target.partition(":")
    loaded: type[Codec] = getattr(import_module(module), attribute)
    return loaded
