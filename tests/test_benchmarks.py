"""The scripts in benchmarks/ start, and mteb itself gives the harness's numbers on a tiny task."""

from __future__ import annotations

import hashlib
import importlib
import math
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import write_task

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
# A part of a script, next to it, is no script.
SCRIPTS = [x for x in sorted(BENCHMARKS.glob("*.py")) if "__main__" in x.read_text("utf-8")]


class ExactTies:
    """Four entries of 1 or -1 in 16 places: cosines are quarters, exact in float32, often equal."""

    name = "exact-ties"

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
        """One vector per text, seeded by the text; equal texts get equal vectors."""
        out = np.zeros((len(texts), 16), np.float32)
        for row, text in zip(out, texts, strict=True):
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
            rng = np.random.default_rng(seed)
            row[rng.permutation(16)[:4]] = rng.choice([-1, 1], 4)
        return out


@pytest.fixture
def against_mteb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The script as a module, importable by what it starts; mteb keeps out of the home folder."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("MTEB_CACHE", str(tmp_path / "mteb"))
    return importlib.import_module("against_mteb")


def test_there_are_scripts() -> None:
    """Else the next test would hold for nothing."""
    assert "against_mteb" in {script.stem for script in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_explains_itself_without_data(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """``--help`` needs neither data nor a model, from any folder."""
    # As a user starts them: with the script's folder on Python's path. In this process, which
    # imports the large libraries once for all of them.
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert not ended.value.code
    assert capsys.readouterr().out.startswith(f"usage: {script.name}")


@pytest.mark.slow
def test_mteb_gives_the_same_numbers_where_ties_are_everywhere(
    against_mteb: Any, tmp_path: Path
) -> None:
    """Twelve subsets of three languages, to the fifth decimal, which is where mteb rounds."""
    task = str(write_task(tmp_path))
    model = f"python:{__name__}:ExactTies"
    found = against_mteb.compare(against_mteb.Work(task, model, {}))
    assert list(found.ours.scores) == list(found.theirs.scores)
    assert len(found.ours.scores) == 12
    for subset, scores in found.ours.scores.items():
        for measure in ("ndcg@10", "recall@10", "mrr@10", "map"):
            theirs = found.theirs.scores[subset][measure]
            assert scores[measure] == pytest.approx(theirs, abs=5.1e-6), (subset, measure)
    # Neither side is trivially right or wrong.
    assert all(0.05 < scores["ndcg@10"] < 0.95 for scores in found.ours.scores.values())
    # Three times 10 + 10 + 9 queries in one language, for one of the ten has no Chinese relevant
    # passage, and three times 10 in the pool. In 68 of the 117 the order of ties decides the value.
    assert found.ties == (117, 0, 0)
    # mteb: those queries, 9 pools of 22 passages and 3 of 66. The harness: per language 10 queries,
    # 10 passages and the 6 different ones among 12 distractors.
    assert found.theirs.cost.texts == 117 + 9 * 22 + 3 * 66
    assert found.ours.cost.texts == 3 * (10 + 10 + 6)


def test_a_difference_is_put_down_to_ties_only_where_scores_nearly_tie(against_mteb: Any) -> None:
    """Gold ``a`` second by half a millionth: first is a tie away, third is not."""
    close = {"a": 0.5, "b": 0.5 + 5e-7, "c": 0.4}
    apart = {"a": 0.5, "b": 0.5 + 5e-6, "c": 0.4}
    second, third = 1 / math.log2(3), 1 / math.log2(4)
    assert against_mteb.explained_by_ties(1.0, {"a": 1}, close)
    assert against_mteb.explained_by_ties(second, {"a": 1}, apart)
    assert not against_mteb.explained_by_ties(third, {"a": 1}, close)
    assert not against_mteb.explained_by_ties(1.0, {"a": 1}, apart)


def test_a_model_without_vectors_is_refused_in_one_sentence(
    against_mteb: Any, tmp_path: Path
) -> None:
    """BM25 has no place behind mteb's encoder protocol."""
    from harness.errors import ModelError

    with pytest.raises(ModelError, match="bm25 gives no vectors"):
        against_mteb.compare(against_mteb.Work(str(write_task(tmp_path)), "bm25", {}))


def test_reports_of_a_killed_study_may_differ_in_seconds_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    differing = importlib.import_module("study_kill").differing
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, seconds in ((one, 81), (other, 83)):
        folder.mkdir()
        page = f"# A\n\n### Cost\n\n{seconds} s\n\n## What the data can\n\nMuch.\n"
        (folder / "index.md").write_text(page)
        (folder / "values.csv").write_text("1")
    assert differing(one, other) == ([], 2)
    (other / "index.md").write_text((other / "index.md").read_text().replace("Much", "Little"))
    (other / "fits.csv").write_text("1")
    assert differing(one, other) == (["fits.csv", "index.md"], 3)
