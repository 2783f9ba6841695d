"""``harness overlap``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from harness.cli.help_sections import SectionedCommand
from harness.cli.options import (
    PATH,
    data_dir_option,
    json_option,
    languages_option,
    offline_option,
    quiet_option,
    tasks_option,
)

_SECTIONS = {
    "What is compared": "files tasks languages passages names",
    "What counts as a hit": "ngram threshold",
    "Output": "hits clean as_json quiet",
    "Data of the tasks": "data_dir offline",
}


@click.command(
    cls=SectionedCommand,
    sections=_SECTIONS,
    short_help="Whether training data contains evaluation texts.",
)
@click.option(
    "--data",
    "files",
    metavar="FILE",
    multiple=True,
    required=True,
    type=PATH,
    help="Training pairs, as JSON lines (.jsonl, .jsonl.gz); can be repeated.",
)
@tasks_option(
    "Evaluation task; can be repeated. Default: those that `harness run` takes by itself."
)
@languages_option("Only these languages of the tasks")
@click.option(
    "--passages",
    type=click.Choice(["all", "gold", "none"]),
    default="all",
    show_default=True,
    help="Compare all passages, only the relevant ones, or only questions.",
)
@click.option(
    "--ngram", metavar="N", default=13, show_default=True, help="Number of consecutive words."
)
@click.option(
    "--threshold",
    metavar="X",
    default=0.8,
    show_default=True,
    help="Similarity of near duplicates.",
)
@click.option(
    "--known-as",
    "names",
    metavar="NAME",
    multiple=True,
    help="A data set the files come from, if their names do not say; for ancestry.",
)
@click.option(
    "--hits",
    metavar="FILE",
    type=PATH,
    help="Write every hit, as JSON lines.",
)
@click.option(
    "--clean",
    metavar="DIR",
    type=PATH,
    help="Write copies of the files there, without rows that contain an evaluation question.",
)
@data_dir_option
@offline_option
@json_option()
@quiet_option()
@click.pass_context
def overlap(
    ctx: click.Context,
    /,
    files: tuple[Path, ...],
    tasks: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Look for evaluation questions and passages in training data.

    Texts are compared in a normal form: equal, nearly equal, or sharing 13 consecutive words; data
    sets of common ancestry are named. Exits with 1 if questions are in the data.
    """
    from harness.cli.views.overlap import print_overlap
    from harness.console import consoles
    from harness.console.progress_bars import show_progress
    from harness.training.overlap.pair_files import check_files

    with show_progress(quiet=quiet) as progress:
        found = check_files(files, tasks or None, progress=progress, **given)
    if as_json:
        documents = [x.document() for x in found]
        click.echo(json.dumps(documents, ensure_ascii=False, indent=1, allow_nan=False))
    else:
        console = consoles.console()
        for number, one in enumerate(found):
            if number:
                console.print()
            print_overlap(console, one)
    if any(x.leaked for x in found):
        ctx.exit(1)
