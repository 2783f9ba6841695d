"""Regressions put into a real encoder: the gate finds them where they are, and only there.

The benchmark gate_alarms.py does the same on the whole of XQuAD-R.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

import pytest

from harness.gate import Gate, gate

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def alarms() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("gate_alarms")


@pytest.fixture(scope="module")
def runs(alarms: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The built-in encoder on the demo task in three languages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        given = argparse.Namespace(
            model="use-m3", task="demo", languages="de,en,es", sample=None, data_dir=None
        )
        yield alarms.GateRuns.of(given)


def where(found: Gate) -> set[tuple[str, str, str, str]]:
    """Kind, side, unit and measure of what regressed by itself."""
    return {(c.kind, c.side, c.unit, c.measure) for c in found.regressions if not c.through}


def test_noise_in_one_language_is_found_there(alarms: Any, runs: Any) -> None:
    noisy = alarms.noisy(runs.vectors, 1.5, 1, lambda _, language: language == "de")
    found = gate(runs.record(noisy), runs.base)
    assert (found.exit_code, found.languages) == (1, ("de",))
    assert where(found) >= {
        ("mono", "query", "de", "ndcg@10"),
        ("cross", "query", "de", "ndcg@10"),
        ("cross", "passage", "de", "ndcg@10"),
    }
    assert {unit for kind, _, unit, _ in where(found) if kind != "multi"} == {"de"}


def test_swapped_languages_are_found_in_both(alarms: Any, runs: Any) -> None:
    found = gate(runs.record(alarms.swapped(runs.vectors, "de", "es")), runs.base)
    assert found.exit_code == 1 and set(found.languages) == {"de", "es"}
    assert {unit for _, _, unit, _ in where(found)} == {"de", "es"}


def test_another_pooling_is_found_everywhere(alarms: Any, runs: Any) -> None:
    found = gate(runs.record(alarms.repooled(runs, "first")), runs.base)
    assert (found.exit_code, set(found.languages)) == (1, {"de", "en", "es"})
    means = {c.kind for c in found.regressions if c.side == "mean" and c.measure == "ndcg@10"}
    assert means == {"mono", "cross", "multi"}


def test_rounding_to_float16_passes(alarms: Any, runs: Any) -> None:
    rounded = alarms.rounded(runs.vectors)
    assert all((rounded[at] != x).any() for at, x in runs.vectors.items())
    found = gate(runs.record(rounded), runs.base)
    assert found.verdict in ("pass", "improvement"), found.document()


def test_equal_systems_ring_no_oftener_than_stated(
    alarms: Any, runs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three pairs: enough to see that the benchmark runs; its 200 give the rate."""
    alarms.print_equal(runs, 3, 0.3, None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("3 equally good pairs, noise of 0.3 on questions (nDCG@10 differs")
    assert lines[1].startswith("    regression found, nothing let through: 0 of 3, 0.000 [0.000, ")
    assert len(lines) == 6


@pytest.mark.slow
def test_on_xquad_r(alarms: Any, real_data: Path) -> None:
    """Two languages, 100 questions, all their passages."""
    given = argparse.Namespace(
        model="use-m3", task="xquad-r", languages="de,es", sample=100, data_dir=real_data
    )
    runs = alarms.GateRuns.of(given)
    found = {
        name: gate(runs.record(make()), runs.base)
        for name, make in alarms.plant(runs).items()
        if name != "mean pooling"  # it needs all 1,190 questions to be seen
    }
    assert {name: (x.exit_code, set(x.languages)) for name, x in found.items()} == {
        "noise on de": (1, {"de"}),
        "de and es swapped": (1, {"de", "es"}),
        "float16 rounding": (0, set()),
    }
