"""``harness run``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from harness.cli.help_sections import SectionedCommand
from harness.cli.options import (
    FOLDER,
    POSITIVE,
    data_dir_option,
    engine_options,
    languages_option,
    limit_option,
    measures_option,
    memory_option,
    model_options,
    numbers,
    offline_option,
    options_of,
    part,
    query_prompts_option,
    quiet_option,
    records_option,
    refuse_alone,
    run_kinds,
    sample_option,
    shard_options,
    tasks_option,
    text_option,
    verbose_option,
    whole_numbers,
)
from harness.errors import UnfinishedError, UsageError

if TYPE_CHECKING:
    from harness.console.tables import Grid
    from harness.evaluation.options import RunOptions
    from harness.evaluation.record import Record


def _bits(context: click.Context, option: click.Parameter, value: str | None) -> Any:
    """``int8,binary`` as a tuple."""
    from harness.evaluation.postprocessing.compress import read_bits

    return None if value is None else tuple(read_bits(x.strip()) for x in value.split(","))


_SECTIONS = {
    "What is scored": "model tasks languages settings limit sample sample_passages sample_by text "
    "measures",
    "The model": "fusion query_prompt passage_prompt max_length batch_size batch_tokens dtype "
    "device backend backend_file compile base_url concurrency",
    "Changed queries": "translate_queries into expand_queries expand_url code_switch noise "
    "romanise query_seed",
    "Post-processing and reranking": "treatments sweep dimensions bits rescore ann rerank "
    "rerank_top",
    "Results": "name output log_to log_project trec trec_depth resamples dry_run verbose quiet",
    "Data and stored vectors": "data_dir offline no_store store_dtype",
    "Large tasks, and memory": "corpus engine workers shard shard_size streamed memory top_k",
}

_COMPRESSION = ("dimensions", "bits", "rescore")
"""Options of which several values make a record each."""


@click.command(cls=SectionedCommand, sections=_SECTIONS, short_help="Score a model on tasks.")
@click.option(
    "--model",
    metavar="NAME",
    help="A name that `harness models` lists, ORG/NAME on the hub, a ./folder, "
    "python:package.module:factory, embeddings:FOLDER, mteb:NAME, http:NAME or fuse:A+B.",
)
@tasks_option("A task that `harness tasks` lists, or a task file ending in .toml; can be repeated.")
@languages_option("Only these languages of the tasks")
@click.option(
    "--settings",
    callback=run_kinds,
    metavar="KINDS",
    help="Some of mono,cross,multi,pairs; pairs only where named.",
)
@limit_option()
@sample_option("Only a fixed sample of N questions, with all passages.")
@click.option(
    "--sample-passages",
    type=POSITIVE,
    metavar="N",
    help="Only N passages of each language: the relevant ones, and the hardest others.",
)
@click.option(
    "--sample-by",
    default="bm25",
    show_default=True,
    metavar="MODEL",
    help="The first stage by which --sample-passages finds hard ones.",
)
@text_option
@measures_option("Measure instead of the task's own: map, recall@100, ...; can be repeated.")
@query_prompts_option
@model_options
@click.option(
    "--fusion",
    metavar="METHOD",
    help="How fuse:A+B is fused: rrf@60 (default), minmax or z with weights, as minmax@0.7,0.3, "
    "equal ones without; @tuned: weights found on other questions.",
)
@click.option("--name", metavar="NAME", help="Name of the system in the record and on boards.")
@records_option("Folder for records.")
@click.option(
    "--log-to",
    multiple=True,
    type=click.Choice(["trackio", "wandb", "mlflow"]),
    help="Also log the means to an installed experiment tracker; can be repeated.",
)
@click.option(
    "--log-project",
    default="polyglot-harness",
    show_default=True,
    metavar="NAME",
    help="Project or experiment of --log-to.",
)
@click.option("--trec", type=FOLDER, metavar="DIR", help="Write TREC run and qrels files there.")
@click.option(
    "--trec-depth",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="N",
    help="Passages per query in the TREC files; 0 for the whole ranking.",
)
@click.option(
    "--code-switch",
    metavar="LEXICON@SHARE",
    help="Put words of the queries into other languages: en-de.tsv@0.3, or a folder of lexicons.",
)
@click.option("--noise", metavar="typos@RATE", help="Mistype letters of the queries: typos@0.1.")
@click.option("--romanise", is_flag=True, help="Write the queries in Latin letters.")
@click.option(
    "--query-seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Seed of --code-switch and --noise.",
)
@click.option(
    "--translate-queries",
    metavar="ENGINE",
    help="Translate queries first: transformers:NAME, ctranslate2:FOLDER or command:COMMAND.",
)
@click.option(
    "--into",
    default="en",
    show_default=True,
    metavar="CODE",
    help="Language of --translate-queries.",
)
@click.option(
    "--expand-queries",
    metavar="WRITER",
    help="Append a passage written by a model to each query: http:NAME, or command:COMMAND.",
)
@click.option("--expand-url", metavar="URL", help="Endpoint of --expand-queries http:NAME.")
@click.option(
    "--treatment",
    "treatments",
    multiple=True,
    metavar="NAME",
    help="balanced, or with parallel texts offset:FILE, center:FILE, shift:FILE@a, "
    "shift-both:FILE@a, lir:FILE@r; can be repeated.",
)
@click.option(
    "--sweep",
    callback=numbers,
    metavar="VALUES",
    help="A record for each a or r of the --treatment, as in 0,0.5,1, and one table of all.",
)
@click.option(
    "--dimensions",
    callback=whole_numbers,
    metavar="N,...",
    help="Cut vectors to their first N dimensions, then length 1 again; several: one table.",
)
@click.option(
    "--bits",
    callback=_bits,
    metavar="NAME,...",
    help="int8, int4 or binary for both sides, int8-asymmetric, ... for passages alone, float32; "
    "several: a record for each, and one table of what is lost.",
)
@click.option(
    "--rescore",
    callback=whole_numbers,
    metavar="N,...",
    help="Order the first N of compressed vectors by the full ones; 0 for none.",
)
@click.option(
    "--ann",
    multiple=True,
    metavar="INDEX",
    help="Also search approximately, as faiss:HNSW32@efSearch=64: what it loses against exact "
    "ranks; can be repeated.",
)
@click.option(
    "--rerank",
    metavar="NAME",
    help="A cross-encoder for the top passages of each ranking: ORG/NAME, a ./folder, python:...",
)
@click.option(
    "--rerank-top",
    type=POSITIVE,
    default=100,
    show_default=True,
    metavar="N",
    help="Passages of each ranking that --rerank scores.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@offline_option
@data_dir_option
@click.option(
    "--corpus",
    type=click.Choice(["whole", "sampled"]),
    default="whole",
    show_default=True,
    help="Large tasks: `sampled` accepts a sample of the corpus, and every report says so.",
)
@engine_options()
@click.option(
    "--shard",
    callback=part,
    metavar="I/N",
    help="Large tasks: encode the I-th of N parts, from 0, as one job of an array.",
)
@shard_options
@click.option(
    "--streamed",
    is_flag=True,
    help="Search small tasks like large ones, in bounded memory.",
)
@click.option("--no-store", is_flag=True, help="Neither read nor write stored vectors.")
@memory_option
@click.option(
    "--top-k",
    "--heads",
    "top_k",
    type=POSITIVE,
    metavar="N",
    help="Top passages kept per query; default: as many as the measures need.",
)
@click.option(
    "--resamples",
    type=click.IntRange(min=0),
    default=10_000,
    show_default=True,
    metavar="N",
    help="Bootstrap resamples for the intervals; 0 for none.",
)
@verbose_option("Also print the bias measures and the language x language matrix.")
@quiet_option("Print nothing but the record's path.")
@click.pass_obj
def run(
    command: list[str],
    /,
    model: str | None,
    tasks: tuple[str, ...],
    sweep: tuple[float, ...] | None,
    dry_run: bool,
    output: Path,
    log_to: tuple[str, ...],
    log_project: str,
    verbose: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Score a model on tasks, encoding each text once.

    Without --model and --task: the best built-in encoder that is installed, on the demo task. With
    only --model: the default tasks. Vectors are stored, so that a second run, or one that was
    stopped, encodes only what is missing.
    """
    from harness.base.files import refuse_unwritable
    from harness.cli.views import listings
    from harness.console import consoles
    from harness.console.progress_bars import show_progress
    from harness.evaluation import run as stages
    from harness.evaluation.record_view import print_record

    _refuse_at_once(log_to)
    chosen = list(tasks) or (["demo"] if model is None else None)
    compression = {x: given[x] or () for x in _COMPRESSION}
    several_of = _Several(given["query_prompt"], given["ann"], compression)
    options = _options(**given)
    out = consoles.console()
    if model in (None, "default") and not quiet:
        _say_default()
    with show_progress(quiet=quiet) as progress:
        if dry_run:
            from harness.evaluation.dry_run import plan

            listings.print_plans(out, *plan(model or "default", chosen, options=options))
            if len(several_of.prompts) > 1:
                click.echo("For the first --query-prompt; each other one encodes queries again.")
            return
        for flag, folder in (("--output", output), ("--trec", given["trec"])):
            if folder is not None and given["shard"] is None:  # most jobs of an array write none
                refuse_unwritable(folder, flag)
        several = _variants(several_of, options, sweep)
        if several is not None:
            score, compare = several
            records = score(model or "default", chosen, output, progress)
            listings.print_variants(out, records, () if quiet else compare(records), quiet=quiet)
            _log(records, log_to, log_project)
            return
        if sweep is not None:
            from harness.evaluation.sweep import sweep as search_each

            found = search_each(model or "default", chosen, options, sweep, output, progress)
            listings.print_sweep(out, found, quiet=quiet)
            _log(found.records, log_to, log_project)
            return
        try:
            record = stages.run(
                model or "default",
                chosen,
                options=options,
                output=output,
                progress=progress,
                command=command,
            )
        except UnfinishedError as said:
            click.echo(str(said))
            return
    # With a reranker: the first stage, then both stages as one system.
    for each in (record.before, record):
        if each is not None and quiet:
            click.echo(each.folder)
        elif each is not None:
            print_record(out, each.contents, path=each.folder, verbose=verbose)
    _log([record.before, record], log_to, log_project)


