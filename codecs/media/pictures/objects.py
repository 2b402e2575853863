"""Pictures from the objects of other libraries (PIL images in any mode, arrays, tensors), and PIL images back."""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ....errors import UsageError
from . import profile as profiles
from .arrays import array_picture, is_array
from .decoded import Decoded, Space, full_range
from .exif import is_adobe_rgb, orientation_of
from .metadata import Metadata
from .picture import Picture, to_depth

EXIF_ORIENTATION = 0x0112
_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANAR, _WHITE_IS_ZERO = 258, 259, 262, 277, 284, 0  # of TIFF
_SPACES: dict[str, Space] = {"L": "grey", "LA": "grey", "RGB": "rgb", "RGBA": "rgb", "CMYK": "cmyk", "LAB": "lab"}

_log = logging.getLogger(__name__)


def as_picture(source: Any) -> Picture:
    """Return the Picture of a PIL image, or of an array or a tensor as `arrays` reads it.

    Raises UsageError for anything else.
    """
    if isinstance(source, Picture):
        return source
    if isinstance(source, Image.Image):
        return from_pil(source)
    if is_array(source):
        return array_picture(source)
    if isinstance(source, (str, os.PathLike)):
        raise UsageError(f"{str(source)!r} is the name of a file: give the picture in it, PIL.Image.open(...)")
    raise UsageError(f"a {type(source).__name__} is no picture: give a PIL image, an array or a tensor")


def from_pil(image: Image.Image) -> Picture:
    """Return the Picture of a PIL image, turned upright by its EXIF orientation.

    Raises UsageError for modes that hold no picture of 0..white, for files that Pillow misreads, and what Pillow
    raises on broken data.
    """
    depth = _raw_depth(image)
    _check_planes(image)
    image.load()
    notes = []
    if depth == 16 and image.mode in ("RGB", "RGBA", "CMYK"):
        notes.append("Pillow gives 8 of the 16 bits a channel: bitfloor's own commands read such a file in full")
    samples, space = _samples(image)
    if image.mode.startswith("I;16"):
        samples = _as_tiff_means(samples, image)
    samples = _with_transparency(samples, image, depth)
    icc = image.info.get("icc_profile") or _described_profile(image, notes)
    return Decoded(samples, space, icc, _orientation(image), notes, _metadata(image)).to_picture()


def _metadata(image: Image.Image) -> Metadata:
    """Return what the image says of itself in `info`, and its EXIF data as the caller may have changed them."""
    exif = image.info.get("exif")
    try:
        if getattr(image, "_exif", None) is not None:
            exif = image.getexif().tobytes() if image.getexif() else None
        xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
        xmp = xmp.encode() if isinstance(xmp, str) else xmp
        dpi = image.info.get("dpi")
        dpi = (float(dpi[0]), float(dpi[1])) if dpi else None
    except Exception:  # whatever a caller put there, the picture is good all the same
        xmp = dpi = None
    exif = exif.removeprefix(b"Exif\0\0") if isinstance(exif, bytes) else None
    return Metadata(exif or None, xmp if isinstance(xmp, bytes) else None, dpi)


def _described_profile(image: Image.Image, notes: list[str]) -> bytes | None:
    """Return the profile of what an opened PNG or JPEG says of its colours in other ways."""
    exif = image.info.get("exif")
    if isinstance(exif, bytes) and is_adobe_rgb(exif):
        return profiles.rgb_profile(profiles.ADOBE_PRIMARIES, profiles.gamma_curve(profiles.ADOBE_GAMMA))
    gamma, corners = image.info.get("gamma"), image.info.get("chromaticity")
    if "srgb" in image.info or not isinstance(gamma, (float, type(None))):
        return None
    try:
        return profiles.described_profile(gamma, profiles.white_first(corners) if corners else None)
    except (ValueError, TypeError) as error:
        notes.append(f"{error}, so its chromaticities are left out")
        return None


def _raw_depth(image: Image.Image) -> int:
    """Return the bits a sample of an opened file that is not yet loaded, where they are not those of its mode."""
    for tile in getattr(image, "tile", ()):
        args = tile[3]
        rawmode = str(args[0] if isinstance(args, tuple) and args else args)
        _, _, bits = rawmode.partition(";")
        if bits.rstrip("BLNIS").isdigit():
            return int(bits.rstrip("BLNIS"))
    return 8


def _tiff_tag(image: Image.Image, code: int, default: int) -> int:
    """Return the greatest value of a tag of an opened TIFF file, and `default` where it has none."""
    value = getattr(image, "tag_v2", {}).get(code, default)
    return int(max(value) if isinstance(value, tuple) else value)


