"""What a compressed file says of itself, found without the model and without torch."""

from __future__ import annotations

from dataclasses import dataclass

from . import registry
from .container import unpack
from .registry import FORMS
from .secodec.level import STEP, gain_in


@dataclass(frozen=True)
class FileInfo:
    """A compressed file taken apart.

    `codec` is None where this version does not know the codec; `model` is the fingerprint of the model
    that it needs, None for a codec without models; `quality` is in 1..100 where it has one; `fields`
    are the header's integers by name; `parts` says where the `size` bytes go and sums to them;
    `overhead` counts the bytes that are neither payload nor sections. `bits_per_pixel` is None for other
    than pictures, `seconds`, `kilobits_per_second` and `gain_db` for other than sounds. `lossless` says how
    a picture is kept as it is ("WebP", "JPEG XL"), None for other files.
    """

    size: int
    codec: str | None
    codec_id: int
    kind: str | None
    model: str | None
    quality: float | None
    fields: dict[str, int]
    parts: dict[str, int]
    overhead: int
    lossless: str | None = None

    @property
    def bits_per_pixel(self) -> float | None:
        """Bits of the whole file for each pixel."""
        pixels = self.fields.get("width", 0) * self.fields.get("height", 0)
        return 8 * self.size / pixels if pixels else None

    @property
    def seconds(self) -> float | None:
        """Duration of a sound, None for other than sounds."""
        rate = self.fields.get("rate", 0) if self.kind == "sound" else 0
        return self.fields.get("samples", 0) / rate if rate else None

    @property
    def kilobits_per_second(self) -> float | None:
        """Thousands of bits of the whole file for each second of a sound."""
        return 8 * self.size / self.seconds / 1000 if self.seconds else None

    @property
    def gain_db(self) -> float | None:
        """How much louder a sound is than the level that the network codes at, in dB."""
        field = self.fields.get("gain") if self.kind == "sound" else None
        return None if field is None else gain_in(field) * STEP


def describe(data: bytes) -> FileInfo:
    """Return what the file `data` says of itself; raises CorruptStreamError for a damaged one."""
    container = unpack(data)
    header = container.header
    entry = next((entry for entry in registry.CODECS if entry.codec_id == header.codec_id), None)
    names = entry.field_names if entry else ()
    fields = {
        names[index] if index < len(names) else f"field {index + 1}": value
        for index, value in enumerate(header.fields)
    }
    return FileInfo(
        size=len(data),
        codec=entry.name if entry else None,
        codec_id=header.codec_id,
        kind=entry.kind if entry else None,
        model=header.fingerprint.hex() if entry is None or entry.has_models else None,
        quality=_quality(fields.get("quality"), entry),
        fields=fields,
        parts=dict(container.sizes),
        overhead=container.overhead,
        lossless=FORMS.get(fields.get("form", 0)) if entry is registry.LOSSLESS else None,
    )


def _quality(position: int | None, entry: registry.CodecEntry | None) -> float | None:
    if position is None or entry is None or not entry.quality_positions:
        return None
    return 1 + 99 * position / entry.quality_positions
