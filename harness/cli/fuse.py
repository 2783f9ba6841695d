"""``harness fuse``."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import PATH, POSITIVE, output_file_option


@click.command(short_help="Fuse TREC runs of several systems into one.")
@click.argument("runs", nargs=-1, required=True, type=PATH, metavar="RUN RUN...")
@output_file_option("The fused run; of folders, the folder for runs and the qrels beside them.")
@click.option(
    "--fusion",
    metavar="METHOD",
    help="rrf@60 (default), or minmax or z with weights, as minmax@0.7,0.3; equal ones without.",
)
@click.option(
    "--depth",
    type=POSITIVE,
    default=1000,
    show_default=True,
    metavar="N",
    help="Passages per query.",
)
def fuse(runs: tuple[Path, ...], output: Path, fusion: str | None, depth: int) -> None:
    """Fuse run files of any systems into one, or folders of files with the same names.

    rrf adds 1 / (60 + rank) over the runs that have a passage. minmax and z add scores on a common
    scale; a passage that a run lacks gets the run's lowest. Equal fused scores are ordered by
    passage id, descending, as trec_eval does. `harness score` scores the result. Systems that the
    harness runs itself are fused over whole rankings by `harness run --model fuse:A+B`.
    """
    from harness.interop.fused_runs import fuse_runs

    for path in fuse_runs(runs, output, fusion=fusion, depth=depth):
        click.echo(str(path))
