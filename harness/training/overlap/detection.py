"""Whether training data contains evaluation texts: texts are compared, ancestry is looked up.

    for overlap in find_overlap(tasks, stream_texts(files)):
        ...
    require_unseen(overlaps, allowed=False)   # stops where questions are in the training data

Evaluation texts are kept in memory, training data is streamed: ten million pairs need no more
memory than ten. Every training text, whatever its role and language, is compared with every
evaluation text of every language, so that wrong language codes hide nothing. Texts match if they
are equal in normal form (:mod:`~harness.training.overlap.normal_form`); n words in a row in common,
by default 13, characters where a script has no spaces (Brown et al. 2020, arXiv 2005.14165,
appendix C); near duplicates (:mod:`~harness.training.overlap.minhash`). Candidates found by hashes
are compared as text before they count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.base.progress import Progress, Silent
from harness.data.task import Role
from harness.data.task_data import TaskData, Texts
from harness.errors import DataError, UsageError
from harness.training.overlap.ancestry import Ancestor, ancestors, merged
from harness.training.overlap.evaluation_texts import Evaluation, evaluation, of_data
from harness.training.overlap.hits import KINDS, ROLES, Hit, Kind, Overlap, Tally
from harness.training.overlap.minhash import NearDuplicates, Table
from harness.training.overlap.normal_form import Batch
from harness.training.pairs import Example, stem, stream_examples

__all__ = [
    "KINDS",
    "NGRAM",
    "ROLES",
    "THRESHOLD",
    "Ancestor",
    "Evaluation",
    "Hit",
    "Kind",
    "Overlap",
    "Tally",
    "Text",
    "ancestors",
    "evaluation",
    "find_overlap",
    "require_unseen",
    "stream_texts",
    "texts_of",
]

NGRAM = 13
THRESHOLD = 0.8
EXAMPLES = 3
"""Number of hits kept per task, role and kind."""
_CHARACTERS = 200_000  # of a batch: enough for numpy, little for the memory


class Text(NamedTuple):
    """One text of the training data."""

    data: str
    """The file's name in messages."""
    row: str
    role: Role
    language: str
    text: str


class _Question(NamedTuple):
    """One text of an evaluation set, question or passage."""

    task: int
    role: Role
    language: str
    id: str
    text: str


def texts_of(examples: Iterable[Example], data: str) -> Iterator[Text]:
    """Every text of ``examples``; negatives are passages."""
    for x in examples:
        for language, text in x.query.items():
            yield Text(data, x.id, "query", language, text)
        for language, text in x.passage.items():
            yield Text(data, x.id, "passage", language, text)
        for language, negatives in x.negatives.items():
            for text in negatives:
                yield Text(data, x.id, "passage", language, text)


def stream_texts(paths: Iterable[str | Path]) -> Iterator[Text]:
    """Every text of files of training pairs, read row by row.

    Raises:
        DataError: a file is missing or malformed.
    """
    for path in paths:
        yield from texts_of(stream_examples(path), stem(Path(path)))


def find_overlap(
    tasks: Sequence[Evaluation | TaskData],
    texts: Iterable[Text],
    *,
    data: Sequence[str] = (),
    ngram: int = NGRAM,
    threshold: float = THRESHOLD,
    on_hit: Callable[[Hit], None] | None = None,
    progress: Progress | None = None,
) -> tuple[Overlap, ...]:
    """Compare training texts with tasks; one answer per task, all from one pass.

    Args:
        tasks: evaluation tasks, loaded.
        texts: the training data, read once.
        data: additional names of the training data, for ancestry; those in ``texts`` are used
            anyway.
        ngram: number of consecutive words that count as overlap.
        threshold: least similarity of a near duplicate.
        on_hit: called with every pair of an evaluation text and a training text, once per kind.
        progress: gets the number of training texts.

    Raises:
        UsageError: ``ngram`` below 2, ``threshold`` not above 0 and at most 1.
    """
    if ngram < 2:
        raise UsageError(f"--ngram must be 2 or more, not {ngram}")
    if not 0 < threshold <= 1:
        raise UsageError(f"--threshold must be above 0 and at most 1, not {threshold:g}")
    evaluations = [of_data(x) if isinstance(x, TaskData) else x for x in tasks]
    search = _Search(evaluations, ngram, threshold, on_hit)
    progress = progress or Silent()
    progress.start("compare", 0, "texts")
    for batch in _batches(texts):
        search.look(batch)
        progress.advance(len(batch))
    progress.finish()
    return tuple(search.overlap(number, data) for number in range(len(tasks)))


def require_unseen(overlaps: Iterable[Overlap], *, allowed: bool) -> None:
    """Raise if evaluation questions are in the training data, equal or nearly so.

    Raises:
        DataError: some are, and ``allowed`` is false; the message says how many, where, and what to
            do.
    """
    if allowed:
        return
    for found in overlaps:
        if not found.leaked:
            continue
        shown = next(x for x in found.examples if x.role == "query" and x.kind != "ngram")
        raise DataError(
            f"{found.sentences()[0]}, for example {shown.text!r} in row {shown.row} of "
            f"{shown.data}: leave such rows out (harness overlap --clean DIR does), or allow it "
            "with --allow-overlap, which the model's card will say"
        )


