"""The fields of a tracked record as frozen models; shared ones are those of a record.

``tracked.schema.json`` is written from these classes, as ``record.schema.json`` is from the
record's.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harness.data.task import Kind
from harness.evaluation.record_fields import (
    Bootstrap,
    Count,
    Fields,
    Map,
    RunFacts,
    Score,
    Sha256,
    TaskFacts,
)

Ends = tuple[Score, Score, Score]
"""Lower end, upper end (bias-corrected and accelerated) and standard error."""
Packed = Annotated[str, Field(pattern="^[A-Za-z0-9+/]*={0,2}$")]
"""Base64."""
Setting = tuple[Kind, str, str | None, Count, Count]
"""Kind, query language, passage language (``None``: the pool of all), queries, passages."""


class TrackedIntervals(Bootstrap):
    """How intervals were computed, and the intervals: lower end, upper end, standard error."""

    means: Map[Kind, Map[str, Ends]]
    """Kind of setting -> measure -> interval."""
    languages: Map[Kind, Map[str, Map[str, Ends]]]
    """Kind of setting -> query language -> measure -> interval."""


class TableDigest(Fields):
    """The per-query table of the record, which is not tracked."""

    rows: Count
    """Number of rows: one per query and setting."""
    sha256: Sha256
    """SHA-256 of the file."""


class PackedHits(Fields):
    """Question by language, a bit each, base64."""

    asked: Packed
    """Whether the question has a query in that language."""
    hit: Packed
    """Whether a relevant passage is at rank 1."""


class PackedQuestions(Fields):
    """Values of single questions, in the order of their ids."""

    count: Count
    """Number of distinct questions."""
    ids_sha256: Sha256
    """SHA-256 of the sorted ids, one per line."""
    columns: tuple[tuple[Kind, str, float, float, Packed], ...]
    """Kind, measure, least and greatest value, and for each question (count times its share of the
    macro mean, between these) as 16 bits: high bytes, then low bytes, zlib, base64; 65535 is
    undefined."""
    hits: Map[Literal["mono", "multi"], PackedHits]
    """Kind -> question by language, a bit each, base64: has a query, and a relevant passage at rank
    1."""


class TrackedTask(TaskFacts):
    """What one task measured."""

    settings: Annotated[tuple[Setting, ...], Field(min_length=1)]
    """One per setting: kind, query language, passage language (null for the pool of all), queries,
    passages in the pool."""
    scores: Map[str, tuple[Score, ...]]
    """Measure -> its mean in each setting, in their order; null where the setting has none."""
    intervals: TrackedIntervals | None
    """Bootstrap intervals of the macro means; null where none were computed."""
    per_query: TableDigest
    """The per-query table of the record, which is not tracked."""
    questions: PackedQuestions
    """Values of single questions, in the order of their ids."""


class TrackedContents(RunFacts):
    """A record without its per-query table: everything that boards show."""

    version_field = "tracked_version"

    tracked_version: Literal[1]
    """Version of this schema; readers refuse a higher one than they know."""
    command: tuple[str, ...] | None
    """The command line without options that change no number; null if run from Python."""
    tasks: Annotated[tuple[TrackedTask, ...], Field(min_length=1)]
    """One entry per task, in the order they ran."""
