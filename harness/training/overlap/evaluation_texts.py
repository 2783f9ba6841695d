"""Evaluation texts that training data might contain: questions and passages."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from harness.data.loading import read
from harness.data.task import TaskSpec, list_tasks
from harness.data.task_data import TaskData, Texts, global_id
from harness.errors import DataError

Scope = Literal["all", "gold", "none"]
"""Which passages are compared: all, the relevant ones, or none."""
SCOPES: tuple[Scope, ...] = ("all", "gold", "none")


class Evaluation(NamedTuple):
    """One task's texts, by language; ids are local."""

    name: str
    languages: tuple[str, ...]
    queries: Mapping[str, Texts]
    passages: Mapping[str, Texts]
    """Passages selected by ``scope``."""
    scope: Scope
    """``none`` also if no passage is available."""


def of_data(data: TaskData) -> Evaluation:
    """All texts of a task that is loaded."""
    return Evaluation(data.task.name, data.languages, data.queries, data.passages, "all")


def evaluation(
    spec: TaskSpec,
    passages: Scope = "all",
    *,
    languages: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
    offline: bool = False,
) -> Evaluation:
    """Read a task's texts: every question, even without an available relevant passage.

    If passages are streamed, the available relevant ones are taken instead of
    all; no corpus is fetched for it.

    Raises:
        UsageError: the task has no such language.
        DataError: its files are missing or malformed.
    """
    reading, corpora = read(spec, languages=languages, data_dir=data_dir, offline=offline)
    chosen = tuple(reading.queries)
    if passages == "none" or not corpora:
        scope: Scope = passages if reading.passages else "none"
        texts = _chosen(reading.passages, reading.qrels, passages)
        return Evaluation(spec.name, chosen, reading.queries, texts, scope)
    relevant = _relevant(reading.qrels)
    found: dict[str, Texts] = {}
    for language, corpus in corpora.items():
        kept = [x for x in corpus.read() if global_id(language, x.id) in relevant]
        found[language] = Texts(tuple(x.id for x in kept), tuple(x.text for x in kept))
    return Evaluation(spec.name, chosen, reading.queries, found, "gold")


def at_hand(data_dir: str | Path | None = None) -> list[Evaluation]:
    """The built-in tasks whose files are available offline.

    Tasks with ``default = false`` are skipped. This is the default check of training: questions,
    and the relevant passages of small tasks, so that it takes seconds.
    """
    found = []
    for spec in list_tasks():
        if not spec.default:
            continue
        with contextlib.suppress(DataError):
            scope: Scope = "gold" if spec.size == "small" else "none"
            found.append(evaluation(spec, scope, data_dir=data_dir, offline=True))
    return found


def _relevant(qrels: Mapping[str, Mapping[str, int]]) -> set[str]:
    return {x for judged in qrels.values() for x, grade in judged.items() if grade > 0}


def _chosen(
    passages: Mapping[str, Texts],
    qrels: Mapping[str, Mapping[str, int]],
    scope: Scope,
) -> Mapping[str, Texts]:
    if scope == "all":
        return passages
    if scope == "none":
        return {}
    relevant = _relevant(qrels)
    return {
        language: side.take(
            [at for at, local in enumerate(side.ids) if global_id(language, local) in relevant]
        )
        for language, side in passages.items()
    }
