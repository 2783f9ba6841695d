"""The queries that several records share, row by row, and paired tests of their macro means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.analysis.mismatches import letters
from harness.data.task import KINDS, Kind, Setting
from harness.errors import RecordError, UsageError, did_you_mean
from harness.evaluation.record import Record
from harness.stats.multiple_tests import ALPHA, holm
from harness.stats.ragged import FloatArray
from harness.stats.resampling import paired_permutation_test

KEY_BIAS = ("rank_distance", "own_language_first", "other_language_recall@10")
"""Compared beside the measures that a record shows first, where all records hold them."""


@dataclass(frozen=True)
class Rows:
    """The queries of one kind of setting, R rows that all K records hold."""

    task: str
    kind: Kind
    settings: tuple[Setting, ...]
    groups: NDArray[np.int64]
    """(R,) index into ``settings``."""
    parents: NDArray[np.int64]
    """(S,) the query language of each setting, index into ``languages``."""
    languages: tuple[str, ...]
    """Query languages."""
    clusters: NDArray[np.int64]
    """(R,) index into ``questions``."""
    questions: tuple[str, ...]
    measures: tuple[str, ...]
    values: FloatArray
    """(K, R, M); NaN where undefined."""

    def shares(self, values: FloatArray) -> FloatArray:
        """What each question adds to the macro means of ``values`` (R, M): (C, M), summing to them.

        A measure that is nowhere defined is NaN.
        """
        found = np.full((len(self.questions), values.shape[1]), np.nan)
        for m, column in enumerate(values.T):
            defined = ~np.isnan(column)
            if not defined.any():
                continue
            queries = np.bincount(self.groups[defined], minlength=len(self.settings))
            settings = np.bincount(self.parents[queries > 0], minlength=len(self.languages))
            weight = queries * settings[self.parents] * np.count_nonzero(settings)
            found[:, m] = np.bincount(
                self.clusters[defined],
                column[defined] / weight[self.groups[defined]],
                minlength=len(self.questions),
            )
        return found


def shared_rows(
    records: Sequence[Record], task: str, measures: Sequence[str], *, whole: bool
) -> list[Rows]:
    """The rows of one task that all records hold, kind by kind.

    Args:
        records: at least one.
        task: a task of all of them.
        measures: default: those that the first record shows first, and :data:`KEY_BIAS`; of these
            only what all records hold.
        whole: the records must hold the same queries.

    Raises:
        UsageError: a record lacks one of ``measures``.
        RecordError: a table cannot be read, or holds other queries than the first one's.
    """
    entries = [x.task(task) for x in records]
    chosen = _measures(records, task, measures)
    names = [[str(s["setting"]) for s in e["settings"]] for e in entries]
    settings = [x for x in names[0] if all(x in others for others in names)]
    frames = [x.per_query(task) for x in records]
    questions = sorted({str(q) for f in frames for q in f["question"].unique()})
    keys = [
        _codes(f["setting"], settings) * len(questions) + _codes(f["question"], questions)
        for f in frames
    ]
    shared = reduce(np.intersect1d, keys)
    shared = shared[shared >= 0]
    if whole:
        for letter, record, key in zip(letters(len(records)), records, keys, strict=True):
            if len(key) != len(shared):
                raise RecordError(
                    f"record {letter} ({record.model}) holds {len(key):,} queries of {task}, of "
                    f"which all records share {len(shared):,}, though their data is the same; run "
                    "its model again"
                )
    at = [np.argsort(key, kind="stable") for key in keys]
    at = [
        order[np.searchsorted(key, shared, sorter=order)]
        for order, key in zip(at, keys, strict=True)
    ]
    setting, question = np.divmod(shared, max(len(questions), 1))
    by_name = {
        str(s["setting"]): Setting(s["kind"], s["query_language"], s["passage_language"])
        for s in entries[0]["settings"]
    }
    values = {
        m: np.stack([f[m].to_numpy(np.float64)[a] for f, a in zip(frames, at, strict=True)])
        for m in chosen
    }
    kind_of = np.array([KINDS.index(by_name[x].kind) for x in settings], np.int64)
    found = []
    for number, kind in enumerate(KINDS):
        rows = kind_of[setting] == number
        held = [m for m in chosen if all(_of_kind(e, kind, m) for e in entries)]
        if not rows.any() or not held:
            continue
        used, groups = np.unique(setting[rows], return_inverse=True)
        asked, clusters = np.unique(question[rows], return_inverse=True)
        here = tuple(by_name[settings[i]] for i in used)
        languages = tuple(dict.fromkeys(s.query_language for s in here))
        found.append(
            Rows(
                task=task,
                kind=kind,
                settings=here,
                groups=groups.astype(np.int64),
                parents=np.array([languages.index(s.query_language) for s in here], np.int64),
                languages=languages,
                clusters=clusters.astype(np.int64),
                questions=tuple(questions[i] for i in asked),
                measures=tuple(held),
                values=np.stack([values[m][:, rows] for m in held], axis=2),
            )
        )
    return found


def _measures(records: Sequence[Record], task: str, wanted: Sequence[str]) -> list[str]:
    held = [_held(x.task(task)) for x in records]
    for letter, record, names in zip(letters(len(records)), records, held, strict=True):
        for name in wanted:
            if name not in names:
                raise UsageError(
                    f"record {letter} ({record.model}) has no measure {name!r} on {task}"
                    f"{did_you_mean(name, names)} (it has {', '.join(names)})"
                )
    asked = list(wanted) or [*records[0].task(task)["measures"], *KEY_BIAS]
    return [m for m in dict.fromkeys(asked) if all(m in names for names in held)]


def _held(entry: dict[str, Any]) -> list[str]:
    """Measures that some kind of setting of a task has."""
    return list(dict.fromkeys(m for both in entry["means"].values() for m in both["macro"]))


def _of_kind(entry: dict[str, Any], kind: Kind, measure: str) -> bool:
    return kind in entry["means"] and measure in entry["means"][kind]["macro"]


def _codes(column: Any, names: Sequence[str]) -> NDArray[np.int64]:
    """The position of each of ``column`` (a pandas Series) in ``names``; far below 0 if absent."""
    import pandas as pd

    found = pd.Categorical(column.astype("category"))
    number = {name: i for i, name in enumerate(names)}
    absent = -(1 << 40)
    of = np.array([number.get(str(x), absent) for x in found.categories], np.int64)
    codes: NDArray[np.int64] = of[found.codes]
    return codes


@dataclass(frozen=True)
class Tests:
    """Every pair of records by every measure of every kind: P pairs."""

    pairs: tuple[tuple[int, int], ...]
    differences: tuple[FloatArray, ...]
    """Per kind (P, M): the second's macro mean minus the first's."""
    p_values: tuple[FloatArray, ...]
    adjusted: tuple[FloatArray, ...]
    """Holm over all pairs, measures and kinds."""
    smallest: tuple[float, ...]
    """Per kind: the least p-value that its permutations can give."""
    comparisons: int
    permutations: int
    """Drawn, where not all could be tried."""


def paired_tests(kinds: Sequence[Rows], resamples: int, seed: int) -> Tests:
    """Test all pairs of records for a difference of macro means.

    At least ``resamples`` permutations are drawn; more where Holm's correction over many
    comparisons would otherwise ask for p-values that so few cannot give.
    """
    pairs = tuple(combinations(range(len(kinds[0].values)), 2))
    shares = [
        np.concatenate([x.shares(x.values[j] - x.values[i]) for i, j in pairs], axis=1)
        for x in kinds
    ]
    comparisons = sum(int((~np.isnan(x[0])).sum()) for x in shares)
    # The least p-value, times the comparisons, then lies at a tenth of alpha.
    permutations = max(resamples, round(10 * comparisons / ALPHA))
    differences, p_values, smallest = [], [], []
    for x in shares:
        n = len(x)
        # The macro mean is linear in swaps: the mean over questions of n times their shares.
        found = paired_permutation_test(
            n * x,
            np.zeros_like(x),
            np.arange(n),
            np.zeros(n, np.int64),
            1,
            seed=seed,
            resamples=permutations,
        )
        differences.append(found.macro.value.reshape(len(pairs), -1))
        p_values.append(found.macro.p_value.reshape(len(pairs), -1))
        smallest.append(2 / found.resamples if found.exact else 1 / (found.resamples + 1))
    flat = holm(np.concatenate([x.ravel() for x in p_values]))
    ends = np.cumsum([x.size for x in p_values])[:-1]
    adjusted = [x.reshape(len(pairs), -1) for x in np.split(flat, ends)]
    return Tests(
        pairs=pairs,
        differences=tuple(differences),
        p_values=tuple(p_values),
        adjusted=tuple(adjusted),
        smallest=tuple(smallest),
        comparisons=comparisons,
        permutations=permutations,
    )
