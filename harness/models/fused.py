"""Several systems as one: ``fuse:A+B``, and how their rankings become one.

    rrf@k              the sum of 1 / (k + rank) (Cormack, Clarke and Büttcher, SIGIR 2009); k is 60
    minmax@0.7,0.3     the weighted sum of (score - min) / (max - min)
    z@0.7,0.3          the weighted sum of (score - mean) / standard deviation
    minmax@tuned       weights found on other questions than those they are used for; also z@tuned

Weights are equal where none are given. How fused scores are computed and ordered says
:mod:`harness.search.fusion`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.base.digests import digest_of
from harness.data.task import Role, TaskSpec
from harness.errors import ModelError, UsageError, did_you_mean
from harness.models.base import Model, ModelOptions, for_task

Method = Literal["rrf", "minmax", "z"]
METHODS: tuple[Method, ...] = ("rrf", "minmax", "z")
K = 60
FORMS = "rrf@60, minmax@0.7,0.3, z@0.7,0.3, minmax@tuned or z@tuned"

FOLDS, SEED, STEPS = 5, 0, 10
"""Of tuning: folds of questions, the seed by which they are drawn, steps of a weight to 1."""


@dataclass(frozen=True)
class Fusion:
    """How rankings are fused."""

    method: Method = "rrf"
    k: int = K
    """Of reciprocal ranks."""
    weights: tuple[float, ...] | None = None
    """One per system; ``None``: equal, or tuned."""
    tuned: bool = False
    """Whether weights are found on other questions."""

    def __str__(self) -> str:
        """As ``--fusion`` takes it, without what is by default."""
        if self.method == "rrf":
            return f"rrf@{self.k}"
        if self.tuned:
            return f"{self.method}@tuned"
        given = ",".join(f"{x:g}" for x in self.weights or ())
        return f"{self.method}@{given}" if given else self.method

    @property
    def facts(self) -> Mapping[str, Any]:
        """Everything that changes a fused ranking; JSON."""
        if self.method == "rrf":
            return {"method": "rrf", "k": self.k}
        if self.tuned:
            tuning = {"folds": FOLDS, "seed": SEED, "steps": STEPS, "by": "mean AP, macro"}
            return {"method": self.method, "weights": "tuned", "tuning": tuning}
        return {"method": self.method, "weights": list(self.weights) if self.weights else "equal"}

    def weights_of(self, systems: int) -> tuple[float, ...]:
        """The weights of this number of systems, if they are not tuned."""
        return self.weights or (1.0,) * systems


def read_fusion(word: str | None, systems: int) -> Fusion:
    """``rrf@60`` for a number of systems; ``None`` is the default.

    Raises:
        UsageError: it is something else, or weights do not fit the systems.
    """
    name, at, rest = (word or "rrf").partition("@")
    if name not in METHODS:
        hint = did_you_mean(name, METHODS)
        raise UsageError(f"--fusion {word!r} is not known; write {FORMS}{hint}")
    method = name
    if method == "rrf":
        if at and not (rest.isdecimal() and len(rest) < 7):
            raise UsageError(f"--fusion {word}: k is a whole number from 0, as in rrf@60")
        return Fusion(k=int(rest) if at else K)
    if not at:
        return Fusion(method)
    if rest == "tuned":
        return Fusion(method, tuned=True)
    try:
        weights = tuple(float(x) for x in rest.split(","))
    except ValueError:
        weights = ()
    if not weights or not all(math.isfinite(x) and x >= 0 for x in weights) or not any(weights):
        raise UsageError(f"--fusion {word}: weights are numbers from 0, as in {method}@0.7,0.3")
    if len(weights) != systems:
        raise UsageError(f"--fusion {word}: {len(weights)} weights for {systems} systems")
    return Fusion(method, weights=weights)


@dataclass(frozen=True)
class FusedModel:
    """Systems whose rankings are fused; each encodes or indexes as it does alone."""

    parts: tuple[Model, ...]
    fusion: Fusion

    kind = "fused"
    similarity = None

    @property
    def name(self) -> str:
        """``rrf@60 of me5-small, bm25``."""
        return f"{self.fusion} of {', '.join(x.name for x in self.parts)}"

    @property
    def facts(self) -> Mapping[str, Any]:
        """The method and the systems."""
        parts = [
            {"name": x.name, "fingerprint": _identity(x), "facts": dict(x.facts)}
            for x in self.parts
        ]
        return {"adapter": "fusion", **self.fusion.facts, "systems": parts}

    @property
    def fingerprint(self) -> str | None:
        """``None`` if a system has none."""
        own = [_identity(x) for x in self.parts]
        return None if None in own else digest_of({**self.fusion.facts, "systems": own})

    @property
    def prompts(self) -> Mapping[Role, str]:
        """Those of all systems that have the same; they are among the facts of each."""
        found = [dict(getattr(x, "prompts", {})) for x in self.parts]
        return found[0] if all(x == found[0] for x in found) else {}

    @property
    def languages(self) -> frozenset[str] | None:
        """Those that some system was trained on, if all say so."""
        found = [getattr(x, "languages", None) for x in self.parts if hasattr(x, "encode")]
        known = [x for x in found if x is not None]
        return frozenset().union(*known) if known and len(known) == len(found) else None

    @property
    def parameters(self) -> int | None:
        """Of all systems together; ``None`` if one does not say."""
        found = [getattr(x, "parameters", None) for x in self.parts if hasattr(x, "encode")]
        known = [x for x in found if x is not None]
        return sum(known) if known and len(known) == len(found) else None

    @property
    def device(self) -> str | None:
        """Of the first that has one."""
        return next((y for x in self.parts if (y := getattr(x, "device", None))), None)

    def for_task(self, spec: TaskSpec) -> FusedModel:
        """With each system's prompts for a task."""
        bound = tuple(for_task(x, spec) for x in self.parts)
        same = all(a is b for a, b in zip(bound, self.parts, strict=True))
        return self if same else replace(self, parts=bound)


def _identity(model: Model) -> str | None:
    own = getattr(model, "fingerprint", None)
    return own if own is not None or hasattr(model, "encode") else digest_of(model.facts)


def load_fused(
    names: str, options: ModelOptions, load: Callable[[str, ModelOptions], Model]
) -> FusedModel:
    """``A+B``, each loaded by ``load``.

    Prompts and a maximum length are for the systems that take them: not for ``bm25``.

    Raises:
        ModelError: fewer than two systems, one twice, or one that cannot be loaded.
        UsageError: as :func:`read_fusion`.
    """
    words = names.split("+")
    if len(words) < 2 or not all(words):
        raise ModelError(f"fuse:{names}: name two systems or more, as in fuse:me5-small+bm25")
    if len(set(words)) < len(words):
        raise ModelError(f"fuse:{names}: a system is named twice")
    if any(x.startswith("fuse:") for x in words):
        raise ModelError(f"fuse:{names}: fuse all systems at once, as in fuse:A+B+C")
    fusion = read_fusion(options.fusion, len(words))
    own = replace(options, fusion=None)
    lexical = replace(own, query_prompt=None, passage_prompt=None, max_length=None)
    return FusedModel(tuple(load(x, lexical if x == "bm25" else own) for x in words), fusion)


def names_of(model: FusedModel) -> Sequence[str]:
    """The systems' names."""
    return [x.name for x in model.parts]
