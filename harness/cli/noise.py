"""``harness noise``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.cli.options import (
    data_dir_option,
    device_option,
    json_option,
    languages_option,
    limit_option,
    offline_option,
    quiet_option,
)


@click.command(short_help="How far a model's scores drift by themselves.")
@click.option(
    "--model",
    metavar="NAME",
    default="default",
    help="A model, named as for `harness run`.  [the best built-in encoder]",
)
@click.option(
    "--task", metavar="NAME|FILE", default="demo", show_default=True, help="The task to score."
)
@languages_option("Only these languages of the task")
@limit_option()
@device_option
@data_dir_option
@offline_option
@json_option("Print JSON, with the queries that changed.")
@quiet_option("Print only the tolerances.")
def noise(
    model: str,
    task: str,
    languages: tuple[str, ...] | None,
    limit: int | None,
    device: str | None,
    data_dir: Path | None,
    offline: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score a model repeatedly, and propose tolerances for a gate.

    The texts are encoded with other batch sizes, number formats and thread counts and searched in
    blocks of another size, never from the store. The drift is noise. The tolerances, as TOML, are
    three times the largest drift of a mean and of a language's mean, rounded up.
    """
    from harness.analysis.noise import measure_noise
    from harness.cli.views.noise import print_noise
    from harness.console import consoles
    from harness.console.progress_bars import show_progress
    from harness.evaluation.options import RunOptions
    from harness.models.base import ModelOptions

    options = RunOptions(
        languages=languages,
        limit=limit,
        data_dir=data_dir,
        offline=offline,
        store=False,
        model=ModelOptions(device=device, offline=offline),
    )
    with show_progress(quiet=quiet) as progress:
        found = measure_noise(model, task, options=options, progress=progress)
    if as_json:
        click.echo(json.dumps(found.document(), ensure_ascii=False, indent=1, allow_nan=False))
    elif quiet:
        click.echo(found.toml(), nl=False)
    else:
        print_noise(consoles.console(), found)
