"""The contents of a board: rows of models, measured here or published, on one task.

Plain data, made by :func:`harness.boards.make_board`; every format is written from it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from harness.analysis.verify import Verification
from harness.boards.tracked.retrieved import RetrievedTask
from harness.data.task import Kind
from harness.metrics.measure import Better

Source = Literal["measured", "published", "imported"]
Matrix = tuple[tuple[float | None, ...], ...]


class Cell(NamedTuple):
    """A mean with the ends of its 95 % interval; these are ``None`` if unknown."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Column(NamedTuple):
    """One measure of one kind of setting."""

    kind: Kind
    measure: str
    label: str
    """The label in headers: ``mAP``, ``R@10``."""
    better: Better | None

    @property
    def key(self) -> str:
        """``multi/map``: the key of cells and rankings, and the name users sort by."""
        return f"{self.kind}/{self.measure}"


@dataclass(frozen=True)
class Facts:
    """Where a measured row comes from and what it cost; ``None`` where unknown."""

    command: str
    """The command that reproduces the row."""
    fingerprint: str | None
    record_sha256: str
    """SHA-256 of the per-query table from which every mean can be recomputed."""
    created: str
    harness: str | None
    """Version of polyglot-harness."""
    device: str
    processor: str
    texts: int
    encoded: int
    """Texts encoded in that run; the rest came from the store."""
    texts_per_second: float | None
    """Texts encoded per second inside the model; ``None`` if too few to tell."""
    search_seconds: float | None
    seconds: Mapping[str, float]
    """Stage -> seconds."""
    peak_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model on one task; missing values are unknown or were not measured."""

    id: str
    """The same on every board: the record's name, or that of the published row."""
    model: str
    source: Source
    kind: str | None = None
    """``dense``, ``lexical``, ...; ``None`` where not known."""
    recipe: str | None = None
    """How it was trained: Hybrid, X-X-mono, ..."""
    alpha: float | None = None
    """Share of monolingual batches in training."""
    seed: int | None = None
    """Training seed."""
    trained_on: tuple[str, ...] | None = None
    """Languages seen in training; ``None`` if unknown."""
    parameters: int | None = None
    dimensions: int | None = None
    released: str | None = None
    """ISO 8601."""
    open_weights: bool | None = None
    license: str | None = None
    """Of the weights."""
    trained_on_task: str | None = None
    """Its training data that are of this task; ``None``: none are known."""
    options: str = ""
    """Options set by the user, in words; empty if none."""
    text: str | None = None
    """The text option: what was encoded of a passage; ``None`` if unknown."""
    notes: tuple[str, ...]
    """Reasons why it is not comparable with the other rows, in words."""
    comparable: bool
    """Whether its numbers may be ranked with the measured rows of its board."""
    elsewhere: bool
    """Measured on more than this board's sample: shown in a separate table, unranked."""
    reference: str | None = None
    """Where a published row was published."""
    cells: Mapping[str, Cell]
    """Column key -> macro mean; absent where not measured."""
    languages: Mapping[str, tuple[Cell, ...]]
    """Column key -> one per query language of the board: mean over its settings."""
    matrices: Mapping[str, Matrix] = field(default_factory=dict)
    """Measure -> query language x passage language; mono on the diagonal."""
    top_languages: Matrix | None = None
    """Query language x passage language: shares of the first places of the pool of all."""
    seen: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    """Column key -> means over query languages in and not in ``trained_on``."""
    hits: Mapping[str, str] = field(default_factory=dict)
    """``mono``, ``multi`` -> question by language, a bit each, base64: relevant at rank 1."""
    facts: Facts | None = None
    """``None`` where not measured here."""


@dataclass(frozen=True)
class Ranking:
    """The ranking of the comparable rows by one column."""

    column: str
    order: tuple[str, ...]
    """Ids of the rows that have a rank, best first (highest where neither end is good)."""
    spans: Mapping[str, tuple[int, int]]
    """Row id -> best and worst rank compatible with the data."""
    ties: tuple[tuple[str, ...], ...]
    """Largest groups of neighbours in which no two are significantly different."""
    best: tuple[str, ...]
    """Rows to set in bold: those with the best value as displayed."""
    second: tuple[str, ...]
    """Rows to underline: those with the second best value as displayed."""
    tested: int
    """Pairs of rows that were tested; 0 if records have no values per question."""
    untested: tuple[str, ...] = ()
    """Comparable rows without a rank: they have no values for the questions of the others."""
    tied_apart: tuple[tuple[str, str], ...] = ()
    """Pairs that are not significantly different and in no group of ``ties``: a row between them is
    different from one of them."""


