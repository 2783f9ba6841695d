"""mMARCO: triples of ids, and one file of queries and one of passages for each language.

    data/triples.train.ids.small.tsv                     query, relevant and other passage
    data/google/queries/train/LANGUAGE_queries.train.tsv query id, text
    data/google/collections/LANGUAGE_collection.tsv      passage id, text

The same ids mean the same text in every language, so that a row is parallel. Passages stay on disk:
of each language's file an array has the offset of each line, 8 bytes a passage (71 MB for the 8.8
million), and a passage is read when a row needs it.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError
from harness.training.pairs import Example

LANGUAGES: Mapping[str, str] = {
    "ar": "arabic", "de": "german", "en": "english", "es": "spanish", "fr": "french",
    "hi": "hindi", "id": "indonesian", "it": "italian", "ja": "japanese", "nl": "dutch",
    "pt": "portuguese", "ru": "russian", "vi": "vietnamese", "zh": "chinese",
}  # fmt: skip
TRIPLES = "data/triples.train.ids.small.tsv"


def files(languages: Sequence[str]) -> list[str]:
    """Names of the files for ``languages``."""
    names = [TRIPLES]
    for language in languages:
        names.append(f"data/google/queries/train/{LANGUAGES[language]}_queries.train.tsv")
        names.append(f"data/google/collections/{LANGUAGES[language]}_collection.tsv")
    return names


def examples(
    folder: Path, languages: Sequence[str], dropped: Counter[str], negatives: int
) -> Iterator[Example]:
    """One row for each query and relevant passage, in all of ``languages``.

    The triples name a pair once for each of its negatives, one after the other or far apart: a pair
    is yielded when first named, with up to the requested number of the negatives that directly
    follow.

    Raises:
        DataError: a file is missing or malformed.
    """
    with ExitStack() as opened:
        queries = {x: opened.enter_context(_Lines(folder / files([x])[1])) for x in languages}
        passages = {x: opened.enter_context(_Lines(folder / files([x])[2])) for x in languages}
        seen: set[tuple[int, int]] = set()
        for query, passage, others in _grouped(folder / TRIPLES, negatives):
            if (query, passage) in seen:
                dropped["pair named before"] += 1
                continue
            seen.add((query, passage))
            query_texts = {x: text for x in languages if (text := queries[x].get(query))}
            passage_texts = {x: text for x in languages if (text := passages[x].get(passage))}
            if not query_texts or not passage_texts:
                dropped["no text in any language"] += 1
                continue
            kept = {
                x: tuple(text for other in others if (text := passages[x].get(other)))
                for x in languages
            }
            yield Example(
                f"mmarco:{query}",
                query_texts,
                passage_texts,
                f"mmarco:{passage}",
                {x: texts for x, texts in kept.items() if texts},
            )


def _grouped(path: Path, negatives: int) -> Iterator[tuple[int, int, list[int]]]:
    """Consecutive triples with the same pair, merged."""
    last: tuple[int, int] | None = None
    others: list[int] = []
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            try:
                query, passage, other = (int(x) for x in line.split(b"\t"))
            except ValueError as error:
                raise DataError(
                    f"{path}: line {number}: must be three numbers, separated by tabs, not "
                    f"{line[:40]!r}"
                ) from error
            if last != (query, passage):
                if last is not None:
                    yield (*last, others)
                last, others = (query, passage), []
            if len(others) < negatives:
                others.append(other)
    if last is not None:
        yield (*last, others)


class _Lines:
    """Lines ``number TAB text`` of a file, by number."""

    def __init__(self, path: Path) -> None:
        self._file = _open(path)
        numbers, starts = array("q"), array("q")
        at = 0
        for line, raw in enumerate(self._file, 1):
            number, tab, _ = raw.partition(b"\t")
            if not tab or not number.isdigit():
                raise DataError(
                    f"{path}: line {line}: must be a number and a text, separated by a tab, not "
                    f"{raw[:40]!r}"
                )
            numbers.append(int(number))
            starts.append(at)
            at += len(raw)
        self._starts: NDArray[np.int64] = np.full(max(numbers, default=-1) + 1, -1, np.int64)
        self._starts[np.array(numbers, np.int64)] = starts

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def get(self, number: int) -> str:
        """The text of ``number``; empty if there is none."""
        if number >= len(self._starts) or self._starts[number] < 0:
            return ""
        self._file.seek(self._starts[number])
        text = self._file.readline().partition(b"\t")[2]
        return text.decode("utf-8", "replace").strip()


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
