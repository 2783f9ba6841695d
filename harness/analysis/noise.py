"""How far scores move when nothing that should matter is changed.

The same texts are encoded again with other batch sizes, number formats and thread counts, and
searched with another block size, always without the store. What moves then is noise: a gate whose
tolerance is smaller raises false alarms.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from decimal import ROUND_CEILING, Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.progress import Progress, Silent
from harness.data.task import Role, TaskSpec
from harness.errors import UsageError
from harness.evaluation.encode_stage import encode_task, is_dense
from harness.evaluation.layout import Prepared, choose_tasks, prepare, refuse_corpora
from harness.evaluation.options import RunOptions
from harness.evaluation.record import finite
from harness.evaluation.search_stage import search_dense
from harness.evaluation.task_entry import score
from harness.models import load as load_model
from harness.models.base import DenseModel, Dtype, Model, for_task
from harness.search.tiles import ROWS
from harness.stats.means import MacroMean, kind_means, setting_means
from harness.stats.per_query import PerQuery
from harness.vectors.encode import EncodingCounts, check_vectors

Vectors = Mapping[tuple[Role, str], NDArray[np.float32]]
"""(role, language) -> (n, d), one row per text."""

BATCH_SIZES = (1, 8, 32, 128)
HALVES: tuple[Dtype, ...] = ("bfloat16", "float16")
HALF_BATCH_SIZE = 8
"""Half precision is also tried in batches of this size: on a CPU single texts are slow."""
BLOCK = 16
"""Queries of a block of scores in the variant of the search; :data:`harness.search.tiles.ROWS`
else."""
FACTOR = 3
"""A tolerance is this many times the largest drift seen: a few variants do not show the worst
case."""
LEAST = Decimal("1e-6")
"""The smallest tolerance: below it, float64 sums in another order differ."""


@dataclass(frozen=True)
class Variant:
    """One way to compute the same scores; ``None`` leaves the reference's choice in force."""

    name: str
    batch_size: int | None = None
    dtype: Dtype = "float32"
    threads: int | None = None
    rows: int | None = None
    """Queries of a block of scores; the reference's vectors are searched again."""

    @property
    def half(self) -> bool:
        """Whether the model computes in half precision."""
        return self.dtype != "float32"


@dataclass(frozen=True)
class Drift:
    """The drift of one measure of one kind of setting from the reference run."""

    kind: str
    measure: str
    mean: float
    """The variant's macro mean minus the reference's."""
    language: str
    """The query language whose mean drifted most."""
    language_mean: float
    """Its absolute drift."""
    setting: str
    question: str
    query: float
    """The largest absolute drift of a single query's value in one setting."""


@dataclass(frozen=True)
class Outcome:
    """One variant's run."""

    variant: Variant
    skipped: str | None
    """Why there is nothing to report; ``None`` where the variant ran."""
    seconds: float
    changed: Mapping[str, float]
    """Kind -> share of its rows (query and setting) with any value that is not the reference's."""
    cosine_distance: float
    """The greatest cosine distance between a text's vector and its reference vector."""
    moved: tuple[Drift, ...]


