"""What a task file says of aligned segments: ``[source.segments]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from harness.languages import is_language
from harness.task_table import Table

Pairing = Literal["heading", "next"]
PAIRINGS: tuple[Pairing, ...] = ("heading", "next")
Part = Literal["all", "train", "test"]
PARTS: tuple[Part, ...] = ("all", "train", "test")


@dataclass(frozen=True)
class SegmentSource:
    """One file of segments, and what of it makes a task."""

    file: str
    """Name in the source's folder, ``.jsonl`` or ``.jsonl.gz``."""
    pairing: Pairing
    part: Part
    pivot: str
    """Language that decides what is a heading; one of the task's."""
    codes: Mapping[str, str]
    """Language -> its code in the file, where that is another."""


def segment_source(table: Table, languages: Sequence[str]) -> SegmentSource:
    """Read the table.

    Raises:
        TaskError: unknown or missing keys, values that are not known.
    """
    table.only(("file", "pairing", "part", "pivot", "codes"))
    codes = table.table("codes", {})
    for language, code in codes.values.items():
        if language not in languages:
            raise codes.error(language, "is not one of the task's languages")
        if not isinstance(code, str) or not is_language(code):
            raise codes.error(language, f"must be a language's code in the file, not {code!r}")
    return SegmentSource(
        file=table.string("file"),
        pairing=cast("Pairing", table.one_of("pairing", table.string("pairing"), PAIRINGS)),
        part=cast("Part", table.one_of("part", table.string("part", "all"), PARTS)),
        pivot=table.one_of("pivot", table.string("pivot", languages[0]), languages),
        codes=dict(codes.values),
    )