def _check_planes(image: Image.Image) -> None:
    """Raise UsageError for colours of 16 bits in planes of their own, of which Pillow makes noise."""
    apart = _tiff_tag(image, _PLANAR, 1) == 2 and _tiff_tag(image, _SAMPLES, 1) > 1
    if apart and _tiff_tag(image, _BITS, 1) > 8 and _tiff_tag(image, _COMPRESSION, 1) == 1:
        raise UsageError(
            "Pillow misreads TIFF files of 16 bits whose channels lie apart: give its samples as an array, or the "
            "file to `bitfloor encode`"
        )


def _as_tiff_means(samples: NDArray[Any], image: Image.Image) -> NDArray[Any]:
    """Return grey samples of an opened TIFF file over their full range, white as the largest: Pillow does neither."""
    bits = _tiff_tag(image, _BITS, 16)
    samples = full_range(samples, (1 << bits) - 1) if 8 < bits < 16 else samples
    return 65535 - samples if _tiff_tag(image, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO else samples


def _samples(image: Image.Image) -> tuple[NDArray[Any], Space]:
    """Return the samples as `Decoded` wants them; a transparent colour (not of a palette) is left to come."""
    mode = image.mode
    if mode in ("P", "PA"):
        return _palette_samples(image)
    if mode == "I" or mode.startswith("I;16"):
        samples = np.asarray(image)
        if samples.min() < 0 or samples.max() > 65535:
            raise UsageError("pictures of 32-bit integers are not supported beyond 0..65535")
        return samples.astype(np.uint16)[:, :, None], "grey"  # the byte order of this machine
    target = {"1": "L", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "HSV": "RGB"}.get(mode, mode)
    if target not in _SPACES:
        raise UsageError(f"pictures of mode {mode} are not supported: convert it to RGB or grey first")
    samples = np.asarray(image if target == mode else image.convert(target))
    if mode == "LAB":  # PIL keeps a and b signed
        samples = samples ^ np.array([0, 128, 128], np.uint8)
    return (samples[:, :, None] if samples.ndim == 2 else samples), _SPACES[target]


def _palette_samples(image: Image.Image) -> tuple[NDArray[Any], Space]:
    has_alpha = image.mode == "PA" or "transparency" in image.info
    samples = np.asarray(image.convert("RGBA" if has_alpha else "RGB"))
    if (samples[:, :, :1] == samples[:, :, 1:3]).all():
        return np.concatenate([samples[:, :, :1], samples[:, :, 3:]], axis=2), "grey"
    return samples, "rgb"


def _with_transparency(samples: NDArray[Any], image: Image.Image, depth: int) -> NDArray[Any]:
    """Add the alpha that a grey or RGB file expresses by one transparent colour.

    Pillow keeps that colour as the file has it, in `depth` bits, but brings the samples to 8.
    """
    key = image.info.get("transparency")
    if samples.shape[2] not in (1, 3) or image.mode == "P" or not isinstance(key, (int, tuple)):
        return samples
    peak = int(np.iinfo(samples.dtype).max)
    colour = np.array(key, np.int64).reshape(-1)
    if depth < 8 and image.mode == "L":
        colour = colour * peak // ((1 << depth) - 1)
    elif image.mode == "1":
        colour = np.where(colour > 0, peak, 0)
    elif depth == 16 and peak == 255:
        colour = colour >> 8
    opaque = (samples != colour).any(axis=2, keepdims=True)
    return np.concatenate([samples, opaque.astype(samples.dtype) * samples.dtype.type(peak)], axis=2)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, as the caller may have changed it, or else as the file says it."""
    if getattr(image, "_exif", None) is None and "exif" in image.info:
        return orientation_of(image.info["exif"], image.info.get("xmp"))
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # EXIF data is broken in many ways, and the picture is good all the same
        return 1


def to_pil(picture: Picture) -> Image.Image:
    """Return a PIL image: L, LA, RGB, RGBA, or I;16 for a grey picture of 16 bits without alpha.

    PIL has no 16 bits of colour: such a picture is rounded to 8. The colour profile and metadata are in `info`.
    """
    if picture.grey and picture.alpha is None:
        image = Image.fromarray(np.ascontiguousarray(picture.rgb[:, :, 0]))
    else:
        if picture.peak > 255:
            _log.warning("a picture of 16 bits a channel is rounded to 8 bits here")
        planes = [picture.rgb[:, :, :1] if picture.grey else picture.rgb]
        if picture.alpha is not None:
            planes.append(picture.alpha[:, :, None])
        samples = np.concatenate(planes, axis=2) if len(planes) > 1 else planes[0]
        image = Image.fromarray(np.ascontiguousarray(to_depth(samples, np.dtype(np.uint8))))
    if picture.icc:
        image.info["icc_profile"] = picture.icc
    for key, value in info_of(picture.metadata).items():
        image.info[key] = value
    return image


def info_of(metadata: Metadata) -> dict[str, Any]:
    """Return metadata as Pillow's readers put it into `info`."""
    found = {"exif": metadata.exif and b"Exif\0\0" + metadata.exif, "xmp": metadata.xmp, "dpi": metadata.resolution}
    return {key: value for key, value in found.items() if value}
