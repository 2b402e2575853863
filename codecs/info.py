"""What a compressed file says of itself, found without the model and without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import CorruptStreamError
from . import registry
from .container import Section, unpack
from .media.pictures.picture import Picture
from .registry import FORMS
from .secodec.level import STEP, gain_in

# Of secodec: Hz, samples for a frame of tokens, and the values that a token has at most.
NETWORK_RATE, SAMPLES_PER_FRAME, VOCABULARY = 16_000, 320, 1024


@dataclass(frozen=True)
class FileInfo:
    """A compressed file taken apart.

    `codec` is None where this version does not know the codec; `model` is the fingerprint of the model
    that it needs, None for a codec without models; `quality` is in 1..100 where it has one; `fields`
    are the header's integers by name; `parts` says where the `size` bytes go and sums to them;
    `overhead` counts the bytes that are neither payload nor sections. `bits_per_pixel` is None for other
    than pictures, `seconds`, `kilobits_per_second` and `gain_db` for other than sounds. `lossless` says how
    a picture is kept as it is ("WebP", "JPEG XL"), None for other files; `kept` names what a picture has beside
    its pixels.
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
    kept: tuple[str, ...] = ()

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
    def tokens(self) -> int | None:
        """Number of tokens of a sound: its frames of 20 ms times its layers."""
        rate = self.fields.get("rate", 0) if self.kind == "sound" else 0
        if not rate:
            return None
        frames = max(-(-self.fields.get("samples", 0) * NETWORK_RATE // (rate * SAMPLES_PER_FRAME)), 1)
        return frames * self.fields.get("layers", 0)

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
        names[index] if index < len(names) else f"field {index + 1}": value for index, value in enumerate(header.fields)
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
        kept=_kept(header.sections) if entry and entry.kind == "picture" else (),
        lossless=FORMS.get(fields.get("form", 0)) if entry is registry.LOSSLESS else None,
    )


def _quality(position: int | None, entry: registry.CodecEntry | None) -> float | None:
    """Return the quality as it was given: of all that make this position the one with the fewest digits."""
    if position is None or entry is None or not entry.quality_positions:
        return None
    exact = 1 + 99 * position / entry.quality_positions
    short = (round(exact, digits) for digits in range(3))
    return next((q for q in short if round((q - 1) / 99 * entry.quality_positions) == position), exact)


def _kept(sections: Mapping[int, bytes]) -> tuple[str, ...]:
    """Return words for what the sections hold, as far as they can be read."""
    try:
        layout = Picture.layout(sections)
    except CorruptStreamError:
        return ()
    metadata = layout.metadata
    words = ["grey"] if layout.grey else []
    words += ["16 bits a channel"] if layout.deep else []
    words += ["alpha"] if Section.ALPHA in sections else []
    words += ["colour profile"] if layout.icc else []
    words += ["EXIF"] if metadata.exif else []
    words += ["XMP"] if metadata.xmp else []
    if metadata.resolution:
        across, down = (f"{value:.4g}" for value in metadata.resolution)
        words.append(f"{across} dpi" if across == down else f"{across} x {down} dpi")
    return tuple(words)
