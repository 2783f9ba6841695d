"""Aligned segments: one JSON object per line, language -> text; and the pairs of neighbours in it.

Documentation translated segment by segment keeps its order: a heading precedes its paragraph, a
sentence the next one. Such neighbours are pairs, within every language that has both and across
languages.

    {"en": "Find Bar", "de": "Suchleiste"}
    {"en": "The Find toolbar can be used to quickly search the contents of documents.", "de": "..."}

What counts as a heading is decided in one language, the pivot, so that all translations of a pair
are in or out together. A first segment that precedes different second ones (``Options``) is
ambiguous, so its pairs are left out.

For training and evaluation on one file, it is split in blocks of :data:`BLOCK` segments: every
fifth belongs to the test part, the rest to the train part. A pair never spans two blocks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.base.languages import is_language
from harness.data.documents import Document, Row, json_lines
from harness.data.table_rows import passage_text
from harness.data.task import TaskSpec
from harness.data.task_data import Reading, Texts, global_id
from harness.data.task_source import PAIRINGS, PARTS, Pairing, Part

__all__ = ["PAIRINGS", "PARTS", "Neighbours", "Pairing", "Part", "neighbours", "part_of", "read"]

Segment = Mapping[str, str]

LONGEST_HEADING = 8
"""Maximum number of words of a heading; without spaces, four characters count as a word."""
SHORTEST_PARAGRAPH = 6
"""Minimum number of words of a paragraph, or of a sentence that has a next one."""
BLOCK = 200
"""Consecutive segments that go to the same part."""

_END = re.compile(r"[.!?。！？।؟…][\"'”’»)\]）」』]*\s*$")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")


class Neighbours(NamedTuple):
    """The numbers of a segment and the next one, counted from 0."""

    first: int
    second: int


def neighbours(
    segments: Sequence[Segment], pairing: Pairing, pivot: str | None = None
) -> Iterator[Neighbours]:
    """The neighbours that form pairs, in order.

    ``heading``: a segment of few words without a full stop, followed by a paragraph, which is
    longer and ends like a sentence. ``next``: two consecutive such paragraphs.

    Args:
        segments: in the order of the document.
        pairing: the rule.
        pivot: language that decides; ``None``: the first one of each segment.
    """
    texts = [next(iter(x.values()), "") if pivot is None else x.get(pivot, "") for x in segments]
    found: list[Neighbours] = []
    answers: dict[str, set[str]] = {}
    for number in range(len(texts) - 1):
        first, second = texts[number], texts[number + 1]
        if number // BLOCK == (number + 1) // BLOCK and _pair(first, second, pairing):
            found.append(Neighbours(number, number + 1))
            answers.setdefault(_same(first), set()).add(_same(second))
    seen: set[str] = set()
    for pair in found:
        key = _same(texts[pair.first])
        if len(answers[key]) == 1 and key not in seen:
            seen.add(key)
            yield pair


def part_of(number: int) -> Part:
    """The part that a segment belongs to."""
    return "test" if number // BLOCK % 5 == 4 else "train"


def segment(document: Document, row: Row, codes: Mapping[str, str] | None = None) -> Segment:
    """One line's texts, by language; keys that are not languages are ignored.

    A language whose text is ``null`` or blank has no translation of the segment. ``codes`` gives
    other names to the file's languages.

    Raises:
        DataError: a text is neither a string nor ``null``.
    """
    where = f"line {row.line}"
    codes = codes or {}
    found = {
        codes.get(x, x): passage_text(document, where, text, name=f"text in {x!r}").strip()
        for x, text in row.fields.items()
        # "id" is Indonesian, unless it is a number: then it is the line's.
        if is_language(x) and not (x == "id" and isinstance(text, int))
    }
    return {language: text for language, text in found.items() if text}


def read(spec: TaskSpec, languages: Sequence[str], open_file: Callable[[str], Document]) -> Reading:
    """Read a task from aligned segments.

    A question is the first segment of a pair, in every language that has it; only the second one is
    relevant, in every language that has it: one parallel set. The pool is every segment of the part
    that is a paragraph in the pivot and not itself a question; equal paragraphs are merged into the
    first. Ids are numbers of segments.

    Raises:
        DataError: the file is malformed, or contains no pair.
    """
    source = spec.source.segments
    assert source is not None  # read_task has checked it
    document = open_file(source.file)
    renamed = {code: language for language, code in source.codes.items()}
    whole = [segment(document, row, renamed) for row in json_lines(document)]
    within = [source.part in ("all", part_of(number)) for number in range(len(whole))]
    pairs: list[Neighbours] = []
    for pair in neighbours(whole, source.pairing, source.pivot):
        # A paragraph that is an answer is not used as a question.
        if within[pair.first] and not (pairs and pairs[-1].second == pair.first):
            pairs.append(pair)
    if not pairs:
        raise document.error(
            "", f"contains no pair for pairing {source.pairing!r} in {source.pivot!r}"
        )
    asking = {x.first for x in pairs}
    stands_for: dict[str, int] = {}
    pool: list[int] = []
    for number, texts in enumerate(whole):
        text = texts.get(source.pivot, "")
        paragraph = within[number] and number not in asking and _paragraph(text)
        if paragraph and stands_for.setdefault(_same(text), number) == number:
            pool.append(number)
    queries, passages = {}, {}
    for language in languages:
        queries[language] = _side(whole, [x.first for x in pairs], language)
        passages[language] = _side(whole, pool, language)
    qrels: dict[str, dict[str, int]] = {}
    for first, second in pairs:
        passage = stands_for[_same(whole[second][source.pivot])]
        qrels[str(first)] = {
            global_id(language, str(passage)): 1
            for language in languages
            if language in whole[passage]
        }
    return Reading(queries, passages, qrels)


def _side(whole: Sequence[Segment], numbers: Sequence[int], language: str) -> Texts:
    numbered = [x for x in numbers if language in whole[x]]
    return Texts(tuple(map(str, numbered)), tuple(whole[x][language] for x in numbered))


def _pair(first: str, second: str, pairing: Pairing) -> bool:
    if not _paragraph(second) or _same(first) == _same(second):
        return False
    if pairing == "next":
        return _paragraph(first)
    return bool(first.strip()) and not _END.search(first) and _words(first) <= LONGEST_HEADING


def _paragraph(text: str) -> bool:
    return _END.search(text) is not None and _words(text) >= SHORTEST_PARAGRAPH


def _same(text: str) -> str:
    return " ".join(text.split()).casefold()


def _words(text: str) -> int:
    unspaced = len(_UNSPACED.findall(text))
    return len(_UNSPACED.sub(" ", text).split()) + -(-unspaced // 4)
