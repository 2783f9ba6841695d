"""A comparison of records: in the terminal, and as Markdown of the same tables."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from harness.analysis.compare import (
    Against,
    Comparison,
    KindComparison,
    LanguageComparison,
    MeasureComparison,
    TaskComparison,
)
from harness.analysis.mismatches import Differing
from harness.analysis.retention import Retained
from harness.console import latex, numbers
from harness.console.markdown import escaped
from harness.console.markdown import rows as markdown_rows
from harness.console.matrices import print_matrix
from harness.console.numbers import p_value, percent, signed
from harness.console.tables import Grid, Item, Line, ends, one_line
from harness.console.terminal import print_grid
from harness.evaluation.partial import partial


def print_comparison(
    console: Console,
    found: Comparison,
    retained: Sequence[Retained] = (),
    *,
    verbose: bool = False,
) -> None:
    """Print ``found``, and what the second record retains of the first one's means, if given.

    ``verbose`` adds the matrix of differences over ordered language pairs.
    """
    if found.note:
        console.print(found.note, style="bold yellow")
        for mismatch in found.mismatches:
            console.print(f"  {mismatch}", style="yellow")
        console.print()
    names = _names(found, console.width)
    for line in _records(found):
        console.print(line, soft_wrap=True)
    for title, grid in in_short(found, _names(found)):
        console.print()
        console.print(title, style="bold", soft_wrap=True)
        print_grid(console, grid)
    if found.differing:
        console.print()
        console.print("Differences between the records")
        for fact in found.differing:
            console.print(f"  {_shortened(fact)}")
    for task in found.tasks:
        console.print()
        console.print(Text(task.title, "bold").append(_task_facts(task), "not bold"))
        if task.partial:
            console.print(f"PARTIAL: {partial(task.partial)}", style="bold yellow")
        for kind in task.kinds:
            _print_kind(console, found, kind, names, verbose=verbose)
        if task.texts_note:
            console.print(task.texts_note, style="dim", soft_wrap=True)
    for title, grid in _retention(retained, names):
        console.print()
        console.print(title, style="bold", soft_wrap=True)
        print_grid(console, grid)
    console.print()
    for line in _legend(found):
        console.print(line, style="dim")


def to_json(found: Comparison, retained: Sequence[Retained] = ()) -> dict[str, Any]:
    """All of ``found``, and with ``retained`` a list ``retention``."""
    document = found.to_dict()
    if retained:
        # NaN, where the clean mean is 0 or one question has no interval, is no JSON.
        rows = [asdict(x) for x in retained]
        document["retention"] = [{k: None if v != v else v for k, v in x.items()} for x in rows]
    return document


COLUMNS = (
    "task", "kind", "measure", "baseline", "record", "baseline_mean", "mean", "difference", "low",
    "high", "corrected_level", "corrected_low", "corrected_high", "p", "p_holm", "detectable",
    "verdict", "forced",
)  # fmt: skip
"""Of :func:`to_csv`."""
RETENTION_COLUMNS = ("retained", "retained_low", "retained_high")
"""Of :func:`to_csv`, after the others, with retention."""


def to_csv(found: Comparison, retained: Sequence[Retained] = ()) -> str:
    """A row for each measure and record against the baseline, with all digits."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow((*COLUMNS, *RETENTION_COLUMNS) if retained else COLUMNS)
    names = _names(found)
    shares = {(x.task, x.kind, x.measure): (x.retained, x.low, x.high) for x in retained}
    for task in found.tasks:
        for kind in task.kinds:
            for one in kind.measures:
                for x in one.against:
                    values = (
                        one.values[0].mean, one.values[x.record].mean, x.difference, x.low, x.high,
                        x.corrected_level, x.corrected_low, x.corrected_high, x.p_value,
                        x.adjusted, x.detectable,
                    )  # fmt: skip
                    rows.writerow(
                        (task.task, kind.kind, one.measure, names[0], names[x.record],
                         *("" if v != v else repr(v) for v in values),
                         x.verdict, "forced" if found.note else "",
                         *_shares(shares, (task.task, kind.kind, one.measure)))
                    )  # fmt: skip
    return out.getvalue()


