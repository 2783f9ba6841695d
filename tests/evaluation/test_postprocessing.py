"""Treatments of vectors and rankings: what they change, and what they must leave alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import tiny_miracl
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import harness
from harness.cli import main
from harness.data.pool import Pool, RelevantPassages
from harness.data.task import find_task
from harness.data.trec import read_qrels, read_run
from harness.errors import DataError, UsageError
from harness.evaluation.layout import prepare
from harness.evaluation.options import RunOptions
from harness.evaluation.postprocessing.apply import move_vectors, moves_of
from harness.evaluation.postprocessing.move import Move
from harness.evaluation.postprocessing.offset import Offset
from harness.evaluation.postprocessing.specs import parse_postprocessor
from harness.evaluation.postprocessing.step import Fit
from harness.evaluation.record import Record
from harness.evaluation.sweep import sweep
from harness.search.balanced import balanced, rounds_for
from harness.search.in_memory import DenseScores
from harness.search.tiles import rank


def places(row: list[float], starts: list[int]) -> list[int]:
    """Place of each passage of one query, from 0, by its rank; the top k says the same."""
    languages = tuple(f"l{i}" for i in range(len(starts) - 1))
    ids = np.array([str(i) for i in range(len(row))], object)
    pool = Pool(ids, languages, np.array(starts, np.int64), np.arange(len(row)))
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


def moved(step: Any, vectors: Any, encode: Any, *, cosine: bool) -> Any:
    """``vectors`` after one step."""
    return move_vectors(vectors, moves_of([step], list(vectors), Fit(encode, cosine)))


def test_offsets_bring_the_languages_means_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    shift = {"en": rng.normal(size=8), "de": rng.normal(size=8)}

    def encode(role: str, language: str, texts: object) -> np.ndarray:
        # Parallel texts are equal but for their language's shift.
        meaning = np.random.default_rng(5).normal(size=(len(texts), 8))
        return (meaning + shift[language]).astype(np.float32)

    offset = parse_postprocessor(f"offset:{parallel(tmp_path / 'p.jsonl')}", ("en", "de"))
    assert isinstance(offset, Offset) and set(offset.texts.sides) == {"en", "de"}
    texts = ["a"] * 40
    before = {(r, x): encode(r, x, texts) for r in ("query", "passage") for x in shift}
    after = moved(offset, before, encode, cosine=False)
    for role in ("query", "passage"):
        np.testing.assert_allclose(after[role, "en"], after[role, "de"], atol=1e-5)
        # The middle of the languages stays where it was.
        middle = [sum(v[role, x].mean(0) for x in shift) / 2 for v in (before, after)]
        np.testing.assert_allclose(*middle, atol=1e-5)
    scaled = moved(offset, before, encode, cosine=True)
    np.testing.assert_allclose(np.linalg.norm(scaled["query", "en"], axis=1), 1, atol=1e-6)


def test_a_language_that_the_file_lacks_is_not_moved(tmp_path: Path) -> None:
    offset = parse_postprocessor(f"offset:{parallel(tmp_path / 'p.jsonl')}", ("en", "de", "th"))
    vectors = {("query", x): np.ones((2, 3), np.float32) for x in ("en", "de", "th")}
    after = moved(
        offset,
        vectors,
        lambda r, x, t: np.full((len(t), 3), len(x + t[0]), np.float32),
        cosine=False,
    )
    assert np.array_equal(after["query", "th"], vectors["query", "th"])


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("balance", "did you mean 'balanced'"),
        ("offset", "write balanced or offset:FILE"),
        ("x", "not known"),
    ],
)
def test_an_unknown_postprocessing_is_refused(spec: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_postprocessor(spec, ("en", "de"))


@pytest.mark.parametrize(
    ("rows", "change", "said"),
    [
        (99, {}, "has 99 parallel texts; 100 or more are needed"),
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
        ("python:tiny:factory", ("balanced", "balanced"), "has the same value twice"),
    ],
)
def test_what_cannot_be_treated_is_refused(
    task: str, model: str, treatments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        run(task, *treatments, model=model)


def unit(rows: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


LANGUAGES = ("en", "de", "zh")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parallel texts of the task's words."""
    rows = [{x: f"{x} {a} then {b}" for x in LANGUAGES} for a in tiny.WORDS for b in tiny.WORDS]
    path = tmp_path_factory.mktemp("parallel") / "texts@home.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def by_hand(kind: str, role: str, x: str, z: np.ndarray, sides: dict[str, np.ndarray]) -> object:
    """Each procedure from its definition, in float64; ``sides`` are unit vectors of the texts."""
    if kind == "center":
        return unit(z - sides[x].mean(0))
    if kind == "lir":
        c = np.linalg.svd(sides[x], full_matrices=False)[2][:2].T
        return unit(z - z @ c @ c.T)
    moved = role == "passage" or kind == "shift-both"
    return z - 0.75 * (sides[x] - sides["en"]).mean(0) * moved


