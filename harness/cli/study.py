"""``harness study``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.help_sections import SectionedCommand
from harness.cli.options import (
    FOLDER,
    data_dir_option,
    device_option,
    engine_options,
    json_option,
    offline_option,
    quiet_option,
)


@click.group(short_help="A research question as one file: trained, scored, compared.")
def study() -> None:
    """Train and score a grid of recipes from one file, and make its page.

    A trial is one training: an arm, one value of each axis, one seed. `harness study list` shows
    the built-in studies; your own file is a path ending in .toml.
    """


@study.command("list", short_help="The built-in studies.")
@json_option()
def list_(as_json: bool) -> None:
    """List the built-in studies: name, question, trials and scales."""
    from harness.cli.views.study import print_studies, studies_document
    from harness.console import consoles
    from harness.study.file import list_studies
    from harness.study.trials import trials_of

    found = [(x, len(trials_of(x))) for x in list_studies()]
    if as_json:
        click.echo(studies_document(found))
    else:
        print_studies(consoles.console(), found)


def _seeds(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """``0,1,2`` as numbers."""
    if value is None:
        return None
    words = [x.strip() for x in value.split(",")]
    if not all(x.isdecimal() for x in words):
        raise click.BadParameter(
            f"{value!r} is not a list of seeds; write whole numbers with commas between, as in "
            "0,1,2",
            ctx,
            param,
        )
    return tuple(int(x) for x in words)


_SECTIONS = {
    "What is run": "scale seeds output keep_models dry_run quiet",
    "Where it runs": "engine workers device",
    "Data": "data_dir offline",
}


@study.command(
    cls=SectionedCommand,
    sections=_SECTIONS,
    short_help="Train and score every trial that is not finished yet.",
)
@click.argument("name", metavar="NAME|FILE")
@click.option(
    "--output",
    type=FOLDER,
    metavar="DIR",
    help="Folder of the study.  [results/studies/NAME]",
)
@click.option(
    "--scale",
    default="small",
    show_default=True,
    metavar="NAME",
    help="A scale of the study's file.",
)
@click.option("--seeds", callback=_seeds, metavar="N,N", help="Seeds instead of the file's.")
@data_dir_option
@engine_options(
    "Who runs the trials: this process, one process per GPU (else on the processor), or actors on "
    "a Ray cluster.  [local; devices with --workers]",
    "Number of processes or actors.  [one per device]",
    default=None,
)
@device_option
@offline_option
@click.option("--keep-models", is_flag=True, help="Keep trained models in DIR/models.")
@click.option("--dry-run", is_flag=True, help="Show trials, time and disk, and train nothing.")
@quiet_option("Print only the folder.")
@click.pass_obj
def run(
    command: list[str],
    /,
    name: str,
    output: Path | None,
    scale: str,
    seeds: tuple[int, ...] | None,
    engine: str | None,
    workers: int | None,
    dry_run: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Run the study NAME, or the one in FILE: make its pairs, train its trials, score them.

    All errors that can be found early are reported before the first training. If stopped, the same
    command resumes with the unfinished trials; a failed trial is recorded, the others go on, and
    the next run tries it again.
    """
    from harness.cli.views.study import print_ran, print_study_plan
    from harness.console import consoles
    from harness.console.progress_bars import show_progress
    from harness.study.file import read_study
    from harness.study.prepared import StudyOptions

    found = read_study(name, scale, seeds)
    options = StudyOptions(
        output=output or Path("results") / "studies" / found.name,
        engine=engine or ("local" if workers in (None, 1) else "devices"),
        workers=None if engine is None and workers == 1 else workers,
        **given,
    )
    out = consoles.console()
    with show_progress(quiet=quiet) as progress:
        if dry_run:
            from harness.study.cost import plan_study

            print_study_plan(out, plan_study(found, options, progress))
            return
        from harness.study.run import run_study

        ran = run_study(found, options, progress=progress, tell=progress.note, command=command)
    if quiet:
        click.echo(ran.folder)
    else:
        print_ran(out, ran)
    if ran.failed:
        raise click.exceptions.Exit(1)


@study.command(short_help="Tables, plots and a page from a study's folder.")
@click.argument("folder", type=FOLDER, metavar="DIR")
@click.option("--output", type=FOLDER, metavar="DIR", help="Folder for the page.  [DIR/report]")
@click.option("--png/--no-png", default=True, help="Plots as PNG too.  [--png]")
def report(folder: Path, output: Path | None, png: bool) -> None:
    """Make the page of the study in DIR, finished or not."""
    from harness.study.report import write_report
    from harness.study.results import load_results

    click.echo(write_report(load_results(folder), output or folder / "report", png=png))


@study.command(short_help="List the pages of studies in a folder.")
@click.argument("folder", type=FOLDER, metavar="DIR")
def index(folder: Path) -> None:
    """Write DIR/README.md: title, question and first finding of every page DIR/*/index.md."""
    from harness.study.report.index import write_index

    click.echo(write_index(folder))
