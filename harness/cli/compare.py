"""``harness compare``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from harness.cli.options import (
    PATH,
    data_dir_option,
    file_option,
    measures_option,
    tasks_option,
    verbose_option,
)

_STDOUT = Path("-")


@click.command(short_help="Compare records: differences and their uncertainty.")
@click.argument("records", nargs=-1, required=True, type=PATH, metavar="RECORD RECORD...")
@tasks_option("A task of all records; can be repeated. Default: all shared tasks.", "NAME")
@measures_option("Instead of the measures shown first and three of language bias; can be repeated.")
@click.option(
    "--flips",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="List the N questions that changed most, by mAP or the first --measure.",
)
@data_dir_option
@click.option(
    "--force", is_flag=True, help="Compare what is shared even if records measure different things."
)
@file_option("json", "Write JSON; - for stdout.")
@file_option("markdown", "Write Markdown; - for stdout.")
@verbose_option("Also the matrix of differences over ordered language pairs.")
def compare(
    records: tuple[Path, ...],
    json_file: Path | None,
    markdown_file: Path | None,
    verbose: bool,
    **given: Any,
) -> None:
    """Compare records of the same data; the first RECORD is the baseline.

    A RECORD is a record.json or its folder. Each mean and difference has its
    interval, each difference a p-value from swapping questions between the records, corrected for
    the number of comparisons. Records that do not measure the same thing are refused.
    """
    if json_file is not None and json_file == markdown_file:
        raise click.UsageError("--json and --markdown need different files")
    if given["data_dir"] is not None and not given["flips"]:
        raise click.UsageError("--data-dir is only used with --flips; give --flips N")
    from harness.analysis.compare import compare as compare_records
    from harness.cli.views import comparison
    from harness.console import consoles
    from harness.console.progress_bars import show_progress

    with show_progress(quiet=True):
        found = compare_records(records, **given)
    if json_file is not None:
        document = json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        _write(json_file, document + "\n")
    if markdown_file is not None:
        _write(markdown_file, comparison.to_markdown(found))
    if _STDOUT not in (json_file, markdown_file):
        comparison.print_comparison(consoles.console(), found, verbose=verbose)


def _write(file: Path, text: str) -> None:
    from harness.base.files import write_atomically

    if file == _STDOUT:
        click.echo(text, nl=False)
    else:
        write_atomically(file, text.encode())
