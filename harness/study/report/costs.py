"""What each arm cost: processor time of its trainings and of scoring them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from harness.console.tables import Grid
from harness.study.report.findings import Findings
from harness.study.results import TrialResult

NOTE = (
    "Seconds of one processor core, which do not depend on what else the machine did; means over "
    "trials. Scoring is of all tasks and every post-processing together. What layers have in "
    "common with the base is computed once, in the first trial that is scored."
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
