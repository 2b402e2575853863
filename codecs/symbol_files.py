"""Files as sources of discrete symbols for the codec `mecb`: pictures, numpy arrays, and plain bytes."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UnreadableInputError, UsageError
from .mecb import BYTES, PICTURE
from .media.files import atomic_output, format_suffix, write_bytes
from .media.pictures.picture import MAX_PIXELS

PICTURE_FORMATS = {".png": "PNG", ".pgm": "PPM", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}
_NUMPY_START = b"\x93NUMPY"
_log = logging.getLogger(__name__)


def read_symbols(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Any:
    """Return what a file holds: a grey picture for a picture, an array for `.npy`, else its bytes.

    Raises UnreadableInputError for an array file that cannot be read, or a picture of more than `max_pixels`.
    """
    if data.startswith(_NUMPY_START):
        try:
            return np.load(io.BytesIO(data), allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise UnreadableInputError(f"{name} is a broken array file ({error})") from None
    from .media.pictures.files import format_of, read_picture

    if format_of(data) is not None:
        from PIL import Image

        from .media.pictures.picture import LUMA, to_depth

        picture = read_picture(data, name, max_pixels=max_pixels)
        eight = to_depth(picture.rgb, np.dtype(np.uint8))
        coloured = bool((picture.rgb[:, :, 1:] != picture.rgb[:, :, :1]).any())
        parts = {"colours": coloured, "transparency": picture.alpha is not None, "16 bits": picture.peak > 255}
        if lost := " and no ".join(part for part, there in parts.items() if there):
            _log.warning("%s: symbols are 8-bit grey and have no %s, which is left out", name, lost)
        return Image.fromarray(np.rint(eight @ LUMA).astype(np.uint8))
    return data


def suffix_of(form: int) -> str:
    """The usual suffix of a file for the symbols of a header's `form`: bytes, a picture, or an array."""
    return {BYTES: ".bin", PICTURE: ".png"}.get(form, ".npy")


def check_suffix(form: int, path: str | Path) -> None:
    """Raise UsageError where symbols of `form` do not go into a file of that name. Bytes may be anything."""
    if form == PICTURE:
        _picture_suffix(path)
    elif form != BYTES and format_suffix(path, (".npy",), ".npy") != ".npy":
        raise UsageError(f"{path} holds no array by its name: an array goes into .npy")


def write_symbols(symbols: Any, target: str | Path, overwrite: bool) -> None:
    """Write decoded symbols: bytes as they are, an array as `.npy`, a picture by the suffix of its name.

    Raises UsageError for a suffix that no picture has.
    """
    if isinstance(symbols, bytes):
        write_bytes(symbols, target, overwrite)
    elif isinstance(symbols, np.ndarray):
        with atomic_output(target, overwrite) as file:
            np.lib.format.write_array(file, symbols, allow_pickle=False)
    else:
        suffix = _picture_suffix(target)
        stored = io.BytesIO()
        symbols.save(stored, format=PICTURE_FORMATS[suffix])
        write_bytes(stored.getvalue(), target, overwrite)


def _picture_suffix(path: str | Path) -> str:
    suffix = format_suffix(path, PICTURE_FORMATS, ".png")
    if suffix not in PICTURE_FORMATS:
        raise UsageError(f"a lossless grey picture goes into {', '.join(PICTURE_FORMATS)}, not {suffix}")
    return suffix
