"""What each arm cost, and each post-processing: training, scoring, fitting and searching."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from harness.console.tables import Grid
from harness.evaluation.record import Record
from harness.study.definition import PLAIN
from harness.study.report.findings import Findings
from harness.study.results import TrialResult, record_key

NOTE = (
    "Seconds of one processor core, which do not depend on what else the machine did; means over "
    "trials. Scoring is of all tasks and every post-processing together. What layers have in "
    "common with the base is computed once, in the first trial that is scored."
)
NOTE_OF_STEPS = (
    "Seconds by the clock, medians over trials, of all tasks together; what else the machine did "
    "is in them. Fitting is encoding the parallel texts with the trial's model, fitting to them "
    "and moving the vectors; encoding the tasks' texts, which every post-processing shares, is not "
    "counted."
)
_TRAIN = "train"


def cost_grid(findings: Findings) -> Grid | None:
    """A row per arm; ``None`` where the trials were not timed."""
    by_arm: dict[str, list[TrialResult]] = {}
    for x in findings.results.trials:
        if x.processor_seconds:
            by_arm.setdefault(x.trial.arm, []).append(x)
    if not by_arm:
        return None
    lines = [tuple(_cells(arm, found)) for arm, found in by_arm.items()]
    heads = ("", "trials", "training", "range", "a step", "scoring")
    return Grid("Seconds of a processor core for each trial", heads, lines)


def step_grid(findings: Findings) -> Grid | None:
    """A row per post-processing; ``None`` for a study without, or where trials were not timed."""
    results = findings.results
    if results.study.post_processing is None:
        return None
    names = [x.name for x in results.study.scored]
    lines = []
    for step in (PLAIN, *results.study.post_processing.steps):
        fitted, searched = [], []
        for trial in (x for x in results.trials if x.processor_seconds):
            plain = [trial.records[x] for x in names]
            here = [trial.records[y] for x in names if (y := record_key(x, step)) in trial.records]
            if len(here) == len(plain):
                fitted.append(_stage(here, "encode") - _stage(plain, "encode"))
                searched.append(_stage(here, "search") + _stage(here, "measures"))
        if searched:
            fit = "\u2013" if step == PLAIN else f"{max(0.0, float(np.median(fitted))):.1f}"
            lines.append((step, fit, f"{np.median(searched):.1f}"))
    heads = ("", "fitting", "search and measures")
    return Grid("Seconds of each post-processing, for each trial", heads, lines) if lines else None


def _stage(records: Sequence[Record], name: str) -> float:
    return sum(task.seconds.get(name, 0.0) for x in records for task in x.contents.tasks)


def _cells(arm: str, found: list[TrialResult]) -> Iterator[str]:
    trained = [x.processor_seconds[_TRAIN] for x in found]
    steps = [trained[i] / max(1, int(x.training["steps"])) for i, x in enumerate(found)]
    # The first one scored also computes what all have in common.
    scored = float(np.median([_scoring(x.processor_seconds) for x in found]))
    yield from (arm, str(len(found)), f"{np.mean(trained):.0f}")
    yield f"{min(trained):.0f}\u2013{max(trained):.0f}"
    yield from (f"{np.mean(steps):.2f}", f"{scored:.0f}")


def _scoring(seconds: Mapping[str, float]) -> float:
    return sum(v for k, v in seconds.items() if k != _TRAIN)
