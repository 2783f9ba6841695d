"""``harness board`` and ``harness board add``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from harness.cli.help_sections import SectionedGroup
from harness.cli.options import (
    FOLDER,
    PATH,
    Decorator,
    data_dir_option,
    refuse_alone,
    tasks_option,
)

if TYPE_CHECKING:
    from harness.boards import Board


def _leaderboards_option() -> Decorator:
    return click.option(
        "--leaderboards",
        type=FOLDER,
        default=Path("leaderboards"),
        show_default=True,
        metavar="DIR",
        help="Folder with records/ and the boards made from them.",
    )


_SECTIONS = {
    "Boards as files": "leaderboards check skip_invalid pages data_dir",
    "Print instead": "tasks sort pair paper changed form",
    "Show instead": "serve port",
}


@click.group(
    cls=SectionedGroup,
    sections=_SECTIONS,
    invoke_without_command=True,
    short_help="Make leaderboards from tracked records.",
)
@_leaderboards_option()
@click.option(
    "--check", is_flag=True, help="Write nothing; exit 1 with a diff if a board is out of date."
)
@click.option("--skip-invalid", is_flag=True, help="Leave out records that are not valid.")
@click.option(
    "--inject",
    "pages",
    multiple=True,
    type=PATH,
    metavar="FILE",
    help="Also put the table between the markers of a Markdown page; can be repeated.",
)
@tasks_option("Print this board.", "NAME")
@click.option("--sort", metavar="COLUMN", help="Print sorted by a column: multi/map.")
@click.option("--paper", is_flag=True, help="Print our rows in the papers' tables.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "markdown", "latex"]),
    default="terminal",
    show_default=True,
    help="Format of the printed board.",
)
@click.option(
    "--changed", metavar="REV", help="Print what changed on the boards since a commit of git."
)
@click.option(
    "--pair",
    nargs=2,
    metavar="ROW ROW",
    help="With --task: print two rows by language; the mean is over the languages of both.",
)
@click.option("--serve", is_flag=True, help="Show the HTML page in a browser; nothing is written.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Port for --serve; default: any free one.",
)
@data_dir_option
@click.pass_context
def board(
    ctx: click.Context,
    /,
    leaderboards: Path,
    check: bool,
    skip_invalid: bool,
    pages: tuple[Path, ...],
    serve: bool,
    port: int,
    data_dir: Path | None,
    **printed: Any,
) -> None:
    """Make all boards, in all formats, from the records in DIR/records.

    `harness board add RECORD` puts a record there. With --task, --sort, --paper, --pair or
    --changed something is printed, and nothing is written. DIR/index.html is a page of all boards
    that opens from disk; if the data is available it shows the texts of questions.
    """
    if ctx.invoked_subcommand is not None:
        _refuse_options_before(ctx, ctx.invoked_subcommand)
        return
    refuse_alone({"port": ("serve",), "form": ("tasks", "sort", "paper", "pair", "changed")})
    _refuse_together(check=check, serve=serve, pages=pages, **printed)
    from harness.boards import commands

    made = commands.read(leaderboards, skip_invalid=skip_invalid, tell=_warn)
    if any(x not in (None, (), False) for name, x in printed.items() if name != "form"):
        _print(made, leaderboards, **printed)
    elif check:
        lines = commands.check(made, leaderboards, pages)
        for line in lines:
            click.echo(line)
        if lines:
            click.echo(commands.CHECK_FAILED, err=True)
            ctx.exit(1)
        from harness.console.numbers import plural

        records = plural(made.records, "record")
        click.echo(f"The boards in {leaderboards} match their {records}.")
    elif serve:
        from harness.boards.page.serving import serve as serve_page

        serve_page(commands.html(made, data_dir), port, _open)
    else:
        for path in commands.update(made, leaderboards, pages, data_dir):
            click.echo(path)


def _refuse_options_before(ctx: click.Context, command: str) -> None:
    """Refuse options before ``add``, which has its own: they would be ignored."""
    for option in ctx.command.params:
        if ctx.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{option.opts[0]} before `{command}` has no effect: write it behind, if `harness "
                f"board {command}` has it"
            )


def _refuse_together(
    *,
    check: bool,
    serve: bool,
    pages: tuple[Path, ...],
    tasks: tuple[str, ...],
    sort: str | None,
    paper: bool,
    changed: str | None,
    pair: tuple[str, str] | None,
    form: str,
) -> None:
    """Refuse options of which one would be ignored: a --check that checks nothing is green."""
    what = {
        "--check": check, "--serve": serve, "--changed": changed is not None, "--paper": paper,
        "--pair": bool(pair),
    }  # fmt: skip
    chosen = [flag for flag, given in what.items() if given]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)} cannot be given together")
    which = [flag for flag, given in (("--task", tasks), ("--sort", sort)) if given]
    allowed = {"--pair": which, "--paper": ["--task"]}
    for flag in chosen:
        for other in which:
            if other not in allowed.get(flag, ()):
                raise click.UsageError(f"{other} has no effect with {flag}")
    if pages and (which or chosen not in ([], ["--check"])):
        raise click.UsageError("--inject is for writing and checking: leave the other options out")


def _print(
    made: Board,
    leaderboards: Path,
    *,
    tasks: tuple[str, ...],
    sort: str | None,
    paper: bool,
    form: str,
    changed: str | None,
    pair: tuple[str, str] | None,
) -> None:
    from harness.boards import commands

    if pair:
        if len(tasks) != 1:
            raise click.UsageError("--pair is for one board; name it with --task")
        commands.show_pair(made, tasks[0], pair, sort, form)
    elif changed is not None:
        commands.show_changes(made, leaderboards, changed, form)
    else:
        commands.show(made, tasks=tasks, sort=sort, paper=paper, form=form)


def _open(address: str) -> None:
    import webbrowser

    click.echo(f"Serving the boards at {address}; press Ctrl+C to stop.")
    webbrowser.open(address)


def _warn(sentence: str) -> None:
    click.echo(f"Warning: left out: {sentence}", err=True)


@board.command(short_help="Track records, and make the boards again.")
@click.argument("records", nargs=-1, required=True, type=PATH, metavar="RECORD...")
@_leaderboards_option()
@click.option("--skip-invalid", is_flag=True, help="Leave out records that are not valid.")
@click.option(
    "--trec",
    type=FOLDER,
    metavar="DIR",
    help="With one RECORD, also a tracked one: the folder that harness run --trec wrote. The page "
    "then shows the first passages of a few of its questions.",
)
def add(
    records: tuple[Path, ...], leaderboards: Path, skip_invalid: bool, trec: Path | None
) -> None:
    """Track RECORDs, each a record.json or its folder, and make the boards again.

    A tracked record is small: means, intervals, digests, and a number per question for tests
    between rows, but no per-query table.
    """
    from harness.boards import commands

    written = commands.add(records, leaderboards, trec=trec, skip_invalid=skip_invalid, tell=_warn)
    for path in written:
        click.echo(path)
