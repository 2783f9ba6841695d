"""A record as frames: means of settings and of kinds, with the ends of their intervals."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import tiny

import harness
from harness import Record
from harness.errors import RecordError


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    folder = tmp_path_factory.mktemp("frames")
    task = str(tiny.write_task(folder / "own"))
    return harness.evaluate(tiny.WordBag(), task, store=False, resamples=50)


def test_settings_have_their_means_and_the_ends_of_their_intervals(record: Record) -> None:
    frame = record.to_frame().set_index("setting")
    task = record.tasks[0]
    assert task.intervals is not None
    columns = list(frame.columns)
    assert columns[:6] == ["task", "kind", "query_language", "passage_language", "queries", "pool"]
    assert columns[6:9] == ["map", "map_low", "map_high"]
    for setting in task.settings:
        row = frame.loc[setting.setting]
        assert row["map"] == setting.scores["map"]
        if setting.kind == "cross":  # each query language has two, and an interval of both
            assert np.isnan(row["map_low"]) and np.isnan(row["map_high"])
        else:
            ends = task.intervals.languages[setting.kind][setting.query_language]["map"].bca
            assert (row["map_low"], row["map_high"]) == ends


def test_a_cross_setting_that_is_alone_has_an_interval(tmp_path: Path) -> None:
    task = str(tiny.write_task(tmp_path / "own"))
    record = harness.evaluate(
        tiny.WordBag(), task, languages="en,de", settings="cross", store=False, resamples=50
    )
    frame = record.to_frame()
    assert len(frame) == 2 and frame["map_low"].notna().all()
    assert (frame["map_low"] <= frame["map"]).all() and (frame["map"] <= frame["map_high"]).all()


def test_means_are_macro_and_micro_by_kind(record: Record) -> None:
    task = record.tasks[0]
    frame = record.means().set_index(["kind", "mean"])
    assert list(frame.index) == [(k, m) for k in task.kinds for m in ("macro", "micro")]
    for kind in task.kinds:
        assert frame.loc[(kind, "macro"), "map"] == task.means[kind].macro["map"]
        assert frame.loc[(kind, "micro"), "map"] == task.means[kind].micro["map"]
        assert task.intervals is not None
        ends = frame.loc[(kind, "macro"), ["map_low", "map_high"]]
        assert tuple(ends) == task.intervals.means[kind]["map"].bca
        assert frame.loc[(kind, "micro"), ["map_low", "map_high"]].isna().all()
    settings = [s for s in task.settings if s.kind == "cross"]
    assert frame.loc[("cross", "macro"), "settings"] == len(settings) == 6
    assert frame.loc[("cross", "micro"), "queries"] == sum(s.queries for s in settings)


def test_a_record_without_intervals_has_no_columns_for_them(tmp_path: Path) -> None:
    task = str(tiny.write_task(tmp_path / "own"))
    record = harness.evaluate(tiny.WordBag(), task, store=False, resamples=0)
    for frame in (record.to_frame(), record.means()):
        assert "map" in frame
        assert not [x for x in frame if str(x).endswith(("_low", "_high"))]


def test_a_damaged_table_whose_digest_fits_is_named_by_its_file(
    record: Record, tmp_path: Path
) -> None:
    record.save(tmp_path)
    (table,) = tmp_path.rglob("*.parquet")
    right = hashlib.sha256(table.read_bytes()).hexdigest()
    table.write_bytes(b"nothing of the kind")
    document = table.with_name("record.json")
    wrong = hashlib.sha256(table.read_bytes()).hexdigest()
    document.write_text(document.read_text().replace(right, wrong))
    loaded = harness.load_record(table.parent)
    said = rf"^{re.escape(str(table))}: not a per-query table"
    with pytest.raises(RecordError, match=said):
        loaded.per_query()
    with pytest.raises(RecordError, match=said):
        loaded.table(loaded.tasks[0].task)


def test_fields_are_attributes_that_cannot_be_changed(record: Record) -> None:
    assert record.tasks[0].encoding.texts == record.document["tasks"][0]["encoding"]["texts"]
    with pytest.raises(ValueError, match="frozen"):
        record.tasks[0].encoding.texts = 0
