"""LAReQA files: SQuAD-style JSON with ``sentence_breaks``; every sentence is a passage.

Source: Roy et al. 2020, arXiv 2004.05484. A passage is one [start, end) of a paragraph's
``sentence_breaks``, sliced from its ``context`` (the ``sentences`` field differs in one paragraph
and is not read). Its id is ``PARAGRAPH-SENTENCE``: the paragraph's number in the file and the
sentence's in the paragraph, both counted from 0, in decimal. The relevant passage of a question is
the sentence with start <= answer_start < end; an answer may extend past its sentence's end. Equal
texts remain separate passages. A question marked as unanswerable has no relevant passage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from harness.data.documents import Document, check_id, check_text, parse_json
from harness.data.task import TaskSpec
from harness.data.task_data import Reading, Texts, global_id

Break = tuple[int, int]


class _File(NamedTuple):
    queries: Texts
    passages: Texts
    relevant: dict[str, str]
    """Question id -> local id of its relevant passage."""


def read(spec: TaskSpec, languages: Sequence[str], open_file: Callable[[str], Document]) -> Reading:
    """Read ``LANG.json`` of each language.

    A question id that occurs in several languages is one question: its relevant passages in all of
    ``languages`` are one parallel set.

    Raises:
        DataError: a file is malformed; names file, paragraph and id.
    """
    queries: dict[str, Texts] = {}
    passages: dict[str, Texts] = {}
    qrels: dict[str, dict[str, int]] = {}
    for language in languages:
        found = _read_file(open_file(f"{language}.json"), with_context=spec.text != "sentence")
        queries[language], passages[language] = found.queries, found.passages
        for question, passage in found.relevant.items():
            qrels.setdefault(question, {})[global_id(language, passage)] = 1
    return Reading(queries, passages, qrels)


def _read_file(document: Document, *, with_context: bool) -> _File:
    passage_ids: list[str] = []
    passage_texts: list[str] = []
    questions: dict[str, str] = {}
    relevant: dict[str, str] = {}
    for number, paragraph in enumerate(paragraphs(document)):
        where = f"paragraph {number}"
        if not isinstance(paragraph, dict):
            raise document.error(where, "must be a JSON object")
        context = check_text(document, where, paragraph.get("context"), name="'context'")
        breaks = _breaks(document, where, paragraph.get("sentence_breaks"), context)
        for sentence, (start, end) in enumerate(breaks):
            text = context[start:end]
            passage_ids.append(f"{number}-{sentence}")
            passage_texts.append(f"{text}\n{context}" if with_context else text)
        for entry in listed(document, where, paragraph, "qas"):
            question, text, answer_start = _question(document, where, entry, context)
            if question in questions:
                raise document.error(
                    f"{where}, question {question!r}", "this id occurs twice in the file"
                )
            questions[question] = text
            if answer_start is None:
                continue
            for sentence, (start, end) in enumerate(breaks):
                if start <= answer_start < end:
                    relevant[question] = f"{number}-{sentence}"
                    break
            else:
                raise document.error(
                    f"{where}, question {question!r}",
                    f"the answer at character {answer_start} is outside every sentence",
                )
    if not questions:
        raise document.error("", "contains no question")
    return _File(
        Texts(tuple(questions), tuple(questions.values())),
        Texts(tuple(passage_ids), tuple(passage_texts)),
        relevant,
    )


def is_unanswerable(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of ``qas`` says that its paragraph does not answer it, as in SQuAD 2.0."""
    return entry.get("is_impossible") is True or entry.get("answers") == []


def paragraphs(document: Document) -> Iterator[Any]:
    """The paragraphs of all articles of SQuAD's JSON, in order, not yet checked.

    Raises:
        DataError: not JSON, or not in that format.
    """
    whole = parse_json(document)
    if not isinstance(whole, dict):
        raise document.error("", "must be a JSON object with the key 'data'")
    for number, article in enumerate(listed(document, "", whole, "data")):
        where = f"article {number}"
        if not isinstance(article, dict):
            raise document.error(where, "must be a JSON object with the key 'paragraphs'")
        yield from listed(document, where, article, "paragraphs")


def listed(document: Document, where: str, holder: dict[str, Any], key: str) -> list[Any]:
    """The list under ``key``.

    Raises:
        DataError: there is none.
    """
    value = holder.get(key)
    if not isinstance(value, list):
        what = "is missing" if key not in holder else "must be a list"
        raise document.error(where, f"key {key!r} {what}")
    return value


def _breaks(document: Document, where: str, value: Any, context: str) -> list[Break]:
    if not isinstance(value, list) or not value:
        raise document.error(where, "'sentence_breaks' must be a non-empty list of [start, end]")
    breaks: list[Break] = []
    reached = 0
    for number, pair in enumerate(value):
        at = f"{where}, sentence {number}"
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or type(pair[0]) is not int
            or type(pair[1]) is not int
        ):
            raise document.error(at, f"a break must be two integers [start, end], not {pair!r}")
        start, end = pair
        if start < reached:
            what = (
                "starts below 0"
                if start < 0
                else f"overlaps the previous one, which ends at {reached}"
            )
            raise document.error(at, f"break [{start}, {end}] {what}")
        if end < start:
            raise document.error(at, f"break [{start}, {end}] runs backward")
        if end > len(context):
            raise document.error(
                at, f"break [{start}, {end}] runs past the paragraph's {len(context)} characters"
            )
        sentence = context[start:end]
        if not sentence or sentence.isspace():
            raise document.error(at, f"break [{start}, {end}] contains no text")
        breaks.append((start, end))
        reached = end
    return breaks


def _question(
    document: Document, where: str, entry: Any, context: str
) -> tuple[str, str, int | None]:  # fmt: skip
    """Id, text and answer start of one entry of ``qas``; ``None`` if it is unanswerable."""
    if not isinstance(entry, dict):
        raise document.error(where, "a question must be a JSON object")
    question = check_id(document, f"{where}, question", entry.get("id"))
    where = f"{where}, question {question!r}"
    text = check_text(document, where, entry.get("question"), name="'question'")
    if is_unanswerable(entry):
        return question, text, None
    answers = listed(document, where, entry, "answers")
    if len(answers) != 1 or not isinstance(answers[0], dict):
        raise document.error(where, f"must have exactly one answer, not {len(answers)}")
    start, answer = answers[0].get("answer_start"), answers[0].get("text")
    if type(start) is not int:
        raise document.error(where, f"'answer_start' must be an integer, not {start!r}")
    if not isinstance(answer, str) or not answer:
        raise document.error(where, "the answer has no 'text'")
    if start < 0 or not context.startswith(answer, start):
        raise document.error(where, f"the answer {answer!r} is not found at character {start}")
    return question, text, start
