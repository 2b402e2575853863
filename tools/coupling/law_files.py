"""Probability laws in files: one number a line, a CSV column, or a one-dimensional `.npy` array."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from ...codecs.files import read_bytes
from ...entropy_models.coupling.laws import Floats, as_law
from ...errors import UnreadableInputError, UsageError

MAX_LAW_BYTES = 1 << 28


def read_law(path: str | Path, normalise: bool = False) -> Floats:
    """Return the law in a file, shape (n,); "-" is standard input.

    Of several columns the last one counts, so that "symbol,probability" tables work; one heading line is
    passed over; a single row is taken as the list. `normalise` accepts counts.
    Raises UnreadableInputError where the file holds no numbers, UsageError where they are no law.
    """
    data = read_bytes(path)
    if len(data) > MAX_LAW_BYTES:
        raise UnreadableInputError(f"{path} is larger than {MAX_LAW_BYTES >> 20} MiB")
    values = _array(data, path) if data.startswith(b"\x93NUMPY") else _table(data, path)
    try:
        return as_law(values, str(path), normalise)
    except UsageError as error:
        hint = "; --counts takes any masses" if "sums to" in str(error) else ""
        raise UsageError(f"{error}{hint}") from None


def _array(data: bytes, path: str | Path) -> np.ndarray:
    try:
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))
    except (ValueError, OSError, EOFError) as error:
        raise UnreadableInputError(f"{path} is a broken array file ({error})") from None


def _table(data: bytes, path: str | Path) -> list[float]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableInputError(f"{path} is neither a table of numbers nor a .npy file") from None
    delimiter = next((mark for mark in ",;\t" if mark in text), " ")
    rows = [
        [cell.strip() for cell in row if cell.strip()]
        for row in csv.reader(io.StringIO(text), delimiter=delimiter)
    ]
    lines = [(number + 1, row) for number, row in enumerate(rows) if row and not row[0].startswith("#")]
    if lines and not _is_number(lines[0][1][-1]):
        lines = lines[1:]
    if not lines:
        raise UnreadableInputError(f"{path} holds no numbers")
    if len(lines) == 1:
        number, row = lines[0]
        return [_number(cell, path, number) for cell in row]
    return [_number(row[-1], path, number) for number, row in lines]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, path: str | Path, line: int) -> float:
    if not _is_number(cell):
        raise UnreadableInputError(f"{path}, line {line}: {cell!r} is no number")
    return float(cell)