@dataclass(frozen=True)
class Noise:
    """What :func:`measure_noise` returns."""

    model: str
    task: str
    partial: Mapping[str, Any]
    nothing: str | None
    """Why nothing can be varied with this model; ``None`` if something can."""
    threads: int
    """Of the reference run."""
    shown: tuple[str, ...]
    """The measures that the task shows first."""
    reference: Mapping[str, Mapping[str, float]]
    """Kind -> measure -> macro mean."""
    outcomes: tuple[Outcome, ...]

    def tolerances(self, *, half: bool) -> dict[str, dict[str, float]]:
        """Measure -> ``mean`` and ``language`` -> proposed tolerance.

        Three times the largest drift, over kinds and variants, of a macro mean and of a query
        language's mean, rounded up to one digit and at least 1e-6. Without ``half`` only float32
        variants count; with it all do, so it is never smaller. Empty if ``half`` is requested and
        no such variant ran.
        """
        ran = [x for x in self.outcomes if x.skipped is None and (half or not x.variant.half)]
        if half and not any(x.variant.half for x in ran):
            return {}
        largest: dict[str, tuple[float, float]] = {}
        for drift in (m for x in ran for m in x.moved):
            mean, language = largest.get(drift.measure, (0.0, 0.0))
            largest[drift.measure] = (
                max(mean, abs(drift.mean)),
                max(language, drift.language_mean),
            )
        return {
            measure: {"mean": tolerance(mean), "language": tolerance(language)}
            for measure, (mean, language) in largest.items()
        }

    def toml(self) -> str:
        """The tolerances as TOML to paste into a policy; empty if nothing could be varied."""
        parts = []
        for name, half in (("float32", False), ("half", True)):
            rows = [
                f'"{measure}" = {{ mean = {_toml(x["mean"])}, language = {_toml(x["language"])} }}'
                for measure, x in self.tolerances(half=half).items()
            ]
            if rows:
                parts.append("\n".join([f"[tolerances.{name}]", *rows, ""]))
        return "\n".join(parts)

    def document(self) -> dict[str, Any]:
        """All of it as JSON values; undefined numbers are ``None``."""
        tolerances = {
            name: self.tolerances(half=half) for name, half in (("float32", False), ("half", True))
        }
        return finite({**asdict(self), "tolerances": tolerances})


def tolerance(drift: float) -> float:
    """Three times ``drift`` (0 or more), rounded up to one digit, at least 1e-6."""
    # Decimal(str()) is the number as it is written: 3 * 0.1 stays 0.3 and is not rounded up.
    least = max(FACTOR * Decimal(str(drift)), LEAST)
    return float(least.quantize(Decimal(1).scaleb(least.adjusted()), ROUND_CEILING))


def _toml(number: float) -> str:
    text = f"{number:g}"
    return text if set(text) & {".", "e"} else f"{text}.0"


def measure_noise(
    model: str | object,
    task: str | TaskSpec = "demo",
    *,
    options: RunOptions | None = None,
    progress: Progress | None = None,
) -> Noise:
    """Run a model over a task in several equivalent ways and report how far the scores move.

    The reference run takes the model's own batch size (or that of ``options``), float32, the
    threads in force and blocks of :data:`harness.search.tiles.ROWS` queries. Smaller batches are
    made by passing fewer texts at a time, which works for every encoder.

    Args:
        model: as :func:`harness.evaluate` takes it.
        task: name, path of a task file or spec.
        options: languages, limit, device and the like; the store is never used.
        progress: notified of each stage; default silent.

    Raises:
        UsageError: ``options`` ask for another number format than float32.
        HarnessError: the reference run fails. A variant that fails is skipped, with the reason.
    """
    options = options or RunOptions()
    if options.model.dtype != "float32":
        raise UsageError(
            "the reference run is in float32, and other dtypes are measured against it"
        )
    progress = progress or Silent()
    (spec,) = choose_tasks([task], options.text)
    refuse_corpora(spec, "harness noise")
    loaded = for_task(load_model(model, options.model), spec)
    if not is_dense(loaded):
        return _nothing_to_vary(loaded, spec)
    import torch

    prepared = prepare(spec, options)
    threads = torch.get_num_threads()
    with in_threads(threads):
        reference = _run(loaded, prepared, options, progress, ROWS)
    del loaded  # each variant reloads the model
    means = kind_means(reference.table, setting_means(reference.table))
    outcomes = []
    for variant, reason in _variants(prepared, threads):
        if reason is None:
            labelled = _Labelled(progress, variant.name)
            with in_threads(variant.threads or threads):
                found = _outcome(variant, model, prepared, options, labelled, reference)
            outcomes.append(found)
        else:
            outcomes.append(_skipped(variant, reason))
    return Noise(
        model=reference.model,
        task=spec.name,
        partial=prepared.data.partial,
        nothing=None,
        threads=threads,
        shown=tuple(m.name for m in prepared.shown),
        reference={
            kind: {m: x for m, x in both["macro"].items() if not np.isnan(x)}
            for kind, both in means.items()
        },
        outcomes=tuple(outcomes),
    )


