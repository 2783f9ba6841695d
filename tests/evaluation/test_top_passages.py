"""Measures of the top passages, checked against exported rankings."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import pytest
from tiny import LANGUAGES, WordBag, write_task

import harness
from harness.data.loading import load
from harness.data.task import read_task
from harness.data.trec import read_run


def ranked(folder: Path, language: str) -> dict[str, list[str]]:
    """Question -> languages of all passages of the pool, best first."""
    run = read_run(folder / "tiny" / f"multi.{language}.run")
    return {
        query.partition(":")[2]: [
            passage.partition(":")[0]
            for passage, _ in sorted(scores.items(), key=lambda x: (x[1], x[0]), reverse=True)
        ]
        for query, scores in run.items()
    }


@pytest.mark.parametrize(
    ("model", "options"),
    [("dense", {}), ("bm25", {}), ("dense", {"streamed": True})],
    ids=["dense", "by index", "streamed"],
)
def test_measures_of_the_top_look_as_deep_as_their_cutoff(
    tmp_path: Path, model: str, options: dict[str, Any]
) -> None:
    """The share of own-language passages in the top 5, 10 and 20, with and without export."""
    task = str(write_task(tmp_path))
    cutoffs = (5, 10, 20)
    names = tuple(f"own_language_share@{k}" for k in cutoffs)
    tables = [
        harness.evaluate(
            WordBag() if model == "dense" else "bm25",
            tasks=[task],
            settings=("multi",),
            measures=names,
            bias=False,
            resamples=0,
            **options,
            **more,
        ).per_query("tiny")
        for more in ({}, {"trec": tmp_path, "trec_depth": 0})
    ]
    assert tables[0].equals(tables[1])
    table = tables[0].set_index(["setting", "question"])
    for language in LANGUAGES:
        for question, languages in ranked(tmp_path, language).items():
            row = table.loc[(f"multi/{language}", question)]
            for k, name in zip(cutoffs, names, strict=True):
                assert row[name] == languages[:k].count(language) / k


@pytest.mark.parametrize(("questions", "distractors", "depth"), [(10, 12, 10), (2, 0, 6)])
def test_shares_of_the_top_are_of_all_its_places(
    tmp_path: Path, questions: int, distractors: int, depth: int
) -> None:
    """Out of 10 places for each query, or the whole pool if that is smaller."""
    task = str(write_task(tmp_path, questions=questions, distractors=distractors))
    record = harness.evaluate(
        WordBag(), tasks=[task], trec=tmp_path, trec_depth=0, bias=False, resamples=0
    )
    top = record.task("tiny").top_languages
    assert top.depth == depth
    for language in LANGUAGES:
        rankings = ranked(tmp_path, language)
        places = Counter(x for languages in rankings.values() for x in languages[:depth])
        wanted = {x: places[x] / (len(rankings) * depth) for x in LANGUAGES}
        assert top.share[language] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ("model", "options"),
    [("dense", {}), ("bm25", {}), ("dense", {"streamed": True})],
    ids=["dense", "by index", "streamed"],
)
def test_judged_is_that_of_ir_measures(tmp_path: Path, model: str, options: dict[str, Any]) -> None:
    """In every kind of setting, with judgements of grade 0 and a pool smaller than a cutoff."""
    task = write_task(tmp_path, questions=6)
    judgements = tmp_path / "data" / "qrels.tsv"
    zeros = [f"q{n:02d}\ten\td{m:02d}\t0" for n in range(6) for m in range(n, n + 4)]
    judgements.write_text("\n".join([judgements.read_text().strip(), *zeros]) + "\n")
    record = harness.evaluate(
        WordBag() if model == "dense" else "bm25",
        tasks=[str(task)],
        measures=("Judged@3", "judged@5", "judged@500"),
        bias=False,
        resamples=0,
        trec=tmp_path / "trec",
        trec_depth=0,
        **options,
    )
    known = load(read_task(task)).qrels
    table = record.per_query("tiny").set_index(["setting", "question"])
    measures = {k: ir_measures.parse_measure(f"Judged@{k}") for k in (3, 5, 500)}
    seen: set[float] = set()
    for setting in table.index.unique(0):
        run = read_run(tmp_path / "trec" / "tiny" / f"{setting.replace('/', '.')}.run")
        # Ties in the order of the file: ir_measures breaks them by ascending id.
        ordered = {
            query.partition(":")[2]: {
                passage: -float(place)
                for place, (passage, _) in enumerate(
                    sorted(scores.items(), key=lambda x: (x[1], x[0]), reverse=True)
                )
            }
            for query, scores in run.items()
        }
        judged = {q: known[q] for q in ordered}
        for x in ir_measures.iter_calc(list(measures.values()), judged, ordered):
            k = next(k for k, measure in measures.items() if measure == x.measure)
            found = table.loc[(setting, x.query_id), f"judged@{k}"]
            assert found == pytest.approx(x.value, abs=1e-12), (setting, x)
            seen.add(round(float(found), 6))
    assert len(seen) > 5
    assert "Judged@3" in str(record)


def test_judged_has_its_depth_whatever_is_kept_besides(tmp_path: Path) -> None:
    task = str(write_task(tmp_path))
    options = {"tasks": [task], "measures": ("judged@5",), "bias": False, "resamples": 0}
    few, all_ = (harness.evaluate(WordBag(), **options, top_k=k).per_query() for k in (2, None))
    assert few.equals(all_)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (WordBag(bias=1.5), {"bits": "binary", "rescore": 100}),
        (WordBag(bias=1.5), {"rerank": "python:test_rerank:partial_to_its_own"}),
        ("fuse:python:tiny:factory+bm25", {}),
    ],
    ids=["rescored", "reranked", "fused"],
)
def test_the_ranks_in_the_own_language_need_no_setting_of_their_own(
    tmp_path: Path, model: Any, options: dict[str, Any]
) -> None:
    """How far other languages push a passage down is the same with and without the mono runs."""
    task = str(write_task(tmp_path, distractors=40))
    tables = []
    for kinds in (None, "multi"):
        record = harness.evaluate(
            model,
            task,
            settings=kinds,
            measures=["intrusion", "ndcg_drop@10"],
            resamples=0,
            **options,
        )
        tables.append(record.table("tiny").of_kind("multi").select(["intrusion", "ndcg_drop@10"]))
    np.testing.assert_array_equal(tables[0].matrix(), tables[1].matrix())
    assert np.nanmin(tables[0].values["intrusion"]) >= 0