def _shares(
    shares: Mapping[tuple[str, str, str], tuple[float, float, float]], at: tuple[str, str, str]
) -> list[str]:
    """The retention columns of a row of CSV; none without retention, empty where undefined."""
    if not shares:
        return []
    return ["" if v != v else repr(v) for v in shares.get(at, (math.nan,) * 3)]


def _retention(retained: Sequence[Retained], names: Sequence[str]) -> Iterator[tuple[str, Grid]]:
    """What the second record retains of each mean of the first, in per cent of it."""
    if not retained:
        return
    rows = []
    for x in retained:
        cells: list[Item | str] = [
            f"{x.task} {x.kind}",
            numbers.label(x.measure),
            numbers.value(x.measure, x.clean),
            numbers.value(x.measure, x.changed),
        ]
        share, *ends_of = (numbers.UNDEFINED if y != y else f"{100 * y:.1f}" for y in
                           (x.retained, x.low, x.high))  # fmt: skip
        interval = None if x.low != x.low else (ends_of[0], ends_of[1])
        rows.append(Line([*cells, Item(share, interval=interval)]))
    headers = ("", "measure", names[0], names[1], "retained, %")
    title = f"Retained by {names[1]}: share of {names[0]}'s mean, intervals over questions"
    yield title, Grid("", headers, rows, align="llrrr")


def to_latex(found: Comparison, retained: Sequence[Retained] = ()) -> str:
    """The tables of :func:`to_markdown` in LaTeX, what must not be left unsaid in each caption."""
    names = _names(found)
    tables = [
        latex.table(grid, _captioned(found, title), f"comparison-{number}")
        for number, (title, grid) in enumerate(in_short(found, names), 1)
    ]
    for task in found.tasks:
        reasons = f". PARTIAL: {partial(task.partial)}" if task.partial else ""
        for kind in task.kinds:
            grid = _measures(found, kind, names, corrected=True)
            lines = [Line([x.group.partition("   ")[0], *x.cells], x.style) for x in grid.lines()]
            whole = Grid("", ("measure", *grid.headers), lines, align="l" + grid.align)
            title = f"{task.title}, {kind.kind}: {_kind_facts(kind)}{reasons}"
            tables.append(
                latex.table(whole, _captioned(found, title), f"comparison-{task.task}-{kind.kind}")
            )
    tables += [
        latex.table(grid, _captioned(found, title), "comparison-retention")
        for title, grid in _retention(retained, names)
    ]
    return "\n".join(tables)


def _captioned(found: Comparison, title: str) -> str:
    return f"{title}. {found.note}" if found.note else title


def _print_kind(
    console: Console,
    found: Comparison,
    kind: KindComparison,
    names: Sequence[str],
    *,
    verbose: bool,
) -> None:
    """The measures of one kind of setting, and where their differences come from."""
    console.print()
    console.print(f"{kind.kind}: {_kind_facts(kind)}", style="bold")
    print_grid(console, _measures(found, kind, names))
    for line in _disagreements(found, kind, names):
        console.print(line, style="dim")
    for title, grid in _languages(found, kind, names):
        console.print()
        console.print(title)
        print_grid(console, grid)
    if verbose:
        _print_pairs(console, found, kind, names)
    for title, grid in _flips(found, kind, names):
        console.print()
        console.print(title)
        print_grid(console, grid)


