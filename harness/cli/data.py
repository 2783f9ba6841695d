"""``harness data fetch|verify|where``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import (
    data_dir_option,
    languages_option,
    quiet_option,
)
from harness.errors import DataError

if TYPE_CHECKING:
    from harness.data.task import TaskSpec

_TASKS = click.argument("tasks", nargs=-1, metavar="[TASK]...")


@click.group(short_help="Fetch and verify the data of tasks.")
def data() -> None:
    """Fetch and verify the data of tasks, and say where it is.

    Without a task: the default tasks of `harness run`, which also fetches what it needs.
    """


def _specs(names: tuple[str, ...]) -> list[TaskSpec]:
    from harness.data.task import default_tasks, find_task

    return [find_task(name) for name in names] or default_tasks()


@data.command(short_help="Download missing files into the cache.")
@_TASKS
@languages_option("Only these languages")
@data_dir_option
@click.option("--offline", is_flag=True, help="Never use the network: only check.")
@quiet_option()
def fetch(
    tasks: tuple[str, ...],
    languages: tuple[str, ...] | None,
    data_dir: Path | None,
    offline: bool,
    quiet: bool,
) -> None:
    """Download files that are missing, or damaged in the cache, into the cache."""
    from harness.cli.views import listings
    from harness.console import consoles
    from harness.console.progress_bars import show_progress
    from harness.data import loading as library

    reports = []
    with show_progress(quiet=quiet) as progress:
        for spec in _specs(tasks):
            files = library.fetch(
                spec,
                languages=languages,
                data_dir=data_dir,
                offline=offline,
                progress=progress.download,
            )
            reports += [(spec.name, file) for file in files]
    listings.print_files(consoles.console(), reports)


@data.command(short_help="Compare files with their checksums.")
@_TASKS
@languages_option("Only these languages")
@data_dir_option
def verify(
    tasks: tuple[str, ...], languages: tuple[str, ...] | None, data_dir: Path | None
) -> None:
    """Compare each file with its checksum; fails if one is missing or damaged."""
    from harness.cli.views import listings
    from harness.console import consoles
    from harness.data import loading as library

    specs = _specs(tasks)
    # As they were typed: a task file is found by its path alone.
    typed = {spec.name: shlex.quote(word) for spec, word in zip(specs, tasks, strict=False)}
    reports = [
        (spec.name, file)
        for spec in specs
        for file in library.verify(spec, languages=languages, data_dir=data_dir)
    ]
    listings.print_files(consoles.console(), reports)
    bad = {
        typed.get(task, task): file
        for task, file in reports
        if file.state in ("missing", "damaged")
    }
    if bad:
        count = sum(file.state in ("missing", "damaged") for _, file in reports)
        raise DataError(
            f"{count} of {len(reports)} files missing or damaged; `harness data fetch "
            f"{' '.join(bad)}` downloads those that have a source"
        )


@data.command(short_help="Show where files are.")
@_TASKS
@languages_option("Only these languages")
@data_dir_option
def where(tasks: tuple[str, ...], languages: tuple[str, ...] | None, data_dir: Path | None) -> None:
    """Show where each file is, or where it would be downloaded to."""
    from harness.cli.views import listings
    from harness.console import consoles
    from harness.data import loading as library

    listings.print_files(
        consoles.console(),
        [
            (spec.name, file)
            for spec in _specs(tasks)
            for file in library.where(spec, languages=languages, data_dir=data_dir)
        ],
    )
