"""Laws as text: lists and tables of numbers, and JSON.

The number of a symbol is its place in the file, so a place is never passed over: a cell or a line that is
missing between others, or a row of another width, is an error that names the line.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from ...errors import UnreadableInputError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"(.*\s)?[+-]?\d*,\d+([eE][+-]?\d+)?", re.ASCII)
_NO_HEADING = re.compile(r"\W*(nan|inf|infinity|n/?a|null|none)\W*|[\d+\-.,].*|.*(\d[.,]|[.,]\d).*", re.IGNORECASE)
_COMMENT = re.compile(r"(^|\s)#.*")


@dataclass(frozen=True)
class _Row:
    """A line of a table: its number in the file, from 1, its cells, and whether an empty line is before it."""

    line: int
    cells: list[str]
    after_gap: bool


def text_values(text: str) -> list[float]:
    """The numbers of a list, table or JSON text; raises `UnreadableInputError` where it holds no such thing."""
    return _json_values(text) if text.lstrip().startswith(("[", "{")) else _table_values(text)


def _table_values(text: str) -> list[float]:
    lines = [_COMMENT.sub("", line) for line in text.splitlines()]
    delimiter = next((mark for mark in "\t;," if any(mark in line for line in lines)), " ")
    rows = _without_empty_columns(_rows(text.splitlines(), lines, delimiter))
    heading = len(rows) > 1 and _is_heading(rows)
    rows = rows[heading:]
    if not rows:
        raise UnreadableInputError("there are no numbers")
    if len(rows) == 1:
        return _single_row(rows[0], delimiter)
    _check_shape(rows, heading)
    if delimiter == "," and not heading:
        _check_commas(rows)
    return [_number(row.cells[-1], row.line, delimiter) for row in rows]


def _rows(raw: list[str], lines: list[str], delimiter: str) -> list[_Row]:
    rows: list[_Row] = []
    gap = False
    for number, (whole, line) in enumerate(zip(raw, lines, strict=True), 1):
        if not line.strip():
            gap |= not whole.strip()  # a line with a comment alone leaves no place empty
            continue
        tidy = " ".join(line.split()) if delimiter == " " else line
        try:
            (cells,) = csv.reader([tidy], delimiter=delimiter, strict=True, skipinitialspace=delimiter != "\t")
        except csv.Error:
            raise UnreadableInputError(f"line {number}: a quotation mark is not closed or closed too early") from None
        rows.append(_Row(number, [cell.strip() for cell in cells], gap and bool(rows)))
        gap = False
    return rows


def _without_empty_columns(rows: list[_Row]) -> list[_Row]:
    """Rows less the columns at the end that are empty in all of them: "0.5," on every line is one column."""
    while rows and all(len(row.cells) > 1 and not row.cells[-1] for row in rows):
        rows = [_Row(row.line, row.cells[:-1], row.after_gap) for row in rows]
    return rows


def _is_heading(rows: list[_Row]) -> bool:
    """Whether the first row names the columns: in words, or as pandas does, whose nameless ones are "" and 0."""
    first = rows[0].cells
    if first == ["", "0"] and [row.cells[0] for row in rows[1:]] == [str(k) for k in range(len(rows) - 1)]:
        return True
    return any(c.isalpha() for c in first[-1]) and not _NO_HEADING.fullmatch(first[-1])


def _single_row(row: _Row, delimiter: str) -> list[float]:
    """One row is the list itself, or one label and its mass."""
    if len(row.cells) == 2 and not _NUMBER.fullmatch(row.cells[0]) and _NUMBER.fullmatch(row.cells[1]):
        if _DECIMAL_COMMA.fullmatch(",".join(row.cells)):
            _decimal_comma(",".join(row.cells), row.line)
        return [float(row.cells[1])]
    values = [_number(cell, row.line, delimiter) for cell in row.cells]
    digits = delimiter == "," and all(cell.isdigit() for cell in row.cells)
    if digits and len(values) % 2 == 0 and set(row.cells[::2]) == {"0"} and any(values):
        _decimal_comma(",".join(row.cells[:2]), row.line)
    return values


def _check_shape(rows: list[_Row], heading: bool) -> None:
    width = len(rows[0].cells)
    for row in rows:
        if len(row.cells) != width:
            raise UnreadableInputError(
                f"line {row.line} has {len(row.cells)} cells, line {rows[0].line} has {width}: every line needs as many"
            )
        if row.after_gap and width == 1:
            raise UnreadableInputError(f"there is an empty line before line {row.line}: write 0 where no mass is")
    if width > 2 and not heading and all(_NUMBER.fullmatch(cell) for row in rows for cell in row.cells):
        raise UnreadableInputError(
            f"the table has {width} columns of numbers: give one column, or label and mass, or a heading line"
        )


def _check_commas(rows: list[_Row]) -> None:
    """Refuse "0,25" read as label 0 and mass 25, unless the labels count on by one as symbols do."""
    if len(rows[0].cells) != 2:
        return
    labels = [row.cells[0] for row in rows]
    if all(label.isdigit() for label in labels):
        numbers = [int(label) for label in labels]
        if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            return
    if all(_DECIMAL_COMMA.fullmatch(",".join(row.cells)) for row in rows):
        _decimal_comma(",".join(rows[0].cells), rows[0].line)


def _number(cell: str, line: int, delimiter: str) -> float:
    if _NUMBER.fullmatch(cell):
        return float(cell)
    if not cell:
        raise UnreadableInputError(f"line {line}: a mass is missing; write 0 where there is none")
    if _DECIMAL_COMMA.fullmatch(cell) or (delimiter == "," and re.fullmatch(r"\d+\s+[+-]?\d+", cell)):
        _decimal_comma(cell, line)
    raise UnreadableInputError(f"line {line}: {cell!r} is no number")


def _decimal_comma(cell: str, line: int) -> NoReturn:
    raise UnreadableInputError(
        f"line {line}: {cell!r} looks like a decimal comma: write 0.25 for 0,25, "
        "or put tabs or semicolons between label and mass"
    )


def _json_values(text: str) -> list[float]:
    """A JSON list of numbers, or the values of an object in their order."""
    try:
        found = json.loads(text, parse_int=float, parse_constant=_no_constant, object_pairs_hook=tuple)
    except (ValueError, RecursionError) as error:
        raise UnreadableInputError(f"it starts as JSON but is none: {error}") from None
    if isinstance(found, tuple):
        labels = [label for label, _ in found]
        if len(set(labels)) < len(labels):
            raise UnreadableInputError("a label stands twice in the JSON object")
        found = [value for _, value in found]
    for place, value in enumerate(found, 1):
        if not isinstance(value, float):
            raise UnreadableInputError(f"entry {place} of the JSON is no number: {_short(value)}")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."
