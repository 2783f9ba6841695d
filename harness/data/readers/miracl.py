"""MIRACL's files: topics and relevance judgements per language, passages as a stream.

Source: Zhang et al. 2022, arXiv 2210.09984. Topics are ``qid TAB query``, judgements TREC qrels,
passages ``docs-N.jsonl.gz`` (:mod:`harness.data.corpus`). The same query id is a different question
in each language, so a question's id here is ``LANG-QID``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from harness.data.corpus import Corpus
from harness.data.documents import Document, check_text, lines
from harness.data.readers.tables import trec_judgements
from harness.data.table_rows import id_and_text
from harness.data.task import TaskSpec
from harness.data.task_data import Reading, Texts, global_id, question_id
from harness.data.task_source import LAYOUTS
from harness.errors import DataError


def read(spec: TaskSpec, languages: Sequence[str], open_file: Callable[[str], Document]) -> Reading:
    """Read topics and judgements of each language; passages are left to the corpus.

    Raises:
        DataError: a file is malformed, or judges an unknown query; names file and line.
    """
    queries: dict[str, Texts] = {}
    qrels: dict[str, dict[str, int]] = {}
    for language in languages:
        topics, judgements = (x.format(language=language) for x in LAYOUTS["miracl"].per_language)
        query_texts = _topics(open_file(topics))
        queries[language] = Texts(
            tuple(question_id(language, x) for x in query_texts), tuple(query_texts.values())
        )
        _judge(open_file(judgements), language, query_texts, qrels)
    return Reading(queries, {}, qrels)


def _topics(document: Document) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in lines(document):
        qid, text = id_and_text(document, number, line, "qid TAB query")
        where = f"line {number}, qid {qid!r}"
        if qid in found:
            raise document.error(where, "this id occurs twice in the file")
        found[qid] = check_text(document, where, text, name="query")
    if not found:
        raise document.error("", "contains no topic")
    return found


def _judge(
    document: Document,
    language: str,
    query_texts: Mapping[str, str],
    qrels: dict[str, dict[str, int]],
) -> None:
    for row, qid, docid, grade in trec_judgements(document):
        if qid not in query_texts:
            raise document.error(f"line {row}", f"there is no topic {qid!r}")
        judged = qrels.setdefault(question_id(language, qid), {})
        passage = global_id(language, docid)
        if passage in judged:
            where = f"line {row}"
            raise document.error(where, f"passage {docid!r} is judged twice for topic {qid!r}")
        judged[passage] = grade


def refuse_judged_alone(
    spec: TaskSpec, corpora: Mapping[str, Corpus], qrels: Mapping[str, Mapping[str, int]]
) -> None:
    """Raise :class:`DataError` if a corpus consists of judged passages only.

    Ranking judged passages alone leaves out what makes retrieval hard, so it is not scored.
    """
    for language, corpus in corpora.items():
        prefix = global_id(language, "")
        judged = {
            x[len(prefix) :] for grades in qrels.values() for x in grades if x.startswith(prefix)
        }
        # Only a corpus no larger than the judged set needs checking.
        if len(corpus) <= len(judged) and all(name in judged for name in corpus.ids()):
            raise DataError(
                f"task {spec.name!r}: every available passage in {language} is a judged one "
                f"({len(corpus):,} of them); ranking these alone is not retrieval and is refused: "
                "search the full corpus"
            )


def within_sample(
    corpora: Mapping[str, Corpus], qrels: Mapping[str, Mapping[str, int]]
) -> tuple[dict[str, dict[str, int]], int]:
    """The judgements on passages in a sampled corpus, and how many relevant passages it lacks."""
    kept: dict[str, dict[str, int]] = {question: {} for question in qrels}
    waiting: dict[str, list[tuple[str, int]]] = {}
    for question, judged in qrels.items():
        for passage, grade in judged.items():
            waiting.setdefault(passage, []).append((question, grade))
    for language, corpus in corpora.items():
        for name in corpus.ids() if corpus.sampled else ():
            for question, grade in waiting.pop(global_id(language, name), ()):
                kept[question][global_id(language, name)] = grade
    whole = {language for language, corpus in corpora.items() if not corpus.sampled}
    lacking = 0
    for passage, missing in waiting.items():
        for question, grade in missing:
            if passage.partition(":")[0] in whole:
                kept[question][passage] = grade
            else:
                lacking += grade > 0
    return kept, lacking
