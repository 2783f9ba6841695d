"""Fewer dimensions and bits: ranks as a few lines of NumPy give them, codes as others make them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import tiny_miracl
from click.testing import CliRunner
from compared import with_values
from numpy.typing import NDArray

import harness
from harness.analysis.compare import paired_tables
from harness.analysis.losses import language_losses, losses
from harness.cli import main
from harness.data.task import find_task
from harness.errors import UsageError
from harness.evaluation.layout import prepare
from harness.evaluation.options import RunOptions
from harness.evaluation.postprocessing.compress import Codes, Signs
from harness.evaluation.record import Record
from harness.evaluation.variants import compressed, variants_of

LANGUAGES = ("en", "de", "zh")
Matrix = NDArray[Any]


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.write_task(tmp_path_factory.mktemp("task")))


def run(task: str, **options: Any) -> Record:
    given = {"store": False, "resamples": 0} | options
    return harness.evaluate(tiny.WordBag(bias=1.5), tasks=[task], **given)


def scores(record: Record) -> Any:
    return record.document["tasks"][0]["settings"]


def unit(rows: Matrix) -> Matrix:
    scaled: Matrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def test_codes_are_those_of_sentence_transformers() -> None:
    from sentence_transformers.util.quantization import quantize_embeddings

    rng = np.random.default_rng(3)
    passages, queries = (unit(rng.normal(size=(n, 40))) for n in (300, 70))
    passages[:, 7] = 0.25  # a dimension without a range
    ranges = np.stack([passages.min(0), passages.max(0)])
    steps = (ranges[1] - ranges[0]) / np.float32(255)
    codes = Codes(ranges[0], np.where(steps == 0, np.float32(1), steps), 256)
    for vectors in (passages, queries):  # queries have values beyond the passages' range
        assert np.array_equal(codes(vectors), quantize_embeddings(vectors, "int8", ranges=ranges))
        bits = np.unpackbits(quantize_embeddings(vectors, "ubinary"), axis=1)
        assert np.array_equal(Signs()(vectors), 2.0 * bits - 1)


def naive(kind: str, query: Matrix, passages: Matrix) -> Matrix:
    """Scores (Q, N) from the definitions."""
    low, high = passages.min(0), passages.max(0)
    bits, _, asymmetric = kind.partition("-")
    if bits == "binary":
        coded = [np.where(x > 0, 1, -1) for x in (query, passages)]
        if asymmetric:
            return query.astype(np.float64) @ coded[1].T.astype(np.float64)
        return query.shape[1] - 2 * (coded[0][:, None] != coded[1]).sum(-1)
    levels = {"int8": 256, "int4": 16}[bits]
    step = (high - low) / np.float32(levels - 1)
    codes = [
        np.clip(np.floor((x - low) / step), 0, levels - 1).astype(int) - levels // 2
        for x in (query, passages)
    ]
    if asymmetric:
        return query.astype(float) @ (low + step.astype(float) * (codes[1] + levels // 2)).T
    return codes[0] @ codes[1].T


def pool_vectors(task: str) -> tuple[Any, dict[str, Matrix], Matrix]:
    """The laid out task, query vectors by language, passage vectors by column of the pool."""
    prepared = prepare(find_task(task), RunOptions())
    model, data = tiny.WordBag(bias=1.5), prepared.data
    queries = {
        x: unit(model.encode(data.queries[x].texts, role="query", language=x)) for x in LANGUAGES
    }
    sides = [
        unit(model.encode(t.texts, role="passage", language=x)) for x, t in data.passages.items()
    ]
    return prepared, queries, np.concatenate(sides)[prepared.pool.rows]


def first_relevant(order: Matrix, relevant: Any, query: int) -> int:
    """Rank of a query's best relevant passage; ``order`` has columns, best first."""
    columns = relevant.columns[relevant.indptr[query] : relevant.indptr[query + 1]]
    return 1 + int(np.flatnonzero(np.isin(order[query], columns))[0])


