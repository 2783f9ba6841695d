"""Contents of a file of training pairs: pairs by language and direction, lengths, duplicates."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.task import Role
from harness.training.overlap.normal_form import Batch
from harness.training.pairs import Example, stem, stream_examples

_CHARACTERS = 200_000


@dataclass(frozen=True)
class Side:
    """The queries or passages of one language."""

    role: Role
    language: str
    texts: int
    distinct: int
    """Texts that differ in more than case, punctuation and spaces."""
    median: float
    """Median length in characters; the following fields are lengths too."""
    mean: float
    high: float
    """95th percentile."""
    longest: int


@dataclass(frozen=True)
class Statistics:
    """Statistics of several files together."""

    data: Mapping[str, int]
    """File -> its rows."""
    ids: int
    """Distinct parallel ids; rows of one never meet in a batch."""
    pairs: Mapping[tuple[str, str], int]
    """(query language, passage language) -> pairs a sampler can draw."""
    sides: tuple[Side, ...]
    negatives: int
    """Rows with at least one hard negative."""
    repeated: int
    """Pairs of one query and one passage language with the same texts as an earlier pair."""
    copies: int
    """Pairs whose query and passage are the same text."""

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "data": dict(self.data),
            "rows": sum(self.data.values()),
            "ids": self.ids,
            "pairs": {f"{q}-{p}": count for (q, p), count in self.pairs.items()},
            "sides": [vars(x) for x in self.sides],
            "rows_with_negatives": self.negatives,
            "repeated_pairs": self.repeated,
            "query_equals_passage": self.copies,
        }


class _Hashes:
    """Hashes of texts in normal form, by 8 bytes each, taken many texts at a time."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._size = 0
        self._found: list[np.ndarray[Any, np.dtype[np.uint64]]] = []

    def add(self, text: str) -> None:
        self._waiting.append(text)
        self._size += len(text)
        if self._size >= _CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._found.append(Batch(self._waiting).wholes())
        self._waiting, self._size = [], 0

    def all(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """(n,) in the order they were added."""
        self._flush()
        return np.concatenate([np.zeros(0, np.uint64), *self._found])


def describe(paths: Iterable[str | Path]) -> Statistics:
    """Count the contents of files of pairs, row by row; 12 bytes of each text are kept.

    A parallel row is a pair in every language that both sides have, and of every two.

    Raises:
        DataError: a file is missing or malformed.
    """
    data: Counter[str] = Counter()
    ids: set[int] = set()
    pairs: Counter[tuple[str, str]] = Counter()
    lengths: dict[tuple[Role, str], array[int]] = {}
    hashes: dict[tuple[Role, str], _Hashes] = {}
    # For each direction, the positions of the pair's two texts among those of their sides.
    places: dict[tuple[str, str], tuple[array[int], array[int]]] = {}
    negatives = 0

    def add(role: Role, language: str, text: str) -> None:
        key = (role, language)
        lengths.setdefault(key, array("I")).append(len(text))
        hashes.setdefault(key, _Hashes()).add(text)

    for path in paths:
        name = stem(Path(path))
        for example in stream_examples(path):
            data[name] += 1
            ids.add(hash(example.id))
            negatives += bool(example.negatives)
            for language, text in example.query.items():
                add("query", language, text)
            for language, text in example.passage.items():
                add("passage", language, text)
            for pair in _directions(example):
                pairs[pair] += 1
                queries, passages = places.setdefault(pair, (array("Q"), array("Q")))
                queries.append(len(lengths["query", pair[0]]) - 1)
                passages.append(len(lengths["passage", pair[1]]) - 1)
    known = {key: found.all() for key, found in hashes.items()}
    repeated = copies = 0
    for (query_language, passage_language), (queries, passages) in places.items():
        both = np.stack(
            [known["query", query_language][queries], known["passage", passage_language][passages]],
            axis=1,
        )
        copies += int((both[:, 0] == both[:, 1]).sum())
        repeated += len(both) - len(np.unique(both, axis=0))
    sides = []
    for role, language in sorted(lengths, key=lambda x: (x[0] != "query", x[1])):
        sizes = np.asarray(lengths[role, language], np.int64)
        sides.append(
            Side(
                role,
                language,
                len(sizes),
                len(np.unique(known[role, language])),
                float(np.median(sizes)),
                float(sizes.mean()),
                float(np.quantile(sizes, 0.95)),
                int(sizes.max()),
            )
        )
    ordered = dict(sorted(pairs.items(), key=lambda x: (x[0][0] != x[0][1], x[0])))
    return Statistics(dict(data), len(ids), ordered, tuple(sides), negatives, repeated, copies)


def _directions(example: Example) -> list[tuple[str, str]]:
    return [(x, x) for x in example.languages] + list(example.ordered_pairs)
