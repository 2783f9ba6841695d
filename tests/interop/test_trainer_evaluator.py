"""The evaluator inside sentence-transformers' trainer, on a model of random weights."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import tiny_training

import harness


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from sentence_transformers import SentenceTransformer

    folder = tiny_training.write_base(tmp_path_factory.mktemp("base") / "tiny")
    return SentenceTransformer(str(folder), device="cpu")


SMALL: dict[str, Any] = {"languages": "en,de", "limit": 4}


def test_scores_are_those_of_a_run_on_the_same_model(model: Any, tmp_path: Path) -> None:
    evaluator = harness.MultilingualRetrievalEvaluator("demo", **SMALL)
    scores = evaluator(model, str(tmp_path), epoch=1, steps=10)
    record = harness.evaluate(model, "demo", resamples=0, store=False, **SMALL)
    for kind in ("mono", "cross", "multi"):
        macro = record.tasks[0].means[kind].macro
        assert scores[f"demo_{kind}_map"] == macro["map"]
    assert scores["demo_multi_own_language_first"] == macro["own_language_first"]
    assert evaluator.primary_metric == "demo_multi_map"

    model.train()  # with dropout, if nobody took care
    again = evaluator(model, str(tmp_path), epoch=2, steps=20)
    assert again == scores
    with (tmp_path / evaluator.csv_file).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["steps"] for row in rows] == ["10", "20"]
    assert float(rows[0]["demo_multi_map"]) == scores["demo_multi_map"]

    fewer = harness.MultilingualRetrievalEvaluator("demo", settings="multi", **SMALL)
    found = fewer(model, str(tmp_path), epoch=3, steps=30)
    with (tmp_path / evaluator.csv_file).open(encoding="utf-8") as file:
        last = list(csv.DictReader(file))[-1]
    assert last["demo_mono_map"] == "" and float(last["demo_multi_map"]) == found["demo_multi_map"]


def test_the_model_goes_on_as_it_was_and_names_have_the_evaluators_prefix(model: Any) -> None:
    evaluator = harness.MultilingualRetrievalEvaluator("demo", name="dev", settings="mono", **SMALL)
    model.train()
    scores = evaluator(model)
    assert model.training
    assert evaluator.primary_metric == "dev_demo_mono_map"
    assert evaluator.primary_metric in scores
    assert evaluator(model) == scores  # its own name is found again in the second call


def test_a_primary_measure_that_is_no_score_is_named(model: Any) -> None:
    evaluator = harness.MultilingualRetrievalEvaluator("demo", primary="demo_multi_mpa", **SMALL)
    with pytest.raises(harness.UsageError, match="did you mean 'demo_multi_map'"):
        evaluator(model)


def test_the_trainer_calls_it_and_chooses_by_it(model: Any, tmp_path: Path) -> None:
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    rows = [
        {"anchor": row["query"]["en"], "positive": row["passage"]["en"]}
        for row in tiny_training.pairs(8)
    ]
    trainer = SentenceTransformerTrainer(
        model,
        SentenceTransformerTrainingArguments(
            str(tmp_path),
            max_steps=2,
            per_device_train_batch_size=4,
            eval_strategy="steps",
            eval_steps=1,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        ),
        Dataset.from_list(rows),
        loss=MultipleNegativesRankingLoss(model),
        evaluator=harness.MultilingualRetrievalEvaluator("demo", **SMALL),
    )
    trainer.train()
    logged = [
        x["eval_demo_multi_map"] for x in trainer.state.log_history if "eval_demo_multi_map" in x
    ]
    assert len(logged) == 2
