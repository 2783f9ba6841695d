"""Means to an experiment tracker, with stand-ins for the trackers' packages."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

import harness
from harness.cli import main
from harness.evaluation.sweep import Sweep

ARGUMENTS = "run --model bm25 --task demo --languages en,de --limit 3 --resamples 0 -q".split()


class StandIn(ModuleType):
    """Notes what trackio, wandb and mlflow are called with."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.calls: list[tuple[str, Any]] = []

    def init(self, **given: Any) -> StandIn:
        self.calls.append(("init", given))
        return self

    def log(self, scores: dict[str, float]) -> None:
        self.calls.append(("log", scores))

    def finish(self) -> None:
        self.calls.append(("finish", None))

    def set_experiment(self, name: str) -> None:
        self.calls.append(("set_experiment", name))

    @contextmanager
    def start_run(self, run_name: str) -> Any:
        self.calls.append(("start_run", run_name))
        yield
        self.calls.append(("finish", None))

    def log_params(self, config: dict[str, str]) -> None:
        self.calls.append(("params", config))

    def log_metrics(self, scores: dict[str, float]) -> None:
        self.calls.append(("log", scores))


@pytest.mark.parametrize("tracker", ["trackio", "wandb", "mlflow"])
def test_a_run_is_logged_under_its_records_name(
    tracker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = StandIn(tracker)
    monkeypatch.setitem(sys.modules, tracker, package)
    done = CliRunner().invoke(
        main, [*ARGUMENTS, "--output", str(tmp_path), "--log-to", tracker, "--log-project", "mine"]
    )
    assert done.exit_code == 0, done.output
    record = harness.load_record(done.output.split()[-1])
    called = dict(package.calls)
    map_ = record.tasks[0].means["multi"].macro["map"]
    assert called["log"]["demo/multi/map"] == map_
    assert "finish" in called
    if tracker == "mlflow":
        assert called["set_experiment"] == "mine"
        assert called["start_run"] == record.folder.name
        assert called["params"]["model"] == "bm25"
        assert not any("@" in name for name in called["log"])
    else:
        assert called["init"]["project"] == "mine"
        assert called["init"]["name"] == record.folder.name
        assert called["init"]["config"]["model"] == "bm25"


def test_a_run_of_wandb_that_is_active_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one of a training, which its callback leaves open: ``init`` would end it or return it."""
    package, training = StandIn("wandb"), StandIn("training")
    monkeypatch.setattr(package, "run", training, raising=False)
    monkeypatch.setattr(package, "log", training.log)  # as wandb's: to the active run
    own = StandIn("own")
    monkeypatch.setattr(package, "init", own.init)
    monkeypatch.setitem(sys.modules, "wandb", package)
    record = harness.evaluate("bm25", "demo", languages="en,de", limit=3, resamples=0)
    harness.log_record(record, "wandb")
    assert [name for name, _ in own.calls] == ["init", "log", "finish"]
    assert own.calls[0][1]["reinit"] == "create_new" and training.calls == []


def test_each_record_of_a_sweep_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    package = StandIn("trackio")
    monkeypatch.setitem(sys.modules, "trackio", package)
    record = harness.evaluate("bm25", "demo", languages="en,de", limit=3, resamples=0)
    found = Sweep("lir", (0.0, 1.0), (record, record))
    monkeypatch.setattr("harness.evaluation.sweep.sweep", lambda *_: found)
    done = CliRunner().invoke(main, [*ARGUMENTS, "--sweep", "0,1", "--log-to", "trackio"])
    assert done.exit_code == 0, done.output
    assert [name for name, _ in package.calls].count("log") == 2


def test_a_tracker_that_is_missing_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    done = CliRunner().invoke(main, [*ARGUMENTS, "--output", str(tmp_path), "--log-to", "wandb"])
    assert done.exit_code == 2
    assert "pip install wandb" in done.output
    assert not list(tmp_path.iterdir())


def test_a_tracker_that_cannot_be_imported_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mlflow.py").write_text("raise ImportError('no service in protobuf')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    done = CliRunner().invoke(main, [*ARGUMENTS, "--output", str(tmp_path), "--log-to", "mlflow"])
    assert done.exit_code == 2
    assert "cannot be imported (no service in protobuf): pip install -U mlflow" in done.output


def test_a_tracker_that_fails_costs_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = StandIn("trackio")

    def broken(scores: dict[str, float]) -> None:
        raise OSError("disk full")

    package.log = broken  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "trackio", package)
    done = CliRunner().invoke(main, [*ARGUMENTS, "--output", str(tmp_path), "--log-to", "trackio"])
    assert done.exit_code == 2
    assert "trackio did not take the scores: disk full" in done.output
    assert len(list(tmp_path.glob("*/record.json"))) == 1
