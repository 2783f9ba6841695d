"""Sparse and token-vector models made of hashes: no weights, the same numbers anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from harness.models.base import Parts
from harness.models.sparse_late_interaction import terms_of, tokens_of

WIDTH = 16


def _vector(word: str) -> np.ndarray:
    raw = hashlib.shake_128(word.encode()).digest(WIDTH)
    return np.frombuffer(raw, np.uint8).astype(np.float32) - np.float32(127.3)


class HashParts:
    """A token's vector, or the terms it adds to, is drawn by its hash."""

    languages = None
    prompts: ClassVar[dict[str, str]] = {"query": "", "passage": ""}

    def __init__(self, kind: str, fail_after: int | None = None) -> None:
        self.kind, self.name = kind, f"hash-{kind}"
        self.fingerprint = f"hash-{kind}-1"
        self.facts: dict[str, Any] = {"adapter": "hashes", "kind": kind}
        self.encoded: list[str] = []
        self._fail_after = fail_after

    def encode_parts(self, texts: Sequence[str], *, role: str, language: str) -> Parts:
        """See :class:`harness.models.base.PartsModel`."""
        if self._fail_after is not None and len(self.encoded) >= self._fail_after:
            raise KeyboardInterrupt
        self.encoded += texts
        if self.kind == "multi-vector":
            return tokens_of([np.stack([_vector(w) for w in text.split()]) for text in texts])
        rows = np.zeros((len(texts), WIDTH), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.split():
                row += np.maximum(_vector(word) - 60, 0)
        return terms_of(rows)


def sparse() -> HashParts:
    """A sparse model, for ``python:hash_parts:sparse``."""
    return HashParts("sparse")


def multi_vector() -> HashParts:
    """A token-vector model."""
    return HashParts("multi-vector")
