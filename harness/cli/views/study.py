"""Studies on a console: the list, the plan of one, the result of one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from harness.console.numbers import count, duration, memory, plural
from harness.console.tables import Grid
from harness.console.terminal import print_grid
from harness.study.definition import Study

if TYPE_CHECKING:
    from harness.study.cost import StudyPlan
    from harness.study.run import Ran

Found = Sequence[tuple[Study, int]]
"""Studies, and the number of trials of each."""


def print_studies(console: Console, found: Found) -> None:
    """For ``harness study list``."""
    rows = [(x.name, x.question, count(cells), ", ".join(x.scales)) for x, cells in found]
    print_grid(console, Grid("", ("study", "question", "trials", "scales"), rows, align="lwrl"))
    console.print("run one: harness study run NAME --output DIR")


def studies_document(found: Found) -> str:
    """The same as JSON."""
    rows = [
        {
            "name": study.name,
            "title": study.title,
            "question": study.question,
            "cells": cells,
            "scales": list(study.scales),
            "arms": [x.name for x in study.arms],
            "axes": {x.name: list(x.values) for x in study.axes.values()},
            "seeds": list(study.seeds),
            "tasks": [x.name for x in study.scored],
        }
        for study, cells in found
    ]
    return json.dumps(rows, ensure_ascii=False, indent=1)


def print_study_plan(console: Console, plan: StudyPlan) -> None:
    """For ``--dry-run``."""
    study = plan.study
    console.print(f"{study.name}: {study.title} (scale {study.scale})", soft_wrap=True)
    left = plan.trials - plan.finished
    console.print(
        f"{plural(plan.trials, 'trial')}, {plan.finished:,} of them finished; "
        f"{plural(plan.references, 'reference')} to score; "
        f"tasks: {', '.join(x.name for x in study.scored)}",
        soft_wrap=True,
    )
    if not left:
        console.print("No training left to do.")
        return
    console.print(
        f"texts: {plan.trainings:,} in training, {plan.scored:,} in scoring, repeats counted; "
        f"each process encodes about {plan.distinct:,} distinct ones",
        soft_wrap=True,
    )
    workers = plural(plan.workers, "worker")
    how = (
        f"as long per trial as the {plan.like} finished ones took"
        if plan.like
        else f"for encoding alone, on this machine: a text took {1000 * plan.first:.2f} ms, "
        f"{1000 * plan.again:.2f} ms again"
    )
    console.print(f"time: about {duration(plan.seconds)} with {workers}, {how}", soft_wrap=True)
    console.print(
        f"disk: about {memory(plan.disk)} permanently, and {memory(plan.passing)} while trials are "
        "trained",
        soft_wrap=True,
    )


def print_ran(console: Console, ran: Ran) -> None:
    """The result of a run."""
    said = f"{ran.done} done in {duration(ran.seconds)}"
    if not ran.done and not ran.failed:
        said = "nothing left to do"
    console.print(
        f"{plural(ran.trials, 'trial')}: {ran.before} were finished before, with references, {said}"
    )
    for name, why in ran.failed.items():
        console.print(f"failed: {name}: {why}", soft_wrap=True, markup=False)
    if ran.failed:
        console.print("run the same command to try these again", soft_wrap=True)
    console.print(f"study: {ran.folder}", soft_wrap=True)
    console.print(f"make its page: harness study report {ran.folder}", soft_wrap=True)
