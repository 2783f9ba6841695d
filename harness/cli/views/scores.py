"""Other systems' runs in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console

from harness.console import numbers
from harness.console.terminal import Row, print_measures
from harness.interop.trec_runs import Scored, kind_means

_FEW = 11
"""Up to this many settings are listed one by one by default."""


def print_scores(console: Console, scored: Sequence[Scored], *, verbose: bool = False) -> None:
    """Print scored runs: by kind and setting of the task, or file by file without one."""
    measures = list(scored[0].scores)
    means = kind_means(scored)
    if means:
        rows = []
        for kind, values in means.items():
            parts = [x for x in scored if x.setting is not None and x.setting.kind == kind]
            rows.append(Row(kind, (numbers.count(len(parts)), *_counts(parts)), _values(values)))
        headers = ["", "settings", "queries", "missing"]
        print_measures(console, headers, measures, rows, label=str)
        console.print()
    if verbose or len(scored) <= _FEW or not means:
        rows = [
            Row(x.setting.name if x.setting else x.path.name, _counts([x]), _values(x.scores))
            for x in scored
        ]
        headers = ["setting" if means else "run", "queries", "missing"]
        print_measures(console, headers, measures, rows, label=str)
        console.print()
    for note in _notes(scored):
        console.print(note)


def _counts(parts: Sequence[Scored]) -> tuple[str, str]:
    queries, missing = sum(x.queries for x in parts), sum(x.missing for x in parts)
    return numbers.count(queries), numbers.count(missing)


def _values(scores: Mapping[str, float]) -> dict[str, str]:
    """Counts are whole numbers."""
    return {
        m: numbers.count(round(x)) if m.startswith("num_") else numbers.value(m, x)
        for m, x in scores.items()
    }


def _notes(scored: Sequence[Scored]) -> list[str]:
    missing = sum(x.missing for x in scored)
    unjudged = sum(x.unjudged for x in scored)
    depth = max(x.depth for x in scored)
    are = "is" if missing == 1 else "are"
    notes = [
        f"{numbers.plural(missing, 'judged query')} {are} missing from the run and counted as 0."
        if missing
        else "Every judged query is in the run."
    ]
    if unjudged:
        notes.append(f"{numbers.plural(unjudged, 'query')} of the run without judgements left out.")
    notes.append(
        f"Rankings are up to {numbers.plural(depth, 'passage')} deep; anything deeper counts as "
        "not retrieved."
    )
    return notes
