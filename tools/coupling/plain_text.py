"""Text reduced to what survives on its way through messengers, mail programs and editors.

They trim and collapse white space, change line ends, wrap lines and quote them with ">", put in characters
that nobody sees, make quotes and dashes typographic, compose accents, and take `*` and `_` as markup. A cover
is made of plain text only and is read as plain text, so none of that touches the message.
"""

# ruff: noqa: RUF001  (characters that look alike are the matter of this module)

from __future__ import annotations

import re
import unicodedata

_ASCII = {
    **dict.fromkeys("‘’‚‛ʼ′´`", "'"),
    **dict.fromkeys("“”„‟″", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    "…": "...",
}
_MARKUP = dict.fromkeys("*_~\\<>|^", "")
_TABLE = str.maketrans({**_ASCII, **_MARKUP})
_PICTURED = re.compile(r"[:;=][-()|/DPp]")
"""What some programs show as a small face or take for a link."""
_PARAGRAPH = re.compile(r"(.{500,}?[.!?][\"')]*) (?=[^\W\d_])", re.DOTALL)


def plain(text: str) -> str:
    """Text as messages are read from it.

    Accents are composed (NFC), characters without a form of their own (format, control, variation selectors)
    and markup are dropped, quotes, dashes and the ellipsis become ASCII, several dashes one; white space of
    any kind and length becomes one space, none at the ends.
    """
    return _plain_inside(text).strip(" ")


def _plain_inside(text: str) -> str:
    kept = "".join(" " if c.isspace() else c for c in text.translate(_TABLE) if not _is_unseen(c))
    composed = unicodedata.normalize("NFC", kept).translate(_TABLE)
    return re.sub("-{2,}", "-", re.sub(" {2,}", " ", composed))


def _is_unseen(character: str) -> bool:
    if character.isspace():
        return False
    category = unicodedata.category(character)
    selector = category == "Mn" and ("\ufe00" <= character <= "\ufe0f" or character >= "\U000e0100")
    return selector or category in {"Cf", "Cc", "Cs"}


def stays_plain(before: str, after: str) -> bool:
    """Whether a cover may hold the one character after the other; `before` is "" at its start.

    A cover starts with a letter, so that no list or heading is seen in it. Of two accents in a row the second
    could be composed with a letter further back, which a pair does not show.
    """
    if not before:
        return after.isalpha()
    pair = before + after
    if _PICTURED.fullmatch(pair) or (unicodedata.combining(before) and unicodedata.combining(after)):
        return False
    return _plain_inside(pair) == pair


def in_paragraphs(text: str) -> str:
    """Long plain text in paragraphs of 500 characters and more, each of whole sentences; for the eye only."""
    return _PARAGRAPH.sub("\\1\n\n", text)
