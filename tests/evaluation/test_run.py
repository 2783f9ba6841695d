"""End to end on a tiny task: every setting's numbers are trec_eval's, and a rerun is the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import LANGUAGES, WordBag, write_task

import harness
from harness.data.trec import read_qrels, read_run
from harness.errors import UsageError
from harness.evaluation import options
from harness.evaluation.options import RunOptions, with_settings
from harness.evaluation.record import Record


def trec_eval(folder: Path, stem: str, measures: set[str]) -> dict[str, dict[str, float]]:
    """Per-query values of an exported setting, by trec_eval itself."""
    import pytrec_eval

    qrels = read_qrels(folder / f"{stem}.qrels")
    run = read_run(folder / f"{stem}.run")
    return pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)


@pytest.mark.parametrize("model", ["dense", "bm25"])
def test_every_setting_equals_trec_eval_on_the_whole_exported_ranking(
    tmp_path: Path, model: str
) -> None:
    """Nine mono and cross settings and three pools: per query, to 1e-12."""
    task = write_task(tmp_path)
    record = harness.evaluate(
        WordBag() if model == "dense" else "bm25",
        tasks=[str(task)],
        trec=tmp_path / "trec",
        trec_depth=0,
        measures=("map", "recall@1", "recall@10", "ndcg@10", "mrr"),
    )
    table = record.per_query("tiny")
    names = {
        "map": "map",
        "recall_1": "recall@1",
        "recall_10": "recall@10",
        "ndcg_cut_10": "ndcg@10",
        "recip_rank": "mrr",
    }
    assert len(record.to_frame()) == 12
    for row in record.to_frame().itertuples():
        oracle = trec_eval(
            tmp_path / "trec" / "tiny",
            row.setting.replace("/", "."),
            {"map", "recall.1,10", "ndcg_cut.10", "recip_rank"},
        )
        mine = table[table.setting == row.setting].set_index("question")
        assert row.queries == len(mine) == len(oracle)
        for query, values in oracle.items():
            for theirs, ours in names.items():
                got = mine.loc[query.split(":")[1], ours]
                assert got == pytest.approx(values[theirs], abs=1e-12), (row.setting, query, ours)
        for theirs, ours in names.items():
            mean = np.mean([v[theirs] for v in oracle.values()])
            assert record.to_frame().set_index("setting").loc[row.setting, ours] == pytest.approx(
                mean, abs=1e-12
            )


def test_a_query_without_a_relevant_passage_in_a_language_is_left_out_there(tmp_path: Path) -> None:
    """The last question has no relevant passage in zh: 9 queries where zh is searched, else 10."""
    frame = harness.evaluate(WordBag(), tasks=[str(write_task(tmp_path))]).to_frame()
    counts = frame.set_index("setting").queries
    for setting, queries in counts.items():
        expected = 9 if setting.endswith("zh") and not setting.startswith("multi") else 10
        assert queries == expected, setting


def test_each_text_is_encoded_once_whatever_the_settings(tmp_path: Path) -> None:
    """Twelve settings ask for 3 x (10 questions + distinct passages); a second run for nothing."""
    task = str(write_task(tmp_path))
    model = WordBag()
    first = harness.evaluate(model, tasks=[task])
    assert len(model.requested) == len(set(model.requested)) == first.task("tiny").encoding.encoded
    again = WordBag()
    second = harness.evaluate(again, tasks=[task])
    assert again.requested == []
    assert second.task("tiny").encoding.encoded == 0
    assert second.tables["tiny"].to_parquet() == first.tables["tiny"].to_parquet()
    # One language and setting less asks for nothing new either.
    harness.evaluate(again, tasks=[task], languages=("en", "de"), settings=("mono",), limit=3)
    assert again.requested == []


def test_record_on_disk_is_the_record(tmp_path: Path) -> None:
    """Saved, loaded, and recomputed from its own per-query table: the same numbers."""
    task = str(write_task(tmp_path / "task"))
    record = harness.evaluate(WordBag(), tasks=[task], output=tmp_path / "out")
    assert record.folder is not None
    loaded = Record.load(record.folder)
    assert loaded.document == json.loads(json.dumps(record.document))
    table = loaded.per_query("tiny")
    for row in loaded.document["tasks"][0]["settings"]:
        mine = table[table.setting == row["setting"]]
        for name, value in row["scores"].items():
            assert mine[name].mean() == pytest.approx(value, abs=1e-12)
    means = loaded.document["tasks"][0]["means"]
    per_setting = table.groupby(["kind", "query_language", "setting"], observed=True)["map"].mean()
    for kind in ("mono", "cross", "multi"):
        by_language = per_setting[kind].groupby("query_language", observed=True).mean()
        assert means[kind]["macro"]["map"] == pytest.approx(by_language.mean(), abs=1e-12)
        micro = table[table.kind == kind]["map"].mean()
        assert means[kind]["micro"]["map"] == pytest.approx(micro, abs=1e-12)


def test_rank_distance_is_that_of_the_pool(tmp_path: Path) -> None:
    """Max minus min rank of the parallel set in the exported whole ranking."""
    task = str(write_task(tmp_path))
    record = harness.evaluate(WordBag(), tasks=[task], trec=tmp_path / "trec", trec_depth=0)
    table = record.per_query("tiny").set_index(["setting", "question"])
    for language in LANGUAGES:
        folder = tmp_path / "trec" / "tiny"
        run = read_run(folder / f"multi.{language}.run")
        qrels = read_qrels(folder / f"multi.{language}.qrels")
        for query, relevant in qrels.items():
            order = sorted(run[query].items(), key=lambda x: (x[1], x[0]), reverse=True)
            ranks = [i for i, (p, _) in enumerate(order, 1) if p in relevant]
            got = table.loc[(f"multi/{language}", query.split(":")[1]), "rank_distance"]
            assert got == max(ranks) - min(ranks)
    by_relevant = record.document["tasks"][0]["rank_distance_by_golds"]
    assert set(by_relevant) == {"2", "3"}


def test_partial_runs_say_so(tmp_path: Path) -> None:
    """A limit and a subset of languages are on the record; a whole run has an empty mark."""
    task = str(write_task(tmp_path))
    whole = harness.evaluate(WordBag(), tasks=[task])
    assert whole.document["tasks"][0]["partial"] == {}
    part = harness.evaluate(WordBag(), tasks=[task], limit=4, languages=("en", "zh"))
    assert part.document["tasks"][0]["partial"]["limit"] == 4
    assert part.document["tasks"][0]["partial"]["languages"] == ["en", "zh"]
    assert part.document["tasks"][0]["counts"]["passages"] == {"en": 22, "zh": 22}
    assert len(part.to_frame()) == 2 + 2 + 2


def test_an_encoder_without_fingerprint_says_so_on_the_record(tmp_path: Path) -> None:
    """Its vectors are made afresh each time."""

    class Nameless(WordBag):
        fingerprint = None

    task = str(write_task(tmp_path))
    model: Any = Nameless()
    for _ in range(2):
        record = harness.evaluate(model, tasks=[task])
        assert record.document["model"]["stored"] is False
        assert record.document["model"]["fingerprint"] is None
    assert len(model.requested) == 2 * len(set(model.requested))


def test_unknown_settings_are_refused() -> None:
    """A typing error in a keyword is not silently ignored."""
    with pytest.raises(UsageError, match="limits"):
        harness.evaluate(WordBag(), tasks=["demo"], limits=3)


def test_a_setting_of_run_and_model_is_set_for_both() -> None:
    for base in (RunOptions(), RunOptions(offline=True)):
        found = with_settings(base, {"offline": True, "batch_size": 3})
        assert (found.offline, found.model.offline, found.model.batch_size) == (True, True, 3)


def test_top_language_share_sums_to_one_and_shows_bias(tmp_path: Path) -> None:
    """A strongly biased encoder fills the top with the query's language."""
    task = str(write_task(tmp_path))
    record = harness.evaluate(WordBag(bias=9.0), tasks=[task])
    top = record.document["tasks"][0]["top_languages"]
    assert top["depth"] == 10
    for language, share in top["share"].items():
        assert sum(share.values()) == pytest.approx(1)
        assert share[language] > 0.9


def test_peer_is_refused_where_it_is_a_constant(tmp_path: Path) -> None:
    """One relevant passage per language: H is always N - 1, and the message says so."""
    task = str(write_task(tmp_path))
    with pytest.raises(UsageError, match=r"'peer' is refused here: .*one"):
        harness.evaluate(WordBag(), tasks=[task], measures=("map", "peer"))


@pytest.mark.parametrize(
    ("taken", "given", "allowed"),
    [(1, None, 4), (2, None, 4), (5, None, 7), (15, None, 16), (5, 3, 3)],
)
def test_a_process_that_has_much_memory_already_may_still_search(
    monkeypatch: pytest.MonkeyPatch, taken: int, given: int | None, allowed: int
) -> None:
    """With a large model in memory a quarter of the machine's, 16 here, is soon taken."""
    monkeypatch.setattr(options, "memory_size", lambda: 16)
    monkeypatch.setattr(options, "resident_memory", lambda: taken)
    assert RunOptions(memory=given).budget == allowed
