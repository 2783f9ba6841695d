"""Rows of tables and lines of text: a passage's id, and its title joined with its text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.data.documents import (
    Document,
    check_id,
    check_keys,
    check_text,
)

_JOINTS = {"title-newline-text": "\n", "title-space-text": " ", "text": None}


def joined(document: Document, where: str, title: Any, text: Any, option: str) -> str:
    """A passage's text according to the task's text option.

    Public corpora have passages without a title, without a text, or without either (FiQA in BEIR):
    what is ``null``, empty or blank is left out, and a passage of neither is the empty text, which
    stays in the pool.

    Raises:
        DataError: title or text is neither a string nor ``null``.
    """
    heading = passage_text(document, where, title, name="title")
    body = passage_text(document, where, text)
    joint = _JOINTS[option]
    if joint is None or not heading:
        return body
    return f"{heading}{joint}{body}" if body else heading


def passage_text(document: Document, where: str, value: Any, *, name: str = "text") -> str:
    """A part of a passage; empty where it is ``null`` or blank.

    Raises:
        DataError: neither a string nor ``null``, or with a lone surrogate.
    """
    if value is None or (isinstance(value, str) and (not value or value.isspace())):
        return ""
    return check_text(document, where, value, name=name)


ID_KEYS = ("_id", "id")
"""The key of a row's id: the first of the possible ones that is present."""


def is_tsv(path: Path) -> bool:
    """Whether a file is tab-separated values, by its name."""
    return re.search(r"\.tsv(\.gz)?$", path.name) is not None


def id_and_text(
    document: Document, number: int, line: str, form: str = "id TAB text"
) -> tuple[str, str]:
    """The two fields of a line.

    Raises:
        DataError: there are not two, or the first is not a valid id.
    """
    where = f"line {number}"
    local, tab, text = line.removesuffix("\r").partition("\t")
    if not tab or "\t" in text:
        raise document.error(where, f"must be '{form}', not {line[:60]!r}")
    return check_id(document, where, local), text


def table_id(document: Document, where: str, fields: Mapping[str, Any]) -> str:
    """The id of a row.

    Raises:
        DataError: it has no id or no text.
    """
    key = next((x for x in ID_KEYS if x in fields), ID_KEYS[0])
    check_keys(document, where, dict(fields), (key, "text"), None)
    return _id(document, where, fields[key])


def table_text(document: Document, where: str, fields: Mapping[str, Any], option: str) -> str:
    """As :func:`joined`, with both parts stripped, as mteb does.

    Raises:
        DataError: title or text is neither a string nor ``null``.
    """
    title, text = fields.get("title"), fields["text"]
    title, text = (x.strip() if isinstance(x, str) else x for x in (title, text))
    return joined(document, where, title, text, option)


def _id(document: Document, where: str, value: Any) -> str:
    if isinstance(value, float):
        raise document.error(where, f"an id must be text or a whole number, not {value!r}")
    return check_id(document, where, str(value) if type(value) is int else value)