def _nothing_to_vary(model: Model, spec: TaskSpec) -> Noise:
    what = (
        "gives several vectors, or sparse ones, for a text: only encoders of one vector are run "
        "again with other batches, number formats and blocks of scores"
        if hasattr(model, "encode_parts")
        else "gives scores, not vectors: it has no batches, number formats or blocks of scores"
    )
    reason = f"{model.name} {what}, so there is nothing to vary"
    return Noise(model.name, spec.name, {}, reason, 1, (), {}, ())


def _variants(prepared: Prepared, threads: int) -> Iterator[tuple[Variant, str | None]]:
    """All variants, each with the reason if it would change nothing here."""
    yield Variant("run again"), None
    for size in BATCH_SIZES:
        yield Variant(f"batch size {size}", batch_size=size), None
    other = 1 if threads > 1 else os.cpu_count() or 1
    alone = "there is one processor" if other == threads else None
    yield Variant("1 thread" if other == 1 else f"{other} threads", threads=other), alone
    most = max(len(g.questions) for g in prepared.relevant.values())
    few = f"no language has more than {BLOCK} questions: one block" if most <= BLOCK else None
    yield Variant(f"blocks of {BLOCK} queries", rows=BLOCK), few
    for dtype in HALVES:
        yield Variant(dtype, dtype=dtype), None
        name = f"{dtype}, batch size {HALF_BATCH_SIZE}"
        yield Variant(name, batch_size=HALF_BATCH_SIZE, dtype=dtype), None


@dataclass(frozen=True)
class _Run:
    model: str
    vectors: Vectors
    table: PerQuery


def _run(
    model: DenseModel, prepared: Prepared, options: RunOptions, progress: Progress, rows: int
) -> _Run:
    vectors = encode_task(model, prepared, None, EncodingCounts(), progress)
    return _searched(model.name, vectors, prepared, options, progress, rows)


def _searched(
    name: str,
    vectors: dict[tuple[Role, str], NDArray[np.float32]],
    prepared: Prepared,
    options: RunOptions,
    progress: Progress,
    rows: int,
) -> _Run:
    searched = search_dense(prepared, vectors, options, progress, rows=rows)
    return _Run(name, vectors, score(prepared, searched)[0])


def _outcome(
    variant: Variant,
    model: str | object,
    prepared: Prepared,
    options: RunOptions,
    progress: Progress,
    reference: _Run,
) -> Outcome:
    begun = time.perf_counter()
    try:
        if variant.rows is not None:
            vectors = dict(reference.vectors)
            run = _searched(reference.model, vectors, prepared, options, progress, variant.rows)
        else:
            varied = _varied(variant, model, prepared.spec, options)
            run = _run(varied, prepared, options, progress, ROWS)
    except Exception as problem:
        # The reference has run, so what fails is the model's own code, and that can fail in any
        # way: half precision, above all, is not there for every operation on every device.
        first = str(problem).strip().split("\n")[0]
        return _skipped(variant, first or type(problem).__name__)
    seconds = time.perf_counter() - begun
    moved, changed = drifts(reference.table, run.table)
    distance = largest_distance(reference.vectors, run.vectors)
    return Outcome(variant, None, seconds, changed, distance, moved)


def _skipped(variant: Variant, reason: str) -> Outcome:
    return Outcome(variant, reason, 0.0, {}, 0.0, ())


def _varied(
    variant: Variant, model: str | object, spec: TaskSpec, options: RunOptions
) -> DenseModel:
    """The model, reloaded for the variant.

    Raises:
        UsageError: it does not say that it computes in the variant's number format.
        ModelError: it refuses an option.
    """
    size = variant.batch_size or options.model.batch_size
    of_model = replace(options.model, batch_size=size, dtype=variant.dtype)
    loaded = for_task(load_model(model, of_model), spec)
    assert is_dense(loaded)
    # A loaded model takes no more options: it would run unchanged.
    if variant.half and loaded.facts.get("dtype") != variant.dtype:
        raise UsageError(f"{loaded.name} has no choice of number formats")
    return loaded if variant.batch_size is None else _Batched(loaded, variant.batch_size)


