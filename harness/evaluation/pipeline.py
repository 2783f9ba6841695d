"""A record's description of a pipeline: a post-processed or reranked model.

Name, facts and fingerprint cover all parts, so that a post-processed model is never mistaken for
the plain one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.base.digests import digest_of
from harness.evaluation.record import finite
from harness.models.base import Model
from harness.models.reranker import Reranker


class PipelineStep(Protocol):
    """A part added to a model: it processes queries, vectors or rankings."""

    @property
    def name(self) -> str:
        """Its name within the pipeline's name."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """Everything that changes what it does; JSON."""


@dataclass(frozen=True)
class Pipeline:
    """A record's description of a model, for a pipeline."""

    name: str
    kind: str
    facts: Mapping[str, Any]
    fingerprint: str | None
    """``None`` if the first part has none."""
    similarity: str | None
    prompts: Mapping[str, str]
    languages: frozenset[str] | None
    parameters: int | None
    training: Mapping[str, Any] | None
    device: str | None


def _joined(
    first: Model | Pipeline, kind: str, added: str, facts: Mapping[str, Any], similarity: str | None
) -> Pipeline:
    own = getattr(first, "fingerprint", None)
    if own is None and not hasattr(first, "encode"):
        own = digest_of(finite(first.facts))
    whole: dict[str, Any] = {**facts, "first": {"name": first.name, "fingerprint": own}}
    return Pipeline(
        name=f"{first.name} + {added}",
        kind=kind,
        facts=whole,
        fingerprint=None if own is None else digest_of(whole),
        similarity=similarity,
        prompts=dict(getattr(first, "prompts", {})),
        languages=getattr(first, "languages", None),
        parameters=getattr(first, "parameters", None),
        training=getattr(first, "training", None),
        device=getattr(first, "device", None),
    )


def postprocessed(first: Model | Pipeline, treatments: Sequence[PipelineStep]) -> Model | Pipeline:
    """``first`` with its post-processing; itself if there is none."""
    if not treatments:
        return first
    return _joined(
        first,
        getattr(first, "kind", None) or ("dense" if hasattr(first, "encode") else "lexical"),
        " + ".join(t.name for t in treatments),
        {"adapter": "treatment", "treatments": [dict(t.facts) for t in treatments]},
        getattr(first, "similarity", None),
    )


def reranked(first: Model | Pipeline, reranker: Reranker, top: int) -> Pipeline:
    """The pipeline of ``first`` and ``reranker``, which reorders the top ``top`` passages."""
    about = {"name": reranker.name, **reranker.facts}
    facts = {"adapter": "rerank", "top": top, "reranker": about}
    return _joined(first, "reranked", reranker.name, facts, None)
