"""Reading picture files of other formats, and writing them."""

from __future__ import annotations

import io
import logging
import warnings
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from ..errors import BitfloorError, UnreadableInputError, UsageError
from .deep_color import is_reduced, read_16_bit, write_png_16
from .files import atomic_output, format_suffix, read_bytes
from .picture import Picture, to_depth
from .picture_objects import from_pil, to_pil

# Formats that Pillow knows by their content and decodes itself. Others start a program (EPS) or
# take anything for a picture (TGA).
READABLE = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "PPM", "JPEG2000", "QOI")

_LOSSLESS_WEBP = {"lossless": True, "quality": 50, "method": 4, "exact": True}
_WRITERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", _LOSSLESS_WEBP),
    ".tif": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ".ppm": ("PPM", {}),
    ".bmp": ("BMP", {}),
    ".avif": ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
}

_log = logging.getLogger(__name__)


def read_picture(source: str | Path | bytes | BinaryIO, name: str | None = None) -> Picture:
    """Return the picture in a file ("-" is standard input), a file's bytes, or an open binary file.

    `name` is what errors call it, where `source` does not say it.

    All modes of PNG, JPEG, WebP, AVIF, TIFF, GIF, BMP, PPM, JPEG 2000 and QOI are read: 16 bits a channel
    of PNG, TIFF and PPM in full, deeper AVIF and JPEG 2000 as 8 bits; CMYK becomes sRGB; of several
    pictures in a file the first is taken; EXIF orientation is applied.
    Raises UnreadableInputError where the file is missing, broken, no picture, or larger than Pillow's
    limit of pixels (`PIL.Image.MAX_IMAGE_PIXELS`).
    """
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, (str, Path)):
        name, data = name or str(source), read_bytes(source)
    else:
        name, data = name or str(getattr(source, "name", "the picture")), source.read()
    return _read(data, name or "the picture")


def _read(data: bytes, name: str) -> Picture:
    try:
        image = _open(data)
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
            _log.warning("%s holds %d pictures: only the first is taken", name, getattr(image, "n_frames", 1))
        return from_pil(image, _deep_samples(name, data, image))
    except Image.UnidentifiedImageError:
        raise UnreadableInputError(f"{name} is no picture that we read ({', '.join(READABLE)})") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise UnreadableInputError(f"{name} has more than {limit:.0f} megapixels, the limit") from None
    except BitfloorError as error:
        raise UnreadableInputError(f"{name}: {error}") from None
    except Exception as error:  # Pillow raises many kinds on broken files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableInputError(f"{name} is a broken picture ({reason})") from None


def _open(data: bytes) -> ImageFile.ImageFile:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = Image.open(io.BytesIO(data), formats=READABLE)
    if not isinstance(image, ImageFile.ImageFile):
        raise UnreadableInputError("it has no pixels of its own")
    return image


def _deep_samples(name: str, data: bytes, image: ImageFile.ImageFile) -> NDArray[np.uint16] | None:
    """Return the samples of a file of 16 bits a channel that Pillow would read as 8 bits."""
    if image.format == "PPM" and image.tile and image.tile[0].codec_name == "ppm":
        return _deep_ppm(data, image)
    if not is_reduced(image):
        return None
    samples = read_16_bit(data, image)
    if samples is None:
        _log.warning("%s has 16 bits a channel and is read as 8 bits", name)
    return samples


def _deep_ppm(data: bytes, image: ImageFile.ImageFile) -> NDArray[np.uint16] | None:
    """Return the samples of a binary PPM or PGM with a maximum above 255, scaled to 0..65535."""
    mode, maximum = cast("tuple[str, int]", image.tile[0].args)
    if maximum <= 255:
        return None
    channels = 3 if mode == "RGB" else 1
    count = image.height * image.width * channels
    samples = np.frombuffer(data, ">u2", count, image.tile[0].offset)
    samples = samples.reshape(image.height, image.width, channels)
    if maximum == 65535:
        return samples.astype(np.uint16)
    return np.rint(np.minimum(samples, maximum) * (65535 / maximum)).astype(np.uint16)


def check_suffix(path: str | Path) -> None:
    """Raise UsageError where `write_picture` has no format for the suffix of `path`."""
    _writer(path)


def _writer(path: str | Path) -> tuple[str, dict[str, Any]]:
    suffix = format_suffix(path, _WRITERS, ".png")
    if suffix not in _WRITERS:
        raise UsageError(f"cannot write a {suffix} file: choose one of {' '.join(_WRITERS)}")
    return _WRITERS[suffix]


def write_picture(picture: Picture, path: str | Path, overwrite: bool = False) -> None:
    """Write `picture` to a file whose suffix says the format, PNG without one or for "-".

    PNG and PPM keep 16 bits; JPEG, PPM and BMP have no alpha, which is then left out with a warning.
    WebP and TIFF are written losslessly, JPEG and AVIF at quality 95.
    Raises UsageError for an unknown suffix and as `files.atomic_output` does.
    """
    file_format, options = _writer(path)
    if picture.alpha is not None and file_format in ("JPEG", "PPM", "BMP"):
        _log.warning("%s: %s has no transparency, it is left out", path, file_format)
        picture = Picture(picture.rgb, None, picture.icc, picture.grey)
    with atomic_output(path, overwrite) as file:
        if picture.peak > 255 and file_format == "PNG":
            write_png_16(_all_samples(picture), picture.icc, file)
        elif picture.peak > 255 and file_format == "PPM":
            file.write(b"P6\n%d %d\n65535\n" % (picture.width, picture.height))
            file.write(picture.rgb.astype(">u2").tobytes())
        else:
            _save(picture, file, file_format, options)


def _all_samples(picture: Picture) -> NDArray[Any]:
    """Return colour or grey and alpha as (H, W, 1 to 4)."""
    planes = [picture.rgb[:, :, :1] if picture.grey else picture.rgb]
    if picture.alpha is not None:
        planes.append(picture.alpha[:, :, None])
    return np.concatenate(planes, axis=2)


def _save(picture: Picture, file: BinaryIO, file_format: str, options: dict[str, Any]) -> None:
    if picture.peak > 255:
        _log.warning("%s files are written with 8 bits a channel, this picture has 16", file_format)
        eight = np.dtype(np.uint8)
        alpha = None if picture.alpha is None else to_depth(picture.alpha, eight)
        picture = Picture(to_depth(picture.rgb, eight), alpha, picture.icc, picture.grey)
    if picture.icc and file_format not in ("PPM", "BMP"):
        options = options | {"icc_profile": picture.icc}
    buffer = io.BytesIO()  # some writers seek, which a pipe cannot do
    try:
        to_pil(picture).save(buffer, file_format, **options)
    except (OSError, ValueError) as error:  # such as 65,501 pixels wide for a JPEG
        size = f"{picture.width}x{picture.height}"
        raise UsageError(f"cannot write a picture of {size} as {file_format}: {error}") from None
    file.write(buffer.getbuffer())
