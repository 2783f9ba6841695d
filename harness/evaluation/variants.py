"""One encoding at several dimensions and bits: a record for each, and for the plain model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from harness.base.progress import Progress, Silent
from harness.data.task import TaskSpec
from harness.errors import UsageError
from harness.evaluation import run as one_run
from harness.evaluation.layout import choose_tasks
from harness.evaluation.options import Bits, RunOptions
from harness.evaluation.record import Record
from harness.evaluation.sweep import records_of, with_options


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
    if plain.trec or plain.rerank:
        raise UsageError(
            "several --dimensions or --bits write no TREC files and have no reranker; run one alone"
        )
    if plain.name is not None:
        raise UsageError("a record is written for each variant: --name would call all alike")
    setup = one_run.load(model, plain, progress or Silent())
    runs = [one_run.lay_out(setup, x) for x in choose_tasks(tasks, plain.text)]
    named = setup.options.named
    options = [plain, *(x for x in variants if _compressed(x))]
    return records_of(
        [with_options(setup, replace(x, named=named), runs) for x in options], runs, output
    )


def _compressed(options: RunOptions) -> bool:
    return options.dimensions is not None or options.bits != "float32"
