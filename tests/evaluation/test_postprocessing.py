"""Treatments of vectors and rankings: what they change, and what they must leave alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

import harness
from harness.data.pool import Pool, RelevantPassages
from harness.data.trec import read_qrels, read_run
from harness.errors import DataError, UsageError
from harness.evaluation.postprocessing import Offset, parse_postprocessor
from harness.evaluation.record import Record
from harness.search.balanced import balanced, rounds_for
from harness.search.in_memory import DenseScores
from harness.search.tiles import rank


def places(row: list[float], starts: list[int]) -> list[int]:
    """Place of each passage of one query, from 0, by its rank; the head says the same."""
    languages = tuple(f"l{i}" for i in range(len(starts) - 1))
    ids = np.array([str(i) for i in range(len(row))], object)
    pool = Pool(ids, languages, np.array(starts, np.int64), np.arange(len(row)), {})
    every = np.arange(len(row), dtype=np.int64)
    relevant = RelevantPassages(
        ("q",), np.array([0, len(row)], np.int64), every, np.ones_like(every)
    )
    scores = DenseScores(np.array(row, np.float32)[:, None]).of(np.ones((1, 1), np.float32))
    tops = dict.fromkeys(languages, rounds_for(pool, len(row)))
    plain = rank(scores, "l0", relevant, pool, top=len(row), block_tops=tops)
    found = balanced(plain, pool, scores.decider(False), scores.margin, len(row))
    ranks: list[int] = (found.pool_rank - 1).tolist()
    assert found.top_k[0].tolist() == sorted(every.tolist(), key=lambda c: ranks[c])
    return ranks


def test_rounds_by_hand() -> None:
    """Two of one language and three of another: A1 .9, A2 .8; B1 .5, B2 .7, B3 .7.

    First round: A1 (.9), B2 (.7, before B3 by column); second: A2 (.8), B3 (.7); third: B1.
    """
    assert places([0.9, 0.8, 0.5, 0.7, 0.7], [0, 2, 5]) == [0, 2, 4, 1, 3]


def test_equal_scores_in_a_round_go_by_column() -> None:
    assert places([0.5, 0.5, 0.5, 0.5], [0, 2, 4]) == [0, 2, 1, 3]


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    data=st.data(),
)
def test_every_language_keeps_its_order_and_gets_its_share(
    sizes: list[int], data: st.DataObject
) -> None:
    starts = np.concatenate([[0], np.cumsum(sizes)])
    score = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0])
    row = data.draw(st.lists(score, min_size=sum(sizes), max_size=sum(sizes)))
    found = places(row, starts.tolist())
    assert sorted(found) == list(range(len(row)))
    language = np.repeat(np.arange(len(sizes)), sizes)
    order = np.argsort(found)
    for i, size in enumerate(sizes):
        block = range(starts[i], starts[i + 1])
        by_score = sorted(block, key=lambda c: (-row[c], c))
        assert sorted(block, key=lambda c: found[c]) == by_score
        # Wherever a ranking is cut, no language has more than one passage more than another that
        # has some left.
        taken = np.cumsum(language[order] == i)
        for j, other in enumerate(sizes):
            theirs = np.cumsum(language[order] == j)
            assert (taken - np.where(theirs < other, theirs, taken) <= 1).all(), (i, j, size)


def parallel(path: Path, rows: int = 100, **change: object) -> Path:
    lines = [
        {"src": "test", "id": i, "en": f"en {i}", "de": f"de {i}", "fr": f"fr {i}"}
        for i in range(rows)
    ]
    for number, value in change.items():
        lines[int(number.removeprefix("line"))] = value
    path.write_text("\n".join(json.dumps(x) for x in lines))
    return path


def test_offsets_bring_the_languages_means_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    shift = {"en": rng.normal(size=8), "de": rng.normal(size=8)}

    def encode(role: str, language: str, texts: object) -> np.ndarray:
        # Parallel texts are equal but for their language's shift.
        meaning = np.random.default_rng(5).normal(size=(len(texts), 8))
        return (meaning + shift[language]).astype(np.float32)

    offset = parse_postprocessor(f"offset:{parallel(tmp_path / 'p.jsonl')}", ("en", "de"))
    assert isinstance(offset, Offset) and set(offset.texts) == {"en", "de"}
    texts = ["a"] * 40
    before = {(r, x): encode(r, x, texts) for r in ("query", "passage") for x in shift}
    after = offset.vectors(before, encode, cosine=False)
    for role in ("query", "passage"):
        np.testing.assert_allclose(after[role, "en"], after[role, "de"], atol=1e-5)
        # The middle of the languages stays where it was.
        middle = [sum(v[role, x].mean(0) for x in shift) / 2 for v in (before, after)]
        np.testing.assert_allclose(*middle, atol=1e-5)
    unit = offset.vectors(before, encode, cosine=True)
    np.testing.assert_allclose(np.linalg.norm(unit["query", "en"], axis=1), 1, atol=1e-6)


def test_a_language_that_the_file_lacks_is_not_moved(tmp_path: Path) -> None:
    offset = parse_postprocessor(f"offset:{parallel(tmp_path / 'p.jsonl')}", ("en", "de", "th"))
    vectors = {("query", x): np.ones((2, 3), np.float32) for x in ("en", "de", "th")}
    moved = offset.vectors(
        vectors, lambda r, x, t: np.full((len(t), 3), len(x + t[0]), np.float32), cosine=False
    )
    assert np.array_equal(moved["query", "th"], vectors["query", "th"])


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("balance", "did you mean 'balanced'"),
        ("offset", "write balanced or offset:FILE"),
        ("x", "not known"),
    ],
)
def test_what_is_no_treatment_is_refused(spec: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_postprocessor(spec, ("en", "de"))


@pytest.mark.parametrize(
    ("rows", "change", "said"),
    [
        (99, {}, "has 99 parallel texts; offsets need 100"),
        (100, {"line7": {"en": "a"}}, "line 8: its languages differ from line 1's by 'de'"),
        (100, {"line3": {"en": "a", "de": " "}}, "line 4: the text in 'de' is empty"),
        (100, {"line0": ["no"], "line1": 3}, "line 1"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    tmp_path: Path, rows: int, change: dict[str, object], said: str
) -> None:
    path = parallel(tmp_path / "p.jsonl", rows, **change)
    with pytest.raises(DataError, match=said):
        parse_postprocessor(f"offset:{path}", ("en", "de"))


def test_a_file_without_two_of_the_tasks_languages_is_refused(tmp_path: Path) -> None:
    path = parallel(tmp_path / "p.jsonl")
    with pytest.raises(DataError, match="has en of the task's languages"):
        parse_postprocessor(f"offset:{path}", ("en", "th"))
    with pytest.raises(DataError, match="cannot be read"):
        parse_postprocessor(f"offset:{tmp_path}/none.jsonl", ("en", "th"))


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.write_task(tmp_path_factory.mktemp("task")))


def run(task: str, *treatments: str, model: object = None, **more: object) -> Record:
    return harness.evaluate(
        model or tiny.WordBag(),
        tasks=[task],
        **{"treatments": treatments, "resamples": 0, "store": False, **more},
    )


def scores(record: Record) -> dict[str, dict[str, float]]:
    return {r["setting"]: r["scores"] for r in record.document["tasks"][0]["settings"]}


def test_balancing_changes_the_pool_of_all_and_nothing_else(task: str) -> None:
    biased = tiny.WordBag(bias=3.0)
    plain, balanced_ = run(task, model=biased), run(task, "balanced", model=biased)
    before, after = scores(plain), scores(balanced_)
    for name, values in before.items():
        if name.startswith("multi/"):
            assert after[name]["map"] != values["map"]
            # Of the first ten, three or four are in each of three languages.
            shares = balanced_.document["tasks"][0]["top_languages"]["share"]
            assert all(0.3 <= x <= 0.4 for row in shares.values() for x in row.values())
        else:
            assert after[name] == values
    assert balanced_.model == "word-bag + balanced"
    model = balanced_.document["model"]
    assert model["fingerprint"] != plain.document["model"]["fingerprint"]
    assert model["facts"]["first"]["fingerprint"] == plain.document["model"]["fingerprint"]


def test_trec_eval_agrees_with_a_balanced_run(task: str, tmp_path: Path) -> None:
    import pytrec_eval

    record = run(task, "balanced", trec=tmp_path, trec_depth=0)
    for name, values in scores(record).items():
        stem = tmp_path / "tiny" / name.replace("/", ".")
        qrels = read_qrels(stem.with_name(stem.name + ".qrels"))
        judge = pytrec_eval.RelevanceEvaluator(qrels, {"map", "ndcg_cut.10"})
        found = judge.evaluate(read_run(stem.with_name(stem.name + ".run")))
        for ours, theirs in (("map", "map"), ("ndcg@10", "ndcg_cut_10")):
            mean = np.mean([v[theirs] for v in found.values()])
            assert values[ours] == pytest.approx(mean, abs=1e-12)


def test_taking_offsets_off_undoes_a_shift_between_languages(task: str, tmp_path: Path) -> None:
    """An encoder with a strong language nudge against the same one without any."""
    path = tmp_path / "parallel.jsonl"
    words = [f"{a} and {b}" for a in tiny.WORDS for b in tiny.WORDS]
    rows = [{x: f"{x} {text}" for x in tiny.LANGUAGES} for text in words]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    nudged = tiny.WordBag(bias=1.0)
    before, after = run(task, model=nudged), run(task, f"offset:{path}", model=nudged)
    multi = [x for x in scores(before) if x.startswith("multi/")]
    gained = [scores(after)[x]["map"] - scores(before)[x]["map"] for x in multi]
    nearer = [scores(before)[x]["rank_distance"] - scores(after)[x]["rank_distance"] for x in multi]
    assert min(gained) > 0.1 and min(nearer) > 1
    facts = after.document["model"]["facts"]["treatments"][0]
    assert (facts["parallel_texts"], facts["parallel_languages"]) == (100, ["de", "en", "zh"])


@pytest.mark.parametrize(
    ("model", "treatments", "said"),
    [
        ("bm25", ("balanced",), "for models that return vectors"),
        ("python:tiny:factory", ("balanced", "balanced"), "is has the same value twice"),
    ],
)
def test_what_cannot_be_treated_is_refused(
    task: str, model: str, treatments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        run(task, *treatments, model=model)
