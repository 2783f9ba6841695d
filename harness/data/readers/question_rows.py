"""Rows of a question and its passage; equal texts are merged, as in mteb.

Reader ``rows`` takes one file of rows per language (JSON lines or parquet), each with a question
and its passage under the keys in the task file (``[source.rows]``). An id can combine several keys,
joined by ``#``; spaces in it are percent-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from harness.data.documents import Document, check_id, check_keys, check_text, json_lines
from harness.data.table_rows import passage_text
from harness.data.task import TaskSpec
from harness.data.task_data import Reading, Texts, global_id


class Pair(NamedTuple):
    """A question and a passage that answers it, in one language."""

    question_id: str
    """The same in every language of the question."""
    question: str
    passage_id: str
    passage: str


def read(spec: TaskSpec, languages: Sequence[str], open_file: Callable[[str], Document]) -> Reading:
    """Read the rows of each language.

    Ids shared by several languages are translations of one question, or one passage.

    Raises:
        DataError: a file is malformed; names file, line and key.
    """
    source = spec.source
    return reading_of(
        {x: list(_pairs(open_file(source.file("rows", x)), source.keys)) for x in languages}
    )


def _pairs(document: Document, keys: Mapping[str, Sequence[str]]) -> Iterator[Pair]:
    seen: set[str] = set()
    for row in json_lines(document):
        where = f"line {row.line}"
        needed = tuple(dict.fromkeys(x for pairs_of in keys.values() for x in pairs_of))
        check_keys(document, where, row.fields, needed, None)
        question = _id(document, where, row.fields, keys["question_id"])
        if question in seen:
            raise document.error(where, f"question {question!r} occurs twice in the file")
        seen.add(question)
        (asks,), (tells,) = keys["question"], keys["passage"]
        yield Pair(
            question,
            check_text(document, where, row.fields[asks], name=f"{asks!r}"),
            _id(document, where, row.fields, keys["passage_id"]),
            passage_text(document, where, row.fields[tells], name=f"{tells!r}"),
        )
    if not seen:
        raise document.error("", "contains no row")


def _id(document: Document, where: str, fields: Mapping[str, Any], keys: Sequence[str]) -> str:
    parts = []
    for key in keys:
        value = fields[key]
        if type(value) is not int and (not isinstance(value, str) or not value):
            raise document.error(where, f"{key!r} must be text or a number, not {value!r}")
        parts.append(re.sub(r"\s", lambda found: quote(found[0]), str(value)))
    return check_id(document, where, "#".join(parts))


def reading_of(pairs: Mapping[str, Sequence[Pair]]) -> Reading:
    """Lay out the pairs of each language as a task.

    Within a language a passage id means one passage, the first with that id. Questions with equal
    texts are merged: with one passage, into the first of them; with several, into a new question,
    named after all of them (``12+40``), to which all these passages are relevant. A question's
    relevant passages in all languages are one parallel set.

    Args:
        pairs: language -> its pairs, in the order of its file.
    """
    queries: dict[str, Texts] = {}
    passages: dict[str, Texts] = {}
    answers: dict[str, dict[str, str]] = {}
    merged: dict[str, list[str]] = {}
    for language, pairs_of in pairs.items():
        by_text: dict[str, dict[str, str]] = {}
        texts: dict[str, str] = {}
        for pair in pairs_of:
            texts.setdefault(pair.passage_id, pair.passage)
            # Equal questions with one passage are merged into the first.
            by_text.setdefault(pair.question, {}).setdefault(pair.passage_id, pair.question_id)
            answers.setdefault(pair.question_id, {})[language] = pair.passage_id
        passages[language] = Texts(tuple(texts), tuple(texts.values()))
        questions = {"+".join(ids.values()): question for question, ids in by_text.items()}
        merged |= {"+".join(ids.values()): list(ids.values()) for ids in by_text.values()}
        queries[language] = Texts(tuple(questions), tuple(questions.values()))
    qrels = {
        question: {
            global_id(language, passage): 1
            for one in parts
            for language, passage in answers[one].items()
        }
        for question, parts in merged.items()
    }
    return Reading(queries, passages, qrels)