def to_markdown(found: Comparison, retained: Sequence[Retained] = ()) -> str:
    """``found`` as one Markdown page."""
    lines: list[str] = []
    names = _names(found)
    if found.note:
        lines += [f"**{escaped(found.note)}**", ""]
        lines += [*(f"- {escaped(str(x))}" for x in found.mismatches), ""]
    lines += [f"- {escaped(x)}" for x in _records(found)]
    if found.differing:
        lines += [
            "- Differences between the records",
            *(f"  - {escaped(_shortened(x))}" for x in found.differing),
        ]
    for title, grid in in_short(found, names):
        lines += ["", f"## {escaped(title)}", "", *markdown_rows(grid)]
    for task in found.tasks:
        lines += ["", f"## {escaped(task.title + _task_facts(task))}"]
        if task.partial:
            lines += ["", f"**PARTIAL: {escaped(partial(task.partial))}**"]
        for kind in task.kinds:
            lines += ["", f"### {kind.kind}: {_kind_facts(kind)}", ""]
            lines += markdown_rows(_measures(found, kind, names, corrected=True))
            for title, grid in (*_languages(found, kind, names), *_flips(found, kind, names)):
                lines += ["", escaped(title), "", *markdown_rows(grid)]
        if task.texts_note:
            lines += ["", escaped(task.texts_note)]
    for title, grid in _retention(retained, names):
        lines += ["", f"## {escaped(title)}", "", *markdown_rows(grid)]
    lines += ["", *(f"- {escaped(x)}" for x in _legend(found))]
    return "\n".join(lines) + "\n"


_ROOM = 68
"""Columns of the widest usual table of two records without their names."""
_RANKS = 6
"""Columns of the ranks, which only three or more records have."""


def _names(found: Comparison, width: int | None = None) -> list[str]:
    """What the records are called in tables: where they differ and fit, models or folders.

    Otherwise they have letters.
    A model's name is cut to what is behind its last slash where that is still distinct.
    """
    letters = [x.letter for x in found.records]
    whole = [one_line(x.model) for x in found.records]
    short = [x.rstrip("/").rpartition("/")[2] for x in whole]
    folders = [one_line(Path(x.folder).name) if x.folder else x.letter for x in found.records]
    names = next((x for x in (short, whole, folders) if len(set(x)) == len(x)), letters)
    if width is not None:
        room = width - _ROOM - (_RANKS if len(names) > 2 else 0)
        if max(map(cell_len, names)) > room:
            return letters
    return names


def in_short(found: Comparison, names: Sequence[str]) -> Iterator[tuple[str, Grid]]:
    """In how many measures each record is better or worse than the baseline, kind by kind."""
    for k in range(1, len(found.records)):
        rows, counts = [], Counter[str]()
        several = len(found.tasks) > 1
        for task in found.tasks:
            for kind in task.kinds:
                by: dict[str, list[str]] = {}
                for one in kind.measures:
                    by.setdefault(_column(one, k), []).append(numbers.label(one.measure))
                counts.update({x: len(y) for x, y in by.items()})
                rows.append((f"{task.task} {kind.kind}" if several else kind.kind, by))
        shown = [x for x in _COLUMNS if counts[x]]
        lines: list[Line] = []
        for name, by in rows:
            lines.append(Line([name, *(_counted(by, x) for x in shown)]))
        if len(rows) > 1:
            lines.append(Line(["all", *(str(counts[x]) for x in shown)], "strong"))
        title = f"In short: {names[k]} against {names[0]}, by number of measures"
        yield title, Grid("", ("", *shown), lines, align="l" + "w" * len(shown))


_COLUMNS = ("better", "worse", "no difference shown", "higher", "lower", "undefined")


def _column(one: MeasureComparison, k: int) -> str:
    return one.against[k - 1].verdict


def _counted(by: Mapping[str, Sequence[str]], verdict: str) -> str:
    """``2: mAP, R@1``; the measures are named unless all have this verdict."""
    here = by.get(verdict, [])
    if not here or len(by) == 1:
        return str(len(here))
    return f"{len(here)}: {', '.join(here)}"


def _disagreements(found: Comparison, kind: KindComparison, names: Sequence[str]) -> Iterator[str]:
    """Where a difference's own interval says otherwise than its verdict, and why."""
    for one in kind.measures:
        for x in one.against:
            shown = x.adjusted <= found.alpha
            apart = x.low > 0 or x.high < 0
            if x.low != x.low or apart == shown:
                continue
            name = f"{numbers.label(one.measure)}, {names[x.record]}"
            corrected = numbers.interval(
                one.measure, x.corrected_low, x.corrected_high, differences=True
            )
            if shown:
                yield f"{name}: the interval includes 0, the test of swapped questions does not."
            elif corrected is None:
                yield (
                    f"{name}: the interval leaves out 0, but counts one comparison; the verdict "
                    f"counts {found.comparisons}."
                )
            else:
                level = f"{100 * x.corrected_level:.4g}%"
                at = f"corrected as the verdict is ({level}), it is [{', '.join(corrected)}]"
                if x.corrected_low > 0 or x.corrected_high < 0:
                    yield (
                        f"{name}: {at} and leaves out 0 too: the bootstrap and the test of "
                        "swapped questions differ at the margin; the verdict is the test's."
                    )
                else:
                    yield (f"{name}: the interval leaves out 0, but counts one comparison; {at}.")


