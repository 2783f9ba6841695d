"""``harness score``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from harness.cli.help_sections import SectionedCommand
from harness.cli.options import (
    PATH,
    data_dir_option,
    languages_option,
    measures_option,
    offline_option,
    sample_option,
    verbose_option,
)

_SECTIONS = {
    "What is scored": "task qrels languages sample corpus settings measures",
    "Data and output": "data_dir offline verbose",
}


@click.command(
    cls=SectionedCommand, sections=_SECTIONS, short_help="Score TREC runs of any system."
)
@click.argument("runs", nargs=-1, required=True, type=PATH, metavar="RUN...")
@click.option("--task", metavar="NAME|FILE", help="The searched task; scores are by its settings.")
@click.option(
    "--qrels",
    type=PATH,
    metavar="FILE|DIR",
    help="TREC judgements, if not those of a task; of a folder, the file with each run's name.",
)
@measures_option("Any trec_eval measure: map, ndcg_cut_10, P_5, official, ...; can be repeated.")
@click.option(
    "--setting",
    "settings",
    multiple=True,
    metavar="NAME",
    help="Score as this kind (multi) or setting (cross/de-en), whatever languages the run has; "
    "can be repeated.",
)
@languages_option("Only these languages of the task")
@sample_option("With --task: only its fixed sample of N questions, as `harness run --sample N`.")
@click.option(
    "--corpus",
    type=click.Choice(["whole", "sampled"]),
    default="whole",
    show_default=True,
    help="With --task: sampled, if the local corpus is a sample of the task's.",
)
@data_dir_option
@offline_option
@verbose_option("List all settings.")
def score(
    runs: tuple[Path, ...],
    task: str | None,
    qrels: Path | None,
    measures: tuple[str, ...],
    settings: tuple[str, ...],
    languages: tuple[str, ...] | None,
    sample: int | None,
    corpus: Literal["whole", "sampled"],
    data_dir: Path | None,
    offline: bool,
    verbose: bool,
) -> None:
    """Score TREC run files of any system with trec_eval; a folder stands for its *.run files.

    Files that `harness run --trec` wrote need no flag: each is judged by the qrels beside it.

    Judged queries that a run lacks count as 0. With --task, queries are named LANG:ID (en:q17) and
    passages LANG:ID, as `harness run --trec` writes them. A run that retrieves one language for
    each query language is taken as mono or cross, one that retrieves several as multi; use
    --setting if that is wrong.
    """
    if task is not None and qrels is not None:
        raise click.UsageError("give either --task or --qrels, with the judgements of the runs")
    if task is None and (settings or languages or sample or corpus == "sampled"):
        raise click.UsageError(
            "--setting, --languages, --sample and --corpus need --task: qrels have none of them"
        )
    from harness.cli.views.scores import print_scores
    from harness.console import consoles
    from harness.console.progress_bars import show_progress
    from harness.interop import trec_runs

    with show_progress(quiet=True):
        scored = trec_runs.score_run(
            runs,
            qrels=qrels,
            task=task,
            measures=measures or trec_runs.MEASURES,
            settings=settings or None,
            languages=languages,
            sample=sample,
            corpus=corpus,
            data_dir=data_dir,
            offline=offline,
        )
    print_scores(consoles.console(), scored, verbose=verbose)