@pytest.mark.parametrize("kind", ["shift", "shift-both", "center", "lir"])
def test_ranks_are_those_of_a_few_lines_of_numpy(kind: str, task: str, fitted: Path) -> None:
    """Rank of every relevant passage in the pool of all languages, from the definitions."""
    model = tiny.WordBag(bias=1.5)
    number = {"center": "", "lir": "@2"}.get(kind, "@0.75")
    record = run(task, f"{kind}:{fitted}{number}", model=model, measures=("mrr@100",))
    table = record.per_query("tiny").set_index(["setting", "question"])["mrr@100"]
    assert record.model.startswith(f"word-bag + {kind}")
    texts = [json.loads(line) for line in fitted.read_text().splitlines()]
    data = prepare(find_task(task), RunOptions()).data
    vectors = {}
    for x in LANGUAGES:
        for role, side in (("query", data.queries[x]), ("passage", data.passages[x])):
            sides = {
                y: unit(model.encode([t[y] for t in texts], role=role, language=y).astype(float))
                for y in LANGUAGES
            }
            z = unit(model.encode(side.texts, role=role, language=x).astype(float))
            vectors[role, x] = by_hand(kind, role, x, z, sides)
    pool = np.concatenate([vectors["passage", x] for x in LANGUAGES])
    ids = [f"{x}:{i}" for x in LANGUAGES for i in data.passages[x].ids]
    checked = 0
    for x in LANGUAGES:
        for question, scores_ in zip(
            data.queries[x].ids, vectors["query", x] @ pool.T, strict=True
        ):
            relevant = [ids.index(p) for p, grade in data.qrels[question].items() if grade]
            others = np.delete(scores_, relevant)
            best = max(scores_[relevant])
            if np.abs(others - best).min() > 1e-6:  # ties are tested elsewhere
                rank = 1 + int((others > best).sum())
                assert table[f"multi/{x}", question] == pytest.approx(1 / rank), (x, question)
                checked += 1
    assert checked > 5


@pytest.mark.parametrize(
    "specs",
    [("balanced",), ("offset",), ("shift@0.5", "balanced"), ("center", "lir@1")],
    ids=" ".join,
)
def test_streamed_search_gives_the_same_ranks(
    specs: tuple[str, ...], task: str, fitted: Path
) -> None:
    named = [
        f"{kind}:{fitted}{at}{number}" if kind != "balanced" else kind
        for kind, at, number in (x.partition("@") for x in specs)
    ]
    one, two = (run(task, *named, model=tiny.WordBag(bias=1.5), streamed=x) for x in (False, True))
    assert scores(one) == scores(two)
    assert one.document["model"] == two.document["model"]
    plain = run(task, model=tiny.WordBag(bias=1.5))
    assert scores(plain) != scores(one)


