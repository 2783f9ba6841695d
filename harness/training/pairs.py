"""Training pairs in their two forms: parallel and monolingual JSON lines.

    {"id": "q1", "query": {"en": "...", "de": "..."}, "passage": {"en": "...", "de": "..."},
     "passage_id": "p7", "negatives": {"en": ["..."]}}
    {"id": "q1", "language": "en", "query": "...", "passage": "...",
     "passage_id": "p7", "negatives": ["..."]}

``passage_id`` and ``negatives`` are optional. A file has one of the formats; a name ending in
``.gz`` is read and written compressed. The ``id`` is the parallel id: rows that share it are
translations or other answers of one question, and never meet in a batch. Neither do rows that share
a ``passage_id``. A parallel row may lack languages on one side or both; the recipe decides whether
it can use the row.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from harness.base.languages import is_language
from harness.data.documents import (
    Document,
    Row,
    check_keys,
    check_text,
    decode,
    json_lines,
    json_row,
    unpacked,
)
from harness.errors import DataError

Form = Literal["parallel", "monolingual"]
_OPTIONAL = ("passage_id", "negatives")


@dataclass(frozen=True, slots=True)
class Example:
    """One query and its passage, in one or more languages."""

    id: str
    """Parallel id: no two rows with the same one meet in a batch."""
    query: Mapping[str, str]
    """Language -> text; at least one language."""
    passage: Mapping[str, str]
    passage_id: str | None = None
    """Rows with the same one never share a batch; ``None``: the passage's text is used."""
    negatives: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Passage language -> hard negatives in it."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages with both query and passage, in the query's order."""
        return tuple(x for x in self.query if x in self.passage)

    @property
    def ordered_pairs(self) -> tuple[tuple[str, str], ...]:
        """(query language, passage language) of every cross-lingual pair in the row."""
        return tuple((a, b) for a in self.query for b in self.passage if a != b)


@dataclass(frozen=True)
class DataSet:
    """The rows of one file, in its order."""

    name: str
    """The file's name without its suffixes."""
    path: Path
    form: Form
    digest: str
    """SHA-256 hex of the file's content, decompressed."""
    examples: tuple[Example, ...]

    def __len__(self) -> int:
        return len(self.examples)

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """Every language of a query or passage, in order of first appearance."""
        found: dict[str, None] = {}
        for example in self.examples:
            found |= dict.fromkeys(example.query)
            found |= dict.fromkeys(example.passage)
        return tuple(found)


def read_examples(path: str | Path) -> DataSet:
    """Read one file of training pairs in either form.

    Raises:
        DataError: missing, not gzip, not UTF-8, not JSON lines, no rows, an unknown key or
            language, an empty text; names file and line.
    """
    path = Path(path)
    raw = raw_content(path)
    document = decode(path, raw)
    examples: list[Example] = []
    form: Form | None = None
    for row in json_lines(document):
        form = _one_form(document, row, form)
        examples.append(_example(document, row, form))
    if form is None:
        raise DataError(f"{path}: contains no training pairs; one JSON object per line is expected")
    return DataSet(stem(path), path, form, hashlib.sha256(raw).hexdigest(), tuple(examples))


def stream_examples(path: str | Path) -> Iterator[Example]:
    """Read one file row by row, as strictly as :func:`read_examples`, holding one row at a time.

    Raises:
        DataError: as :func:`read_examples`, at the row that is wrong.
    """
    path = Path(path)
    form: Form | None = None
    empty: int | None = None
    for number, raw in enumerate(raw_lines(path), 1):
        document = decode(path, raw, first_line=number)
        if not raw.strip(b"\r\n"):
            empty = empty or number  # which the end of a file may have
            continue
        if empty or not document.text.strip():
            raise document.error(f"line {empty or number}", "is empty")
        row = json_row(document, number, document.text)
        form = _one_form(document, row, form)
        yield _example(document, row, form)
    if form is None:
        raise DataError(f"{path}: contains no training pairs; one JSON object per line is expected")


def form_of(path: Path) -> Form:
    """The form of a file's first row.

    Raises:
        DataError: as :func:`stream_examples`.
    """
    for raw in raw_lines(path):
        document = decode(path, raw)
        return _one_form(document, json_row(document, 1, document.text), None)
    raise DataError(f"{path}: contains no training pairs; one JSON object per line is expected")