def _records(found: Comparison) -> Iterator[str]:
    for number, side in enumerate(found.records):
        at = f" ({side.folder})" if side.folder else ""
        yield f"{side.letter}  {side.model}{at}{'' if number else ', the baseline'}"
    if found.left_out:
        yield f"Left out, because not in all records: {', '.join(found.left_out)}"


def _shortened(fact: Differing) -> str:
    """``device: A cpu, B cuda``."""
    return str(fact).replace(" has ", " ")


def _task_facts(task: TaskComparison) -> str:
    name = "" if task.title.lower() == task.task else f" ({task.task})"
    return f"{name}, text: {task.text}"


def _kind_facts(kind: KindComparison) -> str:
    settings = numbers.plural(kind.settings, "setting")
    queries = numbers.plural(kind.queries, "query")
    return f"{settings}, {queries} of {numbers.plural(kind.questions, 'question')}"


def _measures(
    found: Comparison, kind: KindComparison, names: Sequence[str], *, corrected: bool = False
) -> Grid:
    """Every measure, a row per record; ``corrected`` adds the intervals that the verdicts have."""
    ranks = len(found.records) > 2
    headers = (
        "",
        "mean",
        f"difference\nto {names[0]}",
        *(["corrected interval"] if corrected else []),
        "p\n(Holm)",
        "could\ndetect",
        *(["rank"] if ranks else []),
        "verdict",
    )
    rows: list[Line] = []
    for one in kind.measures:
        name = numbers.label(one.measure)
        tied = ", ".join(" = ".join(names[i] for i in run) for run in one.ties)
        rows += _sides(found, one, f"{name}   tie: {tied}" if tied else name, names, corrected)
    return Grid("", headers, rows, align="l" + "r" * (len(headers) - 2) + "w")


def _sides(
    found: Comparison, one: MeasureComparison, group: str, names: Sequence[str], corrected: bool
) -> list[Line]:
    lines = []
    for i, value in enumerate(one.values):
        cells: list[Item | str] = [
            names[i],
            Item(
                numbers.value(one.measure, value.mean),
                interval=numbers.interval(one.measure, value.low, value.high),
            ),
        ]
        if i:
            x = one.against[i - 1]
            cells += [
                Item(
                    signed(one.measure, x.difference),
                    interval=numbers.interval(one.measure, x.low, x.high, differences=True),
                ),
                *([_corrected(one, x)] if corrected else []),
                p_value(x.adjusted),
                numbers.value(one.measure, x.detectable),
            ]
        else:
            cells += [""] * (4 if corrected else 3)
        best, worst = one.ranks[i] if one.ranks else (0, 0)
        strong = best == worst == 1
        if len(found.records) > 2:
            rank = str(best) if best == worst else f"{best}-{worst}"
            cells.append(rank if one.ranks else numbers.UNDEFINED)
        cells.append(one.against[i - 1].verdict if i else "")
        lines.append(Line(cells, "strong" if strong else "", group))
    return lines


def _corrected(one: MeasureComparison, x: Against) -> str:
    found = numbers.interval(one.measure, x.corrected_low, x.corrected_high, differences=True)
    return "" if found is None else ends(found)


def _lead(kind: KindComparison) -> MeasureComparison:
    return next(x for x in kind.measures if x.measure == kind.lead)


