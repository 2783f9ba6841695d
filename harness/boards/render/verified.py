"""Tracked records against published rows of their models, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.verify import Verification
from harness.boards.render.markdown import GENERATED
from harness.console import numbers
from harness.console.markdown import bullets, escaped, table
from harness.console.tables import Grid

NAME = "verified"
"""Of the file, without its ending."""
_LEGEND = (
    "OK: no language differs by more than the rounding of the published value and what scores move "
    "by in float32; close: by more than what they move by in half precision; FAIL: more. Languages "
    "are settings inside one language.",
    "Positive differences: higher here.",
)


def verification_grid(found: Sequence[Verification]) -> Grid:
    """One line per record and task."""
    rows = []
    for x in found:
        worst = x.largest
        rows.append(
            (
                x.task,
                x.model,
                x.published.model,
                x.published.origin,
                numbers.label(x.measure),
                x.verdict,
                f"{x.count('OK')} of {len(x.checks)}",
                f"{numbers.difference(worst.difference, 5)} {worst.setting}",
            )
        )
    headers = (
        "Task", "Model", "Published as", "By", "Measure", "Verdict", "Settings OK",
        "Largest difference",
    )  # fmt: skip
    return Grid("Against what is published", headers, tuple(rows), align="lwwwll")


def markdown(found: Sequence[Verification]) -> str:
    """The page: the table, and of each record that is not OK which languages are not, and why."""
    parts = [f"# Against what is published\n\n{GENERATED}\n", table(verification_grid(found))]
    parts.append(bullets(_LEGEND))
    for x in found:
        if x.verdict == "OK":
            continue
        off = [c for c in x.checks if c.verdict != "OK"]
        listed = ", ".join(f"{c.setting} {c.here:.5f} for {c.there:.5f} ({c.verdict})" for c in off)
        reasons = [escaped(reason) for reason in x.reasons]
        parts.append(
            f"## {escaped(x.model)} on {escaped(x.task)}\n\n{escaped(listed)}. What may be behind "
            f"it, the likeliest first:\n\n{bullets(reasons)}"
        )
    return "\n".join(parts)
