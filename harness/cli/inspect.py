"""``harness show``, ``harness tasks`` and ``harness models``."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.help_sections import SectionedCommand
from harness.cli.options import (
    PATH,
    data_dir_option,
    file_option,
    verbose_option,
)

_SECTIONS = {
    "Print": "verbose",
    "Write instead": "csv_file latex_file svg_file task measure",
}


@click.command(cls=SectionedCommand, sections=_SECTIONS, short_help="Print a record again.")
@click.argument("record", type=PATH)
@file_option("csv", "Write the scores of every setting as CSV; - for stdout.")
@file_option("latex", "Write the table of means as LaTeX; - for stdout.")
@file_option("svg", "Draw the language x language matrix as SVG; - for stdout.")
@click.option("--task", metavar="NAME", help="The task of --svg, if there are several.")
@click.option("--measure", metavar="NAME", help="The measure of --svg.  [map]")
@verbose_option("Also the bias measures and the language x language matrix.")
def show(
    record: Path,
    csv_file: Path | None,
    latex_file: Path | None,
    svg_file: Path | None,
    task: str | None,
    measure: str | None,
    verbose: bool,
) -> None:
    """Print RECORD, a record.json or its folder, or write it as a table or a drawing."""
    if (task or measure) and svg_file is None:
        raise click.UsageError("--task and --measure are for --svg")
    from harness.cli.file_outputs import STDOUT, write_outputs
    from harness.console import consoles
    from harness.evaluation import record_tables
    from harness.evaluation.record import Record
    from harness.evaluation.record_view import print_record

    loaded = Record.load(record)
    written = write_outputs(
        {
            "--csv": (csv_file, lambda: record_tables.to_csv(loaded)),
            "--latex": (latex_file, lambda: record_tables.to_latex(loaded.contents)),
            "--svg": (svg_file, lambda: record_tables.to_svg(loaded.contents, task, measure)),
        }
    )
    if written:
        for file in (csv_file, latex_file, svg_file):
            if file not in (None, STDOUT):
                click.echo(f"wrote {file}", err=True)
    else:
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
