"""Warn once, not per batch, about languages that a model was not trained on."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Protocol

from harness.base.languages import outside
from harness.errors import HarnessWarning


class _Trained(Protocol):
    name: str
    languages: frozenset[str] | None


_reported: set[tuple[str, str]] = set()


def warn_untrained(model: _Trained, languages: Iterable[str]) -> frozenset[str]:
    """Warn about those of ``languages`` that ``model`` was not trained on, and return them.

    One :class:`HarnessWarning` names all languages not yet reported for this model, so a caller
    that knows all languages of a task calls this first and gets one warning. There is none for a
    model whose languages are unknown. Only the primary subtag counts (``zh`` covers ``zh-Hant``).
    """
    if model.languages is None:
        return frozenset()
    missing = frozenset(outside(languages, model.languages))
    new = sorted(x for x in missing if (model.name, x) not in _reported)
    if new:
        _reported.update((model.name, x) for x in new)
        warnings.warn(
            f"{model.name} was not trained on {', '.join(new)}: "
            "its scores there say little about the model",
            HarnessWarning,
            stacklevel=2,
        )
    return missing
