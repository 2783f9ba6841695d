"""A comparison of records: in the terminal, and as Markdown of the same tables."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from harness.analysis.compare import (
    Comparison,
    KindComparison,
    LanguageComparison,
    MeasureComparison,
    TaskComparison,
)
from harness.analysis.mismatches import Differing
from harness.console import numbers
from harness.console.markdown import escaped
from harness.console.markdown import rows as markdown_rows
from harness.console.matrices import print_matrix
from harness.console.numbers import p_value, percent, signed
from harness.console.tables import Grid, Item, Line
from harness.console.terminal import print_grid
from harness.evaluation.partial import partial


def print_comparison(console: Console, found: Comparison, *, verbose: bool = False) -> None:
    """Print ``found``; ``verbose`` adds the matrix of differences over ordered language pairs."""
    if found.note:
        console.print(found.note, style="bold yellow")
        for mismatch in found.mismatches:
            console.print(f"  {mismatch}", style="yellow")
        console.print()
    for line in _records(found):
        console.print(line, soft_wrap=True)
    if found.differing:
        console.print("Differences between the records")
        for fact in found.differing:
            console.print(f"  {_shortened(fact)}")
    for task in found.tasks:
        console.print()
        console.print(Text(task.title, "bold").append(_task_facts(task), "not bold"))
        if task.partial:
            console.print(f"PARTIAL: {partial(task.partial)}", style="bold yellow")
        for kind in task.kinds:
            console.print()
            console.print(f"{kind.kind}: {_kind_facts(kind)}", style="bold")
            print_grid(console, _measures(found, kind))
            for title, grid in _languages(found, kind):
                console.print()
                console.print(title)
                print_grid(console, grid)
            if verbose:
                _print_pairs(console, found, kind)
            for title, grid in _flips(found, kind):
                console.print()
                console.print(title)
                print_grid(console, grid)
        if task.texts_note:
            console.print(task.texts_note, style="dim", soft_wrap=True)
    console.print()
    for line in _legend(found):
        console.print(line, style="dim")


def to_markdown(found: Comparison) -> str:
    """``found`` as one Markdown page."""
    lines: list[str] = []
    if found.note:
        lines += [f"**{escaped(found.note)}**", ""]
        lines += [*(f"- {escaped(str(x))}" for x in found.mismatches), ""]
    lines += [f"- {escaped(x)}" for x in _records(found)]
    if found.differing:
        lines += [
            "- Differences between the records",
            *(f"  - {escaped(_shortened(x))}" for x in found.differing),
        ]
    for task in found.tasks:
        lines += ["", f"## {escaped(task.title + _task_facts(task))}"]
        if task.partial:
            lines += ["", f"**PARTIAL: {escaped(partial(task.partial))}**"]
        for kind in task.kinds:
            lines += ["", f"### {kind.kind}: {_kind_facts(kind)}", ""]
            lines += markdown_rows(_measures(found, kind))
            for title, grid in (*_languages(found, kind), *_flips(found, kind)):
                lines += ["", escaped(title), "", *markdown_rows(grid)]
        if task.texts_note:
            lines += ["", escaped(task.texts_note)]
    lines += ["", *(f"- {escaped(x)}" for x in _legend(found))]
    return "\n".join(lines) + "\n"


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


def _measures(found: Comparison, kind: KindComparison) -> Grid:
    """Every measure, a row per record."""
    first = found.records[0].letter
    headers = (
        "",
        "mean",
        f"difference\nto {first}",
        "p\n(Holm)",
        "could\ndetect",
        "rank",
        "verdict",
    )
    rows: list[Line] = []
    for one in kind.measures:
        name = numbers.label(one.measure)
        tied = ", ".join(" = ".join(found.records[i].letter for i in run) for run in one.ties)
        rows += _sides(found, one, f"{name}   tie: {tied}" if tied else name)
    return Grid("", headers, rows, align="lrrrrrw")


def _sides(found: Comparison, one: MeasureComparison, group: str) -> list[Line]:
    lines = []
    for i, (side, value) in enumerate(zip(found.records, one.values, strict=True)):
        cells: list[Item | str] = [
            side.letter,
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
                p_value(x.adjusted),
                numbers.value(one.measure, x.detectable),
            ]
        else:
            cells += ["", "", ""]
        strong = False
        if one.ranks:
            best, worst = one.ranks[i]
            strong = best == worst == 1
            cells.append(str(best) if best == worst else f"{best}-{worst}")
        else:
            cells.append(numbers.UNDEFINED)
        cells.append(one.against[i - 1].verdict if i else "")
        lines.append(Line(cells, "strong" if strong else "", group))
    return lines


def _lead(kind: KindComparison) -> MeasureComparison:
    return next(x for x in kind.measures if x.measure == kind.lead)


def _languages(found: Comparison, kind: KindComparison) -> Iterator[tuple[str, Grid]]:
    """Wins and losses of each query language, a table per record against the baseline."""
    one = _lead(kind)
    ends = ("better", "worse") if one.better else ("higher", "lower")
    headers = ("", "queries", ends[0], "equal", ends[1], "difference", "p\n(Holm)", "verdict")
    for x in one.against:
        rows = [_wins(one, part) for part in x.languages]
        letters = f"{found.records[x.record].letter} against {found.records[0].letter}"
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


def _print_pairs(console: Console, found: Comparison, kind: KindComparison) -> None:
    """The difference of each ordered pair of languages, a matrix per record."""
    one = _lead(kind)
    for x in one.against:
        if not x.pairs:
            continue
        at = {(p.query_language, str(p.passage_language)): p for p in x.pairs}
        rows, columns = (list(dict.fromkeys(key[i] for key in at)) for i in (0, 1))
        cells = {k: None if p.difference != p.difference else p.difference for k, p in at.items()}
        letters = f"{found.records[x.record].letter} minus {found.records[0].letter}"
        console.print()
        console.print(
            f"{kind.kind}, {numbers.label(one.measure)}, {letters}: queries down, passages "
            f"across; * p at most {found.alpha} (Benjamini-Hochberg over the pairs)"
        )
        order = sorted(columns, key=lambda c: rows.index(c) if c in rows else len(rows))
        marked = {k for k, p in at.items() if p.adjusted <= found.alpha}
        print_matrix(console, rows, order, cells, lambda d: signed(one.measure, d), marked)


def _flips(found: Comparison, kind: KindComparison) -> Iterator[tuple[str, Grid]]:
    """The questions that changed most, a table per record."""
    first = found.records[0].letter
    for number, side in enumerate(found.records):
        flips = [x for x in kind.flips if x.record == number]
        if not flips:
            continue
        headers = ("question", "languages", first, side.letter, "changed in")
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
            rows.append(Line(cells, group=" ".join((x.text or "").split())))
        name = numbers.label(kind.lead)
        yield (
            f"{kind.kind}, {name}: questions that changed most, {first} to {side.letter}",
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
        f"{found.alpha}. Could detect: the smallest true difference that {percent(found.power, 0)} "
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
