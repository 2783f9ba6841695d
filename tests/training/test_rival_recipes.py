"""xlco, lakda and mimo from settings to folders: their batches, their teacher, how they resume."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from tiny_training import pairs, write_base, write_rows

from harness.cli import main
from harness.errors import UsageError
from harness.models import load
from harness.training.batches import HybridBatchSampler, PairDataset
from harness.training.epoch_plan import Plan
from harness.training.pairs import read_examples
from harness.training.settings import Settings, settings_from, sources
from harness.training.strata import rows_of
from harness.training.train import Overlaps, train

TEACHER = "python:tiny:factory"
NONE = Overlaps(tasks=())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "tiny-bert")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "pairs.jsonl", pairs(64))


def recipe(name: str, base: Path, data: Path, **more: Any) -> Settings:
    given = {
        "base": str(base), "data": (str(data),), "batch_size": 8, "steps": 6, "evaluate_every": 2,
        "log_every": 1, "patience": 0, "learning_rate": 1e-3, "cache_batch": 0,
    }  # fmt: skip
    given |= {"teacher": TEACHER} if name == "mimo" else {}
    return settings_from(name, given | more)


class Killed(BaseException):
    """As a signal would end the process: nothing catches it."""


class KillAt:
    """Progress that ends the training after some steps of it."""

    def __init__(self, step: int) -> None:
        self.left, self.training = step, False

    def start(self, stage: str, total: int, unit: str) -> None:
        self.training = stage == "train"

    def advance(self, done: int) -> None:
        self.left -= done if self.training else 0
        if self.training and self.left == 0:
            raise Killed

    def finish(self) -> None:
        """Ignored."""


@pytest.mark.parametrize(("name", "cache"), [("xlco", 0), ("lakda", 0), ("mimo", 3)])
def test_killed_and_resumed_gives_the_weights_of_an_undisturbed_training(
    tmp_path: Path, base: Path, data: Path, name: str, cache: int
) -> None:
    settings = recipe(name, base, data, cache_batch=cache)
    whole = train(settings, tmp_path / "whole", device="cpu", overlaps=NONE)
    with pytest.raises(Killed):
        train(settings, tmp_path / "two", device="cpu", overlaps=NONE, progress=KillAt(5))
    again = train(settings, tmp_path / "two", device="cpu", overlaps=NONE)
    assert again.manifest["outcome"]["resumed_at_step"] == 4
    files = ["model.safetensors"] + ["training.projection.npy"] * (name == "mimo")
    for file in files:
        assert (tmp_path / "two" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert (tmp_path / "two" / files[0]).read_bytes() != (base / files[0]).read_bytes()
    assert whole.manifest["summary"]["recipe"] == name
    if name == "mimo":
        assert np.load(tmp_path / "two" / files[1]).shape == (24, 16)
        facts = whole.manifest["teacher"]
        assert (facts["name"], facts["dimensions"]) == (TEACHER, 24)


def test_a_teacher_that_was_changed_is_another_training(
    tmp_path: Path, base: Path, data: Path
) -> None:
    teacher = tmp_path / "teacher"
    shutil.copytree(base, teacher)
    settings = recipe("mimo", base, data, teacher=str(teacher))
    with pytest.raises(Killed):
        train(settings, tmp_path / "stopped", device="cpu", overlaps=NONE, progress=KillAt(5))
    train(settings, tmp_path / "done", device="cpu", overlaps=NONE)
    assert not train(settings, tmp_path / "done", device="cpu", overlaps=NONE).fresh
    config = teacher / "config.json"
    config.write_text(config.read_text() + "\n")
    for name in ("stopped", "done"):
        with pytest.raises(UsageError, match=r"another --teacher .*, whose config.json was chang"):
            train(settings, tmp_path / name, device="cpu", overlaps=NONE)


def test_a_model_of_mimo_is_like_any_other(tmp_path: Path, base: Path, data: Path) -> None:
    """The projection is no part of it; its record names the teacher."""
    output = tmp_path / "tuned"
    words = ["train", "--recipe", "mimo", "--teacher", TEACHER, "--base", base, "--data", data]
    words += ["--batch-size", "8", "--steps", "2", "--cache-batch", "4", "--output", output]
    found = CliRunner().invoke(main, [str(x) for x in words], env={"HARNESS_DATA": ""})
    assert found.exit_code == 0, found.output
    model = load(str(output))
    assert "training.projection.npy" not in json.dumps(model.facts)
    assert model.parameters == load(str(base)).parameters
    assert dict(model.training)["teacher"] == TEACHER  # type: ignore[attr-defined]
    assert "`0.8`" in (output / "README.md").read_text()


def test_the_teacher_encodes_each_english_text_once_in_all_trainings(
    tmp_path: Path, base: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = tiny.WordBag()
    monkeypatch.setattr(tiny, "factory", lambda: teacher)
    for number in range(2):
        settings = recipe("mimo", base, data, steps=1, seed=number)
        train(settings, tmp_path / str(number), device="cpu", overlaps=NONE)
    texts = teacher.requested
    assert len(texts) == len(set(texts)) and all(x.startswith("en ") for x in texts)
    rows = pairs(64)
    every = {r[side]["en"] for r in rows for side in ("query", "passage")}
    assert set(texts) <= every and len(texts) > 60


@pytest.mark.parametrize("name", ["xlco", "lakda", "mimo"])
def test_languages_are_drawn_apart(name: str, base: Path, data: Path) -> None:
    """Same and different languages, each pair of them about as often."""
    settings = recipe(name, base, data)
    rows, examples = rows_of([read_examples(data)])
    dataset = PairDataset(examples, rows.languages, second=name == "lakda")
    sampler = HybridBatchSampler(Plan(rows, settings))
    drawn = []
    for epoch in range(12):
        sampler.set_epoch(epoch)
        drawn += [dataset[i] for batch in sampler for i in batch]
    assert len(drawn) == 12 * 64
    counts: dict[tuple[str, str], int] = {}
    for pair in drawn:
        languages = pair.query[:2], pair.passage[:2]
        counts[languages] = counts.get(languages, 0) + 1
        assert pair.english is not None and pair.english[0][2:] == pair.query[2:]
        if name == "lakda":
            assert pair.second is not None
            assert pair.second[2:] == pair.query[2:] and pair.second[:2] != pair.query[:2]
    # 768 draws among nine pairs of languages: 85 expected, 4 standard deviations are 35.
    assert len(counts) == 9 and all(50 < x < 121 for x in counts.values())


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("mimo", {"query": {"de": "a"}, "passage": {"de": "b", "en": "c"}}, "in English"),
        ("lakda", {"query": {"de": "a"}, "passage": {"de": "b"}}, "a query in two languages"),
    ],
)
def test_rows_that_a_recipe_cannot_use_are_refused(
    name: str, row: dict[str, Any], said: str, tmp_path: Path, base: Path
) -> None:
    data = write_rows(tmp_path / "odd.jsonl", [*pairs(64), {"id": "odd", **row}])
    with pytest.raises(UsageError, match=rf"1 of 65 rows cannot be used by .*{said}"):
        train(recipe(name, base, data), tmp_path / "no", device="cpu", overlaps=NONE)


def test_defaults_are_those_of_the_recipes_paper() -> None:
    mimo = settings_from("mimo", {"teacher": "t"})
    assert (mimo.distillation, mimo.learning_rate, mimo.batch_size, mimo.epochs) == (
        0.8, 2e-5, 2048, 1.0,
    )  # fmt: skip
    said = sources(mimo)
    assert said["learning_rate"] == said["batch_size"] == "arXiv 2605.31171"
    assert (said["alignment"], said["teacher"]) == ("our choice", "set here")
    own = settings_from("mimo", {"teacher": "t", "batch_size": 100})
    assert own.batch_size == 100 and sources(own)["batch_size"] == "set here"
    assert settings_from("lakda", {}).distillation == 0.5
    assert "teacher" not in settings_from("hybrid", {}).document()


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("mimo", {}, "needs an English teacher"),
        ("hybrid", {"teacher": "x"}, "--teacher is for --recipe mimo"),
        ("xlco", {"distillation": 0.1}, "--distillation is for --recipe lakda or mimo"),
    ],
)
def test_options_of_other_recipes_are_refused(name: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        settings_from(name, given)


def test_a_teacher_without_vectors_is_refused(tmp_path: Path, base: Path, data: Path) -> None:
    settings = recipe("mimo", base, data, teacher="bm25")
    with pytest.raises(UsageError, match="--teacher bm25: returns no vectors"):
        train(settings, tmp_path / "no", device="cpu", overlaps=NONE)
