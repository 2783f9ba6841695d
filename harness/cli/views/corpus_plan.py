"""A plan as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from harness.console import numbers
from harness.console.tables import Grid, Line
from harness.console.terminal import print_grid

if TYPE_CHECKING:
    from harness.evaluation.cost_estimate import CorpusPlan


def print_corpus_plan(console: Console, plan: CorpusPlan) -> None:
    """The cost by language, its sum, and what the estimate is based on."""
    what = f"{plan.dimensions} dimensions"
    if plan.kind == "sparse":
        what = f"weights of {numbers.count(plan.dimensions)} terms"
    elif plan.kind == "multi-vector":
        what = f"token vectors of {what}"
    console.print(f"{plan.task.title}, {plan.model}: {what} kept as {plan.store_dtype}")
    console.print()
    rows = []
    for x in plan.languages:
        each = numbers.UNDEFINED
        if plan.kind != "dense":
            each = numbers.count(x.parts)
        elif x.tokens and x.measured:
            each = numbers.count(x.tokens / x.measured)
        mark = "" if x.measured else " *"
        rows.append(
            Line(
                (
                    f"{x.language}{mark}",
                    numbers.count(x.passages),
                    each,
                    f"{x.passages * plan.machines / x.seconds:,.1f}",
                    numbers.duration(x.seconds / plan.machines),
                    numbers.memory(x.disk),
                )
            )
        )
    total = sum(x.passages for x in plan.languages)
    whole = (
        "all",
        numbers.count(total),
        "",
        f"{total / plan.seconds:,.1f}",
        numbers.duration(plan.seconds),
        numbers.memory(plan.disk),
    )
    parts = {"dense": "tokens each", "sparse": "terms each", "multi-vector": "vectors each"}
    headers = ("", "passages", parts[plan.kind], "passages/s", "time", "disk")
    print_grid(console, Grid("", headers, [*rows, Line(whole, "strong")]))
    measured = max(x.measured for x in plan.languages)
    console.print(
        f"Measured on up to {measured} available passages per language, times those of the full"
    )
    if any(not x.measured for x in plan.languages):
        console.print("* no passage available: the mean of the other languages")
    console.print(f"engine {plan.engine}: {plan.why}")
    console.print(
        f"memory: {numbers.memory(plan.encode_memory)} per encoding worker (peak of the "
        f"sample), {numbers.memory(plan.search_memory)} for the search (--memory)"
    )
    console.print("disk: vectors and ids only; time: encoding only, without downloads and search")
