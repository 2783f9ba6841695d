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


def joined(
    document: Document, where: str, title: Any, text: Any, option: str, *, or_empty: bool = False
) -> str:
    """A passage's text according to the task's text option.

    Raises:
        DataError: title or text is not a string, or both are empty, unless ``or_empty``.
    """
    title = title or ""
    if title and (not isinstance(title, str) or title.isspace()):
        raise document.error(where, f"title must be a text, not {title!r}")
    joint = _JOINTS[option]
    if joint is not None and title:
        # Some corpora have passages that consist of a title only.
        text = title if text == "" else f"{title}{joint}{check_text(document, where, text)}"
    return "" if or_empty and text == "" else check_text(document, where, text)


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
    """A passage's text according to the task's text option; may be empty.

    Raises:
        DataError: title or text is not a string.
    """
    title, text = fields.get("title"), fields["text"]
    # mteb's tables accept texts of spaces, and missing ones if there is a title.
    title, text = (x.strip() if isinstance(x, str) else x for x in (title, text))
    return joined(document, where, title, text, option, or_empty=True)


def _id(document: Document, where: str, value: Any) -> str:
    return check_id(document, where, str(value) if type(value) is int else value)
