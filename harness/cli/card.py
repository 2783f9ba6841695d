"""``harness card``."""

from __future__ import annotations

import re
from pathlib import Path

import click

from harness.cli.options import (
    FOLDER,
    PATH,
    refuse_alone,
)


def _datasets(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """``TASK=ORG/NAME`` as a mapping."""
    found = {}
    for text in value:
        match = re.fullmatch(r"([^=]+)=([\w.-]+/[\w.-]+)", text)
        if match is None:
            raise click.BadParameter(f"{text!r} must have the form TASK=ORG/NAME", ctx, param)
        found[match[1]] = match[2]
    return found


@click.command(short_help="Write a model card's evaluation section and metadata.")
@click.argument("records", nargs=-1, required=True, type=PATH, metavar="RECORD...")
@click.option(
    "--output",
    type=FOLDER,
    metavar="DIR",
    help="The model's folder: its README.md and .eval_results/ are updated.",
)
@click.option(
    "--push",
    metavar="ORG/NAME",
    help="The model on the hub: the same there, in one commit; ORG/NAME@BRANCH for a branch.",
)
@click.option(
    "--pull-request", is_flag=True, help="With --push: open a pull request instead of a commit."
)
@click.option(
    "--part",
    type=click.Choice(["section", "model-index", "eval-results"]),
    default="section",
    show_default=True,
    help="The form to print, without --output and --push.",
)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="TASK=ORG/NAME",
    callback=_datasets,
    help="A task's data set on the hub, for .eval_results; can be repeated.",
)
@click.option("--source-url", metavar="URL", help="Source of the numbers named in .eval_results.")
def card(
    records: tuple[Path, ...],
    output: Path | None,
    push: str | None,
    pull_request: bool,
    part: str,
    datasets: dict[str, str],
    source_url: str | None,
) -> None:
    """Write the results of one model's RECORDs in the forms of model cards.

    A section like those of sentence-transformers' cards, the metadata model-index, and the newer
    .eval_results. A RECORD is a record.json, its folder, or a tracked record.
    """
    from harness.boards import card as cards

    refuse_alone({"pull_request": ("push",)})
    made = cards.make_card(records)
    for sentence in cards.left_out(made, datasets):
        click.echo(f"Note: {sentence}", err=True)
    if output is not None:
        for path in cards.write_card(made, output, datasets, source_url):
            click.echo(path)
    if push is not None:
        click.echo(cards.push_card(made, push, datasets, source_url, pull_request=pull_request))
    if output is not None or push is not None:
        return
    if part == "section":
        click.echo(cards.section(made), nl=False)
    elif part == "model-index":
        click.echo(cards.to_yaml({"model-index": cards.model_index(made)}), nl=False)
    else:
        for name, entries in cards.eval_results(made, datasets, source_url).items():
            click.echo(f"# .eval_results/{name}\n{cards.to_yaml(entries)}", nl=False)
