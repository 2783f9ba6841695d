"""Foreign runs: scored by trec_eval, judged queries never dropped, cut into settings."""

from __future__ import annotations

import math

import numpy as np
import pytest
import pytrec_eval

from harness.data.task import Setting
from harness.errors import UsageError
from harness.interop.trec_eval import by_setting, run_scores

QRELS = {
    "q1": {"a": 1, "b": 2, "c": 0},
    "q2": {"a": 1},
    "q3": {"b": 1},  # not in the run
}
RUN = {
    "q1": {"c": 3.0, "b": 2.0, "a": 1.0},
    "q2": {"b": 0.5, "a": 0.5, "d": 0.25},  # a tie: b wins
    "q9": {"a": 1.0},  # not judged
}


def test_missing_queries_count_as_zero_and_unjudged_ones_not_at_all() -> None:
    found = run_scores(RUN, QRELS, ["map", "ndcg@10", "mrr"])
    assert found.queries == ("q1", "q2", "q3")
    assert (found.missing, found.unjudged) == (("q3",), ("q9",))
    # By hand: q1 has relevant passages at 2 and 3, q2 at 2.
    ideal = 2 + 1 / math.log2(3)
    expected = {
        "map": [(1 / 2 + 2 / 3) / 2, 1 / 2, 0],
        "ndcg@10": [(2 / math.log2(3) + 1 / 2) / ideal, 1 / math.log2(3), 0],
        "mrr": [1 / 2, 1 / 2, 0],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found.values[name], values, atol=1e-12)
    assert found.means()["map"] == pytest.approx(((1 / 2 + 2 / 3) / 2 + 1 / 2) / 3)


def test_reciprocal_rank_with_a_cutoff() -> None:
    run = {f"q{i}": {f"d{j}": -float(j) for j in range(1, 13)} for i in (1, 3, 4, 10, 11)}
    qrels = {q: {"d" + q[1:]: 1} for q in run}
    found = run_scores(run, qrels, ["mrr@10", "mrr@3", "mrr"])
    np.testing.assert_allclose(found.values["mrr@10"], [1, 1 / 3, 1 / 4, 1 / 10, 0])
    np.testing.assert_allclose(found.values["mrr@3"], [1, 1 / 3, 0, 0, 0])
    np.testing.assert_allclose(found.values["mrr"], [1, 1 / 3, 1 / 4, 1 / 10, 1 / 11])


def test_a_measure_goes_by_the_names_of_tables_and_of_ir_measures() -> None:
    found = run_scores(RUN, QRELS, ["AP", "mAP", "nDCG@10", "R@10", "RR@3", "map", "mrr@3"]).values
    np.testing.assert_array_equal(found["AP"], found["map"])
    np.testing.assert_array_equal(found["mAP"], found["map"])
    np.testing.assert_array_equal(found["RR@3"], found["mrr@3"])
    oracle = run_scores(RUN, QRELS, ["ndcg_cut_10", "recall_10"]).values
    np.testing.assert_array_equal(found["nDCG@10"], oracle["ndcg_cut_10"])
    np.testing.assert_array_equal(found["R@10"], oracle["recall_10"])


def test_any_trec_eval_measure_goes_with_its_own_aggregation() -> None:
    names = [
        "P_5",
        "ndcg_cut.7",
        "bpref",
        "iprec_at_recall_0.5",
        "num_rel_ret",
        "gm_map",
        "set_F_2",
    ]
    found = run_scores(RUN, QRELS, names)
    oracle = pytrec_eval.RelevanceEvaluator(QRELS, set(names)).evaluate(RUN)
    assert list(found.values) == names
    trec = {"ndcg_cut.7": "ndcg_cut_7", "iprec_at_recall_0.5": "iprec_at_recall_0.50"}
    trec["set_F_2"] = "set_F"
    for name in names:
        expected = [oracle[q][trec.get(name, name)] for q in ("q1", "q2")]
        np.testing.assert_array_equal(found.values[name][:2], expected)
    means = found.means()
    assert means["num_rel_ret"] == 3
    # trec_eval takes 0.00001 for 0 in a geometric mean.
    product = (1 / 2 + 2 / 3) / 2 * (1 / 2) * 0.00001
    assert means["gm_map"] == pytest.approx(product ** (1 / 3))


def test_counts_of_queries_and_of_relevant_passages_are_of_all_that_is_judged() -> None:
    """With -c trec_eval 9 takes these two from the qrels (m_num_q.c, m_num_rel.c)."""
    names = ["num_q", "num_rel", "num_rel_ret", "num_ret"]
    means = run_scores(RUN, QRELS, names).means()
    relevant = sum(grade > 0 for row in QRELS.values() for grade in row.values())
    assert [means[x] for x in names] == [3, relevant, 3, 6]
    judged = {q: row for q, row in QRELS.items() if q in RUN}
    assert run_scores(RUN, judged, names).means()["num_rel"] < relevant