def _languages(
    found: Comparison, kind: KindComparison, names: Sequence[str]
) -> Iterator[tuple[str, Grid]]:
    """Wins and losses of each query language, a table per record against the baseline."""
    one = _lead(kind)
    more, less = ("better", "worse") if one.better else ("higher", "lower")
    headers = ("", "queries", more, "equal", less, "difference", "p\n(Holm)", "verdict")
    for x in one.against:
        rows = [_wins(one, part) for part in x.languages]
        letters = f"{names[x.record]} against {names[0]}"
        title = f"{kind.kind}, {numbers.label(one.measure)} by query language: {letters}"
        yield title, Grid("", headers, rows, align="lrrrrrrw")


def _wins(one: MeasureComparison, part: LanguageComparison) -> list[str]:
    more, less = part.higher, part.lower
    if one.better == "lower":
        more, less = less, more
    return [
        part.query_language,
        numbers.count(part.queries),
        *(percent(x) for x in (more, part.equal, less)),
        signed(one.measure, part.difference),
        p_value(part.adjusted),
        part.verdict,
    ]


def _print_pairs(
    console: Console, found: Comparison, kind: KindComparison, names: Sequence[str]
) -> None:
    """The difference of each ordered pair of languages, a matrix per record."""
    one = _lead(kind)
    for x in one.against:
        if not x.pairs:
            continue
        at = {(p.query_language, str(p.passage_language)): p for p in x.pairs}
        rows, columns = (list(dict.fromkeys(key[i] for key in at)) for i in (0, 1))
        cells = {k: None if p.difference != p.difference else p.difference for k, p in at.items()}
        letters = f"{names[x.record]} minus {names[0]}"
        console.print()
        console.print(
            f"{kind.kind}, {numbers.label(one.measure)}, {letters}: queries down, passages "
            f"across; * p at most {found.alpha} (Benjamini-Hochberg over the pairs)"
        )
        order = sorted(columns, key=lambda c: rows.index(c) if c in rows else len(rows))
        marked = {k for k, p in at.items() if p.adjusted <= found.alpha}
        print_matrix(console, rows, order, cells, lambda d: signed(one.measure, d), marked)


def _flips(
    found: Comparison, kind: KindComparison, names: Sequence[str]
) -> Iterator[tuple[str, Grid]]:
    """The questions that changed most, a table per record."""
    first = names[0]
    for number, second in enumerate(names):
        flips = [x for x in kind.flips if x.record == number]
        if not flips:
            continue
        headers = ("question", "languages", first, second, "changed in")
        rows = []
        for x in flips:
            languages = x.query_language
            if x.passage_language not in (None, x.query_language):
                languages += f"-{x.passage_language}"
            cells = [
                x.question,
                languages,
                *(numbers.value(kind.lead, v) for v in (x.baseline, x.value)),
                f"{x.changed} of {x.settings}",
            ]
            rows.append(Line(cells, group=one_line(x.text or "")))
        name = numbers.label(kind.lead)
        yield (
            f"{kind.kind}, {name}: questions that changed most, {first} to {second}",
            Grid("", headers, rows, align="ll"),
        )


def _legend(found: Comparison) -> Iterator[str]:
    """What the columns mean."""
    times, seed = numbers.count(found.permutations), found.seed
    yield (
        f"Macro means with {percent(found.level, 0)} BCa intervals, questions resampled "
        f"({numbers.count(found.resamples)} times, seed {seed}). p: questions swapped between "
        f"two records ({times} times, or in all ways there are if fewer), Holm over "
        f"{numbers.plural(found.comparisons, 'comparison')}; a verdict needs p at most "
        f"{found.alpha}. An interval counts its comparison alone, a verdict all of them. "
        f"Could detect: the smallest true difference that {percent(found.power, 0)} "
        f"of such data sets would show, at {found.alpha} / {numbers.count(found.comparisons)}. By "
        "language, p is Holm's over the languages of that table."
    )
    for task in found.tasks:
        for kind in task.kinds:
            least = min(1.0, kind.smallest_p_value * found.comparisons)
            if least > found.alpha:
                yield (
                    f"{task.task} {kind.kind} has {numbers.plural(kind.questions, 'question')}: p "
                    f"cannot fall below {least:.3g} after the correction, so no difference can be "
                    "shown; compare more questions or fewer measures"
                )
