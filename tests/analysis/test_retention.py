"""What a condition leaves of a measure, with an interval over questions."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from click.testing import CliRunner

import harness
from harness.analysis.retention import retention
from harness.cli import main
from harness.evaluation.record import Record


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    folder = tmp_path_factory.mktemp("records")
    task = str(tiny.write_task(folder))
    return [
        harness.evaluate(tiny.WordBag(), task, resamples=0, output=folder / "out", noise=noise)
        for noise in (None, "typos@0.3")
    ]


def test_it_is_the_ratio_of_the_macro_means(records: list[Record]) -> None:
    found = {(x.kind, x.measure): x for x in retention(*records, measures=["map"])}
    for kind in ("mono", "cross", "multi"):
        before, after = (x.contents.tasks[0].means[kind].macro["map"] or 0 for x in records)
        got = found[kind, "map"]
        assert (got.clean, got.changed) == pytest.approx((before, after), abs=1e-12)
        assert got.retained == pytest.approx(after / before, abs=1e-12)
        assert got.low < got.retained < got.high
        assert got.retained < 1


def test_a_record_retains_all_of_itself(records: list[Record]) -> None:
    for x in retention(records[0], records[0], resamples=50):
        assert (x.retained, x.low, x.high) == (1, 1, 1)


def test_the_command_prints_it(records: list[Record]) -> None:
    folders = [str(Path(str(x.folder))) for x in records]
    result = CliRunner().invoke(main, ["compare", *folders, "--retention", "--measure", "map"])
    assert result.exit_code == 0, result.output
    assert "retained" in result.output
    share = next(x for x in retention(*records, measures=["map"]) if x.kind == "mono").retained
    assert f"{100 * share:.1f}" in result.output
    three = CliRunner().invoke(main, ["compare", *folders, folders[0], "--retention"])
    assert three.exit_code == 2
