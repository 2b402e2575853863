"""Written English as words to be spoken: sentences, numbers, abbreviations, symbols.

    "Dr. Lee paid $3.50." --sentences, words--> doctor lee paid three dollars fifty .

Words are of the letters a to z and the apostrophe; the marks "," "." "?" and "!" stand for pauses.
"""

# ruff: noqa: RUF001 - marks that only look alike are told apart here
from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from ...errors import UsageError
from .numbers import cardinal, digits, ordinal, spelled_number, year

PAUSES = ",.?!"
LONGEST = 40  # words that are spoken in one go; longer sentences are cut at a comma or between words

ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "ms": "miz", "dr": "doctor", "prof": "professor", "st": "saint", "jr": "junior",
    "sr": "senior", "vs": "versus", "etc": "et cetera", "e.g": "for example", "i.e": "that is", "no": "number",
    "approx": "approximately", "dept": "department", "capt": "captain", "gen": "general", "col": "colonel",
    "lt": "lieutenant", "sgt": "sergeant", "rev": "reverend", "hon": "honorable", "gov": "governor", "ft": "fort",
    "mt": "mount", "co": "company", "inc": "incorporated", "ltd": "limited", "a.m": "a m", "p.m": "p m",
    "u.s": "u s", "u.k": "u k", "ph.d": "p h d",
}  # fmt: skip
_BEFORE_NUMBER = {"no"}  # a word of its own elsewhere
_UNITS = {
    "km": "kilometers", "cm": "centimeters", "mm": "millimeters", "kg": "kilograms", "mg": "milligrams",
    "hz": "hertz", "khz": "kilohertz", "mhz": "megahertz", "ghz": "gigahertz", "kb": "kilobytes", "mb": "megabytes",
    "gb": "gigabytes", "lb": "pounds", "lbs": "pounds", "oz": "ounces", "mph": "miles per hour", "min": "minutes",
}  # fmt: skip
_SYMBOLS = {
    "&": "and", "%": "percent", "@": "at", "+": "plus", "=": "equals", "#": "number", "°": "degrees", "<": "less than",
    ">": "greater than", "§": "section", "©": "copyright", "×": "times", "÷": "divided by", "$": "dollars",
    "€": "euros", "£": "pounds",
}  # fmt: skip
_MONEY = {"$": ("dollar", "dollars"), "€": ("euro", "euros"), "£": ("pound", "pounds")}
_MARKS = str.maketrans({
    "’": "'", "‘": "'", "ʼ": "'", "`": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "–": ",", "—": ",",
    "…": ".", "\u00ad": None, "ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "OE", "ł": "l",
    "Ł": "L", "đ": "d", "ı": "i", "\u200b": None, "\ufeff": None, "•": ",", "·": " ",
})  # fmt: skip
_END = re.compile(r"([.?!]+)([\"')\]]*)(?=\s|$)|\n\s*\n")
_ABBREVIATED = re.compile(r"(?:^|[\s(\"'])((?:[a-z]\.)*[a-z]+)$", re.IGNORECASE)
_TOKEN = re.compile(
    r"[$€£]\s?\d[\d,]*(?:\.\d+)?(?:\s(?:million|billion|trillion)\b)?"
    r"|\d{1,2}:\d{2}(?!\d)"
    r"|\d[\d,]*(?:\.\d+)?(?:st|nd|rd|th|s)?(?![a-z])"
    r"|\d+"
    r"|[a-z]+(?:'[a-z]+)*'?(?:\.[a-z]+)*\.?"
    r"|[^\sa-z\d]",
    re.IGNORECASE,
)
_SILENT = frozenset("\"'()[]{}*_~|^\\-/")  # what is passed over between words
_PAUSE_MARKS = {",": ",", ";": ",", ":": ",", ".": ".", "?": "?", "!": "!"}


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, as they stand there, without the space around them.

    A sentence ends at ". ? !" before a space, unless an abbreviation has the full stop, and at an empty line.
    """
    start = 0
    for end in _END.finditer(text):
        if end[1] == "." and _is_abbreviation(text[start : end.start()]) and text[end.end() :].strip():
            continue
        if sentence := text[start : end.end()].strip():
            yield sentence
        start = end.end()
    if rest := text[start:].strip():
        yield rest


def _is_abbreviation(before: str) -> bool:
    found = _ABBREVIATED.search(before)
    if found is None:
        return False
    word = found[1].lower()
    return (word in ABBREVIATIONS and word not in {"etc", *_BEFORE_NUMBER}) or (len(found[1]) == 1 and word != "i")


def words(sentence: str) -> list[str]:
    """The words and pauses of a sentence; it ends with one of ". ? !".

    Raises:
        UsageError: for a character that has no sound in English, and where nothing is to be said.
    """
    spoken: list[str] = []
    found = [match[0] for match in _TOKEN.finditer(_plain(sentence))]
    for number, token in enumerate(found):
        following = found[number + 1] if number + 1 < len(found) else ""
        for word in _spoken(token, spoken, following):
            if word not in PAUSES:
                spoken.append(word)
            elif spoken and spoken[-1] in PAUSES:
                spoken[-1] = max(spoken[-1], word, key=PAUSES.index)
            elif spoken:
                spoken.append(word)
    if not any(word not in PAUSES for word in spoken):
        raise UsageError(f"there is nothing to say in {sentence[:40]!r}" if sentence.strip() else "there is no text")
    if spoken[-1] == ",":
        spoken[-1] = "."
    return spoken if spoken[-1] in PAUSES else [*spoken, "."]


def parts(spoken: list[str], longest: int = LONGEST) -> Iterator[list[str]]:
    """Pieces of at most `longest` words, cut at the last comma in the second half of a piece where there is one."""
    while len(spoken) > longest + 1:
        commas = [place for place in range(longest // 2, longest) if spoken[place] == ","]
        cut = commas[-1] if commas else longest - 1
        piece = spoken[: cut + 1]
        yield piece if piece[-1] in PAUSES else [*piece, ","]
        spoken = spoken[cut + 1 :]
    if any(word not in PAUSES for word in spoken):
        yield spoken


def _plain(text: str) -> str:
    """The text with marks and letters with accents as ASCII. Raises UsageError for what has no such form."""
    kept = []
    for character in text.translate(_MARKS):
        for plain in unicodedata.normalize("NFKD", character):
            if unicodedata.combining(plain):
                continue
            if plain.isspace():
                kept.append(" ")
            elif " " <= plain <= "~" or plain in _SYMBOLS:
                kept.append(plain)
            else:
                name = unicodedata.name(character, "a character without a name").lower()
                raise UsageError(f"{character!r} ({name}) cannot be spoken: texts are English")
    return "".join(kept).replace("--", ", ")


def _spoken(token: str, before: list[str], following: str) -> list[str]:
    """Words and pauses of one token of `_TOKEN`."""
    if token[0].isdigit():
        return _number(token)
    if token[0] in _MONEY and len(token) > 1:
        return _money(token)
    if token[0].isalpha():
        return _word(token, before, following)
    if token in _PAUSE_MARKS:
        return [_PAUSE_MARKS[token]]
    if token in _SILENT:
        return []
    return _SYMBOLS[token].split()


def _word(token: str, before: list[str], following: str) -> list[str]:
    full_stop = token.endswith(".")
    word = token.rstrip(".").lower()
    numbered = following[:1].isdigit()
    if full_stop and word in ABBREVIATIONS and (numbered or word not in _BEFORE_NUMBER):
        return ABBREVIATIONS[word].split()
    if word in _UNITS and before and spelled_number(before[-1]):
        return _UNITS[word].split()
    pieces: list[str] = []
    for piece in token.rstrip(".").split("."):
        short = piece.isupper() and 1 < len(piece) <= 5
        pieces += list(piece.lower()) if short and not _readable(piece) else [piece.lower().strip("'")]
    return [piece for piece in pieces if piece] + (["."] if full_stop and len(word) > 1 else [])


def _readable(capitals: str) -> bool:
    """Whether capitals are read as a word, NASA, and not letter by letter, BBC: by where their vowels are."""
    return len(capitals) > 3 and re.fullmatch(r"[^AEIOU]{0,2}([AEIOUY][^AEIOUY]{1,2})+[AEIOUY]?", capitals) is not None


def _number(token: str) -> list[str]:
    if ":" in token:
        hours, minutes = token.split(":")
        late = "o'clock" if minutes == "00" else ("o " if minutes[0] == "0" else "") + cardinal(int(minutes))
        return f"{cardinal(int(hours))} {late}".split()
    found = re.fullmatch(r"([\d,]*\d)(,?)(?:\.(\d+))?(st|nd|rd|th|s)?(,*)", token, re.IGNORECASE)
    assert found is not None
    plain, suffix = found[1].replace(",", ""), (found[4] or "").lower()
    comma = [","] if found[2] or found[5] else []
    if found[3]:
        return f"{cardinal(int(plain))} point {digits(found[3])}".split() + comma
    if suffix in ("st", "nd", "rd", "th"):
        return ordinal(int(plain)).split() + comma
    if len(plain) > 15 or (plain[0] == "0" and len(plain) > 1):
        return digits(plain).split() + comma
    is_year = len(plain) == 4 and "," not in found[1] and 1100 <= int(plain) < 2100
    said = year(int(plain)) if is_year else cardinal(int(plain))
    if suffix == "s":
        said = said[:-1] + "ies" if said.endswith("y") else said + "s"
    return said.split() + comma


def _money(token: str) -> list[str]:
    amount, _, scale = token[1:].strip().partition(" ")
    comma = [","] if amount.endswith(",") else []
    whole, _, part = amount.replace(",", "").partition(".")
    one, many = _MONEY[token[0]]
    if scale:
        return [*_number(amount.rstrip(",")), scale.lower(), many, *comma]
    said = f"{cardinal(int(whole))} {one if int(whole) == 1 else many}"
    if len(part) == 2 and int(part):
        said += f" {cardinal(int(part))}"
    elif part.strip("0") and len(part) != 2:
        said = f"{cardinal(int(whole))} point {digits(part)} {many}"
    return said.split() + comma
