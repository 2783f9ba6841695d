"""Queries that are passages of the corpus: left out of their own rankings, and only of those."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import pytrec_eval
import tiny

import harness
from harness.data.loading import load
from harness.data.task import read_task
from harness.data.trec import read_qrels, read_run
from harness.errors import HarnessWarning
from harness.interop.trec_runs import score_run

TASK = """\
name = "arguments"
title = "x"
description = "x"
reader = "beir"
languages = ["en"]
settings = ["mono"]
text = "text"
measures = ["map", "recall@1", "ndcg@10", "mrr"]
license = "CC0-1.0"
[source]
folder = "data"
"""
IGNORE = "ignore_identical_ids = true\n"


def write(folder: Path, more: str = "") -> Path:
    """Twelve passages, six of which are queries; each is answered by two others."""
    (folder / "data" / "qrels").mkdir(parents=True, exist_ok=True)
    texts = {f"p{n}": f"{tiny.WORDS[n % 10]} {tiny.WORDS[(3 * n + 1) % 10]} {n}" for n in range(12)}
    for name, ids in (("corpus", list(texts)), ("queries", list(texts)[:6])):
        lines = "".join(json.dumps({"_id": x, "text": texts[x]}) + "\n" for x in ids)
        (folder / "data" / f"{name}.jsonl").write_text(lines)
    judged = "".join(f"p{n}\tp{m % 12}\t1\n" for n in range(6) for m in (n + 1, n + 7))
    (folder / "data" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    task = folder / "task.toml"
    task.write_text(TASK + more)
    return task


@pytest.mark.parametrize("way", ["dense", "streamed", "lexical"])
def test_the_own_passage_is_left_out_of_its_own_ranking(tmp_path: Path, way: str) -> None:
    """As trec_eval scores the whole rankings without it; and an export scores what is recorded."""
    found = {}
    for name, more in (("with", "ignore_identical_ids = false\n"), ("without", IGNORE)):
        record = harness.evaluate(
            "bm25" if way == "lexical" else tiny.WordBag(),
            tasks=[str(write(tmp_path, more))],
            trec=tmp_path / name,
            streamed=way == "streamed",
            resamples=0,
        )
        found[name] = record.table("arguments").values
    folder = tmp_path / "with" / "arguments"
    whole, judged = read_run(folder / "mono.en.run"), read_qrels(folder / "mono.en.qrels")
    cut = {q: {p: s for p, s in row.items() if p != q} for q, row in whole.items()}
    assert all(len(row) == 11 for row in cut.values())
    exported = read_run(tmp_path / "without" / "arguments" / "mono.en.run")
    for run in (cut, exported):
        theirs = pytrec_eval.RelevanceEvaluator(judged, {"map", "recall_1", "ndcg_cut_10"})
        values = theirs.evaluate(run)
        for ours, name in (("map", "map"), ("recall@1", "recall_1"), ("ndcg@10", "ndcg_cut_10")):
            expected = sorted(x[name] for x in values.values())
            assert sorted(found["without"][ours]) == pytest.approx(expected, abs=1e-12)
    assert found["without"]["map"].mean() > found["with"]["map"].mean()


def test_score_leaves_it_out_of_a_run_that_has_it(tmp_path: Path) -> None:
    """A run of another system, in which every query finds itself first."""
    harness.evaluate(
        tiny.WordBag(), str(write(tmp_path, IGNORE.replace("true", "false"))), trec=tmp_path,
        trec_depth=0, resamples=0, store=False,
    )  # fmt: skip
    task = str(write(tmp_path, IGNORE))
    record = harness.evaluate(tiny.WordBag(), task, resamples=0, store=False)
    (scored,) = score_run([tmp_path / "arguments" / "mono.en.run"], task=task, measures=["map"])
    ours = record.table("arguments").values["map"].mean()
    assert scored.scores["map"] == pytest.approx(ours, abs=1e-12)


def test_an_approximate_index_finds_it_and_it_is_left_out(tmp_path: Path) -> None:
    """An index that looks at everything loses nothing."""
    task = str(write(tmp_path, IGNORE))
    exact, flat = (
        harness.evaluate(
            tiny.WordBag(), task, measures=["map", "recall@1"], resamples=0, store=False, ann=x
        )
        for x in (None, "faiss:Flat")
    )
    values = [x.table("arguments").values for x in (exact, flat)]
    assert values[0]["map"].tolist() == values[1]["map"].tolist()
    found = flat.tasks[0].approximate
    assert found is not None and found.recall["mono"]["en"] == {"10": 1.0, "100": 1.0}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("questions", [4, 20])
def test_a_passage_of_each_language_leaves_the_top_as_deep_as_measures_need(
    tmp_path: Path, questions: int, *, streamed: bool
) -> None:
    """Three of a query's own, also where that leaves a pool smaller than the cutoff."""
    path = tiny.write_task(tmp_path, questions=questions, distractors=0)
    for x in tiny.LANGUAGES:
        file = tmp_path / "data" / f"queries.{x}.jsonl"
        file.write_text(file.read_text().replace('"id": "q', '"id": "p'))
    judged = [
        f"p{n:02d}\t{x}\tp{(n + 1) % questions:02d}\t1\n"
        for n in range(questions)
        for x in tiny.LANGUAGES
    ]
    qrels = tmp_path / "data" / "qrels.tsv"
    qrels.write_text("query-id\tlanguage\tpassage-id\tscore\n" + "".join(judged))
    spec = read_task(path)
    spec = replace(spec, source=replace(spec.source, ignore_identical_ids=True))
    options = {"resamples": 0, "store": False, "streamed": streamed}
    harness.evaluate(tiny.WordBag(), spec, **options, trec=tmp_path / "trec")
    record = harness.evaluate(tiny.WordBag(), spec, **options)
    run = read_run(tmp_path / "trec" / "tiny" / "multi.en.run")
    top = {q: sorted(p, key=lambda x: (p[x], x), reverse=True)[:10] for q, p in run.items()}
    assert all(len(p) == 3 * questions - 3 for p in run.values())
    share = record.per_query().query("setting == 'multi/en'").set_index("question")
    for q, found in top.items():
        own = sum(x.startswith("en:") for x in found) / len(found)
        assert share.loc[q.partition(":")[2], "own_language_share@10"] == pytest.approx(own)


def test_queries_that_find_themselves_are_a_warning_until_the_task_says(tmp_path: Path) -> None:
    with pytest.warns(HarnessWarning, match=r"6 of 6 queries in en are passages .* first 'p0'"):
        load(read_task(write(tmp_path)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(read_task(write(tmp_path, IGNORE)))
        queries = tmp_path / "data" / "queries.jsonl"  # equal ids of other texts mean nothing
        queries.write_text("".join(f'{{"_id": "p{n}", "text": "other {n}"}}\n' for n in range(6)))
        (tmp_path / "task.toml").write_text(TASK)
        load(read_task(tmp_path / "task.toml"))
