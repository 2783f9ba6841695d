"""Aligned segments: one JSON object a line, language -> text; and what follows what in them.

Documentation that is translated segment by segment keeps its order: a heading stands before its
paragraph, a sentence before the next. Such neighbours are pairs, in every language that has both,
and of every two languages.

    {"en": "Find Bar", "de": "Suchleiste"}
    {"en": "The Find toolbar can be used to quickly search the contents of documents.", "de": "..."}

What is a heading is decided on one language, the one that is named or the row's first, so that
all translations of a pair are in or out together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

Pairing = Literal["heading", "next"]
PAIRINGS: tuple[Pairing, ...] = ("heading", "next")

Segment = Mapping[str, str]

LONGEST_HEADING = 8
"""Words of a heading at most; in a script without spaces, four characters count as a word."""
SHORTEST_PARAGRAPH = 6
"""Words of a paragraph, or of a sentence that has a next, at least."""

_END = re.compile(r"[.!?。！？।؟…][\"'”’»)\]）」』]*\s*$")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")


class Neighbours(NamedTuple):
    """A segment and the one after it, by number, counted from 0."""

    first: int
    second: int


def neighbours(
    segments: Iterable[Segment], pairing: Pairing, pivot: str | None = None
) -> Iterator[Neighbours]:
    """Which neighbours make a pair.

    ``heading``: a segment of few words without a full stop, and a paragraph after it, which is
    longer and ends as a sentence does. ``next``: two such paragraphs, one after the other. A
    heading or paragraph that is the same as another's before is passed over: its pair would have
    several answers.

    Args:
        segments: in the order of the document.
        pairing: the rule.
        pivot: language that decides; ``None``: of each segment its first.
    """
    seen: set[str] = set()
    before: tuple[int, str] | None = None
    for number, segment in enumerate(segments):
        text = next(iter(segment.values()), "") if pivot is None else segment.get(pivot, "")
        if before is not None and _pair(before[1], text, pairing):
            key = " ".join(before[1].split()).casefold()
            if key not in seen:
                seen.add(key)
                yield Neighbours(before[0], number)
        before = (number, text)


def _pair(first: str, second: str, pairing: Pairing) -> bool:
    if not _paragraph(second) or first.strip() == second.strip():
        return False
    if pairing == "next":
        return _paragraph(first)
    return bool(first.strip()) and not _END.search(first) and _words(first) <= LONGEST_HEADING


def _paragraph(text: str) -> bool:
    return _END.search(text) is not None and _words(text) >= SHORTEST_PARAGRAPH


def _words(text: str) -> int:
    unspaced = len(_UNSPACED.findall(text))
    return len(_UNSPACED.sub(" ", text).split()) + -(-unspaced // 4)
