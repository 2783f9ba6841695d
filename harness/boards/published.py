"""Published results from the papers' tables: shown with measured rows, never mixed.

``published.csv`` has one line per number: task, model, sampling (the training recipe), setting
(kind), metric, language (``mean`` for the mean that the paper prints) and value.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from harness.data.task import KINDS, Kind, Setting
from harness.interop.published import MEAN, Published


@dataclass(frozen=True)
class Paper:
    """Where numbers were published and how they were obtained."""

    reference: str
    text: Mapping[str, str]
    """Task -> text option; absent if the paper does not say."""


HYBRID = Paper("arXiv 2408.10536", {"xquad-r": "sentence", "mlqa-r": "sentence"})
LAREQA = Paper(
    "arXiv 2004.05484 (LAReQA)", {"xquad-r": "sentence-context", "mlqa-r": "sentence-context"}
)
_OF_LAREQA = "(LAReQA)"


@cache
def published() -> tuple[Published, ...]:
    """All published rows in file order."""
    raw = files("harness.boards").joinpath("published.csv").read_text("utf-8")
    rows: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for line in csv.DictReader(raw.splitlines()):
        rows.setdefault((line["task"], line["model"], line["sampling"]), []).append(line)
    return tuple(_row(*names, lines) for names, lines in rows.items())


def _row(task: str, model: str, recipe: str, lines: Sequence[Mapping[str, str]]) -> Published:
    paper = LAREQA if _OF_LAREQA in model else HYBRID
    scores: dict[Setting, dict[str, float]] = {}
    means: dict[Kind, dict[str, float]] = {}
    for line in lines:
        kind = next(x for x in KINDS if x == line["setting"])
        language, value = line["language"], float(line["value"])
        if language == MEAN:
            means.setdefault(kind, {})[line["metric"]] = value
        else:
            setting = Setting(kind, language, language if kind == "mono" else None)
            scores.setdefault(setting, {})[line["metric"]] = value
    return Published(
        task=task,
        model=model,
        source="published",
        origin=paper.reference,
        scores=scores,
        recipe=recipe,
        text=paper.text.get(task),
        printed=means,
    )


def published_on(task: str) -> tuple[Published, ...]:
    """The published rows of one task."""
    return tuple(x for x in published() if x.task == task)
