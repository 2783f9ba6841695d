"""Pools of two languages, from the ranks of the pool of all: equal to searching them alone."""

from __future__ import annotations

import csv
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import tiny
from click.testing import CliRunner

import harness
from harness.cli import main
from harness.data.task import find_task
from harness.errors import TaskError, UsageError
from harness.evaluation.layout import prepare
from harness.evaluation.options import RunOptions
from harness.evaluation.record import Record
from harness.evaluation.record_fields import Setting, Task

MEASURES = ("map", "ndcg@10", "recall@1", "rank_distance", "max_rank", "complete@2")


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.write_task(tmp_path_factory.mktemp("task")))


def run(task: str, settings: str | None, **more: Any) -> Record:
    return harness.evaluate(tiny.WordBag(), task, settings=settings, resamples=0, **more)


def results(record: Record) -> Task:
    return record.contents.tasks[0]


def by_name(record: Record) -> dict[str, Setting]:
    return {s.setting: s for s in results(record).settings}


@pytest.mark.parametrize("more", [{}, {"streamed": True}, {"treatments": ("balanced",)}])
def test_each_is_what_a_run_on_its_two_languages_gives(task: str, more: dict[str, Any]) -> None:
    pairs = run(task, "pairs", measures=MEASURES, **more)
    found = by_name(pairs)
    assert set(found) == {f"pairs/{q}-{p}" for q, p in permutations(tiny.LANGUAGES, 2)}
    for query, passage in permutations(tiny.LANGUAGES, 2):
        alone = by_name(run(task, "multi", languages=(query, passage), measures=MEASURES, **more))
        expected, got = alone[f"multi/{query}"], found[f"pairs/{query}-{passage}"]
        assert (got.queries, got.pool) == (expected.queries, expected.pool)
        for measure in (*MEASURES, "own_language_first", "own_language_pairs"):
            assert got.scores[measure] == expected.scores[measure], (got.setting, measure)
    # Over each language's settings first, then over the languages.
    scores = [
        [found[f"pairs/{q}-{p}"].scores["map"] or 0 for p in tiny.LANGUAGES if p != q]
        for q in tiny.LANGUAGES
    ]
    mean = sum(sum(x) / 2 for x in scores) / 3
    assert results(pairs).means["pairs"].macro["map"] == pytest.approx(mean, abs=1e-15)


def test_they_run_only_where_they_are_named_and_change_nothing_else(task: str) -> None:
    plain, both = run(task, None), run(task, "mono,cross,multi,pairs")
    assert results(plain).kinds == ("mono", "cross", "multi")
    assert results(both).kinds == ("mono", "cross", "multi", "pairs")
    more = by_name(both)
    for setting in results(plain).settings:
        assert setting.scores.items() <= more[setting.setting].scores.items()


def test_the_table_says_which_language_draws_a_model_in(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    words = ["run", "--model", "python:tiny:factory", "--task", task, "--settings", "pairs", "-v"]
    result = CliRunner().invoke(main, [*words, "--output", str(tmp_path), "--resamples", "10"])
    assert result.exit_code == 0, result.output
    table = result.output.split("best relevant passage is in the other language, %")[1]
    head, *rows = [x.split() for x in table.splitlines()[1:6]]
    assert head == list(tiny.LANGUAGES)
    assert [x[0] for x in rows] == [*tiny.LANGUAGES, "mean"]
    found = by_name(run(task, "pairs"))
    own = {x: found[f"pairs/{x}-en"].scores["own_language_first"] or 0 for x in ("de", "zh")}
    assert [rows[1][1], rows[2][1]] == [f"{100 * (1 - own[x]):.1f}" for x in ("de", "zh")]
    assert rows[3][1] == f"{100 * (1 - sum(own.values()) / 2):.1f}"
    # As files: the matrix in LaTeX, and every cell of it in CSV.
    (record,) = tmp_path.glob("*/record.json")
    files = [str(tmp_path / x) for x in ("table.tex", "scores.csv")]
    CliRunner().invoke(main, ["show", str(record), "--latex", files[0], "--csv", files[1]])
    latex = (tmp_path / "table.tex").read_text()
    line = next(x for x in latex.splitlines() if x.strip().startswith("de &"))
    assert f"{100 * (1 - own['de']):.1f}" in line
    assert any("mean" in x and rows[3][1] in x for x in latex.splitlines())
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    settings = {x["setting"]: x for x in csv.DictReader(lines)}
    assert float(settings["pairs/de-en"]["own_language_first"]) == own["de"]


def test_what_cannot_have_them_says_so(task: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--rerank changes them"):
        prepare(find_task(task), RunOptions(settings=("pairs",), rerank="any"))
    other = tmp_path / "other.toml"
    other.write_text(Path(task).read_text().replace('"multi"]', '"pairs"]'))
    with pytest.raises(TaskError, match="pairs"):
        find_task(str(other))
