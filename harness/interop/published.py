"""Published results: one model on one task, with numbers that were not measured here.

Tables of papers come with the harness (:mod:`harness.boards.published`); what other harnesses
publish is imported and kept in tables next to the tracked records
(:mod:`harness.interop.published_tables`). What a source lacks (intervals, values per question,
what produced it) stays empty on a board, and its rows are never ranked with measured ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from harness.data.task import KINDS, Kind, Setting
from harness.stats.means import MacroMean

MEAN = "mean"
"""Used in place of a language code for the mean over languages."""


@dataclass(frozen=True)
class ModelFacts:
    """What is published about a model; ``None`` where nothing is."""

    parameters: int | None = None
    dimensions: int | None = None
    released: str | None = None
    """ISO 8601: ``2024-02-08``."""
    open_weights: bool | None = None
    license: str | None = None
    languages: tuple[str, ...] | None = None
    """Languages the model is said to know: our codes, without scripts."""
    training_data: tuple[str, ...] | None = None
    """Names of data sets, as the source has them."""


@dataclass(frozen=True)
class Published:
    """One model on one task, as published."""

    task: str
    """Ours, ``xquad-r``."""
    model: str
    source: Literal["published", "imported"]
    """Where it is published: in a paper's table or an imported file."""
    origin: str
    """What made the numbers: ``mteb 2.26.24``, or the paper."""
    scores: Mapping[Setting, Mapping[str, float]]
    """Setting -> measure, by our names -> value; what the origin lacks is absent. A cross-lingual
    setting without passage language is the mean over all of them."""
    recipe: str | None = None
    """How it was trained: ``Hybrid``."""
    options: str = ""
    """Its options in words; empty if none were set."""
    revision: str | None = None
    published_as: str | None = None
    """What the origin calls a task of its own on the same texts, with the split:
    ``XQuADRetrieval validation``; ``None`` where it ran our task."""
    data_digest: str = ""
    """Data revision as the source gives it; equal to a board's digest if our task was run."""
    text: str | None = None
    """What was encoded of a passage; ``None`` where not known."""
    decimals: Mapping[str, int] = field(default_factory=dict)
    """Measure -> decimals that its values are rounded to; absent where they have all digits."""
    trained: str | None = None
    """The training data that are the task's, as the origin names them; ``None`` if none are."""
    printed: Mapping[Kind, Mapping[str, float]] | None = None
    """Kind -> measure -> mean as printed; ``None`` where none is: see :meth:`means`."""
    facts: ModelFacts | None = None

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The key of the row: of two rows with one key, the later replaces the earlier."""
        return (self.task, self.model, self.revision or "", self.options)

    @property
    def id(self) -> str:
        """``imported-org-name-0123abcd``: the same on the boards of all tasks."""
        parts = (self.model, self.recipe or "", (self.revision or "")[:8], self.options)
        words = re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")
        return f"{self.source}-{words}"

    def means(self) -> Mapping[Kind, Mapping[str, float]]:
        """Kind -> measure -> macro mean: as printed, otherwise the mean of ``scores``.

        Settings are averaged by query language first, then the languages.
        """
        if self.printed is not None:
            return self.printed
        return {
            kind: {m: MacroMean(tuple(x)).mean(list(x.values())) for m, x in by_measure.items()}
            for kind, by_measure in self._by_measure().items()
        }

    def _by_measure(self) -> dict[Kind, dict[str, dict[Setting, float]]]:
        found: dict[Kind, dict[str, dict[Setting, float]]] = {}
        for kind in KINDS:
            for setting, values in self.scores.items():
                if setting.kind == kind:
                    for name, value in values.items():
                        found.setdefault(kind, {}).setdefault(name, {})[setting] = value
        return found

    @cached_property
    def values(self) -> Mapping[tuple[str, str, str], float]:
        """(kind, measure, query language or :data:`MEAN`) -> value."""
        found: dict[tuple[str, str, str], float] = {}
        for kind, by_measure in self._by_measure().items():
            for name, of in by_measure.items():
                means = MacroMean(tuple(of)).by_language(list(of.values()))
                named = dict.fromkeys(s.query_language for s in of)  # in the source's order
                found |= {(kind, name, language): means[language] for language in named}
        for kind, values in self.means().items():
            found |= {(kind, name, MEAN): value for name, value in values.items()}
        return found


def unique(rows: Iterable[Published]) -> dict[tuple[str, str, str, str], Published]:
    """Rows by key; of rows with the same key, the last."""
    return {row.key: row for row in rows}
