"""Several systems as one: ranks against a naive form on real vectors, RRF against fractions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import harness
from harness.cli import main
from harness.data.task import find_task
from harness.errors import HarnessError, UsageError
from harness.evaluation.dry_run import plan as plan_of
from harness.evaluation.fusion_tuning import FOLDS, best_without, fold_of, grid
from harness.evaluation.layout import prepare
from harness.evaluation.options import RunOptions
from harness.evaluation.record import Record
from harness.evaluation.reproduction import portable_word
from harness.models.fused import Fusion, read_fusion
from harness.search.exact import Decisions
from harness.search.fused import VectorSystem
from harness.search.fusion import _remainder, normalised_scores, ranks_of, reciprocal_ranks

Matrix = NDArray[Any]


def test_reciprocal_ranks_as_worked_by_hand() -> None:
    """Ranks (1, 3), (2, 1), (3, 2) with k = 60: 1/61 + 1/63, 1/62 + 1/61, 1/63 + 1/62.

    As in ranx, whose ``rrf`` adds 1 / (k + rank) with ranks from 1.
    """
    found = reciprocal_ranks([np.array([[1, 2, 3]]), np.array([[3, 1, 2]])], 60)
    assert found[0] == pytest.approx([0.03226646, 0.03252247, 0.03200205], abs=1e-8)


def test_equal_scores_have_equal_ranks() -> None:
    assert ranks_of(-np.array([[5.0, 7, 5, 0, 7, 0]])).tolist() == [[3, 1, 3, 5, 1, 5]]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 3),
    st.integers(0, 70),
    st.lists(st.tuples(*[st.integers(1, 100_000)] * 3), min_size=2, max_size=30),
)
def test_the_order_of_reciprocal_ranks_is_that_of_fractions(
    systems: int, k: int, rows: list[tuple[int, int, int]]
) -> None:
    # Swapped ranks tie, and so do some that are no swaps: 1/3 + 1/6 = 1/4 + 1/4.
    rows += [(b, a, c) for a, b, c in rows] + [(3, 6, 1), (4, 4, 1), (6, 3, 1)]
    ranks = [np.array([[row[i] for row in rows]], np.int32) for i in range(systems)]
    exact = [sum(Fraction(1, k + r) for r in row[:systems]) for row in rows]
    found = reciprocal_ranks(ranks, k)[0]
    for i in range(len(rows)):
        for j in range(i):
            assert (found[i] > found[j]) == (exact[i] > exact[j])
            assert (found[i] == found[j]) == (exact[i] == exact[j])


def test_the_remainder_of_a_rounded_quotient_is_exact() -> None:
    """What orders three systems whose sums are equal as float64."""
    a, b, c = np.random.default_rng(1).integers(1, 2**17, (3, 200)).astype(float)
    whole, by = a * b + a * c + b * c, a * b * c
    quotient = whole / by
    for w, q, d, left in zip(whole, quotient, by, _remainder(whole, quotient, by), strict=True):
        assert Fraction(left) == Fraction(w) - Fraction(q) * Fraction(d)


def test_vectors_are_ranked_and_rounded_with_certainty() -> None:
    """Equal passages tie, neighbours in the last bit of a float32 do not."""
    rng = np.random.default_rng(0)
    passages = rng.normal(size=(60, 12)).astype(np.float32)
    passages[30:50] = passages[10:30]
    passages[50:] = passages[:10]
    passages[50:, 0] = np.nextafter(passages[:10, 0], np.float32(9))
    queries = rng.normal(size=(4, 12)).astype(np.float32)
    task_pool = type("Pool", (), {"block": lambda self, x: (10, 40)})()
    system = VectorSystem(passages, {"en": queries}, task_pool, Decisions())  # type: ignore[arg-type]
    side, part = system.tile("en", 0, 4)(None), system.tile("en", 0, 4)("de")
    for i, query in enumerate(queries):
        real = [sum(map(lambda a, b: Fraction(a) * Fraction(b), query.tolist(), x.tolist()))
                for x in passages]  # fmt: skip
        assert side.ranks[i].tolist() == [1 + sum(y > x for y in real) for x in real]
        assert side.scores[i].tolist() == [float(np.float32(float(x))) for x in real]
        here = real[10:40]
        assert part.ranks[i].tolist() == [1 + sum(y > x for y in here) for x in here]


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.write_task(tmp_path_factory.mktemp("task"), questions=12))


class TestRun:
    def run(self, task: str, model: str, **options: Any) -> Record:
        return harness.evaluate(model, [task], **{"store": False, "resamples": 0, **options})

    @pytest.mark.parametrize("fusion", [None, "rrf@0", "minmax@0.7,0.3", "z"])
    def test_ranks_are_those_of_a_few_lines_of_numpy(self, fusion: str | None, task: str) -> None:
        """Of the best relevant passage, in every language's passages and in the pool of all."""
        record = self.run(task, "fuse:python:tiny:factory+bm25", fusion=fusion, measures="mrr@100")
        table = record.per_query("tiny").set_index(["setting", "question"])["mrr@100"]
        ranks = naive_ranks(task, read_fusion(fusion, 2))
        assert len(set(ranks.values())) > 2
        for key, rank in ranks.items():
            assert table[key] == pytest.approx(1 / rank), key
        assert len(ranks) == len(table)

    def test_whole_rankings_are_exported_as_they_are_scored(
        self, task: str, tmp_path: Path
    ) -> None:
        record = self.run(
            task, "fuse:python:tiny:factory+bm25", trec=tmp_path / "runs", trec_depth=0
        )
        found = CliRunner().invoke(main, ["score", str(tmp_path / "runs" / "tiny"), "-v"])
        mean = record.tasks[0].means["multi"].macro["map"]
        assert found.exit_code == 0 and f"{mean:.4f}"[1:] in found.output

    def test_the_record_says_what_was_fused(self, task: str, tmp_path: Path) -> None:
        words = ["run", "--model", "fuse:python:tiny:factory+bm25", "--fusion", "z@0.5,1"]
        words += ["--task", task, "--no-store", "--resamples", "0", "--output", str(tmp_path)]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
        document = json.loads(next(tmp_path.glob("*/record.json")).read_text())
        model = document["model"]
        assert model["name"] == "z@0.5,1 of word-bag, bm25" and model["kind"] == "fused"
        assert model["facts"]["weights"] == [0.5, 1] and model["fingerprint"]
        assert [x["name"] for x in model["facts"]["systems"]] == ["word-bag", "bm25"]
        again = harness.evaluate(
            document["run"]["options"]["named"], [task], fusion="z@0.5,1", resamples=0, store=False
        )
        assert again.document["tasks"][0]["settings"] == document["tasks"][0]["settings"]

    def test_a_dry_run_counts_what_its_encoder_lacks(self, task: str) -> None:
        _, (plan,) = plan_of("fuse:python:tiny:factory+bm25", [task])
        assert 0 < plan.missing == plan.distinct

    def test_a_tracked_command_has_no_folders_of_the_machine(self) -> None:
        word = portable_word("fuse:/home/somebody/models/mine+bm25+~/other")
        assert word == "fuse:./mine+bm25+./other"

    def test_weights_come_from_other_questions(self, task: str) -> None:
        record = self.run(task, "fuse:python:tiny:factory+bm25", fusion="minmax@tuned")
        found = record.document["tasks"][0]["fusion"]
        assert len(found["weights"]) == FOLDS and sum(found["questions"]) == 12
        # Each question has what a run with the weights of its fold gives it.
        folds = fold_of([f"q{n:02d}" for n in range(12)])
        values = record.per_query("tiny").set_index(["setting", "question"])["map"]
        for fold in range(FOLDS):
            weights = ",".join(map(str, found["weights"][fold]))
            own = self.run(task, "fuse:python:tiny:factory+bm25", fusion=f"minmax@{weights}")
            expected = own.per_query("tiny").set_index(["setting", "question"])["map"]
            here = [x for x in expected.index if folds[x[1]] == fold]
            assert values[here].to_dict() == pytest.approx(expected[here].to_dict())

    @pytest.mark.parametrize(
        ("model", "options", "said"),
        [
            ("fuse:bm25", {}, "two systems or more"),
            ("fuse:bm25+bm25", {}, "named twice"),
            ("fuse:python:tiny:factory+bm25", {"settings": "pairs"}, "leave pairs out"),
            ("fuse:python:tiny:factory+bm25", {"streamed": True}, "are streamed"),
            ("fuse:python:tiny:factory+bm25", {"bits": "int8"}, "models that return vectors"),
            ("fuse:python:tiny:factory+bm25", {"fusion": "z@1,2,3"}, "3 weights for 2"),
            ("fuse:python:tiny:factory+bm25", {"fusion": "rff"}, "did you mean 'rrf'"),
            ("fuse:python:tiny:factory+bm25", {"fusion": "z@tuned", "limit": 3}, "has only 3"),
            ("bm25", {"fusion": "rrf"}, "for --model fuse:"),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, model: str, options: dict[str, Any], said: str, task: str
    ) -> None:
        with pytest.raises(HarnessError, match=said):
            self.run(task, model, **options)


def naive_ranks(
    task: str, fusion: Fusion, model: Any = None, options: RunOptions | None = None
) -> dict[tuple[str, str], int]:
    """(setting, question) -> rank of its best relevant passage, from the definitions."""
    from harness.models.base import ModelOptions
    from harness.models.bm25.model import Bm25Model

    prepared = prepare(find_task(task), options or RunOptions())
    pool, model, bm25 = prepared.pool, model or tiny.WordBag(), Bm25Model(ModelOptions())
    texts = [t for side in prepared.data.passages.values() for t in side.texts]
    texts = [texts[i] for i in pool.rows]
    found: dict[tuple[str, str], int] = {}
    for x, relevant in prepared.relevant.items():
        questions = prepared.data.queries[x].texts
        for setting in prepared.settings:
            if setting.query_language != x:
                continue
            block = setting.passage_language
            first, last = (0, len(pool)) if block is None else pool.block(block)
            sides = []
            vectors = [
                unit(model.encode(some, role=role, language=x))
                for role, some in (("query", questions), ("passage", texts[first:last]))
            ]
            sides.append((vectors[0].astype(float) @ vectors[1].astype(float).T).round(7))
            languages = [pool.languages[i] for i in pool.language_of[first:last]]
            index = bm25.index(texts[first:last], languages=languages)
            sides.append(index.score(questions, language=x).astype(float))
            one, other = (on_scale(x, fusion) for x in sides)
            first_weight, second_weight = fusion.weights_of(2)
            scores = first_weight * one + second_weight * other
            for i, question in enumerate(relevant.questions):
                columns = relevant.columns[relevant.indptr[i] : relevant.indptr[i + 1]]
                columns = columns[(columns >= first) & (columns < last)] - first
                if len(columns):
                    order = np.argsort(-scores[i].round(12), kind="stable")
                    found[setting.name, question] = 1 + int(
                        np.flatnonzero(np.isin(order, columns))[0]
                    )
    return found


def on_scale(scores: Matrix, fusion: Fusion) -> Matrix:
    """A system's part of the sum."""
    if fusion.method == "rrf":
        higher = (scores[:, :, None] < scores[:, None, :]).sum(-1)
        return 1 / (fusion.k + 1.0 + higher)
    least, most = scores.min(1, keepdims=True), scores.max(1, keepdims=True)
    if fusion.method == "minmax":
        return (scores - least) / np.where(most > least, most - least, 1)
    spread = scores.std(1, keepdims=True)
    return (scores - scores.mean(1, keepdims=True)) / np.where(most > least, spread, 1)


def unit(rows: Matrix) -> Matrix:
    scaled: Matrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def test_a_system_that_ranks_nothing_adds_nothing() -> None:
    scores = np.full((2, 5), np.float32(0.1))
    for method in ("minmax", "z"):
        assert not normalised_scores(scores, method).any()  # type: ignore[arg-type]


def test_a_fold_does_not_choose_its_own_weights() -> None:
    """Two weights, one kind, one language: fold 0 likes the first, all others the second."""
    sums = np.zeros((2, 1, 1, FOLDS))
    sums[0, 0, 0, 0], sums[1, 0, 0, 1:] = 100, 1
    counts = np.ones((1, 1, FOLDS))
    assert best_without(sums, counts, 0) == 1
    assert best_without(sums, counts, 1) == 0


def test_weights_in_steps_begin_with_equal_ones() -> None:
    assert grid(2)[0].tolist() == [0.5, 0.5] and len(grid(2)) == 11 and len(grid(3)) == 66
    with pytest.raises(UsageError, match="two or three"):
        grid(4)


def test_folds_do_not_depend_on_the_order_of_questions() -> None:
    names = [f"q{n}" for n in range(23)]
    folds = fold_of(names)
    assert fold_of(names[::-1] + names[:4]) == folds
    assert sorted(np.bincount(list(folds.values()))) == [4, 4, 5, 5, 5]


def test_too_large_a_pool_and_too_many_systems_are_refused() -> None:
    big = np.zeros((1, 2**17), np.int32)
    with pytest.raises(UsageError, match="pools up to 131,011"):
        reciprocal_ranks([big, big], 60)
    small: Sequence[Any] = [np.ones((1, 2), np.int32)] * 4
    with pytest.raises(UsageError, match="two or three"):
        reciprocal_ranks(small, 60)