def _refuse_at_once(log_to: Sequence[str]) -> None:
    """Refuse options that would be ignored, and trackers that are missing: nothing is encoded."""
    from harness.evaluation.options import BELONGS_TO
    from harness.interop import trackers

    refuse_alone({**BELONGS_TO, "log_project": ("log_to",)})
    for tracker in log_to:
        trackers.require(tracker)


class _Several(NamedTuple):
    """Options of which several values make a record each."""

    prompts: Sequence[str]
    indexes: Sequence[str]
    """One is enough: the exact search has a record too."""
    compression: Mapping[str, Any]


def _variants(
    given: _Several,
    options: RunOptions,
    sweep: Sequence[float] | None,
) -> tuple[Callable[..., Sequence[Record]], Callable[..., Iterable[Grid]]] | None:
    """What scores every variant of a run, and what compares their records; ``None``: there is one.

    Raises:
        UsageError: several options have several values.
    """
    from harness.analysis.approximation import approximation
    from harness.analysis.losses import losses, prompt_sensitivity
    from harness.evaluation.variants import approximated, compressed, prompted, variants_of

    prompts, indexes, compression = given
    compressions = any(len(values) > 1 for values in compression.values())
    if (sweep is not None) + compressions + (len(prompts) > 1) + bool(indexes) > 1:
        raise UsageError(
            "only one of --query-prompt, --ann, --sweep, and --dimensions, --bits and --rescore "
            "together, can have several values in a run; --ann counts as several"
        )
    if indexes:
        return (
            lambda m, t, *to: approximated(m, t, indexes, options, *to),
            lambda records: [*approximation(records), *losses(records)],
        )
    if len(prompts) > 1:
        return lambda m, t, *to: prompted(m, t, prompts, options, *to), prompt_sensitivity
    if compressions:
        variants = variants_of(options=options, **compression)
        return lambda m, t, *to: compressed(m, t, variants, *to), losses
    return None


def _log(records: Iterable[Record | None], log_to: Sequence[str], project: str) -> None:
    """Send ``records`` to each of the trackers."""
    from harness.interop import trackers

    for tracker, record in product(log_to, [x for x in records if x is not None]):
        trackers.log_record(record, tracker, project)


def _say_default() -> None:
    from harness.models import default_model

    name, reason = default_model()
    click.echo(f"No --model: {name}, {reason}", err=True)


def _options(*, measures: tuple[str, ...], no_store: bool, **given: Any) -> Any:
    """Options of the run; of what can have several values a single one, or the first prompt."""
    prompts: tuple[str, ...] = given.pop("query_prompt")
    given["query_prompt"] = prompts[0] if prompts else None
    indexes: tuple[str, ...] = given.pop("ann")
    given["ann"] = indexes[0] if len(indexes) == 1 else None
    compression: dict[str, tuple[Any, ...]] = {x: given.pop(x) or () for x in _COMPRESSION}
    given |= {x: values[0] for x, values in compression.items() if len(values) == 1}
    given["rescore"] = given.get("rescore") or None
    return options_of(measures=measures or None, store=not no_store, **given)
