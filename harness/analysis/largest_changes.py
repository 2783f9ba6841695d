"""The questions that changed most from one record to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import HarnessError
from harness.evaluation.record_fields import Partial
from harness.stats.per_query import Paired

EQUAL = 1e-12
"""Values closer than this are equal: the order of summation differs."""


def most_changed(
    paired: Paired, record: int, measure: str, n: int, texts: Mapping[tuple[str, str], str]
) -> list[Change]:
    """The ``n`` questions whose value in some setting differs most from that of record 0.

    Ties are broken by the question's mean change over all its settings.
    ``texts`` are by (query language, question id). A question without a change is not listed.
    """
    rows, m = paired.rows, paired.measures.index(measure)
    before, after = paired.values[0, :, m], paired.values[record, :, m]
    change = np.abs(after - before)
    defined = ~np.isnan(change)
    size = len(rows.questions)
    change = np.where(defined & (change > EQUAL), change, 0.0)
    counted = np.bincount(rows.question, defined, size)
    changed = np.bincount(rows.question, change > 0, size)
    mean = np.bincount(rows.question, change, size) / np.maximum(counted, 1)
    # Largest change first, then the question's mean; rows are ordered by setting and id.
    order = np.lexsort((-mean[rows.question].round(12), -change.round(12)))
    first = np.sort(np.unique(rows.question[order], return_index=True)[1])
    found = []
    for at in order[first[:n]]:
        if change[at] == 0:
            break
        question = int(rows.question[at])
        setting = rows.settings[rows.setting[at]]
        found.append(
            Change(
                record=record,
                question=rows.questions[question],
                setting=setting.name,
                query_language=setting.query_language,
                passage_language=setting.passage_language,
                baseline=float(before[at]),
                value=float(after[at]),
                changed=int(changed[question]),
                settings=int(counted[question]),
                text=texts.get((setting.query_language, rows.questions[question])),
            )
        )
    return found


def question_texts(
    task: str,
    text: str,
    languages: Sequence[str],
    partial: Partial,
    data_digest: str,
    data_dir: Path | None,
) -> tuple[Mapping[tuple[str, str], str], str | None]:
    """Texts of a record's questions by (language, id), without touching the network.

    Returns no texts, and the reason, if the data is not available or is not the record's.
    """
    from harness.data.loading import load
    from harness.data.task import find_task

    try:
        data = load(
            find_task(task, text=text),
            languages=languages,
            data_dir=data_dir,
            offline=True,
            limit=partial.limit,
            sampled=partial.sampled_corpus is not None,
            sample=partial.sample.drawn if partial.sample else None,
        )
    except HarnessError as problem:
        return {}, f"without the questions' texts: {problem}"
    part = partial.sample_passages
    if data.digest != (data_digest if part is None else part.whole):
        return {}, "without the questions' texts: the available data is not that of the record"
    return {
        (language, question): text
        for language, side in data.queries.items()
        for question, text in zip(side.ids, side.texts, strict=True)
    }, None


@dataclass(frozen=True)
class Change:
    """A question in the setting where it changed most."""

    record: int
    question: str
    setting: str
    query_language: str
    passage_language: str | None
    """``None``: the pool of all languages."""
    baseline: float
    value: float
    changed: int
    """Settings of the kind in which the question's value changed."""
    settings: int
    """Settings of the kind in which both records define its value."""
    text: str | None
    """The question in the query language; ``None`` if the data is not available."""
