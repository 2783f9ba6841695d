"""Listings of tasks, models and baselines, and of what a run would do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from harness.console import numbers
from harness.console.tables import Grid
from harness.console.terminal import print_grid
from harness.data.task import KINDS
from harness.errors import readable

if TYPE_CHECKING:
    from harness.data.locations import FileReport
    from harness.data.task import TaskSpec
    from harness.evaluation.dry_run import Plan
    from harness.evaluation.record import Record
    from harness.evaluation.record_fields import Contents
    from harness.evaluation.sweep import Sweep
    from harness.models import Listing, Model

_LISTED = 18
"""The most languages that are listed; of more, only their number is shown."""


def print_tasks(console: Console, specs: Sequence[tuple[TaskSpec, Sequence[FileReport]]]) -> None:
    """Tasks, each with the state of its files."""
    rows = []
    for spec, files in specs:
        kinds = [s.kind for s in spec.settings()]
        listed = len(spec.languages) <= _LISTED
        rows.append(
            (
                spec.name if spec.runs_unnamed else f"{spec.name} *",
                "+".join(str(kinds.count(kind)) for kind in KINDS),
                " ".join(spec.languages) if listed else f"{len(spec.languages)} languages",
                _at_hand(files),
            )
        )
    headers = ("task", "settings", "languages", "data")
    print_grid(console, Grid("", headers, rows, align="lrwl"))
    console.print("Settings are mono + cross + multi. Tasks with * run only if named with --task.")
    console.print("`harness tasks NAME` shows the details of one.")


def print_task(console: Console, spec: TaskSpec, files: Sequence[FileReport]) -> None:
    """Everything in a task's file, and the state of its data files."""
    kinds = [s.kind for s in spec.settings()]
    optional = f"; if named, also {', '.join(spec.optional)}" if spec.optional else ""
    runs = "by default" if spec.runs_unnamed else "where named"
    source = spec.source
    where = source.url or source.folder
    if source.repository is not None:
        where = f"{source.repository}@{source.revision}, on the hub"
    if source.queries is not None:
        where += f"; queries from {source.queries.repository}@{source.queries.revision}"
    count = numbers.plural(len(files), "file")
    facts = (
        ("runs", runs),
        ("languages", f"{len(spec.languages)}: {' '.join(spec.languages)}"),
        *([("queries in", " ".join(spec.query_languages))] if spec.query_languages else []),
        ("settings", ", ".join(f"{kinds.count(k)} {k}" for k in KINDS if k in kinds) + optional),
        ("measures", " ".join(spec.measures)),
        ("text", ", ".join([spec.text, *(x for x in spec.texts if x != spec.text)])),
        ("licence", spec.license),
        ("source", where),
        ("data", f"{_at_hand(files)} ({count}; `harness data where {spec.name}`)"),
    )
    # As written: neither marked up nor with control characters.
    console.print(Text(readable(f"{spec.title} ({spec.name})"), "bold"))
    console.print(Text(readable(spec.description)))
    rows = [(name, what.strip()) for name, what in facts]
    print_grid(console, Grid("", ("", ""), rows, align="lw"))
    if spec.citation:
        console.print(readable(spec.citation), soft_wrap=True, highlight=False, markup=False)


def _at_hand(files: Sequence[FileReport]) -> str:
    missing = [file for file in files if file.state == "missing"]
    if not missing:
        return "available"
    return "missing" if missing[0].url is None else "to fetch"


def print_models(
    console: Console, listings: Sequence[Listing], forms: Sequence[tuple[str, str]]
) -> None:
    """Models by name, then the forms of other model names."""
    rows: list[tuple[str, str, str]] = []
    for x in listings:
        about = x.description if x.available else f"{x.description}\nnot installed: {x.hint}"
        rows.append((x.name, x.kind, about))
    rows += [(form, "", about) for form, about in forms]
    print_grid(console, Grid("", ("model", "kind", "what it is"), rows, align="llw"))


