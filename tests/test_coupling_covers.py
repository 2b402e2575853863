"""Covers on their way: what messengers, mail programs and people do to a text must not touch the message."""

# ruff: noqa: RUF001  (typographic characters are the matter of these tests)

import math
import random
import re
import textwrap
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitfloor.entropy_models.coupling.fimec import Fimec, draw_symbol, information
from bitfloor.entropy_models.coupling.ngram import NgramSource
from bitfloor.errors import CorruptStreamError, UsageError
from bitfloor.tools.cli import main
from bitfloor.tools.coupling.hiding import MAX_MESSAGE, Hider
from bitfloor.tools.coupling.plain_text import in_paragraphs, plain
from bitfloor.tools.coupling.text_source import TextSource

BOOK = (
    "It was the best of times, it was the worst of times -- it was the age of wisdom; it was...\r\n"
    "\tthe “age of foolishness”, it was the epoch of belief!\u00a0 It's the épopée of *incredulity* (so to say): "
    "we had everything before us, we had nothing before us. “Quoth the raven,” he said – “nevermore?”\n\n"
    "We were all going direct to Heaven; we were all going direct the other way: in short,\n"
    "the period was so far like the present period, that some of its noisiest authorities insisted.\n"
) * 8
SOURCE = TextSource(BOOK, 2)
HIDER = Hider(Fimec(SOURCE), b"swordfish", SOURCE.digest)
MESSAGE = b"the password is 7, not 8"


def cover(seed, source=SOURCE, hider=HIDER, message=MESSAGE):
    rng = random.Random(seed)
    symbols = hider.hide(message, rng.randrange).symbols
    return in_paragraphs(source.text([*symbols, *source.ending(symbols, rng.randrange)])) + "\n"


def revealed(text, source=SOURCE, hider=HIDER):
    symbols = source.symbols(text)
    return hider.reveal(symbols, source.starts(symbols)).message


def typographic(text):
    text = re.sub(r'(^|\s)"', r"\1“", text).replace('"', "”").replace("'", "’")
    return text.replace(" - ", " — ").replace("...", "…")


ON_THE_WAY = {
    "nothing": lambda text: text,
    "trimmed": str.strip,
    "every line trimmed": lambda text: "\n".join(line.strip() for line in text.split("\n")),
    "white space added": lambda text: f" \n\t{text} \n\n",
    "DOS line ends": lambda text: text.replace("\n", "\r\n"),
    "old Mac line ends": lambda text: text.replace("\n", "\r"),
    "one line": lambda text: " ".join(text.split()),
    "wrapped": lambda text: textwrap.fill(text, 40, break_long_words=False, break_on_hyphens=False),
    "wrapped and quoted": lambda text: textwrap.indent(
        textwrap.fill(text, 60, break_long_words=False, break_on_hyphens=False), "> ", lambda line: True
    ),
    "no-break spaces": lambda text: text.replace(" ", "\u00a0"),
    "double spaces after sentences": lambda text: text.replace(". ", ".  "),
    "a byte-order mark": lambda text: "\ufeff" + text,
    "zero-width characters": "\u200b".join,
    "typographic quotes and dashes": typographic,
    "composed accents": lambda text: unicodedata.normalize("NFC", text),
    "decomposed accents": lambda text: unicodedata.normalize("NFD", text),
    "bold": lambda text: f"**{text.strip()}**",
    "in quotation marks": lambda text: f'"{text.strip()}"',
    "a signature": lambda text: f"{text}-- \nAnna \U0001f600\nsent from my telephone",
    "more of the same text": lambda text: text + " it was the age of wisdom",
    "an unknown script after it": lambda text: text.strip() + "Ω漢字",
    "a greeting before it": lambda text: "Dear Bob, look at this:\n\n" + text,
    "a chat's time and name before it": lambda text: "[10:31, 26.11.2026] Anna: " + text,
}


@pytest.mark.parametrize("way", ON_THE_WAY.values(), ids=ON_THE_WAY)
def test_covers_survive_what_messengers_do(way):
    for seed in range(6):
        assert revealed(way(cover(seed))) == MESSAGE


def test_covers_have_nothing_that_messengers_touch():
    for seed in range(30):
        text = cover(seed, message=bytes(40))
        flat = " ".join(text.split())
        assert text[0].isalpha()
        assert flat == plain(text)
        assert not re.search(r"--|[*_~<>|`]|\s\s|[:;=][-()DP/]", flat)


ODD = "ab é\u0301\u0327\u0323-–\u00a0\n.\"“'’…*가\u1100\u1161\u11a8ọ\u200d\U0001f468"


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.sampled_from(ODD), min_size=30),
    st.integers(0, 5),
)
def test_any_text_gives_covers_that_are_plain(text, order):
    """Whatever the sample text holds: a cover is its own plain form, in every Unicode form."""
    try:
        source, rng, history = TextSource(text, order), random.Random(1), []
        for _ in range(60):
            history.append(draw_symbol(source, history, rng.randrange))
    except UsageError:  # nothing may follow, or no text at all
        return
    drawn = source.text(history)
    for form in ("NFC", "NFD"):
        assert source.symbols(unicodedata.normalize(form, drawn) + "x" * (drawn[-1] == " "))[: len(history)] == history


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_plain_text_is_its_own_plain_form(text):
    assert plain(plain(text)) == plain(text)
    assert plain(unicodedata.normalize("NFD", text)) == plain(unicodedata.normalize("NFC", text))


