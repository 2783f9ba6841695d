"""Rows of a question and its passage; equal texts are merged, as in mteb.

Reader ``rows`` takes one file of rows per language (JSON lines, parquet or CSV), each with a
question and its passage under the keys in the task file (``[source.rows]``). An id can combine
several keys, joined by ``#``; spaces in it are percent-encoded.

With a key ``language`` one file holds the passages of all languages, each row one of them with its
question in every language: the speeches of a debate and its title.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from harness.data.documents import Document, check_id, check_keys, check_text, rows
from harness.data.table_rows import passage_text
from harness.data.task import TaskSpec
from harness.data.task_data import Reading, Texts, global_id
from harness.errors import HarnessWarning, quoted


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
    if source.keys.get("language"):
        return _read_mixed(spec, languages, open_file(source.paths["rows"]))
    return reading_of(
        {x: list(_pairs(open_file(source.file("rows", x)), source.keys)) for x in languages}
    )


def _read_mixed(spec: TaskSpec, languages: Sequence[str], document: Document) -> Reading:
    """One table of passages in all languages, each with its question in every language.

    A question's text in a language is the first one that its id has there; a row without an id or
    a text has no question there. Passages with one question id are relevant to it in every
    language.
    """
    source, keys = spec.source, spec.source.keys
    code_of = {source.codes.get(x, x): x for x in spec.languages}
    columns = {x: source.name(keys["question"][0], x) for x in languages}
    (language_key,), (text_key,) = keys["language"], keys["passage"]
    needed = [language_key, text_key, *keys["passage_id"], *keys["question_id"], *columns.values()]
    queries: dict[str, dict[str, str]] = {x: {} for x in languages}
    passages: dict[str, dict[str, str]] = {x: {} for x in languages}
    qrels: dict[str, dict[str, int]] = {}
    elsewhere: dict[str, int] = {}
    for row in rows(document):
        where = f"line {row.line}"
        check_keys(document, where, row.fields, needed, None)
        code = row.fields[language_key]
        if not isinstance(code, str) or code not in code_of:
            elsewhere[str(code)] = elsewhere.get(str(code), 0) + 1
            continue
        local = _id(document, where, row.fields, keys["passage_id"])
        language, question = code_of[code], None
        if all(row.fields[x] not in (None, "") for x in keys["question_id"]):
            question = _id(document, where, row.fields, keys["question_id"])
            for x, column in columns.items():
                if text := passage_text(document, where, row.fields[column], name=repr(column)):
                    queries[x].setdefault(question, text)
        if language not in passages:
            continue
        if local in passages[language]:
            raise document.error(where, f"passage {local!r} occurs twice in {language!r}")
        passages[language][local] = passage_text(
            document, where, row.fields[text_key], name=repr(text_key)
        )
        if question is not None:
            qrels.setdefault(question, {})[global_id(language, local)] = 1
    if elsewhere:
        codes = ", ".join(sorted(map(repr, elsewhere))[:6])
        warnings.warn(
            f"{document.path}: {sum(elsewhere.values())} rows are left out: their {language_key!r} "
            f"is {codes}, which none of the task's languages is called in files",
            HarnessWarning,
            stacklevel=4,
        )
    for x, found in passages.items():
        if not found:
            raise document.error("", f"contains no passage in {x!r}")
    return Reading(
        {x: Texts(tuple(found), tuple(found.values())) for x, found in queries.items()},
        {x: Texts(tuple(found), tuple(found.values())) for x, found in passages.items()},
        qrels,
    )


def _pairs(document: Document, keys: Mapping[str, Sequence[str]]) -> Iterator[Pair]:
    seen: set[str] = set()
    texts: dict[str, str] = {}
    others: list[str] = []
    for row in rows(document):
        where = f"line {row.line}"
        needed = tuple(dict.fromkeys(x for pairs_of in keys.values() for x in pairs_of))
        check_keys(document, where, row.fields, needed, None)
        question = _id(document, where, row.fields, keys["question_id"])
        if question in seen:
            raise document.error(where, f"question {question!r} occurs twice in the file")
        seen.add(question)
        (asks,), (tells,) = keys["question"], keys["passage"]
        pair = Pair(
            question,
            check_text(document, where, row.fields[asks], name=f"{asks!r}"),
            _id(document, where, row.fields, keys["passage_id"]),
            passage_text(document, where, row.fields[tells], name=f"{tells!r}"),
        )
        if texts.setdefault(pair.passage_id, pair.passage) != pair.passage:
            others.append(f"line {row.line}, {quoted(pair.passage_id)}")
        yield pair
    if not seen:
        raise document.error("", "contains no row")
    if others:
        warnings.warn(
            f"{document.path}: rows with another text than the first one of their passage id: "
            f"{len(others)}, from {others[0]} on; the text of the first counts",
            HarnessWarning,
            stacklevel=2,
        )


def _id(document: Document, where: str, fields: Mapping[str, Any], keys: Sequence[str]) -> str:
    parts = []
    for key in keys:
        value = fields[key]
        if type(value) is not int and (not isinstance(value, str) or not value):
            raise document.error(where, f"{key!r} must be text or a whole number, not {value!r}")
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
