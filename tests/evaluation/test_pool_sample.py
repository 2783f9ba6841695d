"""``--sample-passages``: the relevant passages and the hardest others, and every output says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tiny import WordBag, write_task
from tiny_miracl import write_miracl

import harness
from harness.base.progress import Silent
from harness.cli import main
from harness.data.task import find_task
from harness.errors import RecordError, UsageError
from harness.evaluation.layout import prepare
from harness.evaluation.options import RunOptions
from harness.evaluation.partial import partial
from harness.evaluation.pool_sample import sample_passages
from harness.models import load


def sampled(task: Path, size: int, by: str = "bm25") -> tuple[Any, Any]:
    """A task, and with its passages sampled."""
    options = RunOptions(sample_passages=size, sample_by=by)
    whole = prepare(find_task(str(task)), options)
    return whole, sample_passages(whole, options, None, Silent())


@pytest.mark.parametrize("size", [16, 25])
def test_relevant_passages_stay_and_the_others_are_those_ranked_highest(
    tmp_path: Path, size: int
) -> None:
    """By hand: bm25's whole rankings of each language, read rank by rank."""
    whole, part = sampled(write_task(tmp_path, questions=10, distractors=30), size)
    for x, texts in whole.data.passages.items():
        relevant = {
            p.partition(":")[2]
            for judged in whole.data.qrels.values()
            for p, grade in judged.items()
            if grade > 0 and p.startswith(f"{x}:")
        }
        index = load("bm25").index(texts.texts, languages=[x] * len(texts))
        scores = index.score(whole.data.queries[x].texts, language=x)
        rankings = [
            [name for _, name in sorted(zip(row.tolist(), texts.ids, strict=True), reverse=True)]
            for row in scores
        ]
        best = {name: min(r.index(name) for r in rankings) for name in texts.ids}
        order = sorted(sorted(texts.ids, reverse=True), key=lambda name: best[name])
        others = [name for name in order if name not in relevant][: size - len(relevant)]
        assert set(part.data.passages[x].ids) == relevant | set(others)
        assert len(part.data.passages[x]) == size < len(texts)
    assert part.data.partial["sample_passages"] == {
        "passages": size,
        "by": "bm25",
        "of": whole.data.passage_counts,
        "whole": whole.data.digest,
    }


def test_a_number_that_cuts_nothing_changes_nothing_and_too_small_a_one_is_refused(
    tmp_path: Path,
) -> None:
    task = write_task(tmp_path)
    whole, part = sampled(task, 1000)
    assert part is whole
    with pytest.raises(UsageError, match="--sample-passages 3: 10 passages in en are relevant"):
        sampled(task, 3)


def test_a_sample_of_a_corpus_is_a_small_task(tmp_path: Path) -> None:
    """Its first stage may be a dense model; the scores are of an ordinary run over what is left."""
    task = write_miracl(tmp_path)
    whole, part = sampled(task, 40, "python:tiny:WordBag")
    assert whole.data.corpora and not part.data.corpora
    assert part.data.passage_counts == {"sw": 40, "yo": 40}
    record = harness.evaluate(
        WordBag(), tasks=[str(task)], sample_passages=40, sample_by="python:tiny:WordBag",
        settings=("mono", "multi"), resamples=0,
    )  # fmt: skip
    entry = record.document["tasks"][0]
    assert entry["counts"]["passages"] == {"sw": 40, "yo": 40}
    assert {s["setting"]: s["pool"] for s in entry["settings"]}["multi/sw"] == 80
    plain = harness.evaluate(WordBag(), tasks=[str(task)], settings=("mono", "multi"), resamples=0)
    for a, b in zip(entry["settings"], plain.document["tasks"][0]["settings"], strict=True):
        # The hardest by the model itself are there: nothing else could be among the first ten.
        if a["kind"] == "mono":
            assert a["scores"]["ndcg@10"] == pytest.approx(b["scores"]["ndcg@10"], abs=1e-12)


def test_drawn_questions_are_not_said_to_search_all_passages_of_a_sample() -> None:
    drawn = {"sample": {"drawn": 40, "of": 60}}
    assert "drawn from 60, all passages kept: a difference must be 1.2 times" in partial(drawn)
    fewer = {"passages": 15, "by": "bm25", "of": {"en": 60}}
    text = partial({**drawn, "sample_passages": fewer})
    assert "all passages kept" not in text and "drawn from 60: a difference" in text


def test_every_output_says_that_the_pool_is_a_sample(tmp_path: Path) -> None:
    from harness.interop.mteb.results import to_result

    task = str(write_task(tmp_path))
    run = ["run", "--task", task, "--model", "bm25", "--output", str(tmp_path / "out"), "-q"]
    folders = []
    for flags in ((), ("--sample-passages", "15")):
        done = CliRunner().invoke(main, [*run, *flags])
        assert done.exit_code == 0, done.output
        folders.append(done.output.strip())
    whole, part = folders
    said = "A SAMPLE OF THE PASSAGES (at most 15 of each language"
    for command in (["show", part], ["show", part, "--latex", "-"], ["compare", part, part]):
        done = CliRunner().invoke(main, command)
        assert said in " ".join(done.output.split()), command
    done = CliRunner().invoke(main, ["compare", whole, part])
    assert "data_digest" in done.output or "part of it" in " ".join(done.output.split())
    record = harness.Record.load(part)
    with pytest.raises(RecordError, match="A SAMPLE OF THE PASSAGES"):
        to_result(record, "tiny")
    boards = tmp_path / "boards"
    for folder in folders:
        done = CliRunner().invoke(main, ["board", "add", folder, "--leaderboards", str(boards)])
        assert done.exit_code == 0, done.output
    # A board of its own, that says what it is; the whole one's does not have the row.
    assert "SAMPLE" not in (boards / "tiny.md").read_text()
    assert said in (boards / "tiny-part.md").read_text()
