"""Weights of fused systems, found by cross-fitting: never on the questions that they score.

Questions, each with all its queries, are divided into folds. The weights of a fold are those of a
grid with the highest mean average precision on the questions of the other folds: the mean over the
kinds of setting of the macro mean over query languages. Of equal ones, those closest to equal
weights are taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.pool import RelevantPassages
from harness.errors import UsageError
from harness.evaluation.layout import Prepared
from harness.models.fused import FOLDS, SEED, STEPS
from harness.search.fused import FusedSearch, ranked_above
from harness.search.fusion import Numbers, normalised_scores, weighted

KINDS = ("mono", "cross", "multi")


def check_tuning(task: Prepared) -> None:
    """Refuse a task with fewer questions than folds.

    Raises:
        UsageError: it has.
    """
    questions = {q for x in task.relevant.values() for q in x.questions}
    if len(questions) < FOLDS:
        raise UsageError(
            f"--fusion @tuned finds weights on other questions than it scores, in {FOLDS} folds; "
            f"task {task.spec.name} has only {len(questions)}"
        )


def fold_of(questions: Sequence[str], seed: int = SEED) -> dict[str, int]:
    """Question id -> fold; folds differ in size by at most one, whatever the order of ids."""
    order = sorted(set(questions), key=lambda x: hashlib.sha256(f"{seed}\0{x}".encode()).digest())
    return {x: i % FOLDS for i, x in enumerate(order)}


def grid(systems: int) -> Numbers:
    """(W, systems) weights in steps, each row summing to 1; the closest to equal ones first.

    Raises:
        UsageError: there would be too many.
    """
    if systems > 3:
        raise UsageError(f"--fusion @tuned is for two or three systems, not {systems}")
    rows = [x for x in product(range(STEPS + 1), repeat=systems) if sum(x) == STEPS]
    rows.sort(key=lambda x: (sum((y - STEPS / systems) ** 2 for y in x), x))
    return np.array(rows, np.float64) / STEPS


def tuned_weights(
    search: FusedSearch, task: Prepared, progress: Callable[[int], None]
) -> tuple[dict[str, Numbers], Mapping[str, Any]]:
    """Query language -> (Q, systems) weights, and what the record says about them."""
    folds = fold_of([q for x in task.relevant.values() for q in x.questions])
    weights = grid(len(search.systems))
    kinds = {s.kind for s in task.settings}
    languages = list(task.relevant)
    shape = (len(KINDS), len(languages), FOLDS)
    sums, counts = np.zeros((len(weights), *shape)), np.zeros(shape)
    of_query = {x: [folds[q] for q in r.questions] for x, r in task.relevant.items()}
    for number, language in enumerate(languages):
        relevant = task.relevant[language]
        for start, stop in search.tiles(language):
            sides = search.sides(language, start, stop)
            for block in (None, *search.blocks[language]):
                kind = "multi" if block is None else "mono" if block == language else "cross"
                if kind not in kinds:
                    continue
                own = [normalised_scores(x.scores, search.fusion.method) for x in sides(block)]
                span = (0, len(search.pool)) if block is None else search.pool.block(block)
                at = [_columns(relevant, i, *span) for i in range(start, stop)]
                for i, columns in enumerate(at):
                    counts[KINDS.index(kind), number, of_query[language][start + i]] += bool(
                        len(columns)
                    )
                for w, row in enumerate(weights):
                    found = weighted(own, np.tile(row, (stop - start, 1)))
                    for i, columns in enumerate(at):
                        if len(columns):
                            fold = of_query[language][start + i]
                            precision = average_precision(found[i], columns)
                            sums[w, KINDS.index(kind), number, fold] += precision
            progress(stop - start)
    chosen = weights[[best_without(sums, counts, fold) for fold in range(FOLDS)]]
    facts = {
        "seed": SEED,
        "weights": chosen.tolist(),
        "questions": np.bincount(list(folds.values()), minlength=FOLDS).tolist(),
    }
    return {x: chosen[of_query[x]] for x in languages}, facts


def best_without(sums: NDArray[np.float64], counts: NDArray[np.float64], fold: int) -> int:
    """Which weights have the highest mean average precision without the questions of ``fold``.

    ``sums`` (W, kinds, languages, folds) of average precision, ``counts`` of queries alike.
    """
    total = sums.sum(-1) - sums[..., fold]
    queries = counts.sum(-1) - counts[..., fold]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = total / queries
    there = queries > 0
    by_kind = np.where(there, means, 0).sum(-1) / np.maximum(there.sum(-1), 1)
    return int(np.argmax(by_kind.sum(-1)))


def average_precision(row: Numbers, columns: NDArray[np.int64]) -> float:
    """Of the relevant ``columns`` (G,) in the ranking by ``row`` (N,)."""
    ranks = np.sort(1 + ranked_above(row, columns).sum(axis=1))
    return float((np.arange(1, len(ranks) + 1) / ranks).mean())


def _columns(relevant: RelevantPassages, query: int, first: int, last: int) -> NDArray[np.int64]:
    columns = relevant.columns[relevant.indptr[query] : relevant.indptr[query + 1]]
    return columns[(columns >= first) & (columns < last)] - first
