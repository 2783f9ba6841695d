"""``harness plan``."""

from __future__ import annotations

from typing import Any

import click

from harness.cli.help_sections import SectionedCommand
from harness.cli.options import (
    data_dir_option,
    engine_options,
    languages_option,
    memory_option,
    model_options,
    offline_option,
    options_of,
    query_prompt_option,
    quiet_option,
    shard_options,
    text_option,
)

_SECTIONS = {
    "What is estimated": "model task languages text sample",
    "The model": "query_prompt passage_prompt max_length batch_size batch_tokens dtype device "
    "backend backend_file compile base_url concurrency",
    "Workers, vectors and memory": "engine workers shard_size store_dtype memory",
    "Data and output": "data_dir offline quiet",
}


@click.command(
    cls=SectionedCommand,
    sections=_SECTIONS,
    short_help="Estimate the cost of a large task from a short sample.",
)
@click.option(
    "--model", default="default", metavar="NAME", help="A model, named as for `harness run`."
)
@click.option(
    "--task", required=True, metavar="NAME|FILE", help="A task, named as for `harness run`."
)
@languages_option("Only these languages of the task")
@text_option
@click.option(
    "--sample",
    type=click.IntRange(min=8),
    default=256,
    show_default=True,
    metavar="N",
    help="Passages of each language to encode.",
)
@query_prompt_option
@model_options
@engine_options()
@shard_options
@memory_option
@offline_option
@data_dir_option
@quiet_option("No progress bar.")
def plan(model: str, task: str, sample: int, quiet: bool, **given: Any) -> None:
    """Encode a short sample of a task and estimate the time for all of it, by language.

    Also shows the disk space of the vectors and the memory of a worker. Nothing is kept.
    """
    from harness.cli.views.corpus_plan import print_corpus_plan
    from harness.console import consoles
    from harness.console.progress_bars import show_progress
    from harness.evaluation.cost_estimate import plan_corpus

    options = options_of(**given)
    with show_progress(quiet=quiet) as progress:
        found = plan_corpus(model, task, options=options, sample=sample, progress=progress)
    print_corpus_plan(consoles.console(), found)
