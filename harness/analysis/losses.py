"""What variants of one model change against it: by kind of setting and by language.

The first record is the plain model, the others its variants on the same data (fewer dimensions,
fewer bits). A loss is the variant's value minus the plain model's, query by query; questions are
resampled. Languages with low scores have little to lose, so that a language's share is what is
compared between languages: the share of its plain score that the variant keeps.

Query prompts are compared in the same way, each with the first (:func:`prompt_sensitivity`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.analysis.compare import paired_tables
from harness.console import numbers
from harness.console.tables import Grid, Item
from harness.data.task import Kind
from harness.errors import quoted
from harness.evaluation.intervals import SEED
from harness.evaluation.record import Record
from harness.metrics import better_of
from harness.stats.per_query import Paired
from harness.stats.ragged import divide
from harness.stats.resampling import LEVEL, RESAMPLES, cluster_bootstrap

BIAS = ("rank_distance", "own_language_first", "other_language_recall@10")
"""The measures of bias beside quality, of those that the task has."""

_LONGEST_NAME = 40
"""Characters of a prompt that tables show."""


@dataclass(frozen=True)
class LanguageLoss:
    """The queries of one language in the plain model and one variant."""

    language: str
    plain: float
    difference: float
    """Variant minus plain model."""
    low: float
    """Ends of its 95 % interval."""
    high: float
    kept: float
    """Variant divided by plain model; NaN where that is 0."""
    beyond: float
    """``kept`` minus the same share of the mean over languages."""
    beyond_low: float
    """Ends of its interval at 95 % for all languages together (Bonferroni)."""
    beyond_high: float

    @property
    def verdict(self) -> str:
        """``keeps less``, ``keeps more``, or empty where neither is shown."""
        if self.beyond_high < 0:
            return "keeps less"
        return "keeps more" if self.beyond_low > 0 else ""


def language_losses(
    paired: Paired, measure: str, variant: int, *, resamples: int = RESAMPLES, seed: int = SEED
) -> list[LanguageLoss]:
    """The languages of one kind of setting in the plain model and variant number ``variant``.

    A language's mean is over its settings. The share that it keeps is a ratio of means; its
    interval is that of the ratio's linear approximation (delta method), resampled.
    """
    at = paired.measures.index(measure)
    plain, other = paired.values[0, :, at], paired.values[variant, :, at]
    levels = paired.rows.levels
    differences = cluster_bootstrap(
        np.stack([other - plain, plain], axis=1), **levels, seed=seed, resamples=resamples
    )
    changes, scores = differences.parents, differences.parents.value[:, 1]
    n = len(paired.languages)
    # Of nothing there is no share: NaN, not infinity, which would spread.
    shares = 1 + divide(changes.value[:, 0], scores)
    whole = 1 + divide(*differences.macro.value[:, None])[0]
    overall = divide(other - whole * plain, differences.macro.value[1:])
    own = divide(other - shares[of_row(paired)] * plain, scores[of_row(paired)])
    here = of_row(paired)[:, None] == np.arange(n)
    columns = np.where(here, n * own[:, None], 0) - overall[:, None] + (shares - whole)
    level = 1 - (1 - LEVEL) / n
    beyond = cluster_bootstrap(columns, **levels, seed=seed, resamples=resamples, level=level).macro
    return [
        LanguageLoss(
            language,
            float(scores[x]),
            float(changes.value[x, 0]),
            float(changes.bca[x, 0, 0]),
            float(changes.bca[x, 0, 1]),
            float(shares[x]),
            float(shares[x] - whole),
            float(beyond.bca[x, 0]),
            float(beyond.bca[x, 1]),
        )
        for x, language in enumerate(paired.languages)
    ]


def of_row(paired: Paired) -> NDArray[np.int64]:
    """(R,) number of each row's query language."""
    return np.asarray(paired.rows.language_of)[paired.rows.setting]


@dataclass(frozen=True)
class _Words:
    """What tables call the records."""

    first: str
    """The first one in the head of a column."""
    names: Sequence[str]
    """Each one's row."""
    spread: bool = False
    """Whether a last row has the distance from the lowest to the highest."""


def losses(
    records: Sequence[Record], *, resamples: int = RESAMPLES, seed: int = SEED
) -> list[Grid]:
    """Tables for each task: all kinds of setting with bias, then each kind by language."""
    return _tables(records, _Words("full vectors", [x.model for x in records]), resamples, seed)


