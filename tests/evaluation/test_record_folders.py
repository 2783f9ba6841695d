"""Record folders: a repeated run replaces its record, any other run gets its own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny

import harness


def run(
    task: Path,
    output: Path,
    fingerprint: str | None = "word-bag-1",
    lean: float = 0.4,
    **options: Any,
) -> str:
    """Name of the folder that the record of a run was saved in."""
    model = tiny.WordBag(bias=lean)
    model.fingerprint = fingerprint
    options = {"resamples": 0} | options
    record = harness.evaluate(
        model,
        tasks=[str(task)],
        output=output,
        settings=("mono",),
        store=False,
        **options,
    )
    assert record.folder is not None
    return record.folder.name


def test_the_same_run_again_replaces_its_record(tmp_path: Path) -> None:
    task = tiny.write_task(tmp_path / "task")
    assert run(task, tmp_path / "out") == run(task, tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_a_run_on_other_data_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Same task file, one passage changed."""
    task = tiny.write_task(tmp_path / "task")
    first = run(task, tmp_path / "out")
    passages = tmp_path / "task" / "data" / "passages.de.jsonl"
    passages.write_text(passages.read_text().replace("in passage 3", "in passage three"))
    assert run(task, tmp_path / "out") != first
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_another_fingerprint_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Two models of one name that differ in nothing else."""
    task = tiny.write_task(tmp_path / "task")
    assert run(task, tmp_path / "out") != run(task, tmp_path / "out", "word-bag-2")
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_runs_with_other_options_have_folders_of_their_own(tmp_path: Path) -> None:
    task = tiny.write_task(tmp_path / "task")
    options: list[dict[str, Any]] = [
        {},
        {"limit": 4},
        {"languages": ("en", "de")},
        {"measures": ("map",)},
        {"query_prompt": "query: "},
        {"sample": 4},
        {"resamples": 20},
        {"bias": False},
        {"top_k": 3},
    ]
    assert len({run(task, tmp_path / "out", **x) for x in options}) == len(options)


def test_two_models_of_one_name_without_a_fingerprint_have_a_folder_each(tmp_path: Path) -> None:
    task = tiny.write_task(tmp_path / "task")
    names = [run(task, tmp_path / "out", None, lean) for lean in (0.4, 3.0, 0.4)]
    assert names[0] == names[2] != names[1]  # the same again replaces its record
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_two_factories_without_a_fingerprint_have_a_folder_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though they give the same vectors, and so the same values."""
    task = tiny.write_task(tmp_path / "task")
    code = (
        "import numpy as np\n"
        "class Encoder:\n"
        "    name = 'encoder'\n"
        "    def encode(self, texts, *, role, language):\n"
        "        return np.array([[len(x), 1.0] for x in texts], np.float32)\n"
        "one = two = Encoder\n"
    )
    (tmp_path / "encoders.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        harness.evaluate(
            f"python:encoders:{name}", tasks=[str(task)], output="out", resamples=0, store=False
        )
    assert len(list(Path("out").iterdir())) == 2


def test_what_a_record_cannot_name_is_refused_before_the_run(tmp_path: Path) -> None:
    """Paths that are not UTF-8: of the command they are written as Python writes them."""
    task, odd = str(tiny.write_task(tmp_path / "task")), "folder\udcff"
    record = harness.evaluate(
        tiny.WordBag(), task, resamples=0, output=tmp_path, command=["harness", "run", odd]
    )
    assert record.folder is not None
    assert harness.load_record(record.folder).contents.command == (
        "harness",
        "run",
        "folder\\udcff",
    )
    model = tiny.WordBag()
    for options in ({"trec": tmp_path / odd}, {"data_dir": odd}, {"treatments": f"offset:{odd}"}):
        with pytest.raises(harness.UsageError, match="cannot name it; rename the file or folder"):
            harness.evaluate(model, task, resamples=0, **options)
    assert not model.requested
