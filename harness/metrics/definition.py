"""The definition of a measure as a digest of twelve digits, so that a record says what it measured.

A measure is computed on a fixed input, and the digest is that of the values. A change of the
formula changes the digest, so no version number can be forgotten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from harness.metrics.measure import Measure
from harness.metrics.ranks import RelevantRanks

DIGITS = 12
LANGUAGES, POOL = 4, 60
# Ranks of the relevant passages of eight queries in a pool of 60, and their languages: first
# places, last places, ties of languages, a single passage, passages in the query's language or
# none.
_RANKS = (
    (1, 2, 3, 4),
    (60, 59, 2),
    (1,),
    (17, 5, 44, 30),
    (11, 10, 9, 8, 7),
    (60,),
    (2, 21),
    (3, 1, 40, 12, 6, 25),
)
_OWNERS = ((0, 1, 2, 3), (1, 1, 2), (3,), (0, 0, 3, 2), (2, 1, 2, 0, 3), (0,), (1, 3), (0,) * 6)


def digests(measures: Iterable[Measure]) -> dict[str, str]:
    """Name -> digest of each measure's definition; one that fails on the probe is left out."""
    found = {}
    for measure in measures:
        try:
            values = measure.per_query(_probe(max(measure.cutoff or 0, 10)))
        except Exception:
            # A package's measure may need more than the probe can give.
            continue
        # Nine digits: the last ones of a logarithm depend on the processor.
        text = measure.name + " " + " ".join(f"{x + 0.0:.9g}" for x in values)
        found[measure.name] = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
    return found


def _probe(depth: int) -> RelevantRanks:
    """The fixed input, with the top ``depth`` of every ranking."""
    ranks = np.array([r for relevant in _RANKS for r in relevant], np.int64)
    places, queries = np.arange(depth), np.arange(len(_RANKS))
    return RelevantRanks(
        ranks=ranks,
        indptr=np.cumsum([0, *map(len, _RANKS)]).astype(np.int64),
        grades=(1 + ranks % 2).astype(np.int64),
        pool_size=np.full(len(_RANKS), POOL),
        relevant_languages=np.array([x for owners in _OWNERS for x in owners], np.int64),
        query_languages=(queries % LANGUAGES).astype(np.int64),
        top_k_languages=((queries[:, None] + places**2 // 3) % LANGUAGES).astype(np.int64),
        top_k_judged=((queries[:, None] + places) % 3 == 0).astype(np.int64),
        rank_correlation=(queries - 3) / 10,
        n_languages=LANGUAGES,
    )
