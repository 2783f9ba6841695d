"""``harness show``, ``harness tasks`` and ``harness models``."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import (
    PATH,
    data_dir_option,
    verbose_option,
)


@click.command(short_help="Print a record again.")
@click.argument("record", type=PATH)
@verbose_option("Also the language x language matrix.")
def show(record: Path, verbose: bool) -> None:
    """Print RECORD, a record.json or its folder."""
    from harness.console import consoles
    from harness.evaluation.record import Record
    from harness.evaluation.record_view import print_record

    loaded = Record.load(record)
    print_record(consoles.console(), loaded.contents, path=loaded.folder, verbose=verbose)


@click.command(short_help="List the tasks.")
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
@data_dir_option
def tasks(tasks: tuple[str, ...], data_dir: Path | None) -> None:
    """List the installed tasks, and whether their data is available.

    With TASK: what it measures, its languages, its source, and how to cite it.
    """
    from harness.cli.views import listings
    from harness.console import consoles
    from harness.data.loading import where
    from harness.data.task import find_task, list_tasks

    out = consoles.console()
    for name in tasks:
        spec = find_task(name)
        listings.print_task(out, spec, where(spec, data_dir=data_dir))
    if not tasks:
        listings.print_tasks(out, [(x, where(x, data_dir=data_dir)) for x in list_tasks()])


@click.command(short_help="List the models.")
def models() -> None:
    """List the models that are built in or added by packages, and the forms of other names."""
    from harness.cli.views import listings
    from harness.console import consoles
    from harness.models import FORMS, listing

    listings.print_models(consoles.console(), listing(), FORMS)
