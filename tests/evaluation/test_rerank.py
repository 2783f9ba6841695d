"""Reranked top k: exact ranks, pairs read once, and the numbers before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import random_models
import tiny
import tiny_miracl
from click.testing import CliRunner

import harness
from harness.cli import main
from harness.data.loading import load
from harness.data.task import find_task
from harness.data.trec import read_qrels
from harness.errors import ModelError
from harness.evaluation.record import Record
from harness.models import ModelOptions
from harness.models.reranker import load_reranker


class Overlap:
    """Scores a pair by words in common, and likes the query's language; counts what it reads."""

    name = "overlap"

    def __init__(self, love: float = 0.0) -> None:
        self.love = love
        self.read: Counter[tuple[str, str]] = Counter()

    def predict(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        self.read.update(pairs)
        found = []
        for query, passage in pairs:
            a, b = query.split(), passage.split()
            found.append(len({*a[1:]} & {*b[1:]}) + self.love * (a[0] == b[0]))
        return found


MADE: list[Overlap] = []


def fair() -> Overlap:
    """For ``--rerank python:test_rerank:fair``."""
    MADE.append(Overlap())
    return MADE[-1]


def partial_to_its_own() -> Overlap:
    """Prefers passages in the query's language to everything else."""
    MADE.append(Overlap(love=10.0))
    return MADE[-1]


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.write_task(tmp_path_factory.mktemp("task")))


def run(task: str, reranker: str, **settings: Any) -> Record:
    return harness.evaluate(
        tiny.WordBag(),
        tasks=[task],
        rerank=f"python:test_rerank:{reranker}",
        **{"resamples": 0, "store": False, **settings},
    )


def scores(record: Record) -> dict[str, dict[str, float]]:
    return {r["setting"]: r["scores"] for r in record.document["tasks"][0]["settings"]}


@pytest.mark.parametrize("top", [1, 3, 1000])
def test_trec_eval_gives_the_same_numbers(task: str, tmp_path: Path, top: int) -> None:
    """The first stage's whole exported ranking, its top k put in order here by the definition."""
    record = run(task, "fair", rerank_top=top, trec=tmp_path, trec_depth=0)
    check_by_definition(record, tmp_path / "tiny", _texts(Path(task).parent / "data"), top)


def check_by_definition(
    record: Record, trec: Path, texts: dict[tuple[str, int], str], top: int
) -> None:
    """Compare every setting with what pytrec_eval makes of the runs in ``trec``, reranked here."""
    import pytrec_eval

    reader = Overlap()
    for row in record.document["tasks"][0]["settings"]:
        stem = trec / row["setting"].replace("/", ".")
        qrels = read_qrels(stem.with_name(stem.name + ".qrels"))
        order: dict[str, list[str]] = {}
        for line in stem.with_name(stem.name + ".run").read_text().splitlines():
            query, _, passage, *_ = line.split()
            order.setdefault(query, []).append(passage)  # as written: in the one total order
        run_now: dict[str, dict[str, float]] = {}
        for query, passages in order.items():
            requested = texts[query, 0]
            head = [(reader.predict([(requested, texts[p, 1])])[0], p) for p in passages[:top]]
            ranked = [p for _, p in sorted(head, reverse=True)] + passages[top:]
            run_now[query] = {p: float(-i) for i, p in enumerate(ranked)}
        judge = pytrec_eval.RelevanceEvaluator(qrels, {"map", "ndcg_cut.10", "recall.10"})
        found = judge.evaluate(run_now)
        for ours, theirs in (
            ("map", "map"),
            ("ndcg@10", "ndcg_cut_10"),
            ("recall@10", "recall_10"),
        ):
            mean = np.mean([found[q][theirs] for q in qrels])
            assert row["scores"][ours] == pytest.approx(mean, abs=1e-12), (row["setting"], ours)


def _texts(folder: Path) -> dict[tuple[str, int], str]:
    """(global id, 0 for queries and 1 for passages) -> text."""
    import json

    return {
        (f"{file.name.split('.')[1]}:{row['id']}", kind): row["text"]
        for kind, role in enumerate(("queries", "passages"))
        for file in folder.glob(f"{role}.*.jsonl")
        for row in map(json.loads, file.read_text().splitlines())
    }


def test_the_record_before_is_that_of_the_first_stage_alone(task: str) -> None:
    record = run(task, "fair")
    alone = harness.evaluate(tiny.WordBag(), tasks=[task], resamples=0, store=False)
    assert record.before is not None
    assert scores(record.before) == scores(alone)
    assert record.before.document["model"] == alone.document["model"]
    assert record.model == "word-bag + overlap"
    facts = record.document["model"]["facts"]
    assert (facts["top"], facts["first"]["name"]) == (100, "word-bag")
    assert record.document["model"]["fingerprint"] != alone.document["model"]["fingerprint"]
    assert scores(record)["multi/en"]["map"] > scores(alone)["multi/en"]["map"]


