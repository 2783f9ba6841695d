"""The plan and the result of a training, on a console."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from harness.console import numbers
from harness.console.tables import Grid
from harness.console.terminal import print_grid
from harness.training.settings import RECIPES, Settings
from harness.training.train import Trained
from harness.training.training_set import TrainingData

_POINTS = 12


def print_plan(console: Console, settings: Settings, data: TrainingData, steps: int) -> None:
    """For ``--dry-run``: the data, the batches, the steps."""
    console.print(f"{settings.recipe}: {RECIPES[settings.recipe]}", soft_wrap=True)
    print_grid(console, _files(data.files))
    plan = data.train.plan
    console.print(
        f"{numbers.plural(sum(len(s.rows) for s in plan.strata), 'pair')} in "
        f"{len(plan):,} {'batch' if len(plan) == 1 else 'batches'} an epoch; "
        f"{numbers.plural(steps, 'step')}; languages seen: {', '.join(data.languages)}",
        soft_wrap=True,
    )


def print_trained(console: Console, trained: Trained) -> None:
    """The result: the loss curve as a table, how it ended, where the model is."""
    manifest = trained.manifest
    summary, outcome = manifest["summary"], manifest["outcome"]
    alpha = "" if summary["alpha"] is None else f", alpha {summary['alpha']:g}"
    console.print(
        f"{summary['base']}, {summary['recipe']}{alpha}: "
        f"{numbers.plural(summary['pairs'], 'pair')}, "
        f"languages seen: {', '.join(summary['languages'])}",
        soft_wrap=True,
    )
    if outcome["curve"]:  # none in fewer steps than --log-every and --evaluate-every
        print_grid(console, _curve(outcome["curve"]))
    console.print(outcome["said"], soft_wrap=True)
    for found in manifest["overlap"]:
        console.print(f"{found['sentences'][0]}.", soft_wrap=True)
    if not manifest["overlap"]:
        console.print(
            "The data was not checked for evaluation questions: no task's data was available.",
            soft_wrap=True,
        )
    if not trained.fresh:
        console.print("This training was finished before; nothing was done.")
    console.print(f"\nmodel: {trained.folder}", soft_wrap=True)
    console.print(f"score it: harness run --model {trained.folder}", soft_wrap=True)


def _files(files: list[dict[str, Any]]) -> Grid:
    rows = [
        (
            *(x[key] for key in ("name", "role", "form")),
            *(numbers.count(x[key]) for key in ("rows", "trained_on", "held_out")),
            " ".join(x["languages"]),
        )
        for x in files
    ]
    headers = ("file", "role", "form", "rows", "trained on", "held out", "languages")
    return Grid("", headers, rows, align="lllrrrw")


def _curve(points: list[dict[str, Any]]) -> Grid:
    """At most a dozen points of the loss curve, those with a validation first."""
    chosen = [p for p in points if "validation_loss" in p] or points
    step = max(1, -(-len(chosen) // _POINTS))
    rows = [
        (
            numbers.count(p["step"]),
            f"{p['epoch']:.2f}",
            *(numbers.value("loss", p.get(key)) for key in ("loss", "validation_loss")),
        )
        for p in chosen[::-1][::step][::-1]
    ]
    return Grid("", ("step", "epoch", "loss", "validation loss"), rows, align="")
