"""The texts and judgements of one task, as readers return them and later stages take them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from harness.data.task import TaskSpec

if TYPE_CHECKING:
    from harness.data.corpus import Corpus


def global_id(language: str, local_id: str) -> str:
    """The id of a passage or query in a pool of several languages: ``de:17-3``.

    Every pool, run file and tie uses it, so that all settings have the same order.
    """
    return f"{language}:{local_id}"


def question_id(language: str, qid: str) -> str:
    """``sw-6``: the id of a question whose number means another question in other languages."""
    return f"{language}-{qid}"


def local_question_id(spec: TaskSpec, language: str, question: str) -> str:
    """The id of a question in its own file: :func:`question_id` undone."""
    prefix = question_id(language, "")
    if spec.reader in ("miracl", "tables") and not (spec.source.parallel and spec.source.paths):
        return question.removeprefix(prefix)
    return question


@dataclass(frozen=True)
class Texts:
    """The texts of one role in one language, in file order; ``ids`` are unique and local."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, positions: Sequence[int]) -> Texts:
        """The texts at ``positions``, in that order."""
        return Texts(
            tuple(self.ids[at] for at in positions), tuple(self.texts[at] for at in positions)
        )


class Reading(NamedTuple):
    """The contents of a task's files, before any limit; keys as in :class:`TaskData`."""

    queries: Mapping[str, Texts]
    passages: Mapping[str, Texts]
    qrels: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class TaskData:
    """One task's queries, passages and relevance judgements.

    ``queries`` and ``passages`` map language -> :class:`Texts`. A query id is the *question* id: in
    a parallel task the same id occurs in several languages and has one parallel set. ``qrels`` maps
    question id -> {global passage id: grade}; only grades above 0 mean relevant.
    """

    task: TaskSpec
    languages: tuple[str, ...]
    queries: Mapping[str, Texts]
    passages: Mapping[str, Texts]
    qrels: Mapping[str, Mapping[str, int]]
    partial: Mapping[str, object]
    """Why this is not the whole task (``{"limit": 50}``, ``{"languages": [...]}``,
    ``{"questions_without_gold": 3}``: how many were left out, ``{"sample": {"drawn": 200, "of":
    1190, "whole": digest of what it was drawn from}}``); empty if whole."""
    corpora: Mapping[str, Corpus] = field(default_factory=dict)
    """Language -> streamed passages; ``passages`` is empty then."""

    @property
    def passage_counts(self) -> dict[str, int]:
        """Language -> passages, streamed or not."""
        sides: Mapping[str, Texts | Corpus] = self.corpora or self.passages
        return {language: len(side) for language, side in sides.items()}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over ids, texts and judgements: equal digests mean the same data."""
        sha = hashlib.sha256()

        def put(*values: str) -> None:
            for value in values:
                raw = value.encode("utf-8", "surrogatepass")
                sha.update(len(raw).to_bytes(8, "little"))
                sha.update(raw)

        passages = {} if self.corpora else self.passages
        for role, side in (("query", self.queries), ("passage", passages)):
            for language in self.languages:
                if language not in side:
                    continue
                put(role, language)
                for local, text in zip(side[language].ids, side[language].texts, strict=True):
                    put(local, text)
        for language, corpus in self.corpora.items():
            put("corpus", language, corpus.text, corpus.digest)
        for question in sorted(self.qrels):
            put("qrel", question)
            for passage, grade in sorted(self.qrels[question].items()):
                put(passage, str(grade))
        return sha.hexdigest()
