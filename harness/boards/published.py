"""Published results, as they stand in the papers' tables: shown beside measured rows, never mixed.

``published.csv`` has one line per number: task, model, sampling (the training recipe), setting
(kind), metric, language (``mean`` for the mean that the paper prints) and value.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

MEAN = "mean"


@dataclass(frozen=True)
class Paper:
    """Where numbers were published, and how they were made."""

    reference: str
    text: Mapping[str, str]
    """Task -> what was encoded of a passage; absent where the paper does not say."""


HYBRID = Paper("arXiv 2408.10536", {"xquad-r": "sentence", "mlqa-r": "sentence"})
LAREQA = Paper(
    "arXiv 2004.05484 (LAReQA)", {"xquad-r": "sentence-context", "mlqa-r": "sentence-context"}
)
_OF_LAREQA = "(LAReQA)"


@dataclass(frozen=True)
class Published:
    """One published row of one task."""

    task: str
    model: str
    recipe: str
    paper: Paper
    values: Mapping[tuple[str, str, str], float]
    """(kind, measure, language or :data:`MEAN`) -> value as printed."""

    @property
    def id(self) -> str:
        """``published-xlm-r-hybrid``: the same on the boards of all tasks."""
        words = re.sub(r"[^a-z0-9]+", "-", f"{self.model} {self.recipe}".lower()).strip("-")
        return f"published-{words}"

    @property
    def text(self) -> str | None:
        """What was encoded of a passage; ``None`` where the paper does not say."""
        return self.paper.text.get(self.task)


@cache
def published() -> tuple[Published, ...]:
    """All published rows, in the order of the file."""
    raw = files("harness.boards").joinpath("published.csv").read_text("utf-8")
    values: dict[tuple[str, str, str], dict[tuple[str, str, str], float]] = {}
    for line in csv.DictReader(raw.splitlines()):
        row = values.setdefault((line["task"], line["model"], line["sampling"]), {})
        row[line["setting"], line["metric"], line["language"]] = float(line["value"])
    return tuple(
        Published(task, model, recipe, LAREQA if _OF_LAREQA in model else HYBRID, of)
        for (task, model, recipe), of in values.items()
    )


def published_on(task: str) -> tuple[Published, ...]:
    """The published rows of one task."""
    return tuple(x for x in published() if x.task == task)
