"""What a measure's definition is, in twelve digits: a record tells with them what it measured.

A measure is computed on golds that never change, and the digest is that of the values. Whoever
changes a formula changes the digest, and cannot forget to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from harness.metrics.measure import Measure
from harness.metrics.ranks import RankedGolds

DIGITS = 12
LANGUAGES, POOL = 4, 60
# Ranks of the golds of eight queries in a pool of 60, and their languages: first places, last
# places, ties of languages, one gold alone, and golds of the query's language or none of it.
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
            # A measure of some package: it may ask for more than a probe can give.
            continue
        # Nine digits: the last ones of a logarithm are the processor's.
        text = measure.name + " " + " ".join(f"{x + 0.0:.9g}" for x in values)
        found[measure.name] = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
    return found


def _probe(depth: int) -> RankedGolds:
    """The golds that never change, with rankings kept ``depth`` deep."""
    ranks = np.array([r for golds in _RANKS for r in golds], np.int64)
    places, queries = np.arange(depth), np.arange(len(_RANKS))
    return RankedGolds(
        ranks=ranks,
        indptr=np.cumsum([0, *map(len, _RANKS)]).astype(np.int64),
        grades=(1 + ranks % 2).astype(np.int64),
        pool_size=np.full(len(_RANKS), POOL),
        gold_languages=np.array([x for owners in _OWNERS for x in owners], np.int64),
        query_languages=(queries % LANGUAGES).astype(np.int64),
        head_languages=((queries[:, None] + places**2 // 3) % LANGUAGES).astype(np.int64),
        rank_correlation=(queries - 3) / 10,
        n_languages=LANGUAGES,
    )
