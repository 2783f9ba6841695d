"""``harness import``: other harnesses' result files as rows of our boards."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import (
    FOLDER,
    PATH,
)


@click.command("import", short_help="Import another harness's results into the leaderboards.")
@click.argument("paths", nargs=-1, required=True, type=PATH, metavar="FILE|DIR...")
@click.option(
    "--leaderboards",
    type=FOLDER,
    default=Path("leaderboards"),
    show_default=True,
    metavar="DIR",
    help="Folder with records/ and the boards made from them.",
)
def import_(paths: tuple[Path, ...], leaderboards: Path) -> None:
    """Import mteb's results as rows, and make the boards again.

    FILE is an mteb result file, DIR a folder of them, such as its ResultCache's or a copy of the
    published ones: of the harness's tasks, and of mteb's own on the same texts. The rows go to one
    table per task, under published/ of the leaderboards, are marked as imported and never ranked
    with measured ones; missing values stay empty. Unreadable parts are reported, one sentence for
    each kind of problem.
    """
    from harness.boards import commands
    from harness.cli.views.imports import shown
    from harness.interop.mteb.import_results import read_results
    from harness.interop.published_tables import keep

    found = read_results(paths)
    written = keep(found.rows, leaderboards)
    for line in shown(found):
        click.echo(line)
    for path in [*written, *commands.update_if_any(leaderboards)]:
        click.echo(path)
