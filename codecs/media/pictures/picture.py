"""Pictures as people have them, and what a file keeps of them beside pixels: alpha, profile, depth, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import BitfloorError, CorruptStreamError, UnreadableInputError, UsageError
from ...container import Section
from .alpha import decode_alpha, encode_alpha
from .metadata import MAX_BYTES, NO_METADATA, Metadata, packed, unpacked

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
MAX_ICC_BYTES = MAX_BYTES
MAX_PIXELS = 1 << 28
_DEEP, _GREY = 1, 2


def check_pixels(
    width: int, height: int, max_pixels: int = MAX_PIXELS, error: type[BitfloorError] = UnreadableInputError
) -> None:
    """Raise `error` where a picture has more than `max_pixels` pixels; asked before they take memory.

    Raises UsageError for a limit that is no whole number from 1 on.
    """
    if not isinstance(max_pixels, (int, np.integer)) or isinstance(max_pixels, bool) or max_pixels < 1:
        raise UsageError(f"max_pixels {max_pixels!r} is none: it is a whole number from 1 on")
    if width * height > max_pixels:
        raise error(
            f"{width}x{height} are more than the {max_pixels:,} pixels allowed: "
            "--max-pixels (in Python max_pixels=) allows more"
        )


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in memory.

    `rgb` (H, W, 3) and `alpha` (H, W), where there is one, are uint8 or uint16, both the same. `icc` is
    the colour profile that says what the numbers mean, None for sRGB. A `grey` picture has three equal
    channels and is written as one. `metadata` is what people are told beside it.
    Raises UsageError for arrays of any other form.
    """

    rgb: NDArray[Any]
    alpha: NDArray[Any] | None = None
    icc: bytes | None = None
    grey: bool = False
    metadata: Metadata = NO_METADATA

    def __post_init__(self) -> None:
        if self.rgb.dtype not in (np.uint8, np.uint16):
            raise UsageError(f"a picture is an array of uint8 or uint16, not of {self.rgb.dtype}")
        if self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.size == 0:
            raise UsageError(f"a picture is an array of HxW or HxWx3, not of shape {self.rgb.shape}")
        alpha = self.alpha
        if alpha is not None and (alpha.dtype, alpha.shape) != (self.rgb.dtype, self.rgb.shape[:2]):
            raise UsageError(f"alpha of {alpha.dtype} {alpha.shape} fits no picture of {self.rgb.shape}")

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.rgb.shape[1])

    @property
    def peak(self) -> int:
        """The value of white: 255 or 65535."""
        return int(np.iinfo(self.rgb.dtype).max)

    def stripped(self) -> Picture:
        """Return the picture without metadata; its colour profile stays, because it says what the numbers mean."""
        return replace(self, metadata=NO_METADATA) if self.metadata else self

    def to_sections(self) -> dict[int, bytes]:
        """Return what of this picture is not pixels as sections of a file; an ordinary picture has none."""
        sections = {}
        if self.alpha is not None:
            sections[int(Section.ALPHA)] = encode_alpha(self.alpha)
        if self.icc:
            sections[int(Section.ICC)] = packed(self.icc)
        flags = _DEEP * (self.peak > 255) | _GREY * self.grey
        if flags:
            sections[int(Section.DEPTH)] = bytes([flags])
        return sections | self.metadata.to_sections()

    @staticmethod
    def layout(sections: Mapping[int, bytes]) -> Layout:
        """Return what `objects.to_pil` makes of a picture with these sections, before it is decoded.

        Raises CorruptStreamError for sections that do not fit.
        """
        flags = _flags(sections)
        icc = _decode_icc(sections[Section.ICC]) if Section.ICC in sections else None
        metadata = Metadata.from_sections(sections)
        if flags & _GREY and flags & _DEEP and Section.ALPHA not in sections:
            return Layout("I;16", icc, grey=True, metadata=metadata, deep=True)
        grey = bool(flags & _GREY)
        mode = ("L" if grey else "RGB") + "A" * (Section.ALPHA in sections)
        return Layout(mode, icc, grey, metadata, bool(flags & _DEEP))

    @staticmethod
    def from_sections(rgb: NDArray[Any], sections: Mapping[int, bytes]) -> Picture:
        """Return the picture with the decoded pixels `rgb` and all that the sections say.

        `rgb` is (H, W, 3): floats in 0..1 (values outside are clipped), or uint8 or uint16 over their full
        range; it is brought to the depth of the sections and made grey where they say so.
        Raises CorruptStreamError for sections that do not fit.
        """
        flags = _flags(sections)
        dtype: np.dtype[Any] = np.dtype(np.uint16 if flags & _DEEP else np.uint8)
        if flags & _GREY:
            rgb = np.repeat((_unit(rgb) @ LUMA)[:, :, None], 3, axis=2)
        alpha, icc = None, None
        if Section.ALPHA in sections:
            alpha = decode_alpha(sections[Section.ALPHA], rgb.shape[0], rgb.shape[1], dtype)
        if Section.ICC in sections:
            icc = _decode_icc(sections[Section.ICC])
        return Picture(to_depth(rgb, dtype), alpha, icc, bool(flags & _GREY), Metadata.from_sections(sections))


@dataclass(frozen=True)
class Layout:
    """What the sections of a file say of the PIL image that it becomes. `deep` is 16 bits a channel."""

    mode: str
    icc: bytes | None
    grey: bool = False
    metadata: Metadata = NO_METADATA
    deep: bool = False


def to_depth(samples: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return samples (floats in 0..1, clipped, uint8 or uint16) as `dtype`, uint8 or uint16, full range."""
    if samples.dtype == dtype:
        return samples
    out = np.empty(samples.shape, dtype)
    for top in range(0, len(samples), 256):  # in parts, because a large picture as floats is large
        part = _unit(samples[top : top + 256])
        out[top : top + 256] = np.rint(np.clip(part, 0, 1) * np.iinfo(dtype).max)
    return out


def _unit(samples: NDArray[Any]) -> NDArray[np.float32]:
    if samples.dtype.kind == "u":
        return samples.astype(np.float32) / np.float32(np.iinfo(samples.dtype).max)
    return samples.astype(np.float32, copy=False)


def _flags(sections: Mapping[int, bytes]) -> int:
    body = sections.get(Section.DEPTH, b"\0")
    if len(body) != 1 or body[0] > (_DEEP | _GREY):
        raise CorruptStreamError("the depth section is damaged, or made by a newer bitfloor")
    return body[0]


def _decode_icc(body: bytes) -> bytes:
    return unpacked(body, "colour profile")