@dataclass(frozen=True)
class Pairs:
    """Paired differences over questions; ``None`` where two rows do not have the same questions."""

    rows: tuple[str, ...]
    """Row ids. Pairs are (0, 1), (0, 2), ..., (1, 2), ... of them."""
    half_widths: Mapping[str, tuple[float | None, ...]]
    """Column key -> half the width of Student's interval of the difference of the means, one per
    pair."""
    p_values: Mapping[str, tuple[float | None, ...]]
    """Column key -> two-sided p-value per pair, not corrected for the number of pairs."""


class Addition(NamedTuple):
    """A row, and the row of the same system without the addition."""

    row: str
    """Row ids."""
    base: str
    differences: Mapping[str, Cell]
    """Column key -> ``row``'s mean less ``base``'s, with a paired interval over questions."""


@dataclass(frozen=True)
class TaskBoard:
    """All rows of one task that measure the same thing."""

    slug: str
    """Name of its files: the task's, plus what distinguishes it from the task's other boards."""
    task: str
    title: str
    primary: bool
    """Whether it represents its task (or the sample of it) on the board across tasks."""
    notes: tuple[str, ...]
    """Notes above the table: sampled corpus, part of the task, another text option."""
    text: str
    data_digest: str
    revision: str | None
    license: str
    languages: tuple[str, ...]
    kinds: tuple[Kind, ...]
    questions: int
    queries: Mapping[str, int]
    """Query language -> queries."""
    passages: Mapping[str, int]
    """Passage language -> passages."""
    columns: tuple[Column, ...]
    """Columns of the main table."""
    more: tuple[Column, ...]
    """Other columns that some row has: the rest of the bias suite."""
    sort: str
    """Column that the rows are sorted by."""
    rows: tuple[Row, ...]
    rankings: Mapping[str, Ranking]
    """Column key -> ranking, for every column of some comparable row."""
    additions: tuple[Addition, ...]
    """Post-processed, reranked or translated pipelines next to the plain models."""
    question_ids: tuple[str, ...] | None
    """Texts in the order of ``Row.hits``; ``None`` if not available."""
    has_query: Mapping[str, str]
    """``mono``, ``multi`` -> question by language, a bit each, base64: has a query in it."""
    per_language_only: bool
    """Boards of tasks without cross settings show languages as columns, with mean and median."""
    one_each: bool = True
    """Whether every question has one relevant passage in each language that has a query of it, as
    far as its record says: what chance gives is then known."""
    pairs: Pairs | None = None
    """Paired differences of the measured rows; ``None`` for fewer than two or too many rows."""
    retrieved: Mapping[str, RetrievedTask] = field(default_factory=dict)
    """Row id -> the first passages that it retrieved, for a few questions; only the page shows
    them."""

    @property
    def every(self) -> tuple[Column, ...]:
        """All columns."""
        return (*self.columns, *self.more)


class OverviewColumn(NamedTuple):
    """One column of one task."""

    slug: str
    column: Column
    title: str

    @property
    def key(self) -> str:
        """``xquad-r:multi/map``."""
        return f"{self.slug}:{self.column.key}"


@dataclass(frozen=True)
class OverviewRow:
    """One model over all tasks."""

    model: str
    source: Source
    recipe: str | None
    options: str
    parameters: int | None
    rows: Mapping[str, str]
    """Board slug -> the row's id there."""
    cells: Mapping[str, Cell]
    """Overview column key -> cell."""
    mean: float | None
    """Mean of the retrieval columns; only for rows that have all of them."""


@dataclass(frozen=True)
class Overview:
    """Across tasks."""

    columns: tuple[OverviewColumn, ...]
    rows: tuple[OverviewRow, ...]
    averaged: tuple[str, ...]
    """Keys of the columns that ``OverviewRow.mean`` is over."""
    best: Mapping[str, tuple[int, ...]]
    """Column key, or ``mean`` -> positions of the rows with the best value."""
    second: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Board:
    """All boards, the input of every format."""

    tasks: tuple[TaskBoard, ...]
    overview: Overview
    records: int
    alpha: float
    """Level at which two rows are significantly different."""
    level: float
    """Of the intervals."""
    method: str
    """How rows are significantly different, in a sentence or two."""
    verified: tuple[Verification, ...] = ()
    """Records against what is published of their models."""
