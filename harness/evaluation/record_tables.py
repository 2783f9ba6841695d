"""A record as CSV, LaTeX and a drawing."""

from __future__ import annotations

from harness.console import latex, numbers
from harness.console.heat_maps import heat_map
from harness.console.tables import Grid, Item, Line
from harness.errors import UsageError, did_you_mean
from harness.evaluation.inclination import INCLINATION, MEAN, inclination
from harness.evaluation.partial import partial
from harness.evaluation.record import Record
from harness.evaluation.record_fields import Contents, Task
from harness.metrics import canonical


def to_csv(record: Record) -> str:
    """The scores of every setting with all their digits, as :meth:`Record.to_frame` has them."""
    return str(record.to_frame().assign(model=record.model).to_csv(index=False))


def to_latex(contents: Contents) -> str:
    """The macro means and their intervals, a table for each task, and what pair pools show."""
    tables = []
    for task in contents.tasks:
        tables.append(_latex(contents, task))
        if (found := inclination(task)) is not None:
            rows = [
                Line([x, *("" if (v := found.percent.get((x, y))) is None else f"{v:.1f}"
                           for y in found.others)], "strong" if x == MEAN else "")
                for x in (*found.queries, MEAN)
            ]  # fmt: skip
            caption = f"{contents.model.name} on {task.title}, {INCLINATION}"
            grid = Grid("", ("", *found.others), rows, align="l" + "r" * len(found.others))
            tables.append(latex.table(grid, caption, f"inclination-{task.task}"))
    return "\n".join(tables)


def _latex(contents: Contents, task: Task) -> str:
    rows = []
    for kind, means in task.means.items():
        ends = {} if task.intervals is None else task.intervals.means.get(kind, {})
        cells = [
            Item(
                numbers.value(m, means.macro.get(m)),
                interval=numbers.interval(m, *ends[m].bca) if m in ends else None,
            )
            for m in task.measures
        ]
        rows.append(Line([kind, *cells]))
    headers = ("", *(numbers.label(m) for m in task.measures))
    caption = f"{contents.model.name} on {task.title} (text: {task.text})"
    if task.sampled:
        caption += f". {task.sampled}"
    if reasons := task.partial.to_dict():
        caption += f". PARTIAL: {partial(reasons)}"
    if task.intervals is not None:
        caption += f". In brackets {numbers.percent(task.intervals.level, 0)} intervals"
    return latex.table(Grid("", headers, rows, align="l"), caption, f"scores-{task.task}")


def to_svg(contents: Contents, task: str | None = None, measure: str | None = None) -> str:
    """A measure of every ordered pair of languages as a coloured matrix.

    Args:
        contents: of the record.
        task: the task; may be left out if there is one.
        measure: any that its settings have; by default mAP, or the first.

    Raises:
        UsageError: several tasks, or the record has no such task, measure or pairs of languages.
    """
    names = [x.task for x in contents.tasks]
    if task is None and len(names) > 1:
        raise UsageError(f"the record has several tasks; name one of {', '.join(names)}")
    if task is not None and task not in names:
        raise UsageError(f"the record has no task {task!r}{did_you_mean(task, names)}")
    chosen = contents.tasks[0 if task is None else names.index(task)]
    pairs = [x for x in chosen.settings if x.kind in ("mono", "cross") and x.passage_language]
    if not any(x.kind == "cross" for x in pairs):
        raise UsageError(f"the record has no cross settings of {chosen.task}: nothing to draw")
    known = list(dict.fromkeys(m for x in pairs for m in x.scores))
    name = canonical(measure) if measure else "map" if "map" in known else known[0]
    if name not in known:
        raise UsageError(
            f"the record has no measure {name!r} of single pairs{did_you_mean(name, known)} (it "
            f"has {', '.join(known)})"
        )
    cells = {(x.query_language, str(x.passage_language)): x.scores.get(name) for x in pairs}
    rows, columns = ([x for x in chosen.languages if any(at[i] == x for at in cells)]
                     for i in (0, 1))  # fmt: skip
    title = (
        f"{numbers.label(name)}, {contents.model.name} on {chosen.title}: queries down, passages "
        "across"
    )
    return heat_map(title, rows, columns, cells, lambda x: numbers.value(name, x))
