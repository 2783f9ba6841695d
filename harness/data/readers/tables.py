"""Tables of queries, passages and judgements, one of each per language, as on the hub.

A table is JSON lines (``.jsonl``, ``.jsonl.gz``), parquet, comma-separated values with a header
(``.csv``), or tab-separated ones, named in the task file (``[source.paths]``). This is the layout
of mteb's repositories and of BEIR's:

- queries: ``_id`` or ``id``, and ``text``; or lines ``id TAB text`` (``.tsv``);
- passages: the same, optionally with ``title``, and with ``image_id`` where they are images;
- images: a parquet table with ``file_name`` and ``image``, or a folder of files with these names;
- judgements: ``query-id``, ``corpus-id``, ``score``; as ``.tsv`` with a header, or TREC qrels
  (``.tsv`` or ``.txt``).

Ids may be numbers. A table of judgements per language is about that language's passages; a single
one for all languages holds in each of them. Queries without a judgement belong to other splits and
are left out; those in a language without passages are judged in the languages that have some.
Judgements of irrelevance may concern passages of a larger collection that are not in the table, and
are then dropped; a relevant passage that is not there counts as never found. Titles are joined as
the task's text option says; as in mteb, the result is stripped, and a passage may be empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from harness.data.documents import (
    Document,
    check_grade,
    check_id,
    check_keys,
    check_text,
    lines,
    rows,
    table,
)
from harness.data.table_rows import _id, id_and_text, is_tsv, table_id, table_text
from harness.data.task import TaskSpec
from harness.data.task_data import Reading, Texts, global_id, question_id
from harness.errors import DataError

_JUDGED = ("query-id", "corpus-id", "score")


class Judgement(NamedTuple):
    """One line of relevance judgements; its language is known from the context."""

    line: int
    query: str
    passage: str
    grade: int


def read(spec: TaskSpec, languages: Sequence[str], open_file: Callable[[str], Document]) -> Reading:
    """Read the tables of each language; streamed passages are left to the corpus.

    Raises:
        DataError: a table is malformed.
    """
    source = spec.source
    queries: dict[str, Texts] = {}
    passages: dict[str, Texts] = {}
    qrels: dict[str, dict[str, int]] = {}
    judged: dict[str, list[Judgement]] = {}
    judged_in: dict[str, set[str]] = {}
    for language in spec.with_passages(languages):
        if not spec.streamed:
            passage_texts = _texts(open_file(source.file("passages", language)), spec.text)
            passages[language] = Texts(tuple(passage_texts), tuple(passage_texts.values()))
        name = source.file("qrels", language)
        if name not in judged:
            judged = {name: list(judgements(open_file(name)))}
        judged_in[language] = {x.query for x in judged[name]}
        there = set(passages[language].ids) if language in passages else None
        for row in judged[name]:
            if there is not None and row.passage not in there and row.grade <= 0:
                continue
            found = qrels.setdefault(_question(spec, language, row.query), {})
            passage = global_id(language, row.passage)
            if passage in found:
                raise DataError(
                    f"{name}: line {row.line}: passage {row.passage!r} is judged twice for query "
                    f"{row.query!r}"
                )
            found[passage] = row.grade
    anywhere = {x for own in judged_in.values() for x in own}
    for language in spec.with_queries(languages):
        query_texts = _texts(open_file(source.file("queries", language)), None)
        # A language without passages has its questions judged in those that have some.
        own = judged_in.get(language, anywhere)
        ids = {x: _question(spec, language, x) for x in query_texts if x in own}
        queries[language] = Texts(tuple(ids.values()), tuple(query_texts[x] for x in ids))
    known = {x for side in queries.values() for x in side.ids}
    return Reading(
        queries, passages, {x: passage_texts for x, passage_texts in qrels.items() if x in known}
    )


def _question(spec: TaskSpec, language: str, query: str) -> str:
    """The id of a question among those of all languages."""
    return query if spec.source.parallel else question_id(language, query)


def _texts(document: Document, option: str | None) -> dict[str, str]:
    """Id -> text of one table; for passages, ``option`` says how title and text are joined."""
    found: dict[str, str] = {}
    for where, local, fields in _rows(document):
        if local in found:
            raise document.error(where, "this id occurs twice in the file")
        if option is None:
            found[local] = check_text(document, where, fields["text"])
        elif option == "image":
            check_keys(document, where, dict(fields), ("image_id",), None)
            found[local] = check_text(document, where, fields["image_id"], name="image_id")
        else:
            found[local] = table_text(document, where, fields, option)
    if not found:
        raise document.error("", "contains no row")
    return found


def _rows(document: Document) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    if is_tsv(document.path):
        for number, line in lines(document):
            local, text = id_and_text(document, number, line)
            yield f"line {number}, id {local!r}", local, {"text": text}
        return
    for row in rows(document):
        local = table_id(document, f"line {row.line}", row.fields)
        yield f"line {row.line}, id {local!r}", local, row.fields


def judgements(document: Document) -> Iterator[Judgement]:
    """The lines of a table of judgements, or of TREC qrels.

    Raises:
        DataError: a line is malformed.
    """
    if not is_tsv(document.path) and re.search(r"\.txt(\.gz)?$", document.path.name) is None:
        for row in rows(document):
            where = f"line {row.line}"
            check_keys(document, where, row.fields, _JUDGED, None)
            query, passage, score = (row.fields[x] for x in _JUDGED)
            whole = int(score) if isinstance(score, float) and score.is_integer() else score
            yield Judgement(
                row.line,
                _id(document, where, query),
                _id(document, where, passage),
                check_grade(document, where, str(whole)),
            )
    elif document.text.startswith(_JUDGED[0]):
        for row in table(document, _JUDGED):
            where = f"line {row.line}"
            query, passage, score = (row.fields[x] for x in _JUDGED)
            yield Judgement(
                row.line,
                check_id(document, where, query),
                check_id(document, where, passage),
                check_grade(document, where, score),
            )
    else:
        yield from trec_judgements(document)


def trec_judgements(document: Document) -> Iterator[Judgement]:
    """TREC qrels: ``qid Q0 docid grade``.

    Raises:
        DataError: a line is malformed.
    """
    for number, line in lines(document):
        where = f"line {number}"
        fields = line.split()
        if len(fields) != 4:
            raise document.error(where, f"must be 'qid Q0 docid grade', not {line[:60]!r}")
        if "\0" in line:
            raise document.error(where, "contains a zero byte")
        yield Judgement(number, fields[0], fields[2], check_grade(document, where, fields[3]))
