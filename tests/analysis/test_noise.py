"""Noise: an encoder that depends on its batches is found out, an exact one is not accused."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from click.testing import CliRunner

import harness
from harness.analysis import noise
from harness.analysis.noise import Noise, Outcome, largest_distance, measure_noise, tolerance
from harness.cli import main
from harness.errors import UsageError
from harness.evaluation.options import RunOptions
from harness.metrics import BIAS_SUITE
from harness.models import load
from harness.models.base import ModelOptions

FLOAT32 = (
    "run again",
    "batch size 1",
    "batch size 8",
    "batch size 32",
    "batch size 128",
    "blocks of 16 queries",
)


class Blurred:
    """Gives every German text the same vector where it sees fewer than five texts at once."""

    name = "blurred"

    def __init__(self, least: int = 5) -> None:
        self.least = least
        self.requested: list[int] = []

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
        self.requested.append(len(texts))
        vectors = tiny.WordBag().encode(texts, role=role, language=language)
        return np.ones_like(vectors) if language == "de" and len(texts) < self.least else vectors


class Rounded:
    """Takes a dtype: rounds its vectors to float16, and knows no bfloat16."""

    def encode(
        self, texts: Sequence[str], *, role: str, language: str, dtype: str = "float32"
    ) -> np.ndarray:
        if dtype == "bfloat16":
            raise RuntimeError('"layer" not implemented for BFloat16\nC++ stack')
        vectors = tiny.WordBag().encode(texts, role=role, language=language)
        return vectors.astype(dtype).astype(np.float32)


def exact() -> tiny.WordBag:
    """For ``--model python:test_noise:exact``."""
    return tiny.WordBag()


@pytest.fixture
def task(tmp_path: Path) -> str:
    """Twenty questions in three languages: more than a block of the search variant."""
    return str(tiny.write_task(tmp_path / "own", questions=20))


def outcome(found: Noise, name: str) -> Outcome:
    return next(x for x in found.outcomes if x.variant.name == name)


def test_an_exact_encoder_moves_nowhere(task: str) -> None:
    model = tiny.WordBag()
    found = measure_noise(model, task)
    for name in FLOAT32:
        ran = outcome(found, name)
        assert ran.skipped is None
        assert ran.cosine_distance == 0
        assert ran.changed == {"mono": 0, "cross": 0, "multi": 0}
        assert {(x.mean, x.language_mean, x.query) for x in ran.moved} == {(0.0, 0.0, 0.0)}
    tolerances = found.tolerances(half=False)
    assert set(BIAS_SUITE) | {"map", "recall@10"} <= set(tolerances)
    assert all(x == {"mean": 1e-6, "language": 1e-6} for x in tolerances.values())


def test_nothing_comes_from_the_store(task: str) -> None:
    """Neither in the reference nor in the variants, though the encoder offers a fingerprint."""
    model = tiny.WordBag()
    harness.evaluate(model, tasks=[task])
    distinct = len(model.requested)
    found = measure_noise(model, task)
    encoded = [x for x in found.outcomes if x.skipped is None and x.variant.rows is None]
    assert len(model.requested) == distinct * (2 + len(encoded))


def test_dtypes_that_an_encoder_does_not_take_are_skipped_with_the_reason(task: str) -> None:
    found = measure_noise(tiny.WordBag(), task)
    for dtype in ("bfloat16", "float16"):
        assert "encode of word-bag takes no 'dtype'" in (outcome(found, dtype).skipped or "")
    assert found.tolerances(half=True) == {}
    assert "[tolerances.half]" not in found.toml()


def test_a_model_that_takes_no_options_is_not_reported_as_half_precision(task: str) -> None:
    """One that is in the harness's form already would run in float32 whatever is asked of it."""
    from harness.models import load

    found = measure_noise(load(tiny.WordBag(), ModelOptions()), task)
    assert outcome(found, "float16").skipped == "word-bag has no choice of number formats"
    assert outcome(found, "batch size 8").skipped is None


