"""What a condition leaves of a measure, with an interval over questions."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
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


def test_a_measure_is_known_by_its_label(records: list[Record]) -> None:
    by_label = retention(*records, measures=["mAP"], resamples=50)
    assert by_label == retention(*records, measures=["map"], resamples=50) != []


def test_a_record_retains_all_of_itself(records: list[Record]) -> None:
    for x in retention(records[0], records[0], resamples=50):
        assert (x.retained, x.low, x.high) == (1, 1, 1)


def test_the_command_prints_and_writes_it(records: list[Record], tmp_path: Path) -> None:
    """The same shares in the terminal and in every file, only where it is asked for."""
    folders = [str(Path(str(x.folder))) for x in records]
    command = ["compare", *folders, "--measure", "map", "--measure", "rank_distance"]
    files = [y for x in ("json", "csv", "markdown", "latex") for y in (f"--{x}", tmp_path / x)]
    result = CliRunner().invoke(main, [*command, "--retention", *map(str, files)])
    assert result.exit_code == 0, result.output
    expected = {(x.kind, x.measure): x for x in retention(*records, measures=["map"])}
    share = expected["mono", "map"]
    shown = f"{100 * share.retained:.1f}"
    for text in (result.output, (tmp_path / "markdown").read_text()):
        line = next(x for x in text.splitlines() if "tiny mono" in x and "mAP" in x)
        assert shown in line and f"{100 * share.low:.1f}" in line
    assert shown in (tmp_path / "latex").read_text()
    document = json.loads((tmp_path / "json").read_text())
    (found,) = [x for x in document["retention"] if (x["kind"], x["measure"]) == ("mono", "map")]
    assert found == asdict(share)
    rows = {
        (x["kind"], x["measure"]): x
        for x in csv.DictReader((tmp_path / "csv").read_text().splitlines())
    }
    for at, x in expected.items():
        columns = [rows[at][c] for c in ("retained", "retained_low", "retained_high")]
        assert [float(c) for c in columns] == [x.retained, x.low, x.high]
    plain = CliRunner().invoke(main, [*command, "--json", "-"])
    assert "retention" not in json.loads(plain.output)
    three = CliRunner().invoke(main, ["compare", *folders, folders[0], "--retention"])
    assert three.exit_code == 2
