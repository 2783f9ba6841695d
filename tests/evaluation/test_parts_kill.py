"""kill -9 while texts of several parts are encoded: queries in the store, passages in shards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from hash_parts import HashParts
from tiny_miracl import write_miracl

from harness.cli import main
from harness.evaluation.record import Record
from harness.vectors import corpus_store, encode, encode_parts, store

WINDOW, SHARD = 5, 16
LOG = "TEST_PARTS_LOG"


class Death(NamedTuple):
    """Where a process ends."""

    role: str
    shards: int
    """Shards of this role that it writes before."""
    writing: bool
    """In between the files of a shard; else while the next one is encoded."""


DEATHS = (
    Death("query", 1, writing=False),
    Death("query", 1, writing=True),
    Death("passage", 2, writing=False),
    Death("passage", 1, writing=True),
)
"""One after another, each over what the ones before left."""


def arguments(kind: str, task: Path, output: Path) -> list[str]:
    """The command that is given again and again."""
    # The harness puts an eighth as many passages into a shard of token vectors.
    size = SHARD if kind == "sparse" else 8 * SHARD
    model = f"python:hash_parts:{kind.replace('-', '_')}"
    return [
        *("run", "--quiet", "--task", str(task), "--model", model),
        *("--shard-size", str(size), "--output", str(output), "--resamples", "0"),
    ]


def run(kind: str, task: Path, place: Path, number: int | str) -> int:
    """Run the command; the texts that the model is given are noted in a file of their own."""
    os.environ["HARNESS_CACHE"] = str(place / "cache")
    os.environ[LOG] = str(place / f"log-{number}")
    found = CliRunner().invoke(main, arguments(kind, task, place / "out"))
    return found.exit_code


def noted(own: Any) -> Any:
    """``HashParts.encode_parts``, which notes its texts."""

    def noting(self: HashParts, texts: Sequence[str], *, role: str, language: str) -> Any:
        with open(os.environ[LOG], "a", encoding="utf-8") as log:
            log.writelines(json.dumps([role, language, text]) + "\n" for text in texts)
        return own(self, texts, role=role, language=language)

    return noting


def die_at(death: Death) -> None:
    """Have this process end as ``death`` says."""
    module = store if death.role == "query" else corpus_store
    write, encode_texts = module.write_atomically, HashParts.encode_parts
    written = 0

    def writing(path: Path, content: bytes) -> None:
        nonlocal written
        if death.writing and written == death.shards and path.name.endswith(".starts.npy"):
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, content)
        written += path.suffix == ".json" and path.name != "space.json"

    def encoding(self: HashParts, texts: Sequence[str], *, role: str, language: str) -> Any:
        made = encode_texts(self, texts, role=role, language=language)
        if not death.writing and role == death.role and written == death.shards:
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    module.write_atomically, HashParts.encode_parts = writing, encoding


def small_steps() -> None:
    """Two texts at a time, and five queries a shard."""
    encode_parts.WINDOW, encode_parts.STEP, encode.STEP = WINDOW, 2, 2
    HashParts.encode_parts = noted(HashParts.encode_parts)


def die(task: str, folder: str) -> None:
    """All deaths of both kinds, each in a fork of a process that has no threads yet."""
    small_steps()
    for kind in ("sparse", "multi-vector"):
        for number, death in enumerate(DEATHS):
            child = os.fork()
            if child == 0:
                die_at(death)
                os._exit(run(kind, Path(task), Path(folder) / kind, number))
            _, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status))


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_miracl(tmp_path_factory.mktemp("task"), passages=40)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, task: Path) -> Path:
    """Where all processes have ended."""
    folder = tmp_path_factory.mktemp("killed")
    for kind in ("sparse", "multi-vector"):
        (folder / kind).mkdir()
    here = [Path(__file__).parent, Path(__file__).parents[1] / "support"]
    code = f"import {__name__} as test; test.die({str(task)!r}, {str(folder)!r})"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, here))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split() == [str(-signal.SIGKILL)] * 2 * len(DEATHS), ended.stderr
    return folder


def texts(log: Path) -> set[tuple[str, ...]]:
    return {tuple(json.loads(line)) for line in log.read_text("utf-8").splitlines()}


def files(place: Path) -> dict[str, bytes]:
    """The files of vectors; of manifests, which have seconds, only that they are there."""
    root = place / "cache" / "vectors"
    return {
        str(x.relative_to(root)): b"" if x.suffix == ".json" else x.read_bytes()
        for x in root.rglob("[!.]*.*")
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
@pytest.mark.parametrize("kind", ["sparse", "multi-vector"])
def test_a_killed_run_loses_the_shard_in_flight_and_the_same_command_ends_as_undisturbed(
    kind: str, place: Path, task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HARNESS_CACHE", LOG):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(HashParts, "encode_parts", noted(HashParts.encode_parts))
    monkeypatch.setattr(encode_parts, "WINDOW", WINDOW)
    for module in (encode_parts, encode):
        monkeypatch.setattr(module, "STEP", 2)
    assert run(kind, task, place / kind, len(DEATHS)) == 0
    assert run(kind, task, tmp_path, "alone") == 0

    logs = [texts(place / kind / f"log-{i}") for i in range(len(DEATHS) + 1)]
    for death, before, after in zip(DEATHS, logs, logs[1:], strict=False):
        lost = before & after
        assert {role for role, *_ in lost} == {death.role}
        assert 0 < len(lost) <= (WINDOW if death.role == "query" else SHARD)
    assert set.union(*logs) == texts(tmp_path / "log-alone")

    assert files(place / kind) == files(tmp_path)
    (resumed,), (alone,) = ((x / "out").glob("*/record.json") for x in (place / kind, tmp_path))
    tables = [Record.load(x).per_query("tiny-miracl") for x in (resumed, alone)]
    assert tables[0].equals(tables[1])
