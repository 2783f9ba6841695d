"""Compressed scores and rescoring as sentence-transformers' own search gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import harness
from harness.data.task import find_task
from harness.data.trec import read_run
from harness.evaluation.layout import prepare
from harness.evaluation.options import RunOptions
from harness.models import load

LANGUAGES = ("en", "zh")
CHOSEN: dict[str, Any] = {"languages": LANGUAGES, "settings": ("multi",), "limit": 12}


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


@pytest.fixture(scope="module")
def vectors() -> tuple[Any, NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    """The laid out demo task, its passages in the pool's order, and queries by language."""
    prepared = prepare(find_task("demo"), RunOptions(**CHOSEN))
    model: Any = load("use-m3")
    sides = [
        model.encode(t.texts, role="passage", language=x) for x, t in prepared.data.passages.items()
    ]
    queries = {
        x: unit(model.encode(prepared.data.queries[x].texts, role="query", language=x))
        for x in LANGUAGES
    }
    return prepared, unit(np.concatenate(sides)[prepared.pool.rows]), queries


def rankings(folder: Path, **options: Any) -> dict[str, dict[str, float]]:
    """Query -> passage -> score of whole rankings, as a run exports them."""
    harness.evaluate(
        "use-m3", ["demo"], resamples=0, trec=folder, trec_depth=0, **CHOSEN, **options
    )
    found: dict[str, dict[str, float]] = {}
    for x in LANGUAGES:
        found |= read_run(folder / "demo" / f"multi.{x}.run")
    return found


def order(scores: dict[str, float]) -> list[str]:
    return sorted(sorted(scores, reverse=True), key=lambda x: -scores[x])


def theirs(found: Any, prepared: Any, language: str) -> dict[str, dict[str, float]]:
    """What ``semantic_search_faiss`` returns, in the same form."""
    questions = prepared.relevant[language].questions
    return {
        f"{language}:{q}": {prepared.pool.ids[x["corpus_id"]]: x["score"] for x in hits}
        for q, hits in zip(questions, found, strict=True)
    }


def binary_by_faiss(vectors: Any, language: str, *, rescore: bool) -> dict[str, dict[str, float]]:
    """Query -> passage -> their number: Hamming distances, or rescored with the float queries."""
    from sentence_transformers.util.quantization import quantize_embeddings, semantic_search_faiss

    prepared, passages, queries = vectors
    asking = queries[language]
    found = semantic_search_faiss(
        asking if rescore else quantize_embeddings(asking, "ubinary"),
        corpus_embeddings=quantize_embeddings(passages, "ubinary"),
        corpus_precision="ubinary",
        top_k=len(passages),
        rescore=rescore,
        rescore_multiplier=1,
    )[0]
    return theirs(found, prepared, language)


def test_binary_is_their_hamming_distance(vectors: Any, tmp_path: Path) -> None:
    passages = vectors[1]
    found = {x: binary_by_faiss(vectors, x, rescore=False) for x in LANGUAGES}
    ours = rankings(tmp_path, bits="binary")
    for x in LANGUAGES:
        for query, distances in found[x].items():
            assert len(distances) == len(passages)
            expected = {p: passages.shape[1] - 2 * y for p, y in distances.items()}
            assert order(ours[query]) == order(expected)


def test_asymmetric_binary_is_their_rescoring(vectors: Any, tmp_path: Path) -> None:
    prepared, _, queries = vectors
    found = {x: binary_by_faiss(vectors, x, rescore=True) for x in LANGUAGES}
    ours = rankings(tmp_path, bits="binary-asymmetric")
    for x in LANGUAGES:
        for query, scores in found[x].items():
            # Their products are float32 sums; equal texts differ in the last bits.
            rounded = {p: round(y, 4) for p, y in scores.items()}
            mine = {p: round((y + float(sum_of(queries, prepared, query))) / 2, 4)
                    for p, y in ours[query].items()}  # fmt: skip
            assert mine == pytest.approx(rounded, abs=2e-4)
            assert order(mine)[:3] == order(rounded)[:3]


def sum_of(queries: Any, prepared: Any, query: str) -> float:
    """Q (2 b - 1) = 2 q b - sum of q: their bits are 0 and 1, ours -1 and 1."""
    language, _, question = query.partition(":")
    at = prepared.relevant[language].questions.index(question)
    return float(queries[language][at].sum(dtype=float))


def test_asymmetric_int8_is_their_rescoring(vectors: Any, tmp_path: Path) -> None:
    """By their formulas: codes back to numbers, multiplied with the float query."""
    from sentence_transformers.util import quantization

    prepared, passages, queries = vectors
    ours = rankings(tmp_path, bits="int8-asymmetric")
    ranges = np.stack([passages.min(0), passages.max(0)])
    codes = quantization.quantize_embeddings(passages, "int8", ranges=ranges)
    back = quantization._dequantize_embeddings(codes.astype(int), "int8", ranges)
    for x in LANGUAGES:
        scores = queries[x].astype(float) @ back.T
        for i, question in enumerate(prepared.relevant[x].questions):
            ids = prepared.pool.ids
            expected = dict(zip(ids, scores[i].round(9).tolist(), strict=True))
            assert order(ours[f"{x}:{question}"]) == order(expected)
