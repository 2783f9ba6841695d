"""Training data derived from an evaluation set's own questions, whatever its texts look like.

A comparison of texts does not find translated, shortened or rewritten questions. The table next to
this module lists data sets that are known to share their source with a task, each with its
publication.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from harness.base.languages import primary_subtag
from harness.base.reading import parse_toml
from harness.base.strict import Language, Text, Texts, read_as
from harness.errors import DataError


@dataclass(frozen=True)
class Kinship:
    """One line of the table."""

    evaluation: Texts
    training: Texts
    languages: tuple[Language, ...]
    """Languages it applies to; empty: all."""
    what: Text
    source: Text
    unlike: tuple[str, ...] = ()
    """Training names with the same beginning that mean something else."""


@dataclass(frozen=True)
class _File:
    kinship: tuple[Kinship, ...]


class Ancestor(NamedTuple):
    """Training data that shares ancestry with a task."""

    data: str
    """Names of the training data, separated by commas."""
    languages: tuple[str, ...]
    """The task's languages it applies to."""
    what: str
    source: str

    @property
    def sentence(self) -> str:
        """A sentence for users."""
        return f"{self.data} shares ancestry in {', '.join(self.languages)}: {self.what}"


@cache
def table() -> tuple[Kinship, ...]:
    """The table in the package."""
    file = importlib.resources.files(__package__).joinpath("ancestry.toml")
    values = parse_toml(file.read_bytes(), "ancestry.toml", DataError)
    return read_as(_File, values, "ancestry.toml", DataError).kinship


def ancestors(
    task: str, languages: Iterable[str], data: Iterable[str], of_data: Iterable[str] = ()
) -> tuple[Ancestor, ...]:
    """The table's entries for ``data`` and ``task``.

    Args:
        task: the task's name.
        languages: the task's.
        data: names of training data: of files, folders, hub sets. Words at the start of any of
            their parts count: ``tydiqa.goldp.en.train`` and ``copenlu/tydiqa_copenlu`` are TyDi QA.
        of_data: languages of the training data; none given: not known, so that every one counts.
    """
    languages, given = list(languages), {primary_subtag(x) for x in of_data}
    found: list[Ancestor] = []
    for name in dict.fromkeys(data):
        for kin in table():
            if not (_named(task, kin.evaluation, ()) and _named(name, kin.training, kin.unlike)):
                continue
            shared = tuple(
                x
                for x in languages
                # A translation has its source in all languages; entries for single languages apply
                # to those that the training data has.
                if not kin.languages
                or (
                    primary_subtag(x) in kin.languages and (not given or primary_subtag(x) in given)
                )
            )
            if shared:
                found.append(Ancestor(name, shared, kin.what, kin.source))
    return tuple(found)


def merged(found: Iterable[Ancestor], languages: Iterable[str]) -> tuple[Ancestor, ...]:
    """Data sets of the same ancestry as one, in the languages that any of them has."""
    groups: dict[str, list[Ancestor]] = {}
    for x in found:
        groups.setdefault(x.what, []).append(x)
    order = list(languages)
    return tuple(
        Ancestor(
            ", ".join(dict.fromkeys(x.data for x in group)),
            tuple(x for x in order if any(x in one.languages for one in group)),
            group[0].what,
            group[0].source,
        )
        for group in groups.values()
    )


def _named(name: str, beginnings: Iterable[str], unlike: Iterable[str]) -> bool:
    """Whether ``name``, or what follows one of its separators, begins so and not otherwise."""
    parts = [x for x in re.split(r"[^0-9a-z]+", name.lower()) if x]
    ends = ["".join(parts[at:]) for at in range(len(parts))]
    return any(
        end.startswith(beginning) and not any(end.startswith(x) for x in unlike)
        for end in ends
        for beginning in beginnings
    )
