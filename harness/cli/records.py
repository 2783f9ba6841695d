"""``harness records``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.cli.options import FOLDER, json_option


@click.command(short_help="List the records of a folder.")
@click.argument("folder", type=FOLDER, default=Path("results"), metavar="[FOLDER]")
@json_option()
def records(folder: Path, as_json: bool) -> None:
    """List the records in FOLDER and below: systems, tasks, and one mean of each kind of setting.

    FOLDER is by default results, where `harness run` puts them. A damaged record is listed as such.
    """
    from harness.cli.views.record_listing import documents, print_listing
    from harness.console import consoles
    from harness.evaluation.record import list_records

    found = list_records(folder)
    if as_json:
        click.echo(json.dumps(documents(found), indent=1, ensure_ascii=False, allow_nan=False))
    else:
        print_listing(consoles.console(), folder, found)