def test_a_reranker_that_prefers_the_querys_language_shows_it(task: str) -> None:
    """Own-language passages come first: the own relevant passage ranks above all others."""
    record = run(task, "partial_to_its_own", rerank_top=1000)
    assert record.before is not None
    for name, values in scores(record).items():
        if name.startswith("multi/"):
            # All relevant passages of the question in other languages lie below the own one.
            assert values["own_language_first"] == 1.0
    fair_record = run(task, "fair", rerank_top=1000)
    after, before = scores(fair_record)["multi/en"], scores(record)["multi/en"]
    assert before["rank_distance"] > after["rank_distance"]


def test_a_pair_is_scored_once_and_only_pairs_in_the_top_k(task: str) -> None:
    run(task, "fair", rerank_top=3)
    read = MADE[-1].read
    assert set(read.values()) == {1}
    # 30 queries, at most 3 of each of three languages and 3 of the pool; the pool's are among them.
    assert 30 * 3 <= len(read) <= 30 * 9


def test_without_a_multi_setting_the_pool_of_all_is_not_read(task: str) -> None:
    run(task, "fair", rerank_top=2, settings=("mono",))
    assert {q.split()[0] == p.split()[0] for q, p in MADE[-1].read} == {True}


def test_a_cross_encoder_of_a_folder_orders_by_its_logits(tmp_path: Path, task: str) -> None:
    from sentence_transformers import CrossEncoder

    folder = random_models.cross_encoder(tmp_path / "cross")
    pairs = [("en what is river number 0", f"en {w} is told of") for w in tiny.WORDS]
    ours = load_reranker(str(folder), ModelOptions()).scores(pairs)
    logits = CrossEncoder(str(folder)).predict(pairs, show_progress_bar=False)  # by default sigmoid
    np.testing.assert_allclose(1 / (1 + np.exp(-ours)), logits, rtol=1e-5)
    assert len(np.unique(ours)) > 5
    record = harness.evaluate(
        tiny.WordBag(), tasks=[task], rerank=str(folder), rerank_top=5, resamples=0, store=False
    )
    assert record.document["model"]["kind"] == "reranked"
    assert record.document["model"]["facts"]["reranker"]["files"]


def test_the_command_shows_and_keeps_both(task: str, tmp_path: Path) -> None:
    given = ["run", "--model", "python:tiny:factory", "--task", task, "--resamples", "50"]
    more = ["--rerank", "python:test_rerank:fair", "--output", str(tmp_path), "-q", "--no-store"]
    done = CliRunner().invoke(main, given + more)
    assert done.exit_code == 0, done.output
    before, after = (Record.load(x) for x in done.output.split())
    assert (before.model, after.model) == ("word-bag", "word-bag + overlap")
    compared = CliRunner().invoke(main, ["compare", *done.output.split()])
    assert compared.exit_code == 0, compared.output


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("./nowhere", "no such folder"),
        ("python:tiny:factory", "has no predict method"),
        ("python:test_rerank:nothing", "has no 'nothing'"),
    ],
)
def test_what_is_no_reranker_is_refused(task: str, name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        harness.evaluate(tiny.WordBag(), tasks=[task], rerank=name, resamples=0)


def test_a_model_with_many_outputs_is_no_reranker(tmp_path: Path) -> None:
    folder = random_models.bert(tmp_path / "m", "BertForSequenceClassification", num_labels=3)
    with pytest.raises(ModelError, match="returns 3 numbers per pair"):
        load_reranker(str(folder), ModelOptions()).scores([("a", "b")])


def test_scores_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, task: str) -> None:
    monkeypatch.setattr(Overlap, "predict", lambda self, pairs: [float("nan")] * len(pairs))
    with pytest.raises(ModelError, match="not finite"):
        run(task, "fair")
    monkeypatch.setattr(Overlap, "predict", lambda self, pairs: None)
    with pytest.raises(
        ModelError, match=r"--rerank .*: predict must return a float array of shape"
    ):
        run(task, "fair")


def test_a_streamed_search_reads_the_passages_it_found(task: str) -> None:
    """Its pool has only relevant and top passages; numbers equal those of the search in memory."""
    held, streamed = (run(task, "fair", rerank_top=3, streamed=x) for x in (False, True))
    assert scores(streamed) == scores(held)
    assert streamed.before is not None
    assert scores(streamed) != scores(streamed.before)


def test_the_top_passages_of_a_corpus_are_read_again(tmp_path: Path) -> None:
    """Passages of two gzipped files a language, in the task's form of title and text."""
    task = str(tiny_miracl.write_miracl(tmp_path))
    record = run(
        task,
        "fair",
        rerank_top=5,
        trec=tmp_path / "trec",
        trec_depth=0,
        settings=("mono", "multi"),
        measures=("map", "ndcg@10", "recall@10"),
    )
    data = load(find_task(task))
    texts = {
        (f"{x}:{i}", kind): text
        for x in data.languages
        for kind, held in enumerate(
            (zip(data.queries[x].ids, data.queries[x].texts, strict=True), data.corpora[x].read())
        )
        for i, text in held
    }
    assert record.before is not None
    assert scores(record) != scores(record.before)
    check_by_definition(record, tmp_path / "trec" / "tiny-miracl", texts, 5)
    read = MADE[-1].read
    assert set(read.values()) == {1}
    assert {passage for _, passage in read} <= set(texts.values())