def test_an_encoder_that_depends_on_its_batches_is_found_out(task: str) -> None:
    """What moved is the difference between two runs: never blurred, and always."""
    model = Blurred()
    found = measure_noise(model, task)
    sharp, blurred = (
        harness.evaluate(Blurred(least), tasks=[task], resamples=0).task("tiny")
        for least in (0, 10**6)
    )
    moved = {(x.kind, x.measure): x for x in outcome(found, "batch size 1").moved}
    for kind in ("mono", "cross", "multi"):
        one, other = (x.means[kind].macro for x in (sharp, blurred))
        assert found.reference[kind]["map"] == pytest.approx(one["map"])
        for measure in ("map", "ndcg@10"):
            assert abs(one[measure] - other[measure]) > 0.01
            assert moved[kind, measure].mean == pytest.approx(other[measure] - one[measure])
    mono = moved["mono", "map"]
    german = [next(s for s in x.settings if s.setting == "mono/de") for x in (sharp, blurred)]
    assert mono.language == "de"
    assert mono.language_mean == pytest.approx(
        abs(german[0].scores["map"] - german[1].scores["map"])
    )
    assert mono.mean == pytest.approx(-mono.language_mean / 3)  # the other two stand still
    assert mono.setting == "mono/de" and mono.query >= mono.language_mean
    assert 0 < outcome(found, "batch size 1").changed["mono"] <= 1 / 3
    assert outcome(found, "batch size 1").cosine_distance > 0.1
    # The last batch of 8 of 20 questions holds four; those of 32 and the same again hold all.
    assert any(x.query for x in outcome(found, "batch size 8").moved)
    for name in ("run again", "batch size 32", "batch size 128", "blocks of 16 queries"):
        assert not any(x.query for x in outcome(found, name).moved), name
    proposed = found.tolerances(half=False)["map"]
    assert proposed["language"] >= 3 * mono.language_mean
    assert proposed["mean"] >= 3 * abs(mono.mean)


