"""Which languages draw the queries of others, by the pools of two languages."""

from __future__ import annotations

from typing import NamedTuple

from harness.evaluation.record_fields import Task

INCLINATION = "pairs: share of queries whose best relevant passage is in the other language, %"
"""The title of :class:`Inclination`."""
MEAN = "mean"


class Inclination(NamedTuple):
    """How strongly each language draws the queries of others, in pools of two languages."""

    queries: list[str]
    others: list[str]
    percent: dict[tuple[str, str], float]
    """(query language or :data:`MEAN`, other language of the pool) -> share of queries whose best
    relevant passage is in the other language, in per cent: neutral 50 with one in each."""


def inclination(task: Task) -> Inclination | None:
    """What the settings ``pairs`` of a task show; ``None`` without any."""
    percent = {
        (s.query_language, s.passage_language): 100 * (1 - x)
        for s in task.settings
        if s.kind == "pairs"
        and s.passage_language is not None
        and (x := s.scores.get("own_language_first")) is not None
    }
    if not percent:
        return None
    queries = [x for x in task.languages if any(at[0] == x for at in percent)]
    others = [x for x in task.languages if any(at[1] == x for at in percent)]
    for y in others:
        of = [percent[x, y] for x in queries if (x, y) in percent]
        percent[MEAN, y] = sum(of) / len(of)
    return Inclination(queries, others, percent)
