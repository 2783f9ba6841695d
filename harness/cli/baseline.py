"""``harness baseline set|show|list``."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import (
    PATH,
    baselines_option,
    measures_option,
    verbose_option,
)


@click.group(short_help="Tracked baselines of `harness gate`.")
def baseline() -> None:
    """Tracked baselines: the records that `harness gate` compares candidates with."""


@baseline.command("set", short_help="Make a record a baseline.")
@click.argument("record", type=PATH)
@click.option(
    "--name", metavar="NAME", help="Name of the baseline. Default: the model's name and the tasks'."
)
@click.option(
    "--policy", type=PATH, metavar="FILE", help="Keep the measures of this gate.toml; optional."
)
@measures_option("Keep this measure as well as those shown first; can be repeated.")
@baselines_option()
def set_baseline(
    record: Path, name: str | None, policy: Path | None, measures: tuple[str, ...], folder: Path
) -> None:
    """Make RECORD, a record.json or its folder, a baseline; an existing NAME is replaced.

    Its per-query values are kept for the measures that the policy checks (default: the built-in
    policy) and for those that the record shows first.
    """
    from harness.evaluation.record import Record
    from harness.gate import baselines, measures_of, read_policy

    loaded = Record.load(record)
    gated = measures_of(read_policy(policy), loaded)
    target = baselines.folder_of(name or baselines.name_of(loaded), folder)
    for path in baselines.write(loaded, target, [*measures, *gated]):
        click.echo(f"wrote {path}", err=True)
    click.echo(target.name)


@baseline.command(short_help="Print a baseline.")
@click.argument("name", metavar="NAME|RECORD")
@baselines_option()
@verbose_option("Also the language x language matrix.")
def show(name: str, folder: Path, verbose: bool) -> None:
    """Print the baseline NAME: model, origin and means; its files are verified."""
    from harness.cli.views import listings
    from harness.console import consoles
    from harness.evaluation.record_view import print_record
    from harness.gate import baselines

    record = baselines.check(name, folder)
    out = consoles.console()
    listings.print_baseline(out, record.contents)
    print_record(out, record.contents, path=record.folder, verbose=verbose)


@baseline.command("list", short_help="List the baselines.")
@baselines_option()
def list_baselines(folder: Path) -> None:
    """List the baselines of the folder."""
    from harness.cli.views import listings
    from harness.console import consoles
    from harness.evaluation.record import Record
    from harness.gate import baselines

    listings.print_baselines(
        consoles.console(),
        [(name, Record.load(folder / name).contents) for name in baselines.names(folder)],
        folder,
    )
