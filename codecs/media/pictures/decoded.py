"""What the readers of picture files and objects hand over, and how it becomes a `Picture`.

reader --Decoded--> colours to RGB or grey --> upright --> a profile that fits --> Picture
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import profile as profiles
from .metadata import NO_METADATA, Metadata
from .picture import MAX_ICC_BYTES, Picture, to_depth

Space = Literal["grey", "rgb", "cmyk", "lab"]
CHANNELS: dict[Space, int] = {"grey": 1, "rgb": 3, "cmyk": 4, "lab": 3}
_ICC_SPACES: dict[Space, bytes] = {"grey": b"GRAY", "rgb": b"RGB ", "cmyk": b"CMYK", "lab": b"Lab "}

_log = logging.getLogger(__name__)


@dataclass
class Decoded:
    """The samples of a file and what it says of them.

    `samples` (H, W, C) are uint8 or uint16 over their full range: the channels of `space`, then alpha where
    there is one. CMYK counts ink; L, a and b are L/100, a/255 + 128/255 and b/255 + 128/255 of the range.
    `icc` is its profile, `orientation` that of EXIF (1..8), `metadata` as the file has them. `notes` say in words what
    of the file is not kept.
    """

    samples: NDArray[Any]
    space: Space
    icc: bytes | None = None
    orientation: int = 1
    notes: list[str] = field(default_factory=list)
    metadata: Metadata = NO_METADATA

    def to_picture(self, name: str = "") -> Picture:
        """Return the picture; what cannot be kept is logged in one line that begins with `name`."""
        samples, space = self.samples, self.space
        alpha = samples[:, :, -1] if samples.shape[2] > CHANNELS[space] else None
        colour = samples[:, :, : CHANNELS[space]]
        icc = self._sound_profile()
        if space == "cmyk":
            colour, icc = self._cmyk_to_rgb(colour, icc), None
        elif space == "lab":
            colour, icc = _lab_to_rgb(colour), None
        grey = colour.shape[2] == 1
        if icc is not None and grey and profiles.space_of(icc) == b"RGB ":
            grey_icc = profiles.grey_form(icc)
            grey, icc = grey_icc is not None, grey_icc or icc
        metadata = self.metadata.upright(self.orientation, self.notes)
        if self.notes:
            _log.warning("%s", (f"{name}: " if name else "") + "; ".join(self.notes))
        rgb = np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else colour
        rgb = np.ascontiguousarray(upright(rgb, self.orientation))
        if alpha is not None:
            alpha = np.ascontiguousarray(upright(alpha, self.orientation))
        return Picture(rgb, alpha, icc, grey, metadata)

    def _sound_profile(self) -> bytes | None:
        """Return the profile where it is one for this kind of picture, and note where it is not."""
        icc = self.icc
        if not icc:
            return None
        space, wanted = profiles.space_of(icc), _ICC_SPACES[self.space]
        if not space:
            self.notes.append("the colour profile is broken and left out")
        elif len(icc) >= MAX_ICC_BYTES:
            self.notes.append(f"the colour profile of {len(icc):,} bytes is too large and left out")
        elif space != wanted and not (self.space == "grey" and space == b"RGB "):
            words = space.decode("latin-1").strip()
            self.notes.append(f"the colour profile is for {words}, not for {self.space}, and left out")
        else:
            return bytes(icc)
        return None

    def _cmyk_to_rgb(self, inks: NDArray[Any], icc: bytes | None) -> NDArray[Any]:
        """Return sRGB through the profile where there is a sound one, else by (1 - ink) (1 - black)."""
        if icc is not None:
            try:
                return _through_profile(inks, icc)
            except Exception as error:  # imagecodecs and lcms raise several kinds on broken profiles
                reason = " ".join(str(error).split())
                self.notes.append(f"the CMYK colour profile is broken ({reason}): its colours are guessed")
        peak = 255 if inks.dtype == np.uint8 else 65535
        rgb = np.empty((*inks.shape[:2], 3), inks.dtype)
        for top in range(0, len(inks), 256):  # in parts, because a large picture as floats is large
            light = 1 - inks[top : top + 256].astype(np.float64) / peak
            rgb[top : top + 256] = np.rint(light[:, :, :3] * light[:, :, 3:] * peak)
        return rgb


def upright(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo EXIF orientations 2..8: 5..8 swap the axes, then each is one of the four flips."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return samples


def full_range(samples: NDArray[Any], peak: int) -> NDArray[Any]:
    """Return unsigned samples in 0..peak as uint8 over its full range, as uint16 where peak is above 255."""
    dtype, top = (np.uint8, 255) if peak <= 255 else (np.uint16, 65535)
    if peak == top:
        return samples.astype(dtype, copy=False)
    levels = (np.arange(peak + 1, dtype=np.int64) * (2 * top) + peak) // (2 * peak)  # rounded to the nearest
    return levels.astype(dtype)[np.minimum(samples, peak)]


def _through_profile(inks: NDArray[Any], icc: bytes) -> NDArray[Any]:
    import imagecodecs

    target = profiles.rgb_profile(profiles.SRGB_PRIMARIES, profiles.srgb_curve())
    rgb: NDArray[Any] = imagecodecs.cms_transform(
        inks.copy(), icc, target, colorspace="cmyk", outcolorspace="rgb", outdtype=inks.dtype.name
    )
    return rgb


def _lab_to_rgb(samples: NDArray[Any]) -> NDArray[Any]:
    """Return sRGB of CIE L*a*b* under D50, by the formulas of CIE 15 and IEC 61966-2-1."""
    _, columns = profiles.adapted(profiles.SRGB_PRIMARIES)
    to_linear = np.linalg.inv(columns)
    peak = 255 if samples.dtype == np.uint8 else 65535
    rgb = np.empty(samples.shape, samples.dtype)
    for top in range(0, len(samples), 256):
        unit = samples[top : top + 256].astype(np.float64) / peak
        y = (unit[:, :, :1] * 100 + 16) / 116
        a, b = unit[:, :, 1:2] * 255 - 128, unit[:, :, 2:] * 255 - 128
        f = np.concatenate([y + a / 500, y, y - b / 200], axis=2)
        xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * profiles.D50
        linear = np.clip(xyz @ to_linear.T, 0, 1)
        coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        rgb[top : top + 256] = to_depth(coded, samples.dtype)
    return rgb
