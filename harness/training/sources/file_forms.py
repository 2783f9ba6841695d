"""Training pairs from files in the forms that public collections come in.

Every converter takes files, yields :class:`~harness.training.pairs.Example` and counts what it
leaves out. Ids begin with the name of the file, so that several make one file of pairs.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.base.languages import is_language
from harness.data.documents import Document, check_id, check_text, decode, json_row, parse_json
from harness.data.file_names import language_of, pair_of, stem
from harness.data.readers.segments import Segment, neighbours, part_of, segment
from harness.data.task_source import Pairing, Part
from harness.errors import DataError, UsageError
from harness.training.pairs import Example, raw_content, raw_lines

Dropped = Counter[str]
"""Why a row was left out -> how many were."""


def squad(
    files: Sequence[Path], dropped: Dropped, *, language: str | None = None, parallel: bool = False
) -> Iterator[Example]:
    """SQuAD-format JSON: each question with its paragraph (SQuAD, TyDi QA GoldP, XQuAD, MLQA).

    Questions without an answer (SQuAD 2) are left out. A file's language is ``language``, or the
    one code between dots, hyphens and underscores in its name.

    Args:
        files: read whole, one at a time; with ``parallel`` all at once.
        dropped: counts what is left out.
        language: of all files.
        parallel: one row for all files' questions of the same id, as translated sets have them.

    Raises:
        DataError: a file is missing or malformed, or an id of a parallel set is not unique.
        UsageError: a file's language cannot be known, or two files of a parallel set have one.
    """
    if not parallel:
        for file in files:
            code = language or language_of(file)
            # Some files restart the numbering of questions in each part, as TyDi QA GoldP's train
            # sets do.
            named: dict[str, dict[str, str]] = {}
            for question, text, passage_id, passage in _questions(file, dropped):
                same = named.setdefault(question, {})
                suffix = f"#{len(same) + 1}" if same else ""
                name = same.setdefault(text, f"{stem(file)}:{question}{suffix}")
                yield Example(name, {code: text}, {code: passage}, passage_id)
        return
    merged: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
    taken: dict[str, Path] = {}
    for file in files:
        code = language or language_of(file)
        if code in taken:
            raise UsageError(
                f"{file} and {taken[code]} are both in {code!r}; a parallel set has one file for "
                "each language"
            )
        taken[code] = file
        for question, text, _, passage in _questions(file, dropped):
            query_side, passage_side = merged.setdefault(question, ({}, {}))
            if query_side.get(code, text) != text:
                raise DataError(
                    f"{file}: two questions have the id {question!r}, so it is unclear which "
                    "are translations; drop --parallel"
                )
            query_side[code], passage_side[code] = text, passage
    for question, (query_side, passage_side) in merged.items():
        yield Example(question, query_side, passage_side)


def xnli(
    files: Sequence[Path], dropped: Dropped, *, labels: Sequence[str] | None = None
) -> Iterator[Example]:
    """XNLI: premise and hypothesis as a weak pair, in all languages at once.

    JSON lines with ``premise`` and ``hypothesis`` by language (or the hub's lists of languages and
    translations) and, where known, ``label``. Without ``labels`` contradictions are left out, rows
    without a label stay. Rows of one premise share their id: its hypotheses never meet in a batch.

    Raises:
        DataError: a file is missing or malformed.
    """
    for file in files:
        first: dict[str, str] = {}
        for document, where, fields in _rows(file):
            label = fields.get("label")
            if label == "contradiction" if labels is None else label not in labels:
                dropped[f"label {label}" if label else "no label"] += 1
                continue
            premise = _by_language(document, where, fields, "premise")
            hypothesis = _by_language(document, where, fields, "hypothesis")
            key = premise.get("en") or next(iter(premise.values()))
            name = f"{stem(file)}:{fields.get('id', where.removeprefix('line '))}"
            yield Example(first.setdefault(key, name), premise, hypothesis)


def bitext(
    files: Sequence[Path], dropped: Dropped, *, languages: tuple[str, str] | None = None
) -> Iterator[Example]:
    """Sentence pairs, tab-separated, as weak pairs in both directions under one id.

    Two columns of text, or three with the name of a source before them. The languages are in the
    file's name (``de-en.tsv.gz``), or ``languages``. Pairs of equal texts are left out.

    Raises:
        DataError: a file is missing or malformed.
        UsageError: a file's languages cannot be known.
    """
    for file in files:
        pair = languages or pair_of(file)
        for number, raw in enumerate(raw_lines(file), 1):
            document = decode(file, raw.rstrip(b"\r\n"), first_line=number)
            columns = document.text.split("\t")
            where = f"line {number}"
            if len(columns) not in (2, 3):
                raise document.error(
                    where, f"must have two texts (or a source and two texts), not {len(columns)}"
                )
            a, b = (x.strip() for x in columns[-2:])
            if not a or not b:
                dropped["empty text"] += 1
            elif a == b:
                dropped["equal texts"] += 1
            else:
                name = f"{stem(file)}:{number}"
                yield Example(name, {pair[0]: a}, {pair[1]: b})
                yield Example(name, {pair[1]: b}, {pair[0]: a})


def segments(
    files: Sequence[Path],
    dropped: Dropped,
    *,
    pairing: Pairing | str = "next",
    part: Part | str = "all",
    languages: Sequence[str] | None = None,
    rename: Mapping[str, str] | None = None,
) -> Iterator[Example]:
    """Aligned segments (translated documentation, parallel sentences in order) as weak pairs.

    Each line is a JSON object of language -> text; keys that are no language are passed over.
    ``heading`` and ``next`` pair neighbours (:mod:`harness.data.readers.segments`), each in the
    languages that it has. ``same`` pairs each segment with its own translations: half of its
    languages ask, half answer, then the other way round, and the halves change from line to line so
    that every ordered pair of languages comes up. ``part`` takes the train or the test part alone.

    Raises:
        DataError: a file is missing or malformed.
    """
    for file in files:
        found = list(_segments(file, rename or {}, languages))
        name = stem(file)
        if pairing == "same":
            for number, texts in enumerate(found):
                if part in ("all", part_of(number)):
                    yield from _halves(f"{name}:{number}", number, texts)
            continue
        pivot = "en" if any("en" in x for x in found[:1]) else None
        kept = 0
        for first, second in neighbours(
            found, "heading" if pairing == "heading" else "next", pivot
        ):
            if not found[first] or not found[second] or part not in ("all", part_of(first)):
                continue  # in none of the selected languages, or in the other part
            kept += 1
            yield Example(f"{name}:{first}", found[first], found[second], f"{name}:{second}")
        dropped["not a pair"] += len(found) - kept


def _questions(file: Path, dropped: Dropped) -> Iterator[tuple[str, str, str, str]]:
    """Id, question, passage id and passage of each question that has an answer."""
    document = decode(file, raw_content(file))
    whole = parse_json(document)
    articles = whole.get("data") if isinstance(whole, dict) else None
    if not isinstance(articles, list):
        raise document.error("", "must be SQuAD's JSON: an object with the list 'data'")
    for number, article in enumerate(articles):
        for at, paragraph in enumerate(_list(document, f"article {number}", article, "paragraphs")):
            where = f"article {number}, paragraph {at}"
            entries = _list(document, where, paragraph, "qas")
            context = check_text(document, where, paragraph.get("context"), name="'context'")
            for entry in entries:
                question = check_id(document, where, str(entry.get("id", "")))
                if entry.get("is_impossible"):
                    dropped["no answer"] += 1
                elif not str(entry.get("question") or "").strip():
                    dropped["empty question"] += 1
                else:
                    text = check_text(document, where, entry["question"], name="'question'")
                    yield question, text.strip(), f"{stem(file)}:{number}-{at}", context


def _list(document: Document, where: str, holder: Any, key: str) -> list[dict[str, Any]]:
    found = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(found, list) or not all(isinstance(x, dict) for x in found):
        raise document.error(where, f"must have {key!r}, a list of objects, as SQuAD's files do")
    return found


def _rows(file: Path) -> Iterator[tuple[Document, str, dict[str, Any]]]:
    for number, raw in enumerate(raw_lines(file), 1):
        document = decode(file, raw, first_line=number)
        yield document, f"line {number}", json_row(document, number, document.text).fields


def _by_language(
    document: Document, where: str, fields: dict[str, Any], side: str
) -> dict[str, str]:
    value = fields.get(side)
    if isinstance(value, dict) and set(value) == {"language", "translation"}:
        codes, texts = value["language"], value["translation"]
        if not (isinstance(codes, list) and isinstance(texts, list) and len(codes) == len(texts)):
            raise document.error(where, f"{side!r} must have as many translations as languages")
        value = dict(zip(map(str, codes), texts, strict=True))
    if not isinstance(value, dict) or not value:
        raise document.error(where, f"{side!r} must map languages to texts")
    for language in value:
        if not is_language(language):
            raise document.error(where, f"{side!r}: {language!r} is not a language code")
    return {
        x: check_text(document, where, text, name=f"{side} in {x!r}").strip()
        for x, text in value.items()
    }


def _segments(
    file: Path, rename: Mapping[str, str], languages: Sequence[str] | None
) -> Iterator[Segment]:
    for number, raw in enumerate(raw_lines(file), 1):
        document = decode(file, raw, first_line=number)
        row = json_row(document, number, document.text)
        found = segment(document, row, rename)
        if not found:
            raise document.error(
                f"line {number}", f"has no text by language: {json.dumps(row.fields)[:60]}"
            )
        yield {x: text for x, text in found.items() if languages is None or x in languages}


def _halves(name: str, number: int, texts: Segment) -> Iterator[Example]:
    # Halves of a rotating circle: any two languages end up on different sides.
    languages = list(texts)
    turn = number % max(len(languages), 1)
    turned = languages[turn:] + languages[:turn]
    one, other = turned[: len(turned) // 2], turned[len(turned) // 2 :]
    for asks, answers in ((one, other), (other, one)):
        if asks and answers:
            yield Example(name, {x: texts[x] for x in asks}, {x: texts[x] for x in answers})
