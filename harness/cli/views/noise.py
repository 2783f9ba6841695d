"""Drifts of scores in the terminal, with tolerances to paste."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from harness.analysis.noise import Drift, Noise, Outcome
from harness.console import numbers
from harness.console.tables import Grid
from harness.console.terminal import Row, print_grid, print_measures
from harness.evaluation.partial import partial
from harness.search.tiles import ROWS


def print_noise(console: Console, found: Noise) -> None:
    """Print ``found``: the variants, the drifts by kind, and the tolerances as TOML."""
    title = Text(found.model, "bold")
    title.append(f" on {found.task}: how far scores drift by themselves", "not bold")
    console.print(title)
    if found.nothing is not None:
        console.print(found.nothing, soft_wrap=True)
        return
    if found.partial:
        console.print(f"PARTIAL: {partial(found.partial)}", style="bold yellow")
    console.print(
        f"Reference: the model's own batch size, float32, "
        f"{numbers.plural(found.threads, 'thread')}, blocks of {ROWS} queries."
    )
    console.print()
    _print_variants(console, found)
    for outcome in found.outcomes:
        if outcome.skipped is not None:
            console.print(f"{outcome.variant.name} skipped: {outcome.skipped}", soft_wrap=True)
    for kind in found.reference:
        console.print()
        _print_kind(console, found, kind)
    console.print()
    console.print("Tolerances for a gate", style="bold")
    console.print("3 times the largest drift of a mean, and of a language's mean, rounded up")
    console.print()
    console.print(found.toml(), end="", soft_wrap=True)


def _ran(found: Noise) -> list[Outcome]:
    return [x for x in found.outcomes if x.skipped is None]


def _print_variants(console: Console, found: Noise) -> None:
    """Share of queries that changed, by kind, and the largest distance of the vectors."""
    rows = [
        (
            outcome.variant.name,
            *(numbers.percent(outcome.changed[kind]) for kind in found.reference),
            _size(outcome.cosine_distance),
            f"{outcome.seconds:.1f}",
        )
        for outcome in _ran(found)
    ]
    console.print("Queries with any value changed, and the largest distance of a vector")
    headers = ("variant", *found.reference, "cosine\ndistance", "seconds")
    print_grid(console, Grid("", headers, rows))


def _print_kind(console: Console, found: Noise, kind: str) -> None:
    """The drifts of the measures shown first, for the variants in which one drifted."""
    measures = [m for m in found.shown if m in found.reference[kind]]
    rows = [
        Row(
            "reference",
            (),
            {m: numbers.value(m, found.reference[kind][m]) for m in measures},
            "strong",
        )
    ]
    still = []
    for outcome in _ran(found):
        here = {x.measure: x for x in outcome.moved if x.kind == kind and x.measure in measures}
        if not any(x.query for x in here.values()):
            still.append(outcome.variant.name)
            continue
        rows.append(Row(outcome.variant.name, (), {m: _signed(x.mean) for m, x in here.items()}))
        rows.append(Row("  worst language", (), {m: _language(x) for m, x in here.items()}, "dim"))
        rows.append(Row("  worst query", (), {m: _size(x.query) for m, x in here.items()}, "dim"))
    console.print(f"{kind}: drift from the reference", style="bold")
    if len(rows) > 1:
        print_measures(console, ("",), measures, rows)
    if still:
        console.print(f"No drift: {'; '.join(still)}")


def _size(number: float) -> str:
    """Two digits: ``1.2e-05``; 0 if there is no drift."""
    return f"{number:.1e}" if number else "0"


def _signed(number: float) -> str:
    return f"{number:+.1e}" if number else "0"


def _language(movement: Drift) -> str:
    if not movement.language_mean:
        return "0"
    return f"{_size(movement.language_mean)} {movement.language}"
