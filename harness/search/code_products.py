"""Inner products of codes: of signs by Hamming distances, of other 8-bit numbers as integers.

Codes (``--bits``, or a model's own) come as float32 like all vectors. Their products are whole
numbers, the same whatever computes them, and they are returned as float32: nothing that is made of
scores changes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Multiply = Callable[[int, int, Any], None]
"""(first query, last query, out): fill the float32 tensor ``out`` (last - first, N) with their
products."""

WORTH_COMPILING = 2**22
"""Number of scores from which Hamming distances pay for the second that their loop takes to
compile."""

_WIDEST = 2**16
"""Most dimensions: a product of 8-bit codes is then a 32-bit integer."""

_FEW, _BLOCK = 64, 2**16
"""Numbers looked at together: few at first, as most vectors are no codes; then what fits a
cache."""


def coded(vectors: NDArray[np.float32]) -> bool:
    """Whether all numbers of ``vectors`` (n, d) are whole ones of 8 bits."""
    # Of a single dimension torch cannot tell which way a matrix lies, and multiplies nothing.
    return 1 < vectors.shape[1] <= _WIDEST and _all(vectors, _is_code)


def _all(vectors: NDArray[np.float32], fits: Callable[[Any], Any]) -> bool:
    flat = vectors.reshape(-1)
    rest = range(_FEW, len(flat), _BLOCK)
    return bool(fits(flat[:_FEW]).all()) and all(fits(flat[a : a + _BLOCK]).all() for a in rest)


def _is_code(numbers: NDArray[np.float32]) -> Any:
    return (numbers == np.rint(numbers)) & (numbers >= -128) & (numbers <= 127)


def _is_sign(numbers: NDArray[np.float32]) -> Any:
    return np.abs(numbers) == 1


@cache
def integers_pay() -> bool:
    """Whether torch's products of 8-bit numbers are fast on this processor, and right.

    Without an instruction for them (VNNI), oneDNN adds pairs of products in 16 bits and caps what
    is larger, without a word; later versions of torch then add one by one instead.
    """
    import torch

    if not (torch.backends.mkldnn.is_available() and torch.cpu._is_vnni_supported()):
        return False
    extremes = torch.tensor([[127], [-128]], dtype=torch.int8).repeat(1, 256)
    expected = extremes.double() @ extremes.double().T
    return bool((torch._int_mm(extremes, extremes.T) == expected).all())


class CodedPassages:
    """Passages (N, d) that are :func:`coded`, on a CPU."""

    def __init__(self, passages: NDArray[np.float32]) -> None:
        import torch

        self._size = len(passages)
        self._words: NDArray[np.uint64] | None = None
        self._integers: torch.Tensor | None = None
        if _all(passages, _is_sign):
            # A word of each passage side by side: one instruction takes several.
            self._words = np.ascontiguousarray(_words(passages).T)
        elif integers_pay():
            self._integers = torch.from_numpy(passages.astype(np.int8, order="C")).T

    def products(self, queries: NDArray[np.float32]) -> Multiply | None:
        """How to multiply ``queries`` (Q, d), coded too; ``None``: nothing beats float32."""
        if self._integers is not None:
            return _as_integers(queries, self._integers)
        enough = len(queries) * self._size >= WORTH_COMPILING
        if self._words is not None and enough and _all(queries, _is_sign):
            return _by_distance(queries, self._words)
        return None


def _as_integers(queries: NDArray[np.float32], passages: Any) -> Multiply:
    import torch

    rows = torch.from_numpy(queries.astype(np.int8, order="C"))

    def multiply(start: int, stop: int, out: Any) -> None:
        # Integers first, then each becomes a float32 in its place.
        integers = out.view(torch.int32)
        torch._int_mm(rows[start:stop], passages, out=integers)
        out.copy_(integers)

    return multiply


def _by_distance(queries: NDArray[np.float32], passages: NDArray[np.uint64]) -> Multiply:
    from harness.search.hamming_loops import sign_products

    rows, dimensions = _words(queries), queries.shape[1]

    def multiply(start: int, stop: int, out: Any) -> None:
        sign_products(rows[start:stop], passages, dimensions, out.numpy())

    return multiply


def _words(signs: NDArray[np.float32]) -> NDArray[np.uint64]:
    """(n, words) a bit for each of ``signs`` (n, d), 1 for those above 0, filled up with zeros."""
    packed = np.packbits(signs > 0, axis=1)
    filled = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))
    return filled.view(np.uint64)
