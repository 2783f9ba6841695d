"""A real encoder on real data, end to end: what the record says is what trec_eval says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import harness
from harness.data.trec import read_qrels, read_run

NAMES = {"map": "map", "ndcg_cut_10": "ndcg@10", "recall_10": "recall@10", "recall_1": "recall@1"}


@pytest.mark.parametrize(("task", "passages"), [("xquad-r", 2491), ("mlqa-r", 4149)])
def test_whole_exported_rankings_scored_by_trec_eval_agree(
    real_data: Path, tmp_path: Path, task: str, passages: int
) -> None:
    """Spanish and German, 10 questions, all passages (1215 + 1276; 1787 + 2362), all six settings.

    mAP is over whole rankings: no passage of the pool is missing from a run.
    """
    import pytrec_eval

    record = harness.evaluate(
        "use-m3",
        tasks=[task],
        languages=("es", "de"),
        limit=10,
        data_dir=real_data,
        trec=tmp_path,
        trec_depth=0,
    )
    table = record.per_query(task)
    frame = record.to_frame().set_index("setting")
    assert len(frame) == 6
    for setting, row in frame.iterrows():
        stem = tmp_path / task / str(setting).replace("/", ".")
        run = read_run(stem.with_name(stem.name + ".run"))
        qrels = read_qrels(stem.with_name(stem.name + ".qrels"))
        assert {len(ranking) for ranking in run.values()} == {row.pool}
        evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"map", "ndcg_cut.10", "recall.1,10"})
        oracle = evaluator.evaluate(run)
        mine = table[table.setting == setting].set_index("question")
        assert len(mine) == len(oracle) == row.queries
        for theirs, ours in NAMES.items():
            for query, values in oracle.items():
                got = mine.loc[query.partition(":")[2], ours]
                assert got == pytest.approx(values[theirs], abs=1e-12)
            mean = np.mean([values[theirs] for values in oracle.values()])
            assert row[ours] == pytest.approx(mean, abs=1e-12)
    assert frame.loc["multi/es", "pool"] == passages


def test_all_132_settings_need_no_more_than_26104_texts(real_data: Path) -> None:
    """Every question and sentence of XQuAD-R once: 13,090 + 13,014, less where texts are equal."""
    requested: list[tuple[str, str, str]] = []

    class Hashed:
        """Vectors from text length alone: what is counted here is how often it is asked."""

        def encode(self, texts: list[str], *, role: str, language: str) -> np.ndarray:
            requested.extend((role, language, text) for text in texts)
            return np.array([[len(t) % 89 + 1, len(t) % 7, 1] for t in texts], np.float32)

    record = harness.evaluate(Hashed(), tasks=["xquad-r"], data_dir=real_data, resamples=0)
    encoding = record.task("xquad-r").encoding
    assert encoding.texts == 26_104
    assert len(requested) == len(set(requested)) == encoding.encoded <= 26_104
    kinds = record.to_frame().kind.value_counts()
    assert kinds.to_dict() == {"cross": 110, "mono": 11, "multi": 11}