def test_a_name_with_several_values_stands_for_all() -> None:
    found = run_scores(RUN, QRELS, ["success", "P_7", "P"])
    assert {"success_1", "success_5", "success_10", "P_7", "P_5", "P_1000"} <= set(found.values)
    assert "runid" not in run_scores(RUN, QRELS, ["official"]).values


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ndcg_10", "no measure 'ndcg_10'; did you mean 'ndcg@10'"),
        ("ndcgcut_10", "no measure 'ndcgcut_10'; did you mean 'ndcg_cut_10'"),
        ("mpa", "no measure 'mpa'; did you mean 'map'"),
        ("runid", "no measure 'runid'"),
        ("P_0", "must be a whole number above 0"),  # trec_eval would end the process here
        ("P_5,10", "must be a whole number above 0"),
        ("recall@x", "must be a whole number above 0"),
        ("map@10", "no measure 'map@10'"),
        ("set_F_x", "must be a number such as 0.5"),
        ("iprec_at_recall_0.", "must be a number such as 0.5"),
    ],
)
def test_unknown_measures_are_refused_before_trec_eval_sees_them(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        run_scores(RUN, QRELS, [name])


def test_a_run_for_other_qrels_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"no query in common: .* such as 'de:q1', .* such as 'q1'"
    ):
        run_scores({"de:q1": {"a": 1.0}}, QRELS, ["map"])


TASK_RUN = {
    "de:1": {"de:a": 3.0, "en:a": 2.0, "en:b": 1.0},
    "de:2": {"en:a": 1.0, "de:b": 0.5},
    "en:1": {"en:a": 2.0, "en:b": 1.0},
}
TASK_QRELS = {
    "de:1": {"de:a": 1, "en:b": 1},
    "de:2": {"de:b": 1, "en:a": 0},
    "en:1": {"de:a": 1, "en:b": 1},
}
SETTINGS = [
    Setting("mono", "de", "de"),
    Setting("mono", "en", "en"),
    Setting("cross", "de", "en"),
    Setting("cross", "en", "de"),
    Setting("multi", "de", None),
    Setting("multi", "en", None),
    Setting("mono", "fr", "fr"),
]


def test_a_run_is_cut_into_the_settings_it_speaks_about() -> None:
    parts = {p.setting.name: p for p in by_setting(TASK_RUN, TASK_QRELS, SETTINGS)}
    # For queries in English only English passages were ranked: nothing to say of cross/en-de.
    assert list(parts) == ["mono/de", "mono/en", "cross/de-en", "multi/de", "multi/en"]
    values = {
        name: run_scores(p.run, p.qrels, ["map"]).values["map"].tolist()
        for name, p in parts.items()
    }
    # cross/de-en has no relevant passage for question 2.
    assert values == {
        "mono/de": [1, 1],
        "mono/en": [1 / 2],
        "cross/de-en": [1 / 2],
        "multi/de": [(1 + 2 / 3) / 2, 1 / 2],
        "multi/en": [1 / 4],
    }


def test_a_query_without_a_passage_of_the_language_is_missing_there_and_counts() -> None:
    run = {"de:1": {"en:a": 1.0}, "de:2": {"de:b": 1.0}}
    (part,) = by_setting(run, TASK_QRELS, SETTINGS[:1])
    scores = run_scores(part.run, part.qrels, ["map"])
    assert (scores.missing, scores.means()["map"]) == (("de:1",), 1 / 2)


def test_ids_must_name_their_language() -> None:
    with pytest.raises(UsageError, match="passage id 'a' names no language"):
        list(by_setting({"de:1": {"a": 1.0}}, TASK_QRELS, SETTINGS))


def test_what_trec_eval_cannot_count_is_refused() -> None:
    """Grades of which it keeps gigabytes, and cutoffs with more digits than its numbers have."""
    run = {"q": {"a": 2.0}}
    assert run_scores(run, {"q": {"a": 10**6}}, ["map"]).means() == {"map": 1.0}
    with pytest.raises(UsageError, match=r"grade of 1000001 .*: grades up to 1000000 are scored"):
        run_scores(run, {"q": {"a": 10**6 + 1}}, ["map"])
    for name in ("prefs", "all_prefs", "qrels_jg"):  # of judgements that qrels are not
        with pytest.raises(UsageError, match=f"trec_eval has no measure '{name}'"):
            run_scores(run, {"q": {"a": 1}}, [name])
    for name in ("ndcg@", "P_"):
        with pytest.raises(UsageError, match="must be a whole number above 0"):
            run_scores(run, {"q": {"a": 1}}, [name + "1" * 5000])