class _Batched:
    """A model that gets ``size`` texts at a time, whether or not it batches itself."""

    def __init__(self, model: DenseModel, size: int) -> None:
        self._model, self._size = model, size
        self.name, self.similarity = model.name, model.similarity
        self.fingerprint: str | None = None
        self.facts, self.prompts = model.facts, model.prompts
        self.languages, self.parameters = model.languages, model.parameters

    def encode(self, texts: Sequence[str], *, role: Role, language: str) -> NDArray[np.float32]:
        made: list[NDArray[np.float32]] = []
        for start in range(0, len(texts), self._size):
            batch = texts[start : start + self._size]
            vectors = self._model.encode(batch, role=role, language=language)
            width = made[0].shape[1] if made else None
            made.append(check_vectors(vectors, batch, width, self.name))
        return np.concatenate(made)


@contextmanager
def in_threads(number: int) -> Iterator[None]:
    """Let torch compute with ``number`` threads while the block runs."""
    import numba
    import torch

    before, loops = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(number)
    # The two can share one OpenMP library, in which each parallel loop of the search sets the
    # number of threads for torch as well.
    numba.set_num_threads(min(number, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(loops)
        torch.set_num_threads(before)


class _Labelled:
    """Reports stages under a variant's name."""

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress, self._label = progress, label
        self.advance, self.finish = progress.advance, progress.finish

    def start(self, stage: str, total: int, unit: str) -> None:
        self._progress.start(f"{self._label}: {stage}", total, unit)


def drifts(before: PerQuery, after: PerQuery) -> tuple[tuple[Drift, ...], dict[str, float]]:
    """Drifts by kind and measure, and kind -> share of its rows that changed at all.

    Both tables are of the same queries in the same settings. A measure that is undefined on all
    rows of a kind is left out.
    """
    changed: dict[str, float] = {}
    moved = []
    for kind in before.kinds:
        old, new = before.of_kind(kind), after.of_kind(kind)
        differs = np.zeros(len(old), bool)
        means, averaged = [setting_means(x) for x in (old, new)], MacroMean(old.settings)
        for measure, one in old.values.items():
            if np.isnan(one).all():
                continue
            other = new.values[measure]
            differs |= ~((one == other) | (np.isnan(one) & np.isnan(other)))
            by_query = np.abs(np.nan_to_num(other - one))
            first, second = (averaged.by_language(x[measure]) for x in means)
            by_language = np.abs(np.nan_to_num([second[x] - first[x] for x in old.languages]))
            worst, query = int(by_language.argmax()), int(by_query.argmax())
            macro, now = (averaged.mean(x[measure]) for x in means)
            moved.append(
                Drift(
                    kind=kind,
                    measure=measure,
                    mean=now - macro,
                    language=old.languages[worst],
                    language_mean=float(by_language[worst]),
                    setting=old.settings[old.setting[query]].name,
                    question=old.questions[old.question[query]],
                    query=float(by_query[query]),
                )
            )
        changed[kind] = float(differs.mean()) if len(old) else 0.0
    return tuple(moved), changed


def largest_distance(before: Vectors, after: Vectors) -> float:
    """The greatest cosine distance between the two vectors of a text."""
    largest = 0.0
    for at, vectors in before.items():
        one, other = (_unit(x) for x in (vectors, after[at]))
        if len(one):
            # Half the squared chord is 1 - cosine, without its loss of digits near 0.
            largest = max(largest, float(((one - other) ** 2).sum(1).max() / 2))
    return largest


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    unit: NDArray[np.float64] = wide / np.sqrt((wide**2).sum(1, keepdims=True))
    return unit
