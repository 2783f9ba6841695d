"""What a run says before its first text is encoded: its tasks, its texts, and about how long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from harness.base.progress import Progress
from harness.console.numbers import duration
from harness.evaluation.corpus_run import is_stored
from harness.evaluation.dry_run import seconds_per_text, texts_to_encode
from harness.evaluation.encode_stage import TaskRun
from harness.models.base import DenseModel, PartsModel
from harness.vectors.store import Store

_WORTH_SAYING = 2000
"""Texts to encode from which on a run says how long they will take."""


def announce(
    runs: Sequence[TaskRun], store: Store | None, progress: Progress, *, by_default: bool
) -> None:
    """Say which tasks were chosen, how many texts are to be encoded, and about how long it takes.

    Nothing is said, and nothing measured, where nobody listens or there is little to do.
    """
    note = getattr(progress, "note", None)
    if note is None:
        return
    if by_default:
        names = ", ".join(r.task.spec.name for r in runs)
        note(f"Tasks: {names} (the default ones; --task names others)")
    counts = [
        (r, texts_to_encode(r.model, r.task, store))
        for r in runs
        if is_stored(r.model) and not r.task.data.corpora
    ]
    missing = sum(x.missing for _, x in counts)
    if missing < _WORTH_SAYING:
        return
    run, _ = max(counts, key=lambda x: x[1].missing)
    each = seconds_per_text(cast("DenseModel | PartsModel", run.model), run.task)
    took = "" if each is None else f", about {duration(each * missing)}"
    every = sum(x.distinct for _, x in counts)
    note(f"{every:,} distinct texts, {missing:,} of them to encode{took}")
