"""Encoders: the protocol, adapters for every kind of model, and fingerprints."""

from __future__ import annotations

from harness.errors import HarnessWarning
from harness.models.base import (
    DenseModel,
    Encoder,
    LexicalIndex,
    LexicalModel,
    Listing,
    Model,
    ModelOptions,
)
from harness.models.language_coverage import warn_untrained
from harness.models.precomputed import write_embeddings
from harness.models.resolve import FORMS, default_model, listing, load

__all__ = [
    "FORMS",
    "DenseModel",
    "Encoder",
    "HarnessWarning",
    "LexicalIndex",
    "LexicalModel",
    "Listing",
    "Model",
    "ModelOptions",
    "default_model",
    "listing",
    "load",
    "warn_untrained",
    "write_embeddings",
]