def prompt_sensitivity(
    records: Sequence[Record], *, resamples: int = RESAMPLES, seed: int = SEED
) -> list[Grid]:
    """As :func:`losses` of one model's records with different query prompts.

    Rows are named by their prompts. The last one has the difference between the highest and the
    lowest of the means over all prompts, the first one included.
    """
    names = [quoted(x.contents.model.prompts.get("query", ""), _LONGEST_NAME) for x in records]
    return _tables(records, _Words("first prompt", names, spread=True), resamples, seed)


def _tables(records: Sequence[Record], words: _Words, resamples: int, seed: int) -> list[Grid]:
    found: list[Grid] = []
    for task in records[0].contents.tasks:
        kinds: dict[tuple[Kind, str], Paired] = {}
        good = [x for x in task.measures if better_of(x) == "higher"]
        quality = "map" if "map" in task.measures else [*good, *task.measures][0]
        everywhere = set.intersection(*({*x.task(task.task).all_measures} for x in records))
        wanted = [quality, *(x for x in BIAS if x in everywhere)]
        for paired in paired_tables(records, task.task, wanted, whole=True):
            kinds |= {(paired.kind, x): paired for x in paired.measures}
        found.append(_by_kind(words, task.title, kinds, resamples, seed))
        for (kind, measure), paired in kinds.items():
            if measure == quality:
                title = f"{task.title}, {kind}: {numbers.label(quality)} by query language"
                found.append(_by_language(words, title, paired, quality, resamples, seed))
    return found


def _by_kind(
    words: _Words,
    title: str,
    kinds: dict[tuple[Kind, str], Paired],
    resamples: int,
    seed: int,
) -> Grid:
    columns: list[list[Item]] = []
    for (_, measure), paired in kinds.items():
        at = paired.measures.index(measure)
        values = paired.values[:, :, at].T
        table = np.concatenate([values[:, :1], values[:, 1:] - values[:, :1]], axis=1)
        macro = cluster_bootstrap(table, **paired.rows.levels, seed=seed, resamples=resamples).macro
        column = [Item(numbers.value(measure, float(macro.value[0])))]
        column += [_difference(measure, x, *ends) for x, ends in _values(macro.value, macro.bca)]
        if words.spread:
            means = macro.value[0] + np.concatenate([[0], macro.value[1:]])
            column.append(Item(numbers.value(measure, float(np.ptp(means)))))
        columns.append(column)
    names = [*words.names, *(["highest - lowest"] if words.spread else [])]
    rows = [[name, *line] for name, line in zip(names, zip(*columns, strict=True), strict=True)]
    heads = ["", *(numbers.label(measure) for _, measure in kinds)]
    over = [("", 1), *((kind, 1) for kind, _ in kinds)]
    return Grid(f"{title}: {words.first}, then what changes", heads, rows, over=over, align="l")


def _values(
    value: NDArray[np.float64], ends: NDArray[np.float64]
) -> list[tuple[float, tuple[float, float]]]:
    """Each variant's difference and interval."""
    return [(float(x), (float(a), float(b))) for x, (a, b) in zip(value[1:], ends[1:], strict=True)]


def _by_language(
    words: _Words, title: str, paired: Paired, measure: str, resamples: int, seed: int
) -> Grid:
    by_variant = [
        language_losses(paired, measure, k, resamples=resamples, seed=seed)
        for k in range(1, len(words.names))
    ]
    rows: list[list[Item | str]] = []
    for lines in zip(*by_variant, strict=True):
        row: list[Item | str] = [lines[0].language, numbers.value(measure, lines[0].plain)]
        for x in lines:
            row.append(_difference(measure, x.difference, x.low, x.high))
            row.append(Item(" ".join([numbers.percent(x.kept), x.verdict]).strip()))
        rows.append(row)
    heads = ["", words.first.split()[0], *(x for _ in by_variant for x in ("change", "kept"))]
    plain = words.names[0]
    over = [("", 2), *((x.removeprefix(f"{plain} + "), 2) for x in words.names[1:])]
    return Grid(title, heads, rows, over=over, align="l")


def _difference(measure: str, value: float, low: float, high: float) -> Item:
    ends = numbers.interval(measure, low, high, differences=True)
    return Item(numbers.signed(measure, value), interval=ends)
