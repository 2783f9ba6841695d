"""``harness breakdown``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.cli.options import (
    PATH,
    json_option,
    languages_option,
    measures_option,
)

_BY = ("language", "pair", "script", "seen", "length", "golds")


@click.command(short_help="Scores of a record by language, script, length, ...")
@click.argument("record", type=PATH)
@click.option("--by", type=click.Choice(_BY), required=True, help="What to break down by.")
@click.option("--task", metavar="NAME", help="One task of the record; default: all of them.")
@measures_option("Any measure of the record, instead of those shown first; can be repeated.")
@languages_option("With --by seen: the training languages, if not those recorded", "--seen")
@json_option("Print JSON, with micro means and counts.")
def breakdown(
    record: Path,
    by: str,
    task: str | None,
    measures: tuple[str, ...],
    seen: tuple[str, ...] | None,
    as_json: bool,
) -> None:
    """Break down the scores of RECORD, a record.json or its folder.

    One table for each kind of setting. By language: of the query. By pair: every ordered pair of
    cross settings. By script: of the query's language, and whether the passage has the same. By
    seen: whether the model was trained on the languages. By length: quarters of each language's
    questions. By golds: how many passages are relevant to the query.
    """
    if seen is not None and by != "seen":
        raise click.UsageError(f"--seen has no effect with --by {by}: it is for --by seen")
    from harness.analysis.breakdown import break_down
    from harness.cli.views.breakdown import print_breakdown
    from harness.console import consoles
    from harness.evaluation.record import Record

    loaded = Record.load(record)
    names = [task] if task is not None else [x.task for x in loaded.tasks]
    found = [break_down(loaded, by, task=x, measures=measures or None, seen=seen) for x in names]
    if as_json:
        document = [x.document() for x in found]
        click.echo(json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False))
        return
    out = consoles.console()
    for number, one in enumerate(found):
        if number:
            out.print()
        print_breakdown(out, one)
