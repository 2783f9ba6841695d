"""Variants of one run: several dimensions and bits of one encoding, or several query prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from harness.base.progress import Progress, Silent
from harness.data.task import TaskSpec
from harness.errors import UsageError
from harness.evaluation import run as one_run
from harness.evaluation.encode_stage import is_dense
from harness.evaluation.layout import choose_tasks
from harness.evaluation.options import Bits, RunOptions
from harness.evaluation.record import Record
from harness.evaluation.sweep import records_of, with_options
from harness.models import load as load_model
from harness.models.base import SharesWeights


def variants_of(
    dimensions: Sequence[int], bits: Sequence[Bits], rescore: Sequence[int], options: RunOptions
) -> list[RunOptions]:
    """``options`` with every combination of what is named; rescoring only of what is compressed.

    Empty sequences leave vectors as they are; in ``rescore`` 0 stands for none.

    Raises:
        UsageError: a value occurs twice, or nothing is left.
    """
    named = {"--dimensions": dimensions, "--bits": bits, "--rescore": rescore}
    for flag, values in named.items():
        if len(set(values)) < len(values):
            raise UsageError(f"{flag} has the same value twice")
    every: Sequence[int | None] = dimensions or [None]
    coded: Sequence[Bits] = bits or ["float32"]
    found = [
        replace(options, dimensions=d, bits=b, rescore=n or None)
        for d, b, n in product(every, coded, rescore or [0])
        if d is not None or b != "float32" or not n
    ]
    if not any(_compressed(x) for x in found):
        raise UsageError("--rescore is for compressed vectors: --bits or --dimensions")
    return found


def compressed(
    model: str | object,
    tasks: Sequence[str | TaskSpec] | None,
    variants: Sequence[RunOptions],
    output: str | Path | None = None,
    progress: Progress | None = None,
) -> tuple[Record, ...]:
    """Score a model with full vectors, then each of ``variants`` of its options.

    ``variants`` differ in ``dimensions``, ``bits`` and ``rescore`` alone. Texts are encoded once.
    Other arguments are those of :func:`harness.evaluation.run.run`.

    Returns:
        The plain model's record, then one per variant that is not the plain model.

    Raises:
        HarnessError: as :func:`harness.evaluate`; or options have TREC files, a reranker or a name.
    """
    plain = replace(variants[0], dimensions=None, bits="float32", rescore=None)
    _one_record_each(plain, "several --dimensions or --bits")
    setup = one_run.load(model, plain, progress or Silent())
    runs = [one_run.lay_out(setup, x) for x in choose_tasks(tasks, plain.text)]
    named = setup.options.named
    options = [plain, *(x for x in variants if _compressed(x))]
    return records_of(
        [with_options(setup, replace(x, named=named), runs) for x in options], runs, output
    )


def prompted(
    model: str | object,
    tasks: Sequence[str | TaskSpec] | None,
    prompts: Sequence[str],
    options: RunOptions,
    output: str | Path | None = None,
    progress: Progress | None = None,
) -> tuple[Record, ...]:
    """Score a model with each of several query prompts; an empty one is none.

    Passages are encoded once, queries once for each prompt. Other arguments are those of
    :func:`harness.evaluation.run.run`; ``options.model.query_prompt`` is ignored.

    Returns:
        A record per prompt, in their order.

    Raises:
        HarnessError: as :func:`harness.evaluate`; a prompt occurs twice, the model returns no
            vectors, or options have TREC files, a reranker or a name.
    """
    if len(set(prompts)) < len(prompts):
        raise UsageError("--query-prompt has the same value twice")
    _one_record_each(options, "several --query-prompt")
    variants = [replace(options, model=replace(options.model, query_prompt=x)) for x in prompts]
    first = one_run.load(model, variants[0], progress or Silent())
    if not is_dense(first.model):
        raise UsageError(
            "several --query-prompt are for models that return vectors; this one gives scores, or "
            "sparse or token vectors: run one alone"
        )
    setups = [first]
    for x in variants[1:]:
        other = load_model(model, x.model)
        if isinstance(other, SharesWeights):
            other.use_weights_of(first.model)
        named = replace(x, named=first.options.named)
        setups.append(replace(first, model=other, options=named))
    runs = [one_run.lay_out(first, x) for x in choose_tasks(tasks, options.text)]
    return records_of([with_options(x, x.options, runs) for x in setups], runs, output)


def approximated(
    model: str | object,
    tasks: Sequence[str | TaskSpec] | None,
    indexes: Sequence[str],
    options: RunOptions,
    output: str | Path | None = None,
    progress: Progress | None = None,
) -> tuple[Record, ...]:
    """Score a model by exact search, then with each of ``indexes``, as ``--ann`` names them.

    Texts are encoded once. Other arguments are those of :func:`harness.evaluation.run.run`.

    Returns:
        The record of exact search, then one per index.

    Raises:
        HarnessError: as :func:`harness.evaluate`; an index occurs twice, or options have TREC
            files, a reranker or a name.
    """
    if len(set(indexes)) < len(indexes):
        raise UsageError("--ann has the same value twice")
    _one_record_each(options, "--ann")
    setup = one_run.load(model, replace(options, ann=None), progress or Silent())
    runs = [one_run.lay_out(setup, x) for x in choose_tasks(tasks, options.text)]
    exact = setup.options
    setups = [with_options(setup, replace(exact, ann=x), runs) for x in (None, *indexes)]
    return records_of(setups, runs, output)


def _one_record_each(options: RunOptions, what: str) -> None:
    """Refuse options that are for a single record."""
    if options.trec or options.rerank:
        raise UsageError(f"{what} write no TREC files and have no reranker; run one alone")
    if options.name is not None:
        raise UsageError("a record is written for each variant: --name would call all alike")


def _compressed(options: RunOptions) -> bool:
    return options.dimensions is not None or options.bits != "float32"
