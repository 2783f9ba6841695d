"""SQuAD's JSON, one file per language: a question's relevant passage is its paragraph.

This makes XQuAD and MLQA paragraph retrieval, as in mteb: questions and paragraphs are stripped,
equal paragraphs are merged into one passage and equal questions into one question. A passage's id
is the number of its paragraph in the file, counted from 0. The answer within the paragraph is
ignored; a question that the paragraph does not answer (SQuAD 2.0: ``is_impossible``, or an empty
list of answers) has no relevant passage, so it is left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from harness.data.documents import Document, check_id, check_text
from harness.data.readers.lareqa import is_unanswerable, listed, paragraphs
from harness.data.readers.question_rows import Pair, reading_of
from harness.data.table_rows import passage_text
from harness.data.task import TaskSpec
from harness.data.task_data import Reading, Texts


def read(spec: TaskSpec, languages: Sequence[str], open_file: Callable[[str], Document]) -> Reading:
    """Read the articles of each language.

    A question id that occurs in several languages is one question: its paragraphs in all of
    ``languages`` are one parallel set.

    Raises:
        DataError: a file is malformed; names file, paragraph and id.
    """
    source = spec.source
    unanswered: dict[str, dict[str, str]] = {language: {} for language in languages}
    reading = reading_of(
        {
            language: list(
                _pairs(open_file(source.file("articles", language)), unanswered[language])
            )
            for language in languages
        }
    )
    queries = {
        language: _with(side, unanswered[language], reading.qrels)
        for language, side in reading.queries.items()
    }
    return reading._replace(queries=queries)


def _with(side: Texts, unanswered: Mapping[str, str], qrels: Mapping[str, object]) -> Texts:
    """The queries of a language, and those that no language answers."""
    more = {question: text for question, text in unanswered.items() if question not in qrels}
    return Texts((*side.ids, *more), (*side.texts, *more.values()))


def _pairs(document: Document, unanswered: dict[str, str]) -> Iterator[Pair]:
    """Questions and their paragraphs; the texts of the others are put into ``unanswered``."""
    numbers: dict[str, str] = {}
    seen: set[str] = set()
    for number, paragraph in enumerate(paragraphs(document)):
        where = f"paragraph {number}"
        if not isinstance(paragraph, dict):
            raise document.error(where, "must be a JSON object")
        context = passage_text(document, where, paragraph.get("context"), name="'context'").strip()
        passage = numbers.setdefault(context, str(number))
        for entry in listed(document, where, paragraph, "qas"):
            if not isinstance(entry, dict):
                raise document.error(where, "a question must be a JSON object")
            question = check_id(document, f"{where}, question", entry.get("id"))
            at = f"{where}, question {question!r}"
            if question in seen:
                raise document.error(at, "this id occurs twice in the file")
            seen.add(question)
            text = check_text(document, at, entry.get("question"), name="'question'")
            if is_unanswerable(entry):
                unanswered[question] = text.strip()
            else:
                yield Pair(question, text.strip(), passage, context)
    if not seen:
        raise document.error("", "contains no question")
