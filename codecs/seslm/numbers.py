"""Whole numbers as English words."""

from __future__ import annotations

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_NUMBER_WORDS = frozenset([*_SMALL, *_TENS, *(name for _, name in _SCALES)])


def cardinal(number: int) -> str:
    """A number of 0 to 10**15 - 1, as "two hundred five"; larger ones digit by digit."""
    if number >= 10**15:
        return digits(str(number))
    if number < 20:
        return _SMALL[number]
    if number < 100:
        rest = f" {_SMALL[number % 10]}" if number % 10 else ""
        return _TENS[number // 10 - 2] + rest
    size, name = next(scale for scale in _SCALES if number >= scale[0])
    rest = f" {cardinal(number % size)}" if number % size else ""
    return f"{cardinal(number // size)} {name}{rest}"


def ordinal(number: int) -> str:
    """As "twenty first"."""
    said, _, last = cardinal(number).rpartition(" ")
    regular = last[:-1] + "ieth" if last.endswith("y") else last + "th"
    last = _ORDINALS.get(last, regular)
    return f"{said} {last}".strip()


def year(number: int) -> str:
    """A number of four digits as a year is read: "nineteen oh five", "two thousand six", "twenty ten"."""
    century, rest = divmod(number, 100)
    if century % 10 == 0 and rest < 10:
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def digits(number: str) -> str:
    """One digit after the other."""
    return " ".join(_SMALL[int(digit)] for digit in number)


def spelled_number(word: str) -> bool:
    """Whether a word is one of a number."""
    return word in _NUMBER_WORDS
