"""``harness score``."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import (
    PATH,
    data_dir_option,
    languages_option,
    measures_option,
    offline_option,
    verbose_option,
)


@click.command(short_help="Score TREC runs of any system.")
@click.argument("runs", nargs=-1, required=True, type=PATH, metavar="RUN...")
@click.option("--task", metavar="NAME|FILE", help="The searched task; scores are by its settings.")
@click.option("--qrels", type=PATH, metavar="FILE", help="TREC judgements, if not those of a task.")
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
    data_dir: Path | None,
    offline: bool,
    verbose: bool,
) -> None:
    """Score TREC run files of any system with trec_eval.

    Judged queries that a run lacks count as 0. With --task, queries are named LANG:ID (en:q17) and
    passages LANG:ID, as `harness run --trec` writes them. A run that retrieves one language for
    each query language is taken as mono or cross, one that retrieves several as multi; use
    --setting if that is wrong.
    """
    if (task is None) == (qrels is None):
        raise click.UsageError("give either --task or --qrels, with the judgements of the runs")
    if task is None and (settings or languages):
        raise click.UsageError("--setting and --languages need --task: qrels have neither")
    from harness.cli.views.scores import print_scores
    from harness.console import consoles
    from harness.console.progress_bars import show_progress
    from harness.interop import trec_runs

    names = measures or trec_runs.MEASURES
    with show_progress(quiet=True):
        if qrels is not None:
            scored = trec_runs.score_with_qrels(runs, qrels, names)
        else:
            from harness.data.loading import load
            from harness.data.task import find_task

            assert task is not None
            loaded = load(
                find_task(task),
                languages=languages,
                data_dir=data_dir,
                offline=offline,
                corpora=False,
            )
            scored = trec_runs.score_with_task(runs, loaded, names, settings=settings or None)
    print_scores(consoles.console(), scored, verbose=verbose)