def test_corpora_in_shards_are_post_processed(tmp_path: Path) -> None:
    """Whatever the shards; and none of what is in the store is changed by it."""
    task = tiny_miracl.write_miracl(tmp_path, languages=("sw", "yo"))
    path = tmp_path / "parallel.jsonl"
    words = [f"{a} {b}" for a in tiny.WORDS for b in tiny.WORDS]
    path.write_text("\n".join(json.dumps({x: f"{x} {w}" for x in ("sw", "yo")}) for w in words))
    both: dict[str, Any] = {"settings": ("mono", "multi"), "resamples": 0, "tasks": [str(task)]}
    specs = (f"center:{path}", "balanced")

    def found(*specs: str, size: int = 16) -> list[dict[str, Any]]:
        model = tiny.WordBag(bias=3)
        record = harness.evaluate(model, treatments=specs, shard_size=size, **both)
        settings: list[dict[str, Any]] = record.document["tasks"][0]["settings"]
        return settings

    plain = found()
    first = found(*specs)
    assert first == found(*specs, size=7)
    assert first != plain == found()
    # Only relevant passages of the query's language: in the pool others are in the way.
    gained = [
        b["scores"]["ndcg@10"] - a["scores"]["ndcg@10"]
        for a, b in zip(plain, found(specs[0]), strict=True)
        if a["kind"] == "multi"
    ]
    assert any(gained)


def test_a_move_of_a_vector_does_not_depend_on_those_around_it() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 33)).astype(np.float32)
    directions = np.linalg.qr(rng.normal(size=(33, 3)))[0].T
    move = Move(offset=rng.normal(size=33), directions=directions, unit=True)
    whole = move(vectors)
    assert np.array_equal(whole[1700:1701], move(vectors[1700:1701]))
    assert np.array_equal(whole[::7], move(vectors[::7]))
    assert np.abs(np.linalg.norm(whole, axis=1) - 1).max() < 1e-6


def test_what_a_step_is_fitted_on_is_what_the_steps_before_leave(task: str, fitted: Path) -> None:
    """A second centring has nothing left to subtract: the mean of unit vectors has moved on."""
    texts = parse_postprocessor(f"center:{fitted}", LANGUAGES)
    model = tiny.WordBag(bias=2)

    def encode(role: str, language: str, texts: Any) -> Any:
        return model.encode(texts, role=role, language=language)

    place = ("query", "de")
    moves = moves_of([texts, texts], [place], Fit(encode, cosine=False))[place]  # type: ignore[list-item, arg-type]
    first, second = moves
    assert np.abs(first.offset).max() > 0.1 and np.abs(second.offset).max() < 1e-6  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("shift:{}@-1", "must be 0 or more"),
        ("lir:{}@1.5", "must be a whole number of directions"),
        ("lir", "write balanced or"),
        ("centre:{}", "did you mean 'center'"),
    ],
)
def test_a_number_out_of_range_is_refused(spec: str, said: str, fitted: Path) -> None:
    with pytest.raises(UsageError, match=said):
        parse_postprocessor(spec.format(fitted), LANGUAGES)


class OneDirection(tiny.WordBag):
    """All texts of a language have one vector, whose first half is 0."""

    name = fingerprint = "one-direction"
    similarity = "cosine"

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
        one = np.zeros((len(texts), 8), np.float32)
        one[:, 4 + LANGUAGES.index(language)] = 1
        return one


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dimensions": 4}, "--dimensions 4: a vector has the length 0"),
        ({"treatments": "center:{}"}, "--treatment: after it a vector has the length 0"),
        ({"treatments": "lir:{}@1"}, "--treatment: after it a vector has the length 0"),
    ],
)
def test_what_is_left_without_length_has_no_cosine(
    task: str, fitted: Path, options: dict[str, Any], said: str, *, streamed: bool
) -> None:
    """It was NaN, no passage ranked above it, and mAP was 1."""
    given = {k: v.format(fitted) if isinstance(v, str) else v for k, v in options.items()}
    with pytest.raises(UsageError, match=said):
        harness.evaluate(OneDirection(), task, resamples=0, streamed=streamed, **given)


