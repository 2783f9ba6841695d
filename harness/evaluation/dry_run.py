"""What a run would do and how long it would take, without doing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.data.task import TaskSpec
from harness.errors import UsageError
from harness.evaluation.corpus_run import is_stored, unfinished
from harness.evaluation.layout import Prepared, choose_tasks, prepare, texts_of
from harness.evaluation.options import RunOptions
from harness.models import load as load_model
from harness.models.base import DenseModel, Model, PartsModel, for_task
from harness.models.fused import FusedModel
from harness.models.http_encoder import HttpEncoder
from harness.vectors import encode as encoding
from harness.vectors.encode_parts import encode_of_either_kind
from harness.vectors.store import Store


@dataclass(frozen=True)
class Plan:
    """What a run would do for one task."""

    task: str
    settings: Mapping[str, int]
    texts: int
    distinct: int
    missing: int
    queries: int
    pool: int
    seconds: float | None = None
    """Estimated time of encoding the missing texts here; ``None`` if it cannot be measured, or if
    passages are streamed (`harness plan` estimates these)."""


class ToEncode(NamedTuple):
    """Number of texts of a task in memory."""

    distinct: int
    missing: int
    """Those whose vectors are not stored; 0 if the model has none."""


def texts_to_encode(model: Model, prepared: Prepared, store: Store | None) -> ToEncode:
    """Count a task's distinct texts, and those that a run would encode.

    Of fused systems, those of the one that encodes most.
    """
    if isinstance(model, FusedModel):
        return max((texts_to_encode(x, prepared, store) for x in model.parts), key=_missing)
    distinct = absent = 0
    for role, language, texts in texts_of(prepared):
        if is_stored(model):
            d, m = encoding.missing(model, role, language, texts, store)
        else:
            d, m = len(set(texts)), 0
        distinct, absent = distinct + d, absent + m
    return ToEncode(distinct, absent)


def _missing(texts: ToEncode) -> int:
    return texts.missing


_SAMPLE = 64
"""Texts by which the time of a small task is estimated."""


def seconds_per_text(model: DenseModel | PartsModel, prepared: Prepared) -> float | None:
    """Encode a few texts of a task, spread over its languages, and return seconds per text.

    The weights are loaded, and nothing is stored. ``None`` for an endpoint: its requests may cost
    money, and its speed depends on their number.
    """
    if isinstance(model, HttpEncoder):
        return None
    parts = [x for x in texts_of(prepared) if len(x[2])]
    counts = encoding.EncodingCounts()
    encoded = 0
    for number, (role, language, texts) in enumerate(parts):
        share = max(1, _SAMPLE // len(parts))
        chosen = list(dict.fromkeys(texts[:: max(1, len(texts) // share)][:share]))
        if not number:  # the first call loads and compiles
            first = encoding.EncodingCounts()
            encode_of_either_kind(model, role, language, chosen[:1], counts=first)
        encode_of_either_kind(model, role, language, chosen, counts=counts)
        encoded += len(chosen)
    return counts.seconds / encoded if encoded else None


def plan(
    model: str | object,
    tasks: Sequence[str | TaskSpec] | None = None,
    *,
    options: RunOptions | None = None,
) -> tuple[Model, list[Plan]]:
    """What :func:`harness.evaluate` would encode and search (``--dry-run``)."""
    options = options or RunOptions()
    if options.sample_passages is not None:
        raise UsageError(
            "which passages --sample-passages takes is known only after a search: leave it out of "
            "a --dry-run"
        )
    loaded = load_model(model, options.model)
    store = Store(dtype=options.store_dtype) if options.store else None
    plans = []
    for spec in choose_tasks(tasks, options.text):
        prepared = prepare(spec, options)
        bound = for_task(loaded, spec)
        distinct, absent = texts_to_encode(bound, prepared, store)
        each = None
        if absent and is_stored(bound):
            each = seconds_per_text(bound, prepared)
        passages = sum(len(corpus) for corpus in prepared.data.corpora.values())
        lacking = unfinished(bound, prepared, store, options) if is_stored(bound) else 0
        kinds = [s.kind for s in prepared.settings]
        plans.append(
            Plan(
                task=spec.name,
                settings={k: kinds.count(k) for k in dict.fromkeys(kinds)},
                texts=sum(len(t) for _, _, t in texts_of(prepared)) + passages,
                distinct=distinct + passages,
                missing=absent + lacking,
                queries=sum(len(g.questions) for g in prepared.relevant.values()),
                seconds=None if each is None or lacking else each * absent,
                pool=sum(prepared.data.passage_counts.values()),
            )
        )
    return loaded, plans
