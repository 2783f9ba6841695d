"""The command ``harness``: a thin layer of click over the library.

Nothing heavy is imported before a command needs it: ``harness --help`` is instant.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from harness.cli.baseline import baseline
from harness.cli.board import board
from harness.cli.breakdown import breakdown
from harness.cli.card import card
from harness.cli.compare import compare
from harness.cli.data import data
from harness.cli.export import export
from harness.cli.fuse import fuse
from harness.cli.gate import gate
from harness.cli.help_sections import write_commands
from harness.cli.imports import import_
from harness.cli.inspect import models, show, tasks
from harness.cli.noise import noise
from harness.cli.overlap import overlap
from harness.cli.pairs import pairs
from harness.cli.plan import plan
from harness.cli.records import records
from harness.cli.run import run
from harness.cli.score import score
from harness.cli.store import store
from harness.cli.study import study
from harness.cli.train import train
from harness.cli.translate import translate
from harness.cli.verify import verify
from harness.errors import HarnessError

EPILOG = "HARNESS_DEBUG=1 shows the traceback of an error."

SECTIONS = {
    "Score": "run score fuse show records plan",
    "Compare": "compare breakdown noise verify",
    "Gate": "gate baseline",
    "Boards": "board card import export",
    "Train": "train study pairs translate overlap",
    "Data and models": "tasks models data store",
}
"""The commands by what they are for."""
_WIDEST = 100
"""Columns of a help text in a wider terminal."""


class _Harness(click.Group):
    """Shows errors that a user can fix as one sentence; others are bugs and keep a traceback."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.obj = ["harness", *args]  # the command line, for the record
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in sections."""
        write_commands(self, ctx, formatter, SECTIONS)

    def invoke(self, ctx: click.Context) -> Any:
        _escape_what_cannot_be_printed()
        try:
            with _terminable():
                result = super().invoke(ctx)
                sys.stdout.flush()
                return result
        except KeyboardInterrupt as stopped:
            click.echo("Stopped; run the same command again to resume.", err=True)
            ctx.exit(128 + (signal.SIGTERM if isinstance(stopped, _Terminated) else signal.SIGINT))
        except HarnessError as error:
            _fail(ctx, str(error), error.exit_code)
        except MemoryError:
            _fail(ctx, "out of memory; lower --batch-size, or run fewer languages or tasks", 2)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output has gone: click exits quietly
                raise
            where = f"{error.filename}: " if error.filename else ""
            _fail(ctx, f"{where}{error.strerror or error}", 2)


def _escape_what_cannot_be_printed() -> None:
    r"""Write ``\u2013`` where the terminal has no dash, rather than end in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as a scheduler or a container sends it: it ends a command as Ctrl-C does."""


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM raise within the block; only where nothing else handles it."""
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if not ours:
        yield
        return

    def stop(_: int, __: object) -> NoReturn:
        raise _Terminated

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _fail(ctx: click.Context, message: str, exit_code: int) -> NoReturn:
    if os.environ.get("HARNESS_DEBUG", "") not in ("", "0"):
        traceback.print_exc()
    click.echo(f"Error: {message}", err=True)
    _abandon_stdout_if_broken()
    ctx.exit(exit_code)


def _abandon_stdout_if_broken() -> None:
    """Keep Python from flushing again at exit, which would exit with its own code, 120."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(
    cls=_Harness,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": _WIDEST},
)
@click.version_option(package_name="polyglot-harness", prog_name="harness")
def main() -> None:
    """Score encoders on multilingual retrieval: within, across and over many languages.

    `harness run` alone scores a built-in encoder on a built-in task.
    """


# One per line, so that two branches that add a command do not conflict.
for command in (
    run,
    plan,
    show,
    records,
    score,
    fuse,
    export,
    import_,
    compare,
    breakdown,
    noise,
    board,
    card,
    pairs,
    gate,
    baseline,
    translate,
    verify,
    overlap,
    tasks,
    models,
    data,
    store,
    train,
    study,
):
    main.add_command(command)