def test_changes_inside_the_message_are_told():
    text = cover(1).strip()
    middle = len(text) // 2
    for broken in (text[:middle] + "Ω" + text[middle:], text[:middle] + text[middle + 3 :]):
        with pytest.raises(CorruptStreamError, match=r"24 bytes begins in the cover, but|ends before"):
            revealed(broken)
    with pytest.raises(CorruptStreamError, match="ends before the message does"):
        revealed(text[: len(text) * 2 // 3])
    with pytest.raises(CorruptStreamError, match="no message of this key"):
        revealed(BOOK)


@pytest.mark.slow
def test_hiding_grows_with_the_message_not_with_its_square():
    """pytest -m slow tests/test_coupling_covers.py; processor time for a symbol in a message 16 times as long."""
    rng = random.Random(2)
    source = NgramSource([min(int(rng.expovariate(0.3)), 11) for _ in range(3000)], 12, 0)
    hider, costs = Hider(Fimec(source), b"k", source.digest), {}
    for size in (500, 8000, 500, 8000):
        begun = time.process_time()
        hidden = hider.hide(rng.randbytes(size), rng.randrange)
        spent = (time.process_time() - begun) / len(hidden.symbols)
        costs[size] = min(spent, costs.get(size, spent))
    assert costs[8000] < 1.6 * costs[500]


@pytest.mark.slow
def test_64_kib_are_hidden_within_a_minute():
    """pytest -m slow tests/test_coupling_covers.py; processor time, as other work may share the machine."""
    words = re.findall(r"\w+", BOOK)
    rng = random.Random(3)
    source = TextSource(". ".join(" ".join(rng.choices(words, k=9)) for _ in range(3000)))
    hider, message = Hider(Fimec(source), b"k", source.digest), rng.randbytes(1 << 16)
    begun = time.process_time()
    hidden = hider.hide(message)
    assert time.process_time() - begun < 60
    assert hider.reveal(hidden.symbols).message == message


def test_predictable_texts_and_messages_too_long_are_refused_at_once():
    for data, alphabet in (([0] * 5000, 1), ([0, 1] * 5000, 2)):
        dull = NgramSource(data, alphabet)
        with pytest.raises(UsageError, match=r"too predictable .* bit a symbol"):
            Hider(Fimec(dull), b"k", dull.digest).hide(b"secret")
    poor = NgramSource([0] * 300 + [1] + [0] * 299, 2, 0)
    hider = Hider(Fimec(poor), b"k", poor.digest)
    assert 100 < hider.capacity < MAX_MESSAGE
    with pytest.raises(UsageError, match=f"at most {hider.capacity:,} can be hidden"):
        hider.hide(bytes(hider.capacity + 1))


def test_information_of_a_source_without_memory_is_its_entropy():
    source = NgramSource([0, 0, 0, 0, 1, 1, 2, 3], 4, 0)
    law = source.masses(()) / (1 << 40)
    assert information(source) == pytest.approx(-sum(p * math.log2(p) for p in law), abs=1e-12)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_text(BOOK, encoding="utf-8")
    (tmp_path / "key").write_bytes(b"swordfish")
    (tmp_path / "empty").write_bytes(b"")
    return tmp_path


def run(*args):
    return main([str(arg) for arg in args])


def test_empty_messages_and_files_that_editors_changed(folder, capsys):
    shared = ["--key-file", "key", "--text", "book.txt", "--order", 2]
    assert run("couple", "hide", "empty", *shared, "-o", "cover.txt") == 0
    (folder / "key").write_bytes(b"\xef\xbb\xbfswordfish\r\n")
    (folder / "book.txt").write_bytes(("\ufeff" + BOOK.replace("\n", "\r\n") + "\r\n").encode("utf-16"))
    text = (folder / "cover.txt").read_text(encoding="utf-8")
    (folder / "cover.txt").write_bytes(("Look:\n" + text).strip().replace("\n", "\r\n").encode("utf-16") + b"\n\0")
    assert run("couple", "reveal", "cover.txt", *shared, "-o", "back") == 0
    assert "0 bytes found" in capsys.readouterr().err
    assert (folder / "back").read_bytes() == b""


def test_a_bar_shows_the_progress(folder, monkeypatch, capsys):
    import tqdm

    seen = []
    real = tqdm.tqdm.__init__

    def note_total(self, iterable=None, *args, **kwargs):
        seen.append((len(iterable), kwargs.get("disable")))
        real(self, iterable, *args, **kwargs)

    monkeypatch.setattr(tqdm.tqdm, "__init__", note_total)
    shared = ["--key-file", "key", "--text", "book.txt", "--order", 2]
    assert run("couple", "hide", "key", *shared, "-o", "cover.txt") == 0
    assert run("couple", "reveal", "cover.txt", *shared, "-o", "back") == 0
    assert seen == [(18, True)] * 2  # 9 bytes, a check of 8, one to fill; no bar where no terminal is
