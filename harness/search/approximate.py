"""Approximate nearest neighbours, to be measured against exact ranks: faiss.

An index is named as faiss names it, behind ``faiss:``, with search parameters behind ``@``:
``faiss:HNSW32``, ``faiss:HNSW32@efSearch=64``, ``faiss:IVF64,Flat@nprobe=8``, ``faiss:PQ48``.
Indexes are built and searched by one thread, so that a second run finds the same passages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import ModelError, UsageError, one_line

_SPEC = re.compile(
    r"faiss:(?P<factory>[A-Za-z0-9_,()+\[\].-]+)(@(?P<parameters>[A-Za-z0-9_=,.]+))?"
)


class ApproximateIndex(Protocol):
    """An index over one pool."""

    def search(
        self, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and columns, (Q, k) each, best first; -1 where fewer were found."""


@dataclass(frozen=True)
class IndexKind:
    """What kind of index, and how it is searched."""

    name: str
    """As ``--ann`` takes it."""
    factory: str
    """As ``faiss.index_factory`` takes it."""
    parameters: str | None
    """As ``faiss.ParameterSpace`` takes them: ``efSearch=64``."""

    def build(self, passages: NDArray[np.float32]) -> ApproximateIndex:
        """The index over ``passages`` (N, d), compared by inner product.

        Raises:
            UsageError: faiss knows no such index or parameter, or it needs more passages.
        """
        faiss = import_faiss()
        try:
            index = faiss.index_factory(passages.shape[1], self.factory, faiss.METRIC_INNER_PRODUCT)
            lists = faiss.try_extract_index_ivf(index)
            if lists is not None:
                # Pools are small: faiss would write to the terminal that they are.
                lists.cp.min_points_per_centroid = 1
            index.train(passages)
            index.add(passages)
            if self.parameters is not None:
                faiss.ParameterSpace().set_index_parameters(index, self.parameters)
        except (RuntimeError, AssertionError) as error:
            # Before the last colon are the file and line of faiss.
            said = one_line(str(error).rpartition(":")[2])
            raise UsageError(
                f"--ann {self.name}: faiss cannot build it over {len(passages):,} passages of "
                f"{passages.shape[1]} dimensions: {said}"
            ) from error
        found: ApproximateIndex = index
        return found


def read_index(word: str) -> IndexKind:
    """``faiss:HNSW32@efSearch=64``.

    Raises:
        UsageError: it is not written so.
    """
    match = _SPEC.fullmatch(word)
    if match is None:
        raise UsageError(
            f"--ann {word!r}: write faiss: and an index as faiss's index_factory takes it, as in "
            "faiss:HNSW32, faiss:HNSW32@efSearch=64 or faiss:IVF64,Flat@nprobe=8"
        )
    return IndexKind(word, match["factory"], match["parameters"])


def import_faiss() -> Any:
    """The library.

    Raises:
        ModelError: it is not installed.
    """
    try:
        import faiss
    except ImportError:
        raise ModelError(
            "--ann needs faiss; install it with: pip install 'polyglot-harness[ann]'"
        ) from None
    return faiss


@contextmanager
def one_thread() -> Iterator[None]:
    """Let faiss and torch compute with one thread in the block."""
    import torch

    faiss = import_faiss()
    before = faiss.omp_get_max_threads(), torch.get_num_threads()
    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before[0])
        torch.set_num_threads(before[1])


def in_total_order(
    scores: NDArray[np.float32], columns: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(Q, k) each, in the order of scores, of equal ones the lower column; -1 stays last."""
    last = np.where(columns < 0, np.inf, -scores)
    order = np.lexsort((columns, last), axis=1)
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(columns, order, axis=1)
