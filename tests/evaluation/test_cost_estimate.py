"""Plans: a sample is measured, the whole is arithmetic, and what was not measured says so."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hash_parts import HashParts
from tiny import WordBag, write_task
from tiny_miracl import write_miracl

import harness
from harness.cli import main
from harness.errors import DataError, HarnessWarning, UsageError
from harness.evaluation.cost_estimate import plan_corpus
from harness.evaluation.options import RunOptions

WHOLE = {"sw": 131_924, "yo": 49_043, "te": 518_079}
"""What the task file says the corpora hold; the files have 60 passages."""


class Steady(WordBag):
    """Two milliseconds a text, whatever it is."""

    fingerprint = "steady"

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
        made = super().encode(texts, role=role, language=language)
        time.sleep(0.002 * len(texts))
        return made


def write(folder: Path) -> str:
    """A task in three languages; of one no passage is available."""
    task = write_miracl(folder, languages=tuple(WHOLE), whole=WHOLE)
    shutil.rmtree(folder / "data" / "miracl-corpus-v1.0-te")
    return str(task)


def test_a_plan_is_the_measured_rate_times_the_whole(tmp_path: Path) -> None:
    options = RunOptions(store_dtype="float16", shard_size=10_000, memory=2**30)
    plan = plan_corpus(Steady(), write(tmp_path), options=options, sample=24)
    by = {x.language: x for x in plan.languages}
    assert {x: p.passages for x, p in by.items()} == WHOLE
    assert {x: p.measured for x, p in by.items()} == {"sw": 24, "yo": 24, "te": 0}
    for language, passages in WHOLE.items():
        assert by[language].seconds >= 0.002 * passages
    # Nothing available: the mean of the others' seconds per passage.
    each = [by[x].seconds / WHOLE[x] for x in ("sw", "yo")]
    assert by["te"].seconds == pytest.approx(sum(each) / 2 * WHOLE["te"])
    assert plan.seconds == sum(x.seconds for x in plan.languages)
    # Half precision: two bytes a dimension; ids such as `19#2` are 4 bytes, 8 with room to grow;
    # 14 shards of 10,000 with a kilobyte each.
    assert by["sw"].disk == WHOLE["sw"] * (2 * plan.dimensions + 8) + 14 * 1024
    assert plan.search_memory == 2**30
    assert plan.encode_memory > 2**20


@pytest.mark.parametrize("kind", ["sparse", "multi-vector"])
def test_the_planned_disk_of_texts_of_several_parts_is_what_a_run_then_takes(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All passages are in the sample, so that nothing is extrapolated."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    task = str(write_miracl(tmp_path, whole={"sw": 60, "yo": 60}))
    options = RunOptions(store_dtype="float16", shard_size=160)
    plan = plan_corpus(HashParts(kind), task, options=options, sample=60)
    assert plan.kind == kind and plan.dimensions == 16
    assert [(x.passages, x.measured) for x in plan.languages] == [(60, 60), (60, 60)]
    command = ["plan", "--task", task, "--model", f"python:hash_parts:{kind.replace('-', '_')}"]
    printed = CliRunner().invoke(main, [*command, "--quiet"]).output
    if kind == "sparse":
        assert "weights of 16 terms kept as float32" in printed and "terms each" in printed
    else:
        # Words of the title and of the text.
        assert [x.parts for x in plan.languages] == [9.0, 9.0]
        assert "token vectors of 16 dimensions" in printed and "vectors each" in printed
    small = str(write_task(tmp_path / "small"))
    dry = ["run", "--dry-run", "--task", small, *command[3:]]
    assert "Encoding 78 texts takes about" in CliRunner().invoke(main, dry).output
    harness.evaluate(
        HashParts(kind), tasks=[task], resamples=0, store_dtype="float16", shard_size=160
    )
    shards = [x for x in tmp_path.rglob("0000*.*") if x.suffix in (".npy", ".json")]
    taken = sum(x.stat().st_size for x in shards)
    assert taken <= plan.disk <= 1.1 * taken


def test_small_tasks_can_be_planned_too(tmp_path: Path) -> None:
    plan = plan_corpus(Steady(), str(write_task(tmp_path)), sample=8)
    assert [(x.language, x.passages, x.measured) for x in plan.languages] == [
        ("en", 22, 8),
        ("de", 22, 8),
        ("zh", 22, 8),
    ]


def test_what_cannot_be_planned_is_refused(tmp_path: Path) -> None:
    task = write(tmp_path)
    with pytest.raises(UsageError, match="bm25 does not return vectors"):
        plan_corpus("bm25", task)
    with pytest.raises(DataError, match="no passage of tiny-miracl in te is available"):
        plan_corpus(Steady(), task, options=RunOptions(languages=("te",)))


def test_the_command_prints_languages_and_their_sum(tmp_path: Path) -> None:
    model = f"python:{__name__}:Steady"
    command = ["plan", "--task", write(tmp_path), "--model", model, "--sample", "8", "-q"]
    done = CliRunner().invoke(main, [*command, "--engine", "devices"])
    assert done.exit_code == 0, done.output
    for words in ("131,924", "te *", "699,046", "the mean of the other languages", "processes"):
        assert words in done.output


def test_a_plan_warns_of_the_tasks_languages_alone(tmp_path: Path) -> None:
    """Warming up is no language of its own; a language that the task lacks is no empty plan."""
    asked = []

    class English(Steady):
        name = "english-alone"
        languages = frozenset({"en"})

        def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
            asked.append(language)
            return super().encode(texts, role=role, language=language)

    with pytest.warns(HarnessWarning, match="was not trained on sw, te, yo:") as told:
        plan_corpus(English(), write(tmp_path), sample=8)
    assert len(told) == 1 and set(asked) == {"sw", "yo"}
    with pytest.raises(UsageError, match="has no language 'fr'"):
        plan_corpus(Steady(), write(tmp_path), options=RunOptions(languages=("fr",)))
