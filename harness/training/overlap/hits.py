"""The result of comparing training data with an evaluation set, as data and as sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from harness.data.task import Role
from harness.training.overlap.ancestry import Ancestor

Kind = Literal["exact", "near", "ngram"]
KINDS: tuple[Kind, ...] = ("exact", "near", "ngram")
ROLES: tuple[Role, ...] = ("query", "passage")


class Hit(NamedTuple):
    """A matching pair of an evaluation text and a training text."""

    kind: Kind
    task: str
    role: Role
    """Role of the evaluation text; ``language``, ``id`` and ``text`` are also its."""
    language: str
    id: str
    text: str
    data: str
    """The training file; the following fields are about the training text."""
    row: str
    training_role: Role
    training_language: str
    training_text: str
    detail: float | str
    """Similarity of near duplicates, the shared words of n-grams, 1.0 for equal texts."""

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return self._asdict()


@dataclass(frozen=True)
class Tally:
    """The evaluation texts of one role in one language, and how many are in the training data."""

    role: Role
    language: str
    texts: int
    long_enough: int
    """Number of texts long enough for an n-gram; shorter ones cannot be found by one."""
    exact: int
    """Number of texts equal in normal form."""
    near: int
    """Number of texts at least as similar as the threshold, equal ones included."""
    ngram: int
    """Number of texts with a shared n-gram."""
    any: int
    """Number of texts found in any of the three ways."""


@dataclass(frozen=True)
class Overlap:
    """How much of one task is in the training data."""

    task: str
    data: tuple[str, ...]
    tallies: tuple[Tally, ...]
    compared: Mapping[Role, int]
    """Number of training texts compared, by role."""
    training: Mapping[Role, Mapping[Kind, int]]
    """Role of the evaluation text -> training texts with a hit; equal ones also count as near."""
    ancestors: tuple[Ancestor, ...]
    examples: tuple[Hit, ...]
    """A few hits of every kind and role."""
    ngram: int
    threshold: float
    passages: str
    """Which passages were compared: ``all``, ``gold`` (relevant ones), or ``none`` available."""

    def total(self, role: Role, what: str) -> int:
        """A column of the tallies, summed over languages."""
        return sum(getattr(x, what) for x in self.tallies if x.role == role)

    @property
    def leaked(self) -> Sequence[tuple[str, int]]:
        """(language, evaluation questions that are in the training data, equal or nearly so)."""
        return [(x.language, x.near) for x in self.tallies if x.role == "query" and x.near]

    def sentences(self) -> list[str]:
        """The findings, for a terminal or a model card; the first sentence is the summary."""
        counts = ", ".join(f"{language} {count}" for language, count in self.leaked)
        count = sum(count for _, count in self.leaked)
        n_queries, n_passages = self.total("query", "texts"), self.total("passage", "texts")
        found = [
            f"{count} of {n_queries:,} questions of {self.task} are in the training data ({counts})"
            if count
            else f"None of the {n_queries:,} questions of {self.task} is in the training data"
        ]
        kin = [x.sentence for x in self.ancestors]
        shared = self.total("query", "ngram")
        if shared:
            found.append(
                f"{shared:,} questions of {self.task} share {self.ngram} consecutive words with it"
            )
        if self.passages == "none":
            return [*found, f"No passage of {self.task} was compared", *kin]
        near, grams = self.total("passage", "near"), self.total("passage", "ngram")
        which = "passages" if self.passages == "all" else "relevant passages"
        found.append(
            f"Of {n_passages:,} {which} of {self.task} it contains {near:,}, and shares "
            f"{self.ngram} consecutive words with {grams:,}"
        )
        return found + kin

    def document(self) -> dict[str, Any]:
        """For JSON: a manifest, a record, a model card."""
        return {
            "task": self.task,
            "data": list(self.data),
            "normal_form": "NFKC, case folded, punctuation and format characters dropped, "
            "characters of scripts without spaces as words",
            "ngram": self.ngram,
            "near_threshold": self.threshold,
            "passages": self.passages,
            "training_texts": dict(self.compared),
            "training_texts_with_hits": {r: dict(x) for r, x in self.training.items()},
            "evaluation": [vars(x) for x in self.tallies],
            "ancestry": [x._asdict() for x in self.ancestors],
            "examples": [x.document() for x in self.examples],
        }