def print_plans(console: Console, model: Model, plans: Sequence[Plan]) -> None:
    """What a run would encode and search."""
    console.print(f"{model.name} would run")
    console.print()
    rows = []
    for plan in plans:
        done = [numbers.UNDEFINED] * 2  # a lexical model encodes nothing
        if hasattr(model, "encode") or hasattr(model, "encode_parts"):
            done = [numbers.count(plan.distinct - plan.missing), numbers.count(plan.missing)]
        rows.append(
            (
                plan.task,
                ", ".join(f"{n} {kind}" for kind, n in plan.settings.items()),
                *map(numbers.count, (plan.queries, plan.pool, plan.texts, plan.distinct)),
                *done,
            )
        )
    headers = ("task", "settings", "queries", "pool", "texts", "distinct", "in store", "to encode")
    print_grid(console, Grid("", headers, rows, align="lw"))
    known = [plan.seconds for plan in plans if plan.seconds is not None]
    if known:
        texts = sum(plan.missing for plan in plans if plan.seconds is not None)
        console.print(
            f"Encoding {numbers.plural(texts, 'text')} takes about "
            f"{numbers.duration(sum(known))} here, by a few of them."
        )
    if any(plan.missing and plan.seconds is None for plan in plans):
        console.print("Endpoints and streamed corpora have no estimate here; see `harness plan`.")


def print_files(console: Console, reports: Sequence[tuple[str, FileReport]]) -> None:
    """One line per file, for people and ``awk``: task, state, path."""
    tasks = max(len(task) for task, _ in reports)
    states = max(len(report.state) for _, report in reports)
    for task, report in reports:
        line = f"{task:<{tasks}}  {report.state:<{states}}  {report.path}"
        console.print(line, soft_wrap=True)


def print_baselines(console: Console, found: Sequence[tuple[str, Contents]], folder: Path) -> None:
    """Tracked baselines, by name."""
    if not found:
        console.print(f"No baselines in {folder}; `harness baseline set RECORD` makes one.")
        return
    rows = []
    for name, contents in found:
        packages = contents.environment.packages
        rows.append(
            (
                name,
                contents.model.name,
                " ".join(t.task for t in contents.tasks),
                contents.created[:10],
                packages.get("polyglot-harness", numbers.UNDEFINED),
                (contents.model.fingerprint or numbers.UNDEFINED)[:12],
            )
        )
    headers = ("baseline", "model", "tasks", "made", "harness", "fingerprint")
    print_grid(console, Grid("", headers, rows, align="llwlll"))


def print_baseline(console: Console, contents: Contents) -> None:
    """How a baseline was made: versions and digests."""
    environment, model = contents.environment, contents.model
    console.print(f"made {contents.created} on {environment.platform}", soft_wrap=True)
    console.print(f"{environment.processor}, device {contents.device}", soft_wrap=True)
    versions = [f"Python {environment.python}"]
    versions += [f"{name} {version}" for name, version in environment.packages.items()]
    console.print(", ".join(versions))
    console.print(f"fingerprint {model.fingerprint}", soft_wrap=True)
    for task in contents.tasks:
        console.print(f"{task.task}: data {task.data_digest}", soft_wrap=True)
        console.print(f"{task.task}: task file {task.task_digest}", soft_wrap=True)
        definitions = task.definitions or {}
        console.print(f"{task.task}: " + ", ".join(f"{m} {x}" for m, x in definitions.items()))
    console.print()


def print_variants(
    console: Console, records: Sequence[Record], tables: Iterable[Grid], *, quiet: bool = False
) -> None:
    """``tables``, then where the records are; with ``quiet`` their paths alone."""
    for grid in tables:
        print_grid(console, grid)
        console.print()
    for record in records:
        name = "" if quiet else f"{record.model}: "
        console.print(f"{name}{record.folder}", soft_wrap=True, highlight=False)


def print_sweep(console: Console, sweep: Sweep, *, quiet: bool = False) -> None:
    """A table for each task, a row for each value; with ``quiet`` the records' paths alone."""
    for grid in () if quiet else sweep.tables():
        print_grid(console, grid)
        console.print()
    for value, record in zip(sweep.values, sweep.records, strict=True):
        name = "" if quiet else f"record of {value:g}: "
        console.print(f"{name}{record.folder}", soft_wrap=True, highlight=False)