@pytest.mark.parametrize("rescore", [None, 5])
@pytest.mark.parametrize(
    "kind",
    ["int8", "int4", "binary", *(f"{x}-asymmetric" for x in ("int8", "int4", "binary")), "cut"],
)
def test_ranks_are_those_of_a_few_lines_of_numpy(kind: str, rescore: int | None, task: str) -> None:
    """Of the best relevant passage in the pool of all languages; equal scores go by column."""
    chosen: dict[str, Any] = {"dimensions": 9} if kind == "cut" else {"bits": kind}
    chosen |= {"measures": ("mrr@100",), "rescore": rescore}
    record = run(task, **chosen)
    streamed = run(task, streamed=True, **chosen)
    assert scores(record) == scores(streamed)
    assert record.document["model"] == streamed.document["model"]
    table = record.per_query("tiny").set_index(["setting", "question"])["mrr@100"]
    prepared, queries, passages = pool_vectors(task)
    ranks = []
    for x in LANGUAGES:
        if kind == "cut":
            found = unit(queries[x][:, :9]).astype(float) @ unit(passages[:, :9]).astype(float).T
        else:
            found = naive(kind, queries[x], passages)
        found = found.round(6)  # texts that are equal in other languages
        order = np.argsort(-found, axis=1, kind="stable")
        if rescore:
            full = (queries[x].astype(float) @ passages.T.astype(float)).round(9)
            for row, own in zip(order, full, strict=True):
                head = np.sort(row[:5])
                row[:5] = head[np.argsort(-own[head], kind="stable")]
        for i, question in enumerate(prepared.relevant[x].questions):
            rank = first_relevant(order, prepared.relevant[x], i)
            ranks.append(rank)
            assert table[f"multi/{x}", question] == pytest.approx(1 / rank), (x, question)
    assert len(set(ranks)) > 3


def test_a_record_says_how_and_on_what_it_was_calibrated(task: str) -> None:
    record = run(task, dimensions=8, bits="int4", rescore=7)
    model = record.document["model"]
    assert record.model == "word-bag + 8 dimensions + int4 + rescored 7"
    cut, coded, again = model["facts"]["treatments"]
    assert cut["dimensions"] == 8 == record.document["tasks"][0]["dimensions"]
    assert coded["levels"] == 16 and "all passages" in coded["calibration"]["texts"]
    assert again["top"] == 7


def test_corpora_in_shards_are_calibrated_as_a_whole(tmp_path: Path) -> None:
    path = tiny_miracl.write_miracl(tmp_path, languages=("sw", "yo"))
    chosen: dict[str, Any] = {"settings": ("mono", "multi"), "bits": "int8", "rescore": 3}
    one, two = (run(str(path), shard_size=size, store=True, **chosen) for size in (16, 7))
    assert scores(one) == scores(two)
    assert scores(one) != scores(run(str(path), store=True, settings=("mono", "multi")))


