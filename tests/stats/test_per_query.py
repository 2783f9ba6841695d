"""The per-query table: its parquet form, its parts, and what several of them share."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.data.task import Setting
from harness.stats.per_query import PerQuery, aligned

SETTINGS = (
    Setting("mono", "de", "de"),
    Setting("mono", "en", "en"),
    Setting("cross", "de", "en"),
    Setting("multi", "en", None),
)


def table(rows: list[tuple[int, str, float]], settings: tuple[Setting, ...] = SETTINGS) -> PerQuery:
    """A table of (setting, question, value) rows."""
    questions = tuple(dict.fromkeys(q for _, q, _ in rows))
    n = len(rows)
    return PerQuery(
        settings=settings,
        questions=questions,
        setting=np.array([s for s, _, _ in rows], np.int32),
        question=np.array([questions.index(q) for _, q, _ in rows], np.int32),
        relevant=np.arange(1, n + 1, dtype=np.int32),
        query_chars=np.full(n, 7, np.int32),
        values={"map": np.array([x for _, _, x in rows])},
    )


ROWS = [(0, "q2", 0.5), (0, "q1", math.nan), (1, "q2", 1.0), (2, "q1", 0.25)]


def rows_of(found: PerQuery) -> list[tuple[str, str, float]]:
    names = zip(found.setting, found.question, found.values["map"], strict=True)
    return [(found.settings[s].name, found.questions[q], float(x)) for s, q, x in names]


def test_parquet_gives_the_table_back() -> None:
    before = table(ROWS)
    after = PerQuery.from_parquet(before.to_parquet(), SETTINGS)
    assert after.settings == SETTINGS
    np.testing.assert_equal(rows_of(after), rows_of(before))
    np.testing.assert_array_equal(after.relevant, before.relevant)
    np.testing.assert_array_equal(after.query_chars, before.query_chars)


@pytest.mark.parametrize("raw", [b"", b"no parquet", table(ROWS).to_parquet()[:-9]])
def test_what_is_not_a_table_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not a per-query table"):
        PerQuery.from_parquet(raw, SETTINGS)


def test_a_setting_that_the_task_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="mono/en"):
        PerQuery.from_parquet(table(ROWS).to_parquet(), (SETTINGS[0], *SETTINGS[2:]))


def test_a_kind_keeps_its_settings_and_a_part_only_those_it_has_rows_of() -> None:
    whole = table(ROWS)
    multi = whole.of_kind("multi")
    assert (len(multi), multi.settings) == (0, SETTINGS[3:])
    assert list(whole.by_kind()) == ["mono", "cross"]
    cross = whole.by_kind()["cross"]
    assert (cross.settings, cross.questions) == (SETTINGS[2:3], ("q1",))
    assert rows_of(cross) == [("cross/de-en", "q1", 0.25)]
    scattered = table([ROWS[0], ROWS[3], ROWS[2]])
    assert rows_of(scattered.of_kind("mono")) == [("mono/de", "q2", 0.5), ("mono/en", "q2", 1.0)]


def test_aligned_tables_have_the_shared_rows_in_one_order() -> None:
    first = table(ROWS)
    # Other settings, other questions, another order; values are each table's own.
    second = table(
        [(1, "q9", 0.1), (0, "q1", 0.2), (2, "q2", 0.3), (0, "q2", 0.4)],
        (SETTINGS[2], SETTINGS[3], SETTINGS[0]),
    )
    one, other = aligned([first, second])
    assert rows_of(one) == [("mono/de", "q2", 0.5), ("cross/de-en", "q1", 0.25)]
    assert rows_of(other) == [("mono/de", "q2", 0.3), ("cross/de-en", "q1", 0.2)]
    assert one.questions == other.questions == ("q1", "q2", "q9")
    assert one.relevant.tolist() == [1, 4] and other.relevant.tolist() == [3, 2]


def test_questions_are_sorted_by_their_ids() -> None:
    found = table(ROWS).with_sorted_questions()
    assert found.questions == ("q1", "q2")
    np.testing.assert_equal(rows_of(found), rows_of(table(ROWS)))


def test_levels_number_query_languages_setting_by_setting() -> None:
    found = replace(table(ROWS), settings=(SETTINGS[1], SETTINGS[0], *SETTINGS[2:]))
    assert found.languages == ("en", "de")
    assert found.levels["parents"].tolist() == [0, 1, 1, 0]
