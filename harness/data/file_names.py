"""The languages that a file's name says: ``squad.de.json``, ``de-en.tsv.gz``."""

from __future__ import annotations

import re
from pathlib import Path

from harness.base.languages import is_language, primary_subtag
from harness.errors import UsageError


def stem(file: Path) -> str:
    """A file's name without what says how it is packed."""
    return re.sub(r"(\.(json|jsonl|tsv|parquet))?(\.gz)?$", "", file.name)


def language_of(file: Path) -> str:
    """The one language code in a file's name.

    Raises:
        UsageError: there is none, or more than one.
    """
    parts = re.split(r"[._]", stem(file))
    found = [x for x in parts if is_language(x) and len(primary_subtag(x)) == 2]
    if len(found) != 1:
        found = [x for part in parts for x in part.split("-") if len(x) == 2 and is_language(x)]
    if len(found) != 1:
        which = f"has several language codes ({', '.join(found)})" if found else "has none"
        raise UsageError(f"{file}: the file's name {which}; say which with --language")
    return found[0]


def pair_of(file: Path) -> tuple[str, str]:
    """The two languages that a file's name says, in their order.

    Raises:
        UsageError: it says none.
    """
    match = re.search(r"(?:^|[._])([a-z]{2,3})-([a-z]{2,3})(?=$|[._])", stem(file))
    if match is None or not (is_language(match[1]) and is_language(match[2])):
        raise UsageError(
            f"{file}: the file's name does not say which two languages it contains, as de-en.tsv "
            "does; say so with --languages de,en"
        )
    return match[1], match[2]
