"""The texts that moves are fitted on: JSON lines with a text per language code."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base.reading import read_bytes
from harness.data.documents import decode, json_lines, unpacked
from harness.errors import DataError, UsageError

_FEWEST = 100
"""Minimum number of parallel texts; fewer would give noise."""


@dataclass(frozen=True)
class ParallelTexts:
    """The same texts in several languages."""

    path: Path
    sides: Mapping[str, tuple[str, ...]]
    """Language -> its side, aligned; only languages that are of use."""
    digest: str
    """SHA-256 hex of the file."""

    @property
    def count(self) -> int:
        """Number of texts."""
        return len(next(iter(self.sides.values())))

    def refuse_questions(self, queries: Mapping[str, Sequence[str]], task: str) -> None:
        """Refuse texts that are questions of a task: nothing may be fitted on what it is tested on.

        Raises:
            UsageError: names the first of them.
        """
        for language, texts in queries.items():
            questions = {x.strip() for x in texts}
            for number, text in enumerate(self.sides.get(language, ()), 1):
                if text.strip() in questions:
                    raise UsageError(
                        f"{self.path}: line {number}: the text in {language!r} is a question of "
                        f"task {task}; post-processing is fitted on other texts than it is "
                        "tested on"
                    )


def read_parallel(path: Path, languages: Sequence[str], *, fewest: int = 1) -> ParallelTexts:
    """Read the sides of ``languages``; other keys are ignored.

    ``fewest`` is how many of the languages the file must have.

    Raises:
        DataError: the file cannot be read, or has too few texts or languages.
    """
    raw = read_bytes(path, DataError)
    sides: dict[str, list[str]] = {x: [] for x in languages}
    for number, row in json_lines(decode(path, unpacked(path, raw))):
        texts = {x: row[x] for x in languages if x in row}
        if number == 1:
            sides = {x: [] for x in texts}
        if set(texts) != set(sides):
            odd = sorted(set(texts) ^ set(sides))[0]
            raise DataError(
                f"{path}: line {number}: its languages differ from line 1's by {odd!r}; parallel "
                "texts have all of them on every line"
            )
        for x, text in texts.items():
            if not isinstance(text, str) or not text.strip():
                raise DataError(
                    f"{path}: line {number}: the text in {x!r} is empty or not a string"
                )
            sides[x].append(text)
    if len(sides) < fewest:
        raise DataError(
            f"{path}: has {' and '.join(sides) or 'none'} of the task's languages; "
            f"{'at least two are' if fewest == 2 else 'at least one is'} needed"
        )
    count = len(next(iter(sides.values())))
    if count < _FEWEST:
        raise DataError(f"{path}: has {count} parallel texts; {_FEWEST} or more are needed")
    return ParallelTexts(
        path, {x: tuple(v) for x, v in sides.items()}, hashlib.sha256(raw).hexdigest()
    )
