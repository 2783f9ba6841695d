"""``harness import``: other harnesses' result files as rows of our boards."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import (
    FOLDER,
    PATH,
)


@click.command("import", short_help="Take another harness's results into the leaderboards.")
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
    """Keep mteb's results of our tasks as rows, and make the boards again.

    FILE is a result file of mteb, DIR a folder of them, such as its ResultCache's. The rows are
    marked as imported and never ranked with measured ones; what a file lacks stays empty.
    """
    from harness.boards import commands
    from harness.interop.imported import keep
    from harness.interop.mteb import from_results

    rows = [row for path in paths for row in from_results(path)]
    for row in rows:
        click.echo(keep(row, leaderboards))
    made = commands.read(leaderboards, skip_invalid=False, tell=lambda _: None)
    for path in commands.update(made, leaderboards, ()):
        click.echo(path)