def as_row(example: Example, form: Form) -> dict[str, Any]:
    """The JSON object of one row.

    Raises:
        ValueError: a row of several languages in the monolingual form.
    """
    row: dict[str, Any] = {"id": example.id}
    if form == "parallel":
        row |= {"query": dict(example.query), "passage": dict(example.passage)}
        negatives: Any = {x: list(texts) for x, texts in example.negatives.items()}
    else:
        languages = {*example.query, *example.passage}
        if len(languages) != 1:
            raise ValueError(f"row {example.id} has {len(languages)} languages, not one")
        (language,) = languages
        row |= {
            "language": language,
            "query": example.query[language],
            "passage": example.passage[language],
        }
        negatives = list(example.negatives.get(language, ()))
    if example.passage_id is not None:
        row["passage_id"] = example.passage_id
    if negatives:
        row["negatives"] = negatives
    return row


def stem(path: Path) -> str:
    """The file's name without ``.jsonl`` and ``.gz``."""
    return path.name.removesuffix(".gz").removesuffix(".jsonl")


def raw_lines(path: Path) -> Iterator[bytes]:
    """A file's lines, decompressed if its name ends in ``.gz``."""
    packed = path.suffix == ".gz"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            yield from file
    except (OSError, EOFError, zlib.error) as error:
        if packed and not isinstance(error, FileNotFoundError | PermissionError):
            raise DataError(f"{path}: incomplete gzip file ({error})") from error
        raise DataError(f"{path}: cannot be read ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _one_form(document: Document, row: Row, form: Form | None) -> Form:
    """The row's form, which must be that of the rows before it."""
    found: Form = "monolingual" if "language" in row.fields else "parallel"
    if form is not None and found != form:
        raise document.error(
            f"line {row.line}",
            f"is a {found} row, but the rows above are {form}; put the two forms into two files",
        )
    return found


def _example(document: Document, row: Row, form: Form) -> Example:
    read = _monolingual if form == "monolingual" else _parallel
    return read(document, f"line {row.line}", row.fields)


def raw_content(path: Path) -> bytes:
    """A file's bytes, decompressed if its name ends in ``.gz``."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    return unpacked(path, raw)


def _parallel(document: Document, where: str, fields: dict[str, Any]) -> Example:
    check_keys(document, where, fields, ("id", "query", "passage"), _OPTIONAL)
    sides = {}
    for side in ("query", "passage"):
        texts = fields[side]
        if not isinstance(texts, dict) or not texts:
            raise document.error(
                where, f'{side} must map languages to texts, as {{"en": "..."}}, not {texts!r}'
            )
        sides[side] = {
            _language(document, f"{where}: {side}", x): check_text(
                document, where, text, name=f"{side} in {x!r}"
            )
            for x, text in texts.items()
        }
    given = fields.get("negatives", {})
    if not isinstance(given, dict):
        raise document.error(where, "negatives must map languages to lists of texts")
    negatives = {
        _language(document, f"{where}: negatives", x): _texts(document, where, texts)
        for x, texts in given.items()
    }
    return Example(
        id=_id(document, where, "id", fields["id"]),
        query=sides["query"],
        passage=sides["passage"],
        passage_id=_passage_id(document, where, fields),
        negatives={x: texts for x, texts in negatives.items() if texts},
    )


def _monolingual(document: Document, where: str, fields: dict[str, Any]) -> Example:
    check_keys(document, where, fields, ("id", "language", "query", "passage"), _OPTIONAL)
    language = _language(document, where, fields["language"])
    negatives = _texts(document, where, fields.get("negatives", []))
    return Example(
        id=_id(document, where, "id", fields["id"]),
        query={language: check_text(document, where, fields["query"], name="query")},
        passage={language: check_text(document, where, fields["passage"], name="passage")},
        passage_id=_passage_id(document, where, fields),
        negatives={language: negatives} if negatives else {},
    )


def _language(document: Document, where: str, value: Any) -> str:
    if not isinstance(value, str) or not is_language(value):
        raise document.error(where, f"{value!r} is not a language code, as en, de or zh-Hant")
    return value


def _id(document: Document, where: str, name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise document.error(where, f"{name} must be a non-empty string, not {value!r}")
    return check_text(document, f"{where}: {name}", value)


def _passage_id(document: Document, where: str, fields: dict[str, Any]) -> str | None:
    value = fields.get("passage_id")
    return None if value is None else _id(document, where, "passage_id", value)


def _texts(document: Document, where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise document.error(where, f"negatives must be a list of texts, not {value!r}")
    return tuple(check_text(document, where, text, name="a negative") for text in value)
