"""Several query prompts in one run: passages once, queries for each, and what a prompt changes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import tiny
import tiny_miracl
from click.testing import CliRunner

import harness
from harness.analysis.losses import prompt_sensitivity
from harness.cli import main
from harness.errors import UsageError
from harness.evaluation.options import RunOptions
from harness.evaluation.record import Record
from harness.evaluation.variants import prompted

PROMPTS = ("query: ", "", "en what is salt ")


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.write_task(tmp_path_factory.mktemp("task")))


def scores(record: Record) -> Any:
    return record.document["tasks"][0]["settings"]


@pytest.mark.parametrize("chosen", [{}, {"streamed": True}, {"bits": "binary"}])
def test_each_prompt_has_the_record_that_a_run_of_it_has(chosen: dict[str, Any], task: str) -> None:
    options = RunOptions(resamples=0, store=bool(chosen.get("streamed")), **chosen)
    model = tiny.WordBag()
    records = prompted(model, [task], PROMPTS, options)
    times = Counter(model.requested)
    assert {n for text, n in times.items() if "is told of" in text} == {1}, "passages once"
    for prompt, record in zip(PROMPTS, records, strict=True):
        alone = harness.evaluate(
            tiny.WordBag(), [task], options=options, query_prompt=prompt, store=False
        )
        assert scores(record) == scores(alone)
        assert record.document["model"]["prompts"] == {"query": prompt, "passage": ""}
        assert record.document["model"]["fingerprint"] == alone.document["model"]["fingerprint"]
    assert scores(records[0]) != scores(records[2])


def test_corpora_are_encoded_once(tmp_path: Path) -> None:
    path = str(tiny_miracl.write_miracl(tmp_path, languages=("sw",)))
    records = prompted(tiny.WordBag(), [path], PROMPTS[:2], RunOptions(resamples=0))
    alone = harness.evaluate(tiny.WordBag(), [path], query_prompt="", resamples=0)
    assert scores(records[1]) == scores(alone)
    assert records[1].tasks[0].encoding.encoded < records[0].tasks[0].encoding.encoded


class TestCommand:
    def run(self, task: str, folder: Path, *words: str) -> Any:
        given = ["run", "--model", "python:tiny:factory", "--task", task, "--no-store"]
        given += ["--resamples", "0", "--output", str(folder), *words]
        return CliRunner().invoke(main, given, env={"COLUMNS": "200"})

    def test_prints_what_each_changes(self, task: str, tmp_path: Path) -> None:
        words = [x for prompt in PROMPTS for x in ("--query-prompt", prompt)]
        result = self.run(task, tmp_path, *words)
        assert result.exit_code == 0, result.output
        assert "first prompt, then what changes" in result.output
        assert "'query: '" in result.output and "highest - lowest" in result.output
        documents = [json.loads(x.read_text()) for x in tmp_path.glob("*/record.json")]
        assert {tuple(x["command"][-2:]) for x in documents} == {
            ("--query-prompt", x) for x in PROMPTS
        }

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--query-prompt", "a", "--query-prompt", "a"], "same value twice"),
            (["--query-prompt", "a", "--query-prompt", "", "--name", "x"], "all alike"),
            (
                ["--query-prompt", "a", "--query-prompt", "", "--bits", "int8,binary"],
                "only one of",
            ),
            (["--query-prompt", "a", "--query-prompt", "", "--trec", "x"], "no TREC files"),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, words: list[str], said: str, task: str, tmp_path: Path
    ) -> None:
        result = self.run(task, tmp_path, *words)
        assert result.exit_code == 2 and said in result.output

    def test_models_without_vectors_are_refused(
        self, task: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("harness.evaluation.run.load_model", lambda *_: Scores())
        with pytest.raises(UsageError, match="models that return vectors"):
            prompted(Scores(), [task], ["a", "b"], RunOptions(store=False))


class Scores:
    """A system that returns scores."""

    name = "scores"
    facts: ClassVar[dict[str, Any]] = {}

    def index(self, passages: Sequence[str], *, languages: Sequence[str]) -> Any:
        raise NotImplementedError


def test_the_spread_is_that_of_the_means(task: str) -> None:
    records = prompted(tiny.WordBag(), [task], PROMPTS, RunOptions(resamples=0, store=False))
    grid = prompt_sensitivity(records, resamples=100)[0]
    means = [x.document["tasks"][0]["means"]["mono"]["macro"]["map"] for x in records]
    at = next(i for i, name in enumerate(grid.headers) if name == "mAP")
    assert float(str(grid.rows[-1][at].text)) == pytest.approx(np.ptp(means), abs=6e-5)
    assert [row[0] for row in grid.rows] == [*map(repr, PROMPTS), "highest - lowest"]