def test_a_batch_is_as_large_as_its_variant_says(task: str) -> None:
    """Also for an encoder that takes no batch size: it is handed that many texts at a time."""
    model = Blurred(0)
    measure_noise(model, task)
    sizes = model.requested
    # The reference and the run after it hand over all texts of a role and language at once.
    whole = sizes[:6]
    assert sizes[6:12] == whole and min(whole) >= 20
    ones = sizes[12 : 12 + sum(whole)]
    assert set(ones) == {1}
    eights = sizes[12 + sum(whole) :][: -(-whole[0] // 8)]
    assert eights == [8, 8, whole[0] - 16]


def test_half_precision_has_tolerances_of_its_own(task: str) -> None:
    found = measure_noise(Rounded(), task)
    refused = outcome(found, "bfloat16").skipped
    assert refused is not None
    assert refused.endswith('encode failed: RuntimeError: "layer" not implemented for BFloat16')
    half = outcome(found, "float16")
    # Rounding to 11 bits: a relative error of at most 2 ** -11 in each number.
    assert 0 < half.cosine_distance < 2.0**-22
    assert not any(x.query for x in outcome(found, "batch size 1").moved)
    values = tomllib.loads(found.toml())["tolerances"]
    assert set(values) == {"float32", "half"}
    # Tells of rank correlations, which any change of a score moves.
    assert values["half"]["mean_rank_correlation"]["mean"] >= 1e-6
    for measure, of_half in values["half"].items():
        for what, number in of_half.items():
            assert number >= values["float32"][measure][what]


@pytest.mark.parametrize(
    ("movement", "proposed"),
    [
        (0.0, 1e-6),
        (1e-7, 1e-6),
        (4e-7, 2e-6),  # 1.2e-6, up
        (1.2e-4, 4e-4),  # 3.6e-4, up
        (0.1, 0.3),  # 3 * 0.1 is no more than 0.3
        (0.033, 0.1),  # 0.099, up over the digit
        (3.4, 20.0),  # rank distances: 10.2, up
    ],
)
def test_tolerances_are_three_times_the_drift_rounded_up(movement: float, proposed: float) -> None:
    assert tolerance(movement) == proposed


def test_the_toml_can_be_read_back(task: str) -> None:
    found = measure_noise(Blurred(), task)
    values = tomllib.loads(found.toml())["tolerances"]["float32"]
    assert values == found.tolerances(half=False)
    assert all(isinstance(x, float) for row in values.values() for x in row.values())


def test_thread_counts_are_tried_and_put_back(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class Watching(tiny.WordBag):
        def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
            seen.append(torch.get_num_threads())
            return super().encode(texts, role=role, language=language)

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        found = measure_noise(Watching(), task)
        assert torch.get_num_threads() == 2
        assert found.threads == 2 and outcome(found, "1 thread").skipped is None
        assert set(seen) == {1, 2}
        # Where one is all there is, there is nothing to vary.
        torch.set_num_threads(1)
        monkeypatch.setattr("os.cpu_count", lambda: 1)
        alone = measure_noise(tiny.WordBag(), task)
        assert outcome(alone, "1 thread").skipped == "there is one processor"
    finally:
        torch.set_num_threads(before)


def test_few_questions_are_one_block_either_way(task: str) -> None:
    found = measure_noise(tiny.WordBag(), task, options=RunOptions(limit=16))
    assert "one block" in (outcome(found, "blocks of 16 queries").skipped or "")
    assert found.partial["limit"] == 16


def test_a_model_with_prompts_by_task_has_those_of_the_task(
    task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As mteb's models have; a run has them too."""

    class Bound(tiny.WordBag):
        def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
            seen.append(True)
            return super().encode(texts, role=role, language=language)

    class Unbound(tiny.WordBag):
        def for_task(self, spec: Any) -> Any:
            return load(Bound())

        def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
            seen.append(False)
            return super().encode(texts, role=role, language=language)

    def unbound(model: object, options: ModelOptions) -> Any:
        loaded = load(model, options)
        loaded.for_task = Unbound().for_task  # type: ignore[union-attr]
        return loaded

    seen: list[bool] = []
    monkeypatch.setattr(noise, "load_model", unbound)
    measure_noise(Unbound(), task, options=RunOptions(limit=2))
    assert seen and all(seen)


def test_a_lexical_model_has_nothing_to_vary(task: str) -> None:
    found = measure_noise("bm25", task)
    assert found.outcomes == () and found.toml() == ""
    assert "nothing to vary" in (found.nothing or "")


def test_the_reference_is_in_float32(task: str) -> None:
    with pytest.raises(UsageError, match="reference run is in float32"):
        measure_noise(tiny.WordBag(), task, options=RunOptions(model=ModelOptions(dtype="float16")))


def test_distance_of_vectors_by_hand() -> None:
    """Orthogonal 1, opposite 2; lengths do not count; the least step of float32 is seen."""
    one = {("query", "en"): np.array([[1, 0], [2, 0]], np.float32)}

    def distance(*rows: Any) -> float:
        return largest_distance(one, {("query", "en"): np.array(rows, np.float32)})

    assert distance((3, 0), (1, 0)) == 0
    assert distance((1, 0), (0, 5)) == pytest.approx(1)
    assert distance((-1, 0), (0, 5)) == pytest.approx(2)
    # An angle of 1e-7 has a cosine of 1 - 5e-15.
    assert distance((1, 1e-7), (1, 0)) == pytest.approx(5e-15, rel=1e-3)


def command(task: str, *arguments: str, model: str = "python:test_noise:exact") -> Any:
    return CliRunner().invoke(main, ["noise", "--model", model, "--task", task, *arguments])


def test_the_command_prints_what_moved_and_the_tolerances(task: str) -> None:
    result = command(task)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "word-bag on tiny: how far scores drift by themselves"
    assert "float16 skipped: --dtype float16: encode of word-bag takes no 'dtype'" in result.stdout
    assert any(x.startswith("No drift: run again; batch size 1; ") for x in lines)
    printed = result.stdout[result.stdout.index("[tolerances.float32]") :]
    assert tomllib.loads(printed)["tolerances"]["float32"]["ndcg@10"]["mean"] == 1e-6
    quiet = command(task, "-q")
    assert quiet.stdout == printed


def test_the_command_shows_the_worst_language(task: str) -> None:
    result = command(task, model="python:test_noise:Blurred")
    lines = result.stdout.splitlines()
    at = lines.index("mono: drift from the reference")
    worst = next(x for x in lines[at:] if x.startswith("  worst language"))
    assert worst.rstrip().endswith(" de")


def test_the_command_as_json_and_for_lexical_models(task: str) -> None:
    document = json.loads(command(task, "--json").stdout)
    assert document["tolerances"]["float32"]["map"] == {"mean": 1e-6, "language": 1e-6}
    assert {x["variant"]["name"] for x in document["outcomes"]} >= set(FLOAT32)
    lexical = command(task, model="bm25")
    assert lexical.exit_code == 0
    assert "nothing to vary" in lexical.stdout
    assert command(task, "-q", model="bm25").stdout == ""


def test_the_command_refuses_in_one_sentence(task: str) -> None:
    result = command(task, model="use-m4")
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith("Error: unknown model 'use-m4'")


@pytest.mark.slow
def test_a_real_encoder_stands_still_in_float32_and_moves_in_half_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On part of the demo task, with one thread: 20 questions in one language."""
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = measure_noise("use-m3", options=RunOptions(limit=20, languages=("de",)))
    finally:
        torch.set_num_threads(before)
    ran = {x.variant.name: x for x in found.outcomes}
    assert ran["run again"].cosine_distance == 0
    for name in FLOAT32:
        assert ran[name].cosine_distance < 1e-10
    for dtype in ("bfloat16", "float16"):
        assert ran[dtype].skipped is None
        assert ran[dtype].cosine_distance > 1e-8
