"""Which rows of a per-query table belong together: by language, script, length, number of golds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.base.languages import UNKNOWN, primary_subtag, script_of
from harness.data.task import KINDS
from harness.errors import UsageError, did_you_mean
from harness.evaluation.record import Record

BY = ("language", "pair", "script", "seen", "length", "golds")
"""What a record can be broken down by."""

_QUARTERS = ("shortest quarter", "second quarter", "third quarter", "longest quarter")
_SEEN = ("seen", "unseen", "seen-seen", "seen-unseen", "unseen-seen", "unseen-unseen")


@dataclass(frozen=True)
class Rows:
    """The per-query table of one kind of setting, R rows."""

    kind: str
    settings: tuple[tuple[str, str | None], ...]
    """(query language, passage language), in the task's order."""
    setting: NDArray[np.int64]
    """(R,) index into ``settings``."""
    question: NDArray[np.int64]
    """(R,)"""
    golds: NDArray[np.int64]
    chars: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]]
    """Measure -> (R,), those that some row defines."""

    def take(self, rows: NDArray[np.bool_]) -> Rows:
        """Only ``rows`` (R,), with the settings that are left."""
        used, setting = np.unique(self.setting[rows], return_inverse=True)
        return Rows(
            self.kind,
            tuple(self.settings[i] for i in used),
            setting.astype(np.int64),
            self.question[rows],
            self.golds[rows],
            self.chars[rows],
            {name: column[rows] for name, column in self.values.items()},
        )

    @property
    def languages(self) -> tuple[str, ...]:
        """Query languages, in the task's order."""
        return tuple(dict.fromkeys(asked for asked, _ in self.settings))

    def by_setting(self, part: Callable[[str, str | None], str]) -> NDArray[np.object_]:
        """(R,): what ``part`` says of each row's query and passage language."""
        return np.array([part(*s) for s in self.settings], dtype=object)[self.setting]


def rows_by_kind(
    record: Record, entry: Mapping[str, Any], measures: Sequence[str] | None
) -> list[Rows]:
    """The rows of one task, kind by kind, with those of ``measures`` that the kind defines.

    ``entry`` is the task's part of the record's document; ``measures`` are by default those that it
    shows first.

    Raises:
        UsageError: the record lacks a measure.
        RecordError: its per-query table cannot be read.
    """
    frame = record.per_query(entry["task"])
    at = list(frame.columns).index("query_chars") + 1  # measures stand behind the facts
    held = [str(x) for x in frame.columns[at:]]
    wanted = list(dict.fromkeys(measures if measures is not None else entry["measures"]))
    for name in wanted:
        if name not in held:
            raise UsageError(
                f"the record of {record.model} on {entry['task']} has no measure {name!r}"
                f"{did_you_mean(name, held)} (it has {', '.join(held)})"
            )
    names = [str(s["setting"]) for s in entry["settings"]]
    settings = [(s["query_language"], s["passage_language"]) for s in entry["settings"]]
    number = {name: i for i, name in enumerate(names)}
    setting = np.array([number[x] for x in frame["setting"]], np.int64)
    whole = Rows(
        "",
        tuple(settings),
        setting,
        np.unique(frame["question"].astype(str), return_inverse=True)[1].astype(np.int64),
        frame["golds"].to_numpy(np.int64),
        frame["query_chars"].to_numpy(np.int64),
        {name: frame[name].to_numpy(np.float64) for name in wanted},
    )
    kind_of = np.array([str(s["kind"]) for s in entry["settings"]], dtype=object)[setting]
    parts = []
    for kind in KINDS:
        part = whole.take(kind_of == kind)
        values = {k: v for k, v in part.values.items() if not np.isnan(v).all()}
        if values:
            parts.append(replace(part, kind=kind, values=values))
    return parts


class Slices(NamedTuple):
    """One way to part the rows of one kind."""

    what: str
    """What the parts are: ``query language``."""
    of: NDArray[np.object_]
    """(R,): the name of the part that each row is in."""
    names: Sequence[str]
    """In the order they are shown; some may have no row."""


def slices_of(rows: Rows, by: str, trained: frozenset[str]) -> list[Slices]:
    """How ``rows`` are parted by one of :data:`BY`; empty where that says nothing of their kind.

    ``trained`` holds primary subtags of the languages seen in training, for ``seen``.
    """
    cross = rows.kind == "cross"
    if by == "language":
        return [Slices("query language", rows.by_setting(lambda query, _: query), rows.languages)]
    if by == "pair":
        names = [f"{query}-{passage}" for query, passage in rows.settings]
        pair = np.array(names, dtype=object)[rows.setting]
        return [Slices("query-passage pair", pair, names)] if cross else []
    if by == "script":
        asked = rows.by_setting(lambda query, _: script_of(query))
        in_order = sorted(set(asked), key=lambda x: (x == UNKNOWN, x))
        found = [Slices("script of the query language", asked, in_order)]
        if cross:
            order = ("same script", "other script", UNKNOWN)
            found.append(
                Slices("scripts of query and passage", rows.by_setting(_same_script), order)
            )
        return found
    if by == "seen":

        def known(query: str, passage: str | None) -> str:
            pair = (query, passage) if cross and passage is not None else (query,)
            return "-".join("seen" if primary_subtag(x) in trained else "unseen" for x in pair)

        what = "query and passage language" if cross else "query language"
        return [Slices(f"{what}, seen or unseen in training", rows.by_setting(known), _SEEN)]
    if by == "length":
        quarter = np.array(_QUARTERS, dtype=object)[_quarters(rows)]
        return [Slices("length of the query within its language", quarter, _QUARTERS)]
    counts = [int(x) for x in np.unique(rows.golds)]
    if rows.kind != "multi" and len(counts) < 2:
        return []
    named = {m: "1 gold" if m == 1 else f"{m} golds" for m in counts}
    golds = np.array([named[int(m)] for m in rows.golds], dtype=object)
    return [Slices("number of golds", golds, list(named.values()))]


def _same_script(query: str, passage: str | None) -> str:
    scripts = (script_of(query), script_of(passage or query))
    if UNKNOWN in scripts:
        return UNKNOWN
    return "same script" if scripts[0] == scripts[1] else "other script"


def _quarters(rows: Rows) -> NDArray[np.int64]:
    """(R,) 0 to 3: the quarter of its query language's questions that each query's length is in.

    A length that equals a quartile belongs below it. Quartiles are of questions, not of rows: a
    question falls into one quarter of its language, in however many settings it is asked.
    """
    asked = rows.by_setting(lambda query, _: query)
    quarter = np.zeros(len(asked), np.int64)
    for language in rows.languages:
        here = asked == language
        first = np.unique(rows.question[here], return_index=True)[1]
        edges = np.quantile(rows.chars[here][first], [0.25, 0.5, 0.75])
        quarter[here] = np.searchsorted(edges, rows.chars[here], side="left")
    return quarter
