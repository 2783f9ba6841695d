"""Small pools and relevant passages, laid out without a task."""

from __future__ import annotations

import numpy as np

from harness.data.pool import Pool, RelevantPassages
from harness.data.trec import tie_order


def make_pool(sizes: dict[str, int]) -> Pool:
    """A pool as ``Pool.of`` lays it out, without a task around it."""
    ids = np.array([f"{x}:{i}" for x, n in sizes.items() for i in range(n)], dtype=object)
    order = np.asarray(tie_order(list(ids)))
    ids = ids[order]
    owners = [i.split(":")[0] for i in ids]
    languages = tuple(dict.fromkeys(owners))
    starts = np.array([owners.index(x) for x in languages] + [len(ids)], np.int64)
    return Pool(ids, languages, starts, order)


def as_relevant(relevant: list[list[int]]) -> RelevantPassages:
    """CSR of the listed columns."""
    flat = np.array([c for row in relevant for c in row], np.int64)
    indptr = np.cumsum([0, *map(len, relevant)]).astype(np.int64)
    return RelevantPassages(
        tuple(f"q{i}" for i in range(len(relevant))), indptr, flat, np.ones_like(flat)
    )