class TestVariants:
    def test_each_has_the_record_that_a_run_of_it_has(self, task: str, tmp_path: Path) -> None:
        options = RunOptions(resamples=0, store=False)
        variants = variants_of([24, 8], ["float32", "binary"], [0, 4], options)
        chosen = [(x.dimensions, x.bits, x.rescore) for x in variants]
        assert (8, "binary", 4) in chosen and len(chosen) == len(set(chosen)) == 8
        model = tiny.WordBag(bias=1.5)
        records = compressed(model, [task], variants[2:4], tmp_path)
        assert len(model.requested) == len(set(model.requested)), "each text is encoded once"
        assert [x.model for x in records] == [
            "word-bag",
            "word-bag + 24 dimensions + binary",
            "word-bag + 24 dimensions + binary + rescored 4",
        ]
        for record, more in zip(records, ({}, {}, {"rescore": 4}), strict=True):
            own = {"dimensions": 24, "bits": "binary"} | more if record is not records[0] else {}
            alone = run(task, **own)
            assert scores(alone) == scores(record)
            assert alone.document["run"] == record.document["run"]

    def test_the_command_prints_what_is_lost(self, task: str, tmp_path: Path) -> None:
        words = ["run", "--model", "python:tiny:factory", "--task", task, "--no-store"]
        words += ["--resamples", "0", "--output", str(tmp_path), "--bits", "int8,binary"]
        result = CliRunner().invoke(main, words, env={"COLUMNS": "200"})
        assert result.exit_code == 0, result.output
        assert "full vectors, then what changes" in result.output
        assert "mAP by query language" in result.output and "kept" in result.output
        assert len(list(tmp_path.glob("*/record.json"))) == 3
        record = json.loads(next(tmp_path.glob("*binary*/record.json")).read_text())
        assert record["command"][-2:] == ["--bits", "binary"]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"rescore": 4}, "is for compressed vectors"),
            ({"dimensions": 0}, "1 or more"),
            ({"bits": "int8", "rescore": -1}, "or more"),
            ({"bits": "int8", "rescore": 4, "settings": ("pairs",)}, "leave one out"),
            ({"dimensions": 25}, "the model's vectors have 24"),
            ({"bits": "int2"}, "not one of"),
            ({"bits": "int8", "rescore": 4, "treatments": "balanced"}, "take one"),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, options: dict[str, Any], said: str, task: str
    ) -> None:
        with pytest.raises(UsageError, match=said):
            run(task, **options)


def test_of_nothing_there_is_no_share(task: str) -> None:
    """Not an infinite one, whose resamples would be warnings."""
    plain = run(task, settings="mono")
    none = with_values(plain, {"mono/en": [0.5] * 10, "mono/de": [0.5] * 10, "mono/zh": [0] * 9})
    (paired,) = paired_tables([none, plain], "tiny", ["map"], whole=True)
    of = {x.language: x for x in language_losses(paired, "map", 1, resamples=50)}
    assert np.isnan([of["zh"].kept, of["zh"].beyond, of["zh"].beyond_low]).all()
    assert of["zh"].difference > 0 and of["zh"].verdict == ""
    assert np.isfinite([of["en"].kept, of["en"].beyond, of["en"].beyond_low]).all()


def test_what_is_lost_is_said_of_a_measure_of_quality(task: str) -> None:
    """Not of the share of judged passages, though it be the first that is shown."""
    record = run(task, settings="mono", measures=["judged@5", "ndcg@10"])
    whole, by_language = losses([record, record], resamples=50)
    assert list(whole.headers) == ["", "nDCG@10"]
    assert by_language.title.endswith("mono: nDCG@10 by query language")


def test_a_language_is_compared_by_the_share_that_it_keeps(task: str) -> None:
    records = [run(task), run(task, bits="binary")]
    for paired in paired_tables(records, "tiny", ["map"], whole=True):
        found = language_losses(paired, "map", 1, resamples=200)
        tables = [x.matrix(["map"])[:, 0] for x in paired.tables]
        settings = paired.rows.setting
        means = np.array(
            [[t[settings == s].mean() for s in range(len(paired.settings))] for t in tables]
        )
        by_language = {
            x: means[:, [s.query_language == x for s in paired.settings]].mean(1)
            for x in paired.languages
        }
        whole = np.mean(list(by_language.values()), axis=0)
        for loss in found:
            plain, other = by_language[loss.language]
            assert loss.plain == pytest.approx(plain)
            assert loss.difference == pytest.approx(other - plain)
            assert loss.low <= loss.difference <= loss.high
            assert loss.kept == pytest.approx(other / plain)
            assert loss.beyond == pytest.approx(other / plain - whole[1] / whole[0])
            assert loss.beyond_low <= loss.beyond <= loss.beyond_high
