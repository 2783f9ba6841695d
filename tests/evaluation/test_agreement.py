"""Agreement of one question's rankings across languages, against scipy over explicit unions."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import spearmanr
from small_pools import as_relevant, make_pool

from harness.data.pool import RelevantPassages
from harness.evaluation.agreement import dense_scores_at, lexical_scores_at, question_agreement
from harness.metrics import consistency_loops
from harness.metrics.consistency import rank_correlations
from harness.search.exact import Decisions
from harness.search.in_memory import DenseScores
from harness.search.results import SearchResult
from harness.search.tiles import rank


def searched(
    seed: int, requested: dict[str, list[str]], depth: int
) -> tuple[dict[str, SearchResult], dict[str, np.ndarray], np.ndarray]:
    """Random vectors for a pool of 60 passages and for each language's questions."""
    rng = np.random.default_rng(seed)
    pool = make_pool({"de": 20, "en": 25, "zh": 15})
    passages = rng.standard_normal((len(pool), 8)).astype(np.float32)
    passages[7] = passages[30]  # two passages that always tie
    shared = rng.standard_normal((10, 8))
    queries, found = {}, {}
    for language, questions in requested.items():
        rows = shared[[int(q[1:]) for q in questions]]
        queries[language] = (rows + rng.standard_normal(rows.shape)).astype(np.float32)
        empty = as_relevant([[0]] * len(questions))
        relevant = RelevantPassages(tuple(questions), empty.indptr, empty.columns, empty.grades)
        scores = DenseScores(passages).of(queries[language])
        found[language] = rank(scores, language, relevant, pool, top=depth)
    return found, queries, passages


def expected(
    found: dict[str, SearchResult], queries: dict[str, np.ndarray], passages: np.ndarray, depth: int
) -> dict[tuple[str, str], float]:
    """(language, question) -> mean over the other languages of scipy's correlation."""
    values: dict[tuple[str, str], list[float]] = {}
    for a, b in combinations(found, 2):
        for i, question in enumerate(found[a].relevant.questions):
            if question not in found[b].relevant.questions:
                continue
            j = found[b].relevant.questions.index(question)
            heads = (found[a].top_k[i, :depth], found[b].top_k[j, :depth])
            union = sorted({int(p) for head in heads for p in head})
            sides = (passages[union] @ queries[a][i], passages[union] @ queries[b][j])
            value = float(spearmanr(*sides).statistic)
            values.setdefault((a, question), []).append(value)
            values.setdefault((b, question), []).append(value)
    return {at: float(np.mean(x)) for at, x in values.items()}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_mean_of_scipys_correlations_over_the_unions(seed: int, compiled: bool) -> None:
    """Also for questions that some languages do not ask, and one that only one language asks."""
    requested = {"de": ["q0", "q1", "q2", "q3"], "en": ["q3", "q1", "q2"], "zh": ["q1", "q9", "q2"]}
    found, queries, passages = searched(seed, requested, depth=12)
    scores_at = dense_scores_at(queries, passages, Decisions(), compiled=compiled, threads=2)
    got = question_agreement(found, scores_at, depth=6, compiled=compiled)
    want = expected(found, queries, passages, 6)
    for language, questions in requested.items():
        for value, question in zip(got[language], questions, strict=True):
            if (language, question) in want:
                assert value == pytest.approx(want[language, question], abs=1e-9)
            else:
                assert np.isnan(value)
    assert np.isnan(got["zh"][1])


def test_compiled_loops_give_the_same_bits() -> None:
    """Of scores with ties, queries that are missing, and places that no passage has."""
    rng = np.random.default_rng(4)
    top_k = np.argsort(rng.random((40, 5, 30)), axis=2)[:, :, :7]
    top_k[rng.random(top_k.shape) < 0.1] = -1
    has_query = rng.random((40, 5)) < 0.8
    scores = rng.integers(0, 9, (40, 5, 30)).astype(np.float32)
    scores[:4] = 1
    plain = rank_correlations(
        top_k, has_query, lambda i, places: np.take_along_axis(scores[:, i], places, axis=1)
    )
    assert np.isfinite(plain).any()
    for threads in (1, 3):
        fast = consistency_loops.rank_correlations(top_k, has_query, scores, threads)
        np.testing.assert_array_equal(fast, plain)


def test_a_system_that_ignores_language_agrees_perfectly() -> None:
    """The same vector in every language: correlation 1 for every question."""
    found, queries, passages = searched(0, {"de": ["q0", "q1"], "en": ["q0", "q1"]}, depth=10)
    queries["en"] = queries["de"]
    scores = DenseScores(passages).of(queries["en"])
    found["en"] = rank(
        scores, "en", found["de"].relevant, make_pool({"de": 20, "en": 25, "zh": 15})
    )
    got = question_agreement(found, dense_scores_at(queries, passages.__getitem__, Decisions()))
    assert got["de"] == pytest.approx([1, 1])


def test_scores_from_an_index_are_taken_at_the_same_places() -> None:
    """What an index gives for a whole pool, cut to the columns that are requested."""

    class Index:
        """Scores known in advance: the length of the text times the column."""

        def score(self, queries: list[str], *, language: str) -> np.ndarray:
            factor = 10 if language == "en" else 1
            return np.outer([len(q) * factor for q in queries], np.arange(5)).astype(np.float32)

    rows = {"en": np.array([1, 0]), "de": np.array([0, 0])}
    texts = {"en": ("en", ["a", "bb"]), "de": ("de", ["ccc"])}
    scores_at = lexical_scores_at(Index(), texts, 5)
    got = scores_at(rows, np.array([[4, 0], [1, 3]]), np.ones((2, 2), bool))
    assert got.tolist() == [[[80, 0], [12, 0]], [[10, 30], [3, 9]]]
