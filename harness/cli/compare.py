"""``harness compare``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.help_sections import SectionedCommand
from harness.cli.options import (
    PATH,
    data_dir_option,
    file_option,
    measures_option,
    refuse_alone,
    tasks_option,
    verbose_option,
)

if TYPE_CHECKING:
    from harness.analysis.retention import Retained

_SECTIONS = {
    "What is compared": "tasks measures force",
    "Also print": "flips data_dir retention verbose",
    "Files": "json_file markdown_file csv_file latex_file",
}


@click.command(
    cls=SectionedCommand,
    sections=_SECTIONS,
    short_help="Compare records: differences and their uncertainty.",
)
@click.argument("records", nargs=-1, required=True, type=PATH, metavar="RECORD RECORD...")
@tasks_option("A task of all records; can be repeated. Default: all shared tasks.", "NAME")
@measures_option(
    "Measure instead of those shown first and three of language bias; can be repeated."
)
@click.option(
    "--flips",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="The N questions that changed most, by mAP or the first --measure; with their texts where "
    "the data is available.",
)
@data_dir_option
@click.option(
    "--force", is_flag=True, help="Compare what is shared even if records measure different things."
)
@file_option("json", "Write JSON; - for stdout.")
@file_option("markdown", "Write Markdown; - for stdout.")
@file_option("csv", "Write every difference as a row of CSV; - for stdout.")
@file_option("latex", "Write the tables as LaTeX; - for stdout.")
@click.option(
    "--retention",
    is_flag=True,
    help="With two records: the share of each mean that the second one keeps, with intervals.",
)
@verbose_option("The matrix of differences over ordered language pairs.")
def compare(
    records: tuple[Path, ...],
    json_file: Path | None,
    markdown_file: Path | None,
    csv_file: Path | None,
    latex_file: Path | None,
    retention: bool,
    verbose: bool,
    **given: Any,
) -> None:
    """Compare records of the same data; the first RECORD is the baseline.

    A RECORD is a record.json or its folder. Each mean and difference has its
    interval, each difference a p-value from swapping questions between the records, corrected for
    the number of comparisons. Records that do not measure the same thing are refused.
    """
    files = [x for x in (json_file, markdown_file, csv_file, latex_file) if x is not None]
    if len(set(files)) < len(files):
        raise click.UsageError("--json, --markdown, --csv and --latex need different files")
    refuse_alone({"data_dir": ("flips",)})
    if retention and len(records) != 2:
        raise click.UsageError("--retention takes two records: the clean one, then the other")
    if len({x.resolve() for x in records}) < len(records):
        click.echo("Warning: a record is named twice; it is compared with itself", err=True)
    from harness.analysis.compare import compare as compare_records
    from harness.cli.file_outputs import STDOUT, write_outputs
    from harness.cli.views import comparison
    from harness.console import consoles
    from harness.console.progress_bars import show_progress

    with show_progress(quiet=True):
        found = compare_records(records, **given)
    retained = _retained(records, given) if retention else ()
    write_outputs(
        {
            "--json": (json_file, lambda: _json(comparison.to_json(found, retained))),
            "--markdown": (markdown_file, lambda: comparison.to_markdown(found, retained)),
            "--csv": (csv_file, lambda: comparison.to_csv(found, retained)),
            "--latex": (latex_file, lambda: comparison.to_latex(found, retained)),
        }
    )
    if STDOUT not in files:
        comparison.print_comparison(consoles.console(), found, retained, verbose=verbose)


def _retained(records: tuple[Path, ...], given: dict[str, Any]) -> list[Retained]:
    from harness.analysis.retention import retention
    from harness.evaluation.record import Record

    clean, changed = (Record.load(x) for x in records)
    return retention(clean, changed, given["tasks"], given["measures"] or None)


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
