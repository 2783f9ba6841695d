"""The simple layout, JSON lines per language and one table of judgements; and BEIR's layout.

Simple layout, for each language LANG:

- ``queries.LANG.jsonl``: one ``{"id": ..., "text": ...}`` per line;
- ``passages.LANG.jsonl``: the same, optionally with ``"title"``;
- ``qrels.tsv``, for all languages: a header, then ``query-id``, ``passage-id``, ``score`` and,
  optionally, ``language``.

A query id in several languages is the same question, a passage id in several languages the same
passage in translation. A judgement applies to every language whose passages have its passage id;
with a ``language``, only for that language's passages.

BEIR layout (Thakur et al. 2021, arXiv 2104.08663), one language per task: ``corpus.jsonl`` and
``queries.jsonl`` with ``_id``, ``text`` and, for passages, ``title``; ``qrels/test.tsv``.

A title and its text are joined as the task's text option says: ``title-newline-text``,
``title-space-text``, or ``text`` alone. Without a title, or with an empty one, only the text is
used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.data.documents import (
    Document,
    Row,
    check_grade,
    check_id,
    check_keys,
    check_text,
    json_lines,
    table,
)
from harness.data.table_rows import joined
from harness.data.task import TaskSpec
from harness.data.task_data import Reading, Texts, global_id


def read_simple(
    spec: TaskSpec, languages: Sequence[str], open_file: Callable[[str], Document]
) -> Reading:
    """Read the simple layout.

    If ``languages`` leaves some of the task's out, judgements on ids that no loaded language has
    are assumed to belong to those and are dropped.

    Raises:
        DataError: a file is malformed, or a judgement names an unknown query or passage; names
            file, line and id.
    """
    queries: dict[str, Texts] = {}
    passages: dict[str, Texts] = {}
    for language in languages:
        queries[language] = _texts(open_file(f"queries.{language}.jsonl"), "id", ())
        passages[language] = _texts(
            open_file(f"passages.{language}.jsonl"), "id", ("title",), spec.text
        )
    query_ids = {query for side in queries.values() for query in side.ids}
    in_language = {language: frozenset(side.ids) for language, side in passages.items()}
    whole = len(languages) == len(spec.languages)
    document = open_file("qrels.tsv")
    qrels: dict[str, dict[str, int]] = {}
    for row in table(document, ("query-id", "passage-id", "score"), ("language",)):
        query, passage, grade = _judgement(document, row, "passage-id")
        named = row.fields.get("language")
        if named is not None and named not in spec.languages:
            raise document.error(
                f"line {row.line}",
                f"language {named!r} is not one of the task's ({', '.join(spec.languages)})",
            )
        if whole and query not in query_ids:
            raise document.error(f"line {row.line}", f"no language has a query {query!r}")
        holders = [
            language
            for language, ids in in_language.items()
            if passage in ids and named in (None, language)
        ]
        if not holders and (whole or named in in_language):
            where = "no language" if named is None else f"language {named!r}"
            what = "has" if named is None else "does not have"
            raise document.error(f"line {row.line}", f"{where} {what} a passage {passage!r}")
        if query not in query_ids:
            continue
        judged = qrels.setdefault(query, {})
        for language in holders:
            _put(document, row, judged, query, global_id(language, passage), grade)
    return Reading(queries, passages, qrels)


def read_beir(
    spec: TaskSpec, languages: Sequence[str], open_file: Callable[[str], Document]
) -> Reading:
    """Read BEIR's layout. Queries without a judgement belong to other splits and are left out.

    A relevant passage that the corpus lacks stays in the judgements: it counts as never found
    (:mod:`harness.evaluation.absent`).

    Raises:
        DataError: a file is malformed, or a judgement names an unknown query; names file, line and
            id.
    """
    (language,) = languages
    passages = _texts(open_file("corpus.jsonl"), "_id", None, spec.text)
    queries = _texts(open_file("queries.jsonl"), "_id", None)
    query_ids, passage_ids = set(queries.ids), set(passages.ids)
    document = open_file("qrels/test.tsv")
    qrels: dict[str, dict[str, int]] = {}
    for row in table(document, ("query-id", "corpus-id", "score")):
        query, passage, grade = _judgement(document, row, "corpus-id")
        if query not in query_ids:
            raise document.error(f"line {row.line}", f"there is no query {query!r}")
        judged = qrels.setdefault(query, {})
        if passage not in passage_ids and grade <= 0:
            continue
        _put(document, row, judged, query, global_id(language, passage), grade)
    kept = [at for at, query in enumerate(queries.ids) if query in qrels]
    return Reading({language: queries.take(kept)}, {language: passages}, qrels)


def _texts(
    document: Document, id_key: str, optional: Sequence[str] | None, option: str | None = None
) -> Texts:
    """Read one JSON-lines file; for passages ``option`` says how title and text are joined."""
    found: dict[str, str] = {}
    for row in json_lines(document):
        where = f"line {row.line}"
        check_keys(document, where, row.fields, (id_key, "text"), optional)
        local = check_id(document, where, row.fields[id_key])
        where = f"{where}, id {local!r}"
        if local in found:
            raise document.error(where, "this id occurs twice in the file")
        title, text = row.fields.get("title"), row.fields["text"]
        if option is None:
            found[local] = check_text(document, where, text)
        else:
            found[local] = joined(document, where, title, text, option)
    if not found:
        raise document.error("", "contains no line")
    return Texts(tuple(found), tuple(found.values()))


def _judgement(document: Document, row: Row, passage_column: str) -> tuple[str, str, int]:
    where = f"line {row.line}"
    return (
        check_id(document, where, row.fields["query-id"]),
        check_id(document, where, row.fields[passage_column]),
        check_grade(document, where, row.fields["score"]),
    )


def _put(
    document: Document, row: Row, judged: dict[str, int], query: str, passage: str, grade: int
) -> None:
    if passage in judged:
        raise document.error(
            f"line {row.line}", f"passage {passage!r} is judged twice for query {query!r}"
        )
    judged[passage] = grade
