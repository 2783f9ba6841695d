"""Rows of public data sets to training pairs: one function per schema.

Pure functions: rows in, pairs out. Each docstring gives the fields of a row; a row without them is
an error that names the data set, and a row that cannot be a pair (no answer, no relevant passage)
is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from harness.errors import DataError
from harness.training.pairs import Example

Row = Mapping[str, Any]
Dropped = Counter[str]
Convert = Callable[[Iterable[Row], str, str, Dropped, int], Iterator[Example]]
"""Rows, name of the set, language, what is left out, hard negatives to keep of each row."""


def wikiqa(
    rows: Iterable[Row], name: str, language: str, dropped: Dropped, negatives: int
) -> Iterator[Example]:
    """WikiQA: ``question_id``, ``question``, ``document_title``, ``answer``, ``label`` 0 or 1.

    Rows of a question are consecutive. Each sentence labelled 1 is a pair; those labelled 0 are
    hard negatives, from the same article.
    """
    for question, group in groupby(rows, key=lambda row: _field(row, "question_id", name)):
        members = list(group)
        right = [x for x in members if _field(x, "label", name) == 1]
        wrong = [_text(x["answer"]) for x in members if x["label"] == 0]
        if not right:
            dropped["no answer"] += 1
        for x in right:
            yield _pair(
                name, question, language, x["question"], x["answer"], None, wrong[:negatives]
            )


def mr_tydi(
    rows: Iterable[Row], name: str, language: str, dropped: Dropped, negatives: int
) -> Iterator[Example]:
    """Mr. TyDi: ``query_id``, ``query``, ``positive_passages``, ``negative_passages``.

    A passage has ``docid``, ``title`` and ``text``; title and text are joined by a line break, as
    MIRACL's are.
    """
    for row in rows:
        right = _field(row, "positive_passages", name)
        wrong = [_titled(x) for x in (row.get("negative_passages") or [])[:negatives]]
        if not right:
            dropped["no relevant passage"] += 1
        for x in right:
            yield _pair(
                name,
                _field(row, "query_id", name),
                language,
                _field(row, "query", name),
                _titled(x),
                f"{name}:{language}:{x['docid']}",
                wrong,
            )


def mfaq(
    rows: Iterable[Row], name: str, language: str, dropped: Dropped, negatives: int
) -> Iterator[Example]:
    """MFAQ: a web page a row, with ``qa_pairs``; or one pair a row (the ``flat`` files).

    Other answers of the page are hard negatives.
    """
    for number, row in enumerate(rows):
        pairs = row.get("qa_pairs", [row])
        answers = [_text(_field(x, "answer", name)) for x in pairs]
        for at, x in enumerate(pairs):
            others = [a for a in answers if a != answers[at] and a.strip()][:negatives]
            question = _text(_field(x, "question", name))
            if question.strip() and answers[at].strip():
                yield _pair(name, f"{number}-{at}", language, question, answers[at], None, others)
            else:
                dropped["empty text"] += 1


def query_answer(
    rows: Iterable[Row], name: str, language: str, dropped: Dropped, negatives: int
) -> Iterator[Example]:
    """``query`` and ``answer``, a pair a row (Natural Questions by sentence-transformers)."""
    for number, row in enumerate(rows):
        yield _pair(
            name, number, language, _field(row, "query", name), _field(row, "answer", name), None
        )


def reading(
    rows: Iterable[Row], name: str, language: str, dropped: Dropped, negatives: int
) -> Iterator[Example]:
    """Flat SQuAD rows: ``context``, ``question``, ``answers`` and ``key`` or ``id``.

    NewsQA as MRQA has it, SQuADShifts. ``answers`` is a list of texts, or has one as ``text``;
    without any the question has no answer here. The context is the passage; equal ones are one.
    """
    known: dict[str, str] = {}
    for number, row in enumerate(rows):
        answers = _field(row, "answers", name)
        texts = answers.get("text") if isinstance(answers, Mapping) else answers
        if texts is None or not len(texts):
            dropped["no answer"] += 1
            continue
        context = _text(_field(row, "context", name))
        passage = known.setdefault(context, f"{name}:{len(known)}")
        yield _pair(
            name,
            row.get("id") or row.get("key") or number,
            language,
            _field(row, "question", name),
            context,
            passage,
        )


def duorc(
    rows: Iterable[Row], name: str, language: str, dropped: Dropped, negatives: int
) -> Iterator[Example]:
    """DuoRC: ``plot_id``, ``plot``, ``question_id``, ``question``, ``answers``, ``no_answer``.

    The plot is the passage.
    """
    for row in rows:
        if _field(row, "no_answer", name):
            dropped["no answer"] += 1
            continue
        yield _pair(
            name,
            _field(row, "question_id", name),
            language,
            _field(row, "question", name),
            _field(row, "plot", name),
            f"{name}:{_field(row, 'plot_id', name)}",
        )


def entity_questions(
    rows: Iterable[Row], name: str, language: str, dropped: Dropped, negatives: int
) -> Iterator[Example]:
    """EntityQuestions: ``question`` and ``answers``, names of entities.

    The set comes without passages: the first answer is the passage, a few words. Which passages the
    paper trained on it does not say.
    """
    for number, row in enumerate(rows):
        answers = _field(row, "answers", name)
        if not len(answers):
            dropped["no answer"] += 1
            continue
        yield _pair(name, number, language, _field(row, "question", name), answers[0], None)


def _field(row: Row, key: str, name: str) -> Any:
    if key not in row:
        raise DataError(
            f"{name}: a row has no {key!r} (it has {', '.join(sorted(row))}); is this a file of "
            f"{name}, in the revision that the loader is for?"
        )
    return row[key]


def _text(value: object) -> str:
    """A field's text; none where it is null, which is no word of any language."""
    return "" if value is None else str(value)


def _titled(passage: Row) -> str:
    title, text = _text(passage.get("title")), _text(passage["text"])
    return f"{title}\n{text}" if title else text


def _pair(
    name: str,
    row: object,
    language: str,
    query: object,
    passage: object,
    passage_id: str | None,
    negatives: Iterable[str] = (),
) -> Example:
    kept = tuple(x.strip() for x in negatives if x.strip())
    return Example(
        id=f"{name}:{language}:{row}",
        query={language: _text(query).strip()},
        passage={language: _text(passage).strip()},
        passage_id=passage_id,
        negatives={language: kept} if kept else {},
    )
