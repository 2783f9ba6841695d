"""A real encoder and BM25 on MIRACL's real sample: the record is what trec_eval says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import harness
from harness.data.trec import read_qrels, read_run

NAMES = {"ndcg_cut_10": "ndcg@10", "recall_100": "recall@100", "recip_rank": "mrr"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:use-m3 was not trained on yo")
@pytest.mark.parametrize("model", ["use-m3", "bm25"])
def test_exported_rankings_of_real_passages_scored_by_trec_eval_agree(
    real_data: Path, tmp_path: Path, model: str
) -> None:
    """Yoruba, one of the sample's two files: 1,323 real passages, 25 questions that they answer.

    Rankings are 1,000 deep; what lies deeper counts for none of these but MRR.
    """
    import pytrec_eval

    if not (real_data / "miracl").is_dir():
        pytest.skip("MIRACL's sample is not in HARNESS_DATA")
    mirror = tmp_path / "mirror" / "miracl"
    corpus = mirror / "miracl-corpus-v1.0-yo"
    corpus.mkdir(parents=True)
    (mirror / "miracl-v1.0-yo").symlink_to(real_data / "miracl" / "miracl-v1.0-yo")
    half = "docs-1.jsonl.gz"
    (corpus / half).symlink_to(real_data / "miracl" / corpus.name / half)
    record = harness.evaluate(
        model,
        tasks=["miracl"],
        languages=("yo",),
        corpus="sampled",
        shard_size=500,
        data_dir=tmp_path / "mirror",
        measures=("ndcg@10", "recall@100", "mrr"),
        trec=tmp_path,
        trec_depth=1000,
    )
    (entry,) = record.document["tasks"]
    assert entry["counts"] == {
        "questions": 25,
        "queries": {"yo": 25},
        "passages": {"yo": 1323},
    }
    assert "A SAMPLE OF THE CORPUS (yo 1,323 of 49,043 passages)" in entry["sampled"]
    run = read_run(tmp_path / "miracl" / "mono.yo.run")
    qrels = read_qrels(tmp_path / "miracl" / "mono.yo.qrels")
    assert {len(ranking) for ranking in run.values()} == {1000}
    oracle = pytrec_eval.RelevanceEvaluator(
        qrels, {"ndcg_cut.10", "recall.100", "recip_rank"}
    ).evaluate(run)
    table = record.per_query("miracl").set_index("question")
    assert len(table) == len(oracle) == 25
    for query, values in oracle.items():
        row = table.loc[query.partition(":")[2]]
        for theirs, ours in NAMES.items():
            if values[theirs] > 0 or ours != "mrr":
                assert row[ours] == pytest.approx(values[theirs], abs=1e-12)
            else:
                assert row[ours] < 1 / 1000
    mean = np.mean([values["ndcg_cut_10"] for values in oracle.values()])
    assert entry["settings"][0]["scores"]["ndcg@10"] == pytest.approx(mean, abs=1e-12)
    assert 0.1 < mean < 1
