"""Probability laws in files: a list or table of numbers, JSON, or a one-dimensional `.npy` array."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ...codecs.media.files import read_bytes
from ...entropy_models.coupling.laws import Floats, as_law
from ...errors import UnreadableInputError, UsageError
from .law_tables import text_values

MAX_LAW_BYTES = 1 << 28
_MARKS = {b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""Byte-order marks, the longer ones first."""


def read_law(path: str | Path, normalise: bool = False) -> Floats:
    """Return the law in a file, shape (n,); "-" is standard input.

    A table has one symbol a row and its mass in the last column, so that "symbol,probability" works; cells
    stand between tabs, semicolons, commas or spaces. A single row of numbers is the list itself. One heading
    line and what follows a "#" are passed over. JSON is a list of numbers, or an object of label: number.
    `normalise` accepts counts.
    Raises UnreadableInputError where the file holds no such thing, UsageError where the numbers are no law.
    """
    data = read_bytes(path)
    if len(data) > MAX_LAW_BYTES:
        raise UnreadableInputError(f"{path} is larger than {MAX_LAW_BYTES >> 20} MiB")
    values = _array(data, path) if data.startswith(b"\x93NUMPY") else _text(data, path)
    try:
        return as_law(values, str(path), normalise)
    except UsageError as error:
        hint = "; --counts takes any masses" if "sums to" in str(error) else ""
        raise UsageError(f"{error}{hint}") from None


def _array(data: bytes, path: str | Path) -> np.ndarray:
    try:
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))
    except (ValueError, OSError, EOFError, MemoryError) as error:
        raise UnreadableInputError(f"{path} is a broken array file ({error})") from None


def _text(data: bytes, path: str | Path) -> list[float]:
    try:
        return text_values(_decode(data))
    except UnreadableInputError as error:
        raise UnreadableInputError(f"{path}: {error}") from None


def _decode(data: bytes) -> str:
    """UTF-8, or the encoding that a byte-order mark names."""
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8-sig")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableInputError(
            f"neither a table of numbers nor a .npy file (byte {error.start} is not {encoding.removesuffix('-sig')})"
        ) from None
    if "\0" in text:
        raise UnreadableInputError(
            "neither a table of numbers nor a .npy file (it holds zero bytes, as UTF-16 without a mark does)"
        )
    return text
