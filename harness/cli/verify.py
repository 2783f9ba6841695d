"""``harness verify``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.cli.options import FOLDER, PATH, json_option, tasks_option
from harness.errors import NotComparableError


@click.command(short_help="Check a record against what is published of its model.")
@click.argument("record", required=False, type=PATH, metavar="[RECORD]")
@click.option(
    "--against",
    type=PATH,
    metavar="FOLDER",
    help="mteb's result files. Default: what `harness import` has put into the leaderboards.",
)
@click.option(
    "--as", "named", metavar="ORG/NAME", help="The model's name in the published results."
)
@tasks_option("A task of the record; can be repeated. Default: all that are published.", "NAME")
@click.option(
    "--measure",
    metavar="NAME",
    help="Measure to compare. Default: the task's first that both have.",
)
@click.option("--all", "everything", is_flag=True, help="All tracked records, as one table.")
@click.option(
    "--leaderboards",
    type=FOLDER,
    default=Path("leaderboards"),
    show_default=True,
    metavar="DIR",
    help="Folder with records/ and published/.",
)
@json_option()
@click.pass_context
def verify(
    ctx: click.Context,
    record: Path | None,
    against: Path | None,
    named: str | None,
    tasks: tuple[str, ...],
    measure: str | None,
    everything: bool,
    leaderboards: Path,
    as_json: bool,
) -> None:
    """Hold RECORD, a record.json or its folder, against mteb's published results of the same model.

    In each language a difference is OK (no larger than rounding and what scores move by in
    float32), close (no larger than what they move by in half precision) or FAIL. With --all every
    tracked record of which something is published is a line of a table; `harness board` keeps
    it as verified.md.

    Ends with 0: OK, 1: FAIL, 2: wrong usage or bad input, 3: close, 4: nothing to compare with.
    """
    if everything == (record is not None):
        raise click.UsageError("name a RECORD, or --all for the tracked ones: one of them")
    if everything and (named or tasks or measure):
        raise click.UsageError("--as, --task and --measure are for one RECORD")
    from harness.boards import read_leaderboards
    from harness.boards.render.verified import verification_grid
    from harness.boards.verification import read_published, verify_record, verify_tracked
    from harness.cli.views.verify import print_verification
    from harness.console import consoles
    from harness.console.terminal import print_grid

    rows = read_published(leaderboards, against, named)
    if record is None:
        found = verify_tracked(read_leaderboards(leaderboards).records, rows)
    else:
        found = verify_record(record, rows, named=named, tasks=tasks, measure=measure)
    if as_json:
        click.echo(json.dumps([x.document() for x in found], indent=1, allow_nan=False))
    elif everything:
        print_grid(consoles.console(), verification_grid(found))
    else:
        for number, one in enumerate(found):
            if number:
                click.echo()
            print_verification(consoles.console(), one)
    if not found:
        raise NotComparableError(
            "no tracked record is of a model and task of which something is published"
        )
    codes = {x.exit_code for x in found}
    ctx.exit(1 if 1 in codes else max(codes))
