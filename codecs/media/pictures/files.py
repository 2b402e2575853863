"""Reading picture files of other formats, and writing them.

The readers neither ask nor touch what a program has set in Pillow or in `warnings`: a format is known by
its first bytes, its size is compared with our own limit before any pixel takes memory, and only what makes
pixels reaches a decoder.
"""

from __future__ import annotations

import io
import logging
import re
import struct
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ....errors import BitfloorError, UnreadableInputError, UsageError
from ..files import atomic_output, format_suffix, read_bytes
from .decoded import Decoded
from .exif import exif_of_resolution, resolution_of
from .metadata import MAX_BYTES, Metadata
from .objects import info_of, to_pil
from .picture import MAX_PIXELS, Picture, to_depth
from .profile import fitting

Reader = Callable[[bytes, int], Decoded]

# Format -> what its files begin with, and the reader as "module:function" (imported when it is needed).
_READERS: dict[str, tuple[tuple[bytes, ...], str]] = {
    "PNG": ((b"\x89PNG\r\n\x1a\n",), "png:read_png"),
    "JPEG": ((b"\xff\xd8\xff",), "jpeg:read_jpeg"),
    "WebP": ((b"RIFF",), "simple:read_webp"),
    "AVIF": ((), "boxes:read_avif"),
    "TIFF": ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "tiff:read_tiff"),
    "GIF": ((b"GIF87a", b"GIF89a"), "simple:read_gif"),
    "BMP": ((b"BM",), "simple:read_bmp"),
    "PNM": ((b"P",), "simple:read_pnm"),
    "JPEG 2000": ((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"), "boxes:read_jpeg2000"),
    "QOI": ((b"qoif",), "simple:read_qoi"),
    "JPEG XL": ((b"\xff\x0a", b"\0\0\0\x0cJXL "), "jpegxl:read_jpegxl"),
    "HEIC": ((), "heif:read_heif"),
}  # fmt: skip
READABLE = tuple(_READERS)
# Formats that people try, so that the error can name them.
_OTHERS = {
    b"8BPS": "Photoshop", b"%PDF": "PDF", b"%!PS": "PostScript",
    b"<svg": "SVG", b"<?xml": "SVG or other XML", b"\0\0\1\0": "Windows icon", b"gimp xcf": "GIMP",
    b"\x76\x2f\x31\x01": "OpenEXR", b"#?RADIANCE": "Radiance HDR", b"DDS ": "DirectDraw", b"FUJIFILM": "raw",
}  # fmt: skip
_PNM_START = re.compile(rb"P[1-6](?:\s|#[^\r\n]*[\r\n])+\d")

_LOSSLESS_WEBP = {"lossless": True, "quality": 50, "method": 4, "exact": True}
_WRITERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", _LOSSLESS_WEBP),
    ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}),
    ".ppm": ("PPM", {}),
    ".bmp": ("BMP", {}),
    ".avif": ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
}
# Of what formats have a place for; a resolution may stand in EXIF data.
_METADATA = {
    "PNG": ("exif", "xmp", "dpi"), "JPEG": ("exif", "xmp", "dpi"), "TIFF": ("exif", "xmp", "dpi"),
    "WEBP": ("exif", "xmp"), "AVIF": ("exif", "xmp"), "BMP": ("dpi",), "PPM": (),
}  # fmt: skip
_JPEG_SEGMENT = 65_000  # bytes of metadata that surely fit
_WITHOUT_ALPHA, _WITHOUT_PROFILE, _ALWAYS_COLOUR = ("JPEG", "PPM", "BMP"), ("PPM", "BMP"), ("WEBP", "AVIF")

_log = logging.getLogger(__name__)


def read_picture(
    source: str | Path | bytes | BinaryIO, name: str | None = None, *, max_pixels: int = MAX_PIXELS
) -> Picture:
    """Return the picture in a file ("-" is standard input), a file's bytes, or an open binary file.

    `name` is what errors and warnings call it, where `source` does not say it.

    All modes of PNG, JPEG, WebP, AVIF, TIFF, GIF, BMP, PNM, JPEG 2000, QOI and JPEG XL are read, HEIC where
    pillow-heif is installed; more than 8 bits a channel become 16; CMYK and L*a*b* become sRGB; what says the meaning
    of the numbers becomes a colour profile; of several pictures in a file the first is taken; EXIF orientation is
    applied. What is not kept is logged in one line.
    Raises UnreadableInputError where the file is missing, broken, no picture, or has more than `max_pixels`.
    """
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, (str, Path)):
        name, data = name or str(source), read_bytes(source)
    else:
        name, data = name or str(getattr(source, "name", "the picture")), source.read()
    return _read(data, name or "the picture", max_pixels)


def format_of(data: bytes) -> str | None:
    """Return the name of the picture format that a file's first bytes show, None for all others."""
    if data[:4] == b"RIFF":
        return "WebP" if data[8:12] == b"WEBP" else None
    if data[4:8] == b"ftyp":
        from .boxes import is_avif
        from .heif import is_heif

        return "AVIF" if is_avif(data) else "HEIC" if is_heif(data) else None
    found = next((name for name, (starts, _) in _READERS.items() if data.startswith(starts)), None)
    # Two letters may begin anything.
    if found == "BMP" and int.from_bytes(data[14:18], "little") not in (12, 40, 52, 56, 64, 108, 124):
        return None
    return None if found == "PNM" and not _PNM_START.match(data) else found


