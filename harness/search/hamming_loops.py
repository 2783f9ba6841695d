"""The compiled loop of inner products of signs, by their Hamming distances."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.base.jit import compiled
from harness.search.instructions import ones

_STRIP = 1024
"""Passages at a time: their words stay in cache for all queries."""


@compiled(nogil=True)
def sign_products(queries: Any, passages: Any, dimensions: Any, out: Any) -> None:
    """Fill ``out`` (Q, N) float32 with the products of signs, each packed into 64-bit words.

    ``queries`` are (Q, words), ``passages`` (words, N). Of ``dimensions`` products those of unequal
    signs are -1: the sum is smaller by twice the number of bits that differ.
    """
    words, n = passages.shape
    flat, products = passages.reshape(-1), out.reshape(-1)
    distance = np.empty(_STRIP, np.uint64)
    for start in range(0, n, _STRIP):
        width = np.uint64(min(_STRIP, n - start))
        for r in range(len(queries)):
            for j in range(width):
                distance[j] = np.uint64(0)
            for w in range(words):
                query, there = queries[r, w], np.uint64(w * n + start)
                for j in range(width):
                    distance[j] += ones(query ^ flat[there + j])
            there = np.uint64(r * n + start)
            for j in range(width):
                twice = np.int64(2) * np.int64(distance[j])
                products[there + j] = np.float32(np.int64(dimensions) - twice)
