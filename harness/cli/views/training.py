"""What a training is going to do, and what it did, as text on a console."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from harness.training.settings import RECIPES, Settings
from harness.training.train import Trained
from harness.training.training_set import TrainingData

_POINTS = 12


def print_plan(console: Console, settings: Settings, data: TrainingData, steps: int) -> None:
    """For ``--dry-run``: the data, the batches, the steps."""
    console.print(f"{settings.recipe}: {RECIPES[settings.recipe]}", soft_wrap=True)
    console.print(_files(data.files))
    plan = data.train.plan
    console.print(
        f"{sum(len(s.rows) for s in plan.strata):,} pairs in {len(plan):,} batches an epoch; "
        f"{steps:,} steps; languages seen: {', '.join(data.languages)}",
        soft_wrap=True,
    )


def print_trained(console: Console, trained: Trained) -> None:
    """What came out: the loss curve as a table, how it ended, where the model is."""
    manifest = trained.manifest
    summary, outcome = manifest["summary"], manifest["outcome"]
    alpha = "" if summary["alpha"] is None else f", alpha {summary['alpha']:g}"
    console.print(
        f"{summary['base']}, {summary['recipe']}{alpha}: {summary['pairs']:,} pairs, "
        f"languages seen: {', '.join(summary['languages'])}",
        soft_wrap=True,
    )
    console.print(_curve(outcome["curve"]))
    console.print(outcome["said"], soft_wrap=True)
    for found in manifest["overlap"]:
        console.print(f"{found['sentences'][0]}.", soft_wrap=True)
    if not manifest["overlap"]:
        console.print(
            "Evaluation questions were not looked for in the data: none were at hand.",
            soft_wrap=True,
        )
    if not trained.fresh:
        console.print("This training had ended before; nothing was done.")
    console.print(f"\nmodel: {trained.folder}", soft_wrap=True)
    console.print(f"score it: harness run --model {trained.folder}", soft_wrap=True)


def _files(files: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("file", "role", "form"):
        table.add_column(name)
    for name in ("rows", "trained on", "held out"):
        table.add_column(name, justify="right")
    table.add_column("languages")
    for x in files:
        table.add_row(
            x["name"], x["role"], x["form"], f"{x['rows']:,}", f"{x['trained_on']:,}",
            f"{x['held_out']:,}", " ".join(x["languages"]),
        )  # fmt: skip
    return table


def _curve(points: list[dict[str, Any]]) -> Table:
    """At most a dozen points of the loss curve, those with a validation first."""
    chosen = [p for p in points if "validation_loss" in p] or points
    step = max(1, -(-len(chosen) // _POINTS))
    shown = chosen[::-1][::step][::-1]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("step", "epoch", "loss", "validation loss"):
        table.add_column(name, justify="right")
    for p in shown:
        table.add_row(
            f"{p['step']:,}",
            f"{p['epoch']:.2f}",
            f"{p['loss']:.4f}" if "loss" in p else "-",
            f"{p['validation_loss']:.4f}" if "validation_loss" in p else "-",
        )
    return table