def _read(data: bytes, name: str, max_pixels: int) -> Picture:
    found = format_of(data)
    if found is None:
        raise UnreadableInputError(f"{name} is no picture that we read{_other(data)} ({', '.join(READABLE)})")
    module, _, function = _READERS[found][1].partition(":")
    _hush()
    try:
        reader: Reader = getattr(import_module(f".{module}", __package__), function)
        return reader(data, max_pixels).to_picture(name)
    except BitfloorError as error:
        raise UnreadableInputError(f"{name}: {error}") from None
    except MemoryError:
        raise
    except (struct.error, IndexError):  # a header read beyond the end
        raise UnreadableInputError(f"{name} is a broken {found} picture (it is cut)") from None
    except Exception as error:  # the decoders raise many kinds on broken files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableInputError(f"{name} is a broken {found} picture ({reason})") from None


def _other(data: bytes) -> str:
    """Return words that name a format that we know and do not read."""
    return next((f" but {name}" for start, name in _OTHERS.items() if data.startswith(start)), "")


def _hush() -> None:
    """Keep what the decoders log of odd files from standard error, where Python prints it if nobody listens."""
    for name in ("imagecodecs", "tifffile"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


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

    PNG, TIFF and PPM keep 16 bits; JPEG, PPM and BMP have no alpha, PPM and BMP no profile; EXIF, XMP and
    resolution are written where a format has a place for them. What it cannot hold is left out with one warning.
    WebP and TIFF are lossless, JPEG and AVIF of quality 95.
    Raises UsageError for an unknown suffix and as `files.atomic_output` does.
    """
    file_format, options = _writer(path)
    picture = _as_format_holds(picture, file_format, str(path))
    with atomic_output(path, overwrite) as file:
        file.write(_encoded(picture, file_format, options))


def _as_format_holds(picture: Picture, file_format: str, name: str) -> Picture:
    """Return the picture without what the format has no place for, and say so."""
    rgb, alpha, icc, lost = picture.rgb, picture.alpha, picture.icc, []
    if alpha is not None and file_format in _WITHOUT_ALPHA:
        alpha = None
        lost.append("transparency")
    if picture.peak > 255 and file_format not in ("PNG", "TIFF", "PPM"):
        eight = np.dtype(np.uint8)
        rgb, alpha = to_depth(rgb, eight), None if alpha is None else to_depth(alpha, eight)
        lost.append("more than 8 bits a channel")
    one_channel = picture.grey and file_format not in _ALWAYS_COLOUR
    fit = None if file_format in _WITHOUT_PROFILE else fitting(icc, one_channel)
    if icc and not fit:
        lost.append("colour profile" if file_format in _WITHOUT_PROFILE else "profile of this kind for this picture")
    metadata = _metadata_that_fits(picture.metadata, file_format, lost)
    if lost:
        _log.warning("%s: %s has no %s, which is left out", name, file_format, " and no ".join(lost))
    return Picture(rgb, alpha, fit, picture.grey, metadata)


def _metadata_that_fits(metadata: Metadata, file_format: str, lost: list[str]) -> Metadata:
    """Return what a format has a place for; `lost` gets words for the rest."""
    places = _METADATA[file_format]
    exif, xmp, dpi = metadata.exif, metadata.xmp, metadata.resolution
    if dpi and "dpi" not in places and "exif" in places:
        exif = exif or exif_of_resolution(dpi)
        dpi = None if resolution_of(exif) else dpi
    most = _JPEG_SEGMENT if file_format == "JPEG" else MAX_BYTES
    if exif and ("exif" not in places or len(exif) > most):
        exif = None
        lost.append("EXIF data" if "exif" not in places else "EXIF data of this size")
    if xmp and ("xmp" not in places or len(xmp) > most):
        xmp = None
        lost.append("XMP data" if "xmp" not in places else "XMP data of this size")
    if dpi and "dpi" not in places:
        dpi = None
        lost.append("resolution")
    return Metadata(exif, xmp, dpi)


def _samples(picture: Picture) -> NDArray[Any]:
    """Return colour or grey and alpha as (H, W, 1 to 4)."""
    planes = [picture.rgb[:, :, :1] if picture.grey else picture.rgb]
    if picture.alpha is not None:
        planes.append(picture.alpha[:, :, None])
    return np.concatenate(planes, axis=2) if len(planes) > 1 else planes[0]


def _encoded(picture: Picture, file_format: str, options: dict[str, Any]) -> bytes:
    try:
        if file_format == "PNG":
            from .png import write_png

            return write_png(_samples(picture), picture.icc, picture.metadata)
        if file_format == "TIFF":
            from .tiff import write_tiff

            return write_tiff(_samples(picture), picture.icc, picture.metadata)
        if file_format == "PPM":
            head = b"P%d\n%d %d\n%d\n" % (5 if picture.grey else 6, picture.width, picture.height, picture.peak)
            return head + _samples(picture).astype(">u2" if picture.peak > 255 else "u1").tobytes()
        if picture.icc:
            options = options | {"icc_profile": picture.icc}
        options = options | info_of(picture.metadata)
        buffer = io.BytesIO()  # some writers seek, which a pipe cannot do
        to_pil(picture).save(buffer, file_format, **options)
        return buffer.getvalue()
    except (OSError, ValueError, RuntimeError, SystemError) as error:  # such as 65,501 pixels wide for a JPEG
        size = f"{picture.width}x{picture.height}"
        raise UsageError(f"cannot write a picture of {size} as {file_format}: {error}") from None