def test_more_directions_than_dimensions_are_refused(task: str, fitted: Path) -> None:
    with pytest.raises(UsageError, match="24 directions of 100 texts' vectors with 24 dimensions"):
        run(task, f"lir:{fitted}@24")


def test_the_source_language_has_to_be_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text("\n".join(json.dumps({"de": f"a {i}", "zh": f"b {i}"}) for i in range(100)))
    with pytest.raises(UsageError, match="has no texts in 'en'"):
        parse_postprocessor(f"shift:{path}", LANGUAGES)


def test_nothing_is_fitted_on_the_tasks_own_questions(task: str, tmp_path: Path) -> None:
    asked = prepare(find_task(task), RunOptions()).data.queries["de"].texts[2]
    rows = [{"en": f"a {i}", "de": asked if i == 70 else f"b {i}"} for i in range(100)]
    path = tmp_path / "p.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(UsageError, match="line 71: the text in 'de' is a question of task tiny"):
        run(task, f"center:{path}")


class TestSweep:
    def test_each_value_has_the_record_that_a_run_with_it_has(
        self, task: str, fitted: Path, tmp_path: Path
    ) -> None:
        model = tiny.WordBag(bias=1.5)
        options = RunOptions(treatments=(f"shift:{fitted}",), resamples=50)
        found = sweep(model, [task], options, (0.0, 0.5, 1.0), tmp_path)
        texts = len(set(model.requested))
        assert len(model.requested) == texts, "each text is encoded once"
        for value, record in zip(found.values, found.records, strict=True):
            spec = f"shift:{fitted}@{value:g}"
            alone = harness.evaluate(model, tasks=[task], treatments=spec, resamples=50)
            assert scores(record) == scores(alone)
            assert record.document["model"] == alone.document["model"]
            assert record.document["run"] == alone.document["run"]
            assert record.folder is not None and (record.folder / "record.json").is_file()
        assert len({x.folder for x in found.records}) == 3
        assert [scores(found.records[0])] == [scores(run(task, model=model))]

    def test_the_command_prints_one_table(self, task: str, fitted: Path, tmp_path: Path) -> None:
        words = ["run", "--model", "python:tiny:factory", "--task", task, "--no-store"]
        words += ["--resamples", "40", "--output", str(tmp_path)]
        words += ["--treatment", f"lir:{fitted}@3", "--sweep", "0,2"]
        result = CliRunner().invoke(main, words, env={"COLUMNS": "160"})
        assert result.exit_code == 0, result.output
        lines = result.output.splitlines()
        assert lines[0] == "Tiny" and any(x.split()[:1] == ["lir"] for x in lines)
        rows = [line.split()[0] for line in lines if line.strip()[:1] in ("0", "2")]
        assert rows == ["0", "2"] and "[" in result.output
        assert len(list(tmp_path.glob("*/record.json"))) == 2
        record = json.loads(next(tmp_path.glob("*lir-2*/record.json")).read_text())
        assert f"lir:{fitted}@2" in record["command"] and "--sweep" not in record["command"]

    @pytest.mark.parametrize(
        ("treatments", "values", "said"),
        [
            (("balanced",), (0.0,), "goes through the number of one --treatment of"),
            ((), (0.0,), "goes through the number of one"),
            (("shift:x",), (1.0, 1.0), "each once"),
            (("shift:x",), (1.0, float("nan")), "needs numbers"),
            (("shift:x",), (float("inf"),), "needs numbers"),
        ],
    )
    def test_what_cannot_be_swept_is_refused(
        self, treatments: tuple[str, ...], values: tuple[float, ...], said: str, task: str
    ) -> None:
        with pytest.raises(UsageError, match=said):
            sweep(tiny.WordBag(), [task], RunOptions(treatments=treatments), values)