def _batches(texts: Iterable[Text]) -> Iterator[list[Text]]:
    batch: list[Text] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text.text)
        if size >= _CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Search:
    """Evaluation texts indexed for search, and the hits so far."""

    def __init__(
        self,
        tasks: Sequence[Evaluation],
        ngram: int,
        threshold: float,
        on_hit: Callable[[Hit], None] | None,
    ) -> None:
        self.tasks, self.ngram, self.threshold = tasks, ngram, threshold
        self.on_hit = on_hit
        self.sought = [x for at, task in enumerate(tasks) for x in _texts(at, task)]
        self.batch = Batch([x.text for x in self.sought])
        full = np.flatnonzero(np.diff(self.batch.starts) > 0)
        self.exact = Table(self.batch.wholes()[full], full)
        owners, starts, ends = self.batch.grams(ngram)
        self.grams = Table(self.batch.hashes(starts, ends), owners)
        self.long_enough = np.zeros(len(self.sought), bool)
        self.long_enough[owners] = True
        self.near = NearDuplicates(self.batch, threshold)
        self.found = {kind: np.zeros(len(self.sought), bool) for kind in KINDS}
        self.hits: dict[tuple[int, Role, Kind], int] = {}
        self.examples: dict[tuple[int, Role, Kind], list[Hit]] = {}
        self.compared: dict[Role, int] = dict.fromkeys(ROLES, 0)
        self.data: dict[str, set[str]] = {}

    def look(self, texts: Sequence[Text]) -> None:
        """Compare one batch of training texts."""
        for text in texts:
            self.compared[text.role] += 1
            self.data.setdefault(text.data, set()).add(text.language)
        batch = Batch([x.text for x in texts])
        seen: set[tuple[int, int, Role, Kind]] = set()

        def count(kind: Kind, number: int, owner: int) -> tuple[int, Role, Kind]:
            self.found[kind][owner] = True
            key = (self.sought[owner].task, self.sought[owner].role, kind)
            if (number, *key) not in seen:
                seen.add((number, *key))
                self.hits[key] = self.hits.get(key, 0) + 1
            return key

        def hit(kind: Kind, number: int, owner: int, detail: float | str) -> None:
            key = count(kind, number, owner)
            one, other = self.sought[owner], texts[number]
            kept = self.examples.setdefault(key, [])
            if len(kept) >= EXAMPLES and self.on_hit is None:
                return
            made = Hit(
                kind,
                self.tasks[one.task].name,
                one.role,
                one.language,
                one.id,
                one.text,
                other.data,
                other.row,
                other.role,
                other.language,
                other.text,
                detail,
            )
            if len(kept) < EXAMPLES:
                kept.append(made)
            if self.on_hit is not None:
                self.on_hit(made)

        equal = set(self._equal(batch))
        for number, owner in sorted(equal):
            hit("exact", number, owner, 1.0)
            count("near", number, owner)
        for number, owner, gram in self._sharing(batch):
            hit("ngram", number, owner, gram)
        for near in self.near.find(batch):
            if (near.number, near.owner) not in equal:
                hit("near", near.number, near.owner, round(near.similarity, 4))

    def _equal(self, batch: Batch) -> Iterator[tuple[int, int]]:
        full = np.flatnonzero(np.diff(batch.starts) > 0)
        at, starts, ends = self.exact.find(batch.wholes()[full])
        for position, start, end in zip(at, starts, ends, strict=True):
            number = int(full[position])
            text = batch.text(number)
            for owner in self.exact.owners(start, end).tolist():
                if self.batch.text(owner) == text:
                    yield number, owner

    def _sharing(self, batch: Batch) -> Iterator[tuple[int, int, str]]:
        """Pairs with an n-gram in common, each with the first one."""
        owners, spans, stops = batch.grams(self.ngram)
        at, starts, ends = self.grams.find(batch.hashes(spans, stops))
        seen: set[tuple[int, int]] = set()
        for position, start, end in zip(at, starts, ends, strict=True):
            number = int(owners[position])
            gram = batch.span(int(spans[position]), int(stops[position]))
            for owner in dict.fromkeys(self.grams.owners(start, end).tolist()):
                if (number, owner) in seen or f" {gram} " not in f" {self.batch.text(owner)} ":
                    continue
                seen.add((number, owner))
                yield number, owner, gram

    def overlap(self, number: int, names: Sequence[str]) -> Overlap:
        """The overlap with one task."""
        task = self.tasks[number]
        groups: dict[tuple[Role, str], list[int]] = {}
        for at, text in enumerate(self.sought):
            if text.task == number:
                groups.setdefault((text.role, text.language), []).append(at)
        tallies = []
        for (role, language), members in groups.items():
            marks = {kind: self.found[kind][members] for kind in KINDS}
            tallies.append(
                Tally(
                    role=role,
                    language=language,
                    texts=len(members),
                    long_enough=int(self.long_enough[members].sum()),
                    any=int(np.any(list(marks.values()), axis=0).sum()),
                    **{kind: int(mark.sum()) for kind, mark in marks.items()},
                )
            )
        spoken = {x for languages in self.data.values() for x in languages}
        named = self.data | {x: spoken for x in names if x not in self.data}
        kin = [
            x
            for name, languages in named.items()
            for x in ancestors(task.name, task.languages, [name], languages)
        ]
        return Overlap(
            task=task.name,
            data=tuple(self.data),
            tallies=tuple(tallies),
            compared=dict(self.compared),
            training={
                role: {kind: self.hits.get((number, role, kind), 0) for kind in KINDS}
                for role in ROLES
            },
            ancestors=merged(kin, task.languages),
            examples=tuple(
                hit
                for role in ROLES
                for kind in KINDS
                for hit in self.examples.get((number, role, kind), ())
            ),
            ngram=self.ngram,
            threshold=self.threshold,
            passages=task.scope,
        )


def _texts(number: int, task: Evaluation) -> Iterator[_Question]:
    sides: tuple[tuple[Role, Mapping[str, Texts]], ...] = (
        ("query", task.queries),
        ("passage", task.passages),
    )
    for role, side in sides:
        for language, texts in side.items():
            for local, text in zip(texts.ids, texts.texts, strict=True):
                yield _Question(number, role, language, local, text)
