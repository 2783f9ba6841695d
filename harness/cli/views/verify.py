"""A record against what is published: in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from harness.analysis.verify import LanguageCheck, Verification
from harness.console import numbers
from harness.console.tables import Grid
from harness.console.terminal import print_grid

_STYLES = {"OK": "green", "close": "yellow", "FAIL": "bold red"}


def print_verification(console: Console, found: Verification) -> None:
    """One line per language, a verdict, and what may be behind differences."""
    row = found.published
    title = Text(f"{found.model} on {found.task}", "bold")
    title.append(f" against {row.model} as published", "not bold")
    console.print(title)
    as_what = f", {row.published_as}" if row.published_as else ""
    revision = f", revision {row.revision[:12]}" if row.revision else ""
    options = f", {row.options}" if row.options else ""
    console.print(f"{row.origin}{as_what}{revision}{options}", soft_wrap=True)
    console.print()
    label = numbers.label(found.measure)
    headers = (
        "Setting",
        "Queries",
        f"{label} here",
        "published",
        "difference",
        "OK up to",
        "verdict",
    )
    lines = [
        (
            x.setting,
            numbers.count(x.queries),
            f"{x.here:.6f}",
            f"{x.there:.5f}",
            numbers.difference(x.difference, 6),
            f"{x.ok:.1e}",
            x.verdict,
        )
        for x in found.checks
    ]
    print_grid(console, Grid("", headers, lines))
    for sentence in _further(found):
        console.print(sentence, soft_wrap=True)
    console.print(Text(headline(found), _STYLES[found.verdict]), soft_wrap=True)
    if found.reasons:
        console.print()
        console.print("What may be behind it, the likeliest first")
        for number, reason in enumerate(found.reasons, 1):
            console.print(f"{number}. {reason}", soft_wrap=True, highlight=False)


def _further(found: Verification) -> list[str]:
    """What is not a verdict: the other measures, and languages that are not published."""
    sentences = []
    largest: dict[str, tuple[float, LanguageCheck]] = {}
    for check in found.checks:
        for measure, size in check.others.items():
            if abs(size) >= abs(largest.get(measure, (0.0, check))[0]):
                largest[measure] = (size, check)
    if largest:
        named = ", ".join(
            f"{numbers.label(m)} {numbers.difference(size, 6)} ({x.language})"
            for m, (size, x) in largest.items()
        )
        sentences.append(f"Largest differences of other measures, not judged: {named}")
    if found.missing:
        sentences.append(f"Not published: {' '.join(found.missing)}")
    return sentences


def headline(found: Verification) -> str:
    """``close: 10 of 11 settings OK, 1 close; largest difference +0.0003 (th)``."""
    parts = [f"{found.count('OK')} of {numbers.plural(len(found.checks), 'setting')} OK"]
    parts += [
        f"{found.count(verdict)} {verdict}" for verdict in ("close", "FAIL") if found.count(verdict)
    ]
    worst = found.largest
    size = numbers.difference(worst.difference, 6).rstrip("0").rstrip(".")
    return f"{found.verdict}: {', '.join(parts)}; largest difference {size} ({worst.language})"
