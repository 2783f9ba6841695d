"""``harness export``: records in the form of other harnesses."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import (
    FOLDER,
    PATH,
)


@click.command(short_help="Write records in another harness's form.")
@click.argument("records", nargs=-1, required=True, type=PATH, metavar="RECORD...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["mteb"]),
    default="mteb",
    show_default=True,
    help="Form of the files; mteb: result files that its ResultCache loads.",
)
@click.option(
    "--output",
    type=FOLDER,
    default=Path("mteb"),
    show_default=True,
    metavar="DIR",
    help="Folder; for mteb, the one given to its ResultCache.",
)
def export(records: tuple[Path, ...], form: str, output: Path) -> None:
    """Write records as result files of mteb, with all their digits.

    RECORD is the folder of a run, or its record.json.
    """
    from harness.evaluation.record import RECORD_FILE, Record
    from harness.interop.mteb import write_results

    written: list[Path] = []
    each = {(x.parent if x.name == RECORD_FILE else x).resolve(): x for x in records}
    for record in [Record.load(x) for x in each.values()]:
        paths = write_results(record, output, taken=written)
        written += paths
        for path in paths:
            click.echo(path)
