"""Sparse and late-interaction models: exact, each text encoded once, trec_eval's numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import random_models
import tiny

import harness
from harness.data.trec import read_qrels, read_run
from harness.errors import ModelError
from harness.evaluation.record import Record
from harness.models import ModelOptions, load, sparse_late_interaction
from harness.search.parts import texts_of_parts

KINDS = ("sparse", "multi-vector")
QUERIES = ["en what is river number 0", "de what is salt number 1", "en moon"]
PASSAGES = [
    "en river is told of in passage 0",
    "de salt and moon",
    "en river",
    "en river",
    "zh wind",
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "sparse": random_models.sparse(folder / "sparse"),
        "multi-vector": random_models.multi_vector(folder / "late"),
    }


def by_the_library(folder: Path, kind: str) -> np.ndarray:
    """The library's own scores, one query and one passage at a time."""
    import sentence_transformers

    model = getattr(sentence_transformers, sparse_late_interaction._LIBRARY[kind])(str(folder))
    out = np.zeros((len(QUERIES), len(PASSAGES)), np.float32)
    for i, query in enumerate(QUERIES):
        for j, passage in enumerate(PASSAGES):
            a, b = model.encode_query([query]), model.encode_document([passage])
            out[i, j] = float(model.similarity(a, b)[0][0])
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_the_librarys(folders: dict[str, Path], kind: str) -> None:
    wanted = by_the_library(folders[kind], kind)
    assert wanted.std() > 1e-3  # or equal scores would prove nothing
    model: Any = load(str(folders[kind]))
    assert model.kind == kind
    np.testing.assert_allclose(scores(model, QUERIES, PASSAGES), wanted, rtol=2e-5, atol=2e-5)


def scores(model: Any, queries: list[str], passages: list[str]) -> np.ndarray:
    """(queries, passages)."""
    query = texts_of_parts(model.encode_parts(queries, role="query", language="en"))
    passage = texts_of_parts(model.encode_parts(passages, role="passage", language="en"))
    found: np.ndarray = query.products(passage)
    return found


@pytest.fixture(scope="module")
def records(
    folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Record, Path]]:
    folder = tmp_path_factory.mktemp("runs")
    task = tiny.write_task(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(folder / "cache"))
        return {
            kind: (
                harness.evaluate(
                    str(folders[kind]),
                    tasks=[str(task)],
                    trec=folder / kind,
                    trec_depth=0,
                    resamples=0,
                ),
                folder / kind / "tiny",
            )
            for kind in KINDS
        }


@pytest.mark.parametrize("kind", KINDS)
def test_exported_runs_scored_by_trec_eval_agree(
    records: dict[str, tuple[Record, Path]], kind: str
) -> None:
    import pytrec_eval

    record, exported = records[kind]
    rows = record.document["tasks"][0]["settings"]
    assert len(rows) == 3 + 6 + 3
    for row in rows:
        stem = exported / row["setting"].replace("/", ".")
        qrels = read_qrels(stem.with_name(stem.name + ".qrels"))
        run = read_run(stem.with_name(stem.name + ".run"))
        judge = pytrec_eval.RelevanceEvaluator(qrels, {"map", "ndcg_cut.10"})
        found = judge.evaluate(run)
        for ours, theirs in (("map", "map"), ("ndcg@10", "ndcg_cut_10")):
            mean = sum(v[theirs] for v in found.values()) / len(qrels)
            assert row["scores"][ours] == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_each_text_is_encoded_once_and_the_record_says_what_it_is(
    records: dict[str, tuple[Record, Path]], kind: str
) -> None:
    record = records[kind][0]
    entry, model = record.document["tasks"][0], record.document["model"]
    assert entry["encoding"]["encoded"] == entry["encoding"]["distinct"]
    assert (model["kind"], model["stored"]) == (kind, True)
    assert entry["dimensions"] == (len(random_models.VOCABULARY) if kind == "sparse" else 128)


@pytest.mark.parametrize("kind", KINDS)
def test_a_smaller_dtype_gives_float32(folders: dict[str, Path], kind: str) -> None:
    model: Any = load(str(folders[kind]), ModelOptions(dtype="bfloat16", device="cpu"))
    parts = model.encode_parts(["en river"], role="query", language="en")
    assert parts.values.dtype == np.float32 and parts.values.any()


def test_what_a_folder_does_not_say_can_be_said(folders: dict[str, Path], tmp_path: Path) -> None:
    plain = random_models.bert(tmp_path / "plain", "BertForMaskedLM")
    assert load(str(plain)).facts["adapter"] == "sentence-transformers"
    for kind in KINDS:
        assert load(f"{kind}:{plain}").kind == kind
    with pytest.raises(ModelError, match="write sparse:ORG/NAME"):
        load("sparse:nowhere")


def test_prompts_go_before_the_texts(folders: dict[str, Path]) -> None:
    plain: Any = load(str(folders["sparse"]))
    requested: Any = load(str(folders["sparse"]), ModelOptions(query_prompt="en moon "))
    passages = ["de salt"]
    a, b = scores(requested, ["salt"], passages), scores(plain, ["en moon salt"], passages)
    assert a.any() and np.array_equal(a, b)
