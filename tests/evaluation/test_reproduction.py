"""The command that makes a record again is derived from its options, and says all of them."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click
import pytest
import tiny

import harness
from harness.boards.tracked.reproduce import reproduce
from harness.cli.run import _options
from harness.cli.run import run as run_command
from harness.data.task import read_task
from harness.evaluation.options import BELONGS_TO, RunOptions
from harness.evaluation.reproduction import (
    OF_THE_MACHINE,
    WITHOUT_FLAG,
    again,
    command_line,
    flag_of,
    portable_options,
)
from harness.gate import baselines
from harness.models.base import ModelOptions

OTHER: dict[str, Any] = {
    "languages": ("en", "zh-Hant"),
    "settings": ("mono", "multi"),
    "limit": 5,
    "sample": 4,
    "sample_passages": 300,
    "sample_by": "me5-small",
    "text": "title",
    "measures": ("map", "ndcg@3"),
    "resamples": 0,
    "top_k": 20,
    "memory": 2**31,
    "data_dir": Path("some data"),
    "offline": True,
    "store": False,
    "trec": Path("runs"),
    "trec_depth": 0,
    "treatments": ("balanced", "offset:a b.tsv", "lir:a b.tsv@2"),
    "code_switch": "lexicons/en-de.tsv@0.3",
    "noise": "typos@0.1",
    "romanise": True,
    "query_seed": 7,
    "dimensions": 256,
    "bits": "int8-asymmetric",
    "rescore": 50,
    "ann": "faiss:HNSW32@efSearch=64",
    "translate_queries": "command:translate --fast",
    "into": "de",
    "expand_queries": "http:writer",
    "expand_url": "http://localhost:8000/v1",
    "rerank": "org/reranker",
    "rerank_top": 7,
    "corpus": "sampled",
    "shard_size": 16,
    "engine": "devices",
    "workers": 3,
    "shard": (3, 8),
    "named": "org/model",
    "streamed": True,
    "store_dtype": "float16",
    "name": "our bi-encoder, v2",
    "query_prompt": "-query: ",
    "passage_prompt": "",
    "batch_size": 9,
    "max_length": 64,
    "dtype": "bfloat16",
    "device": "cuda:1",
    "base_url": "http://localhost:9000/v1",
    "concurrency": 2,
    "backend": "onnx",
    "backend_file": "onnx/model_O3.onnx",
    "compile": True,
    "batch_tokens": 4096,
    "fusion": "minmax@0.7,0.3",
}
"""A value of every option that is not its default."""


def names() -> set[str]:
    return {x.name for owner in (RunOptions, ModelOptions) for x in fields(owner)}


def options_with(**given: Any) -> RunOptions:
    of_model = {x.name for x in fields(ModelOptions)}
    own = {k: v for k, v in given.items() if k not in of_model or k == "offline"}
    inner = ModelOptions(**{k: v for k, v in given.items() if k in of_model})
    return RunOptions(**{"named": "bm25"} | own, model=inner)


def parsed(words: list[str]) -> tuple[RunOptions, tuple[str, ...]]:
    """Options and tasks as the command itself reads them, without a run."""
    assert words[:2] == ["harness", "run"]
    context = run_command.make_context("run", words[2:])
    given = dict(context.params)
    model, tasks = given.pop("model"), given.pop("tasks")
    for name in ("dry_run", "output", "log_to", "log_project", "verbose", "quiet", "sweep"):
        given.pop(name)
    return replace(_options(**given), named=model), tasks


def test_every_option_has_a_flag_or_a_reason() -> None:
    flags = {x for p in run_command.params if isinstance(p, click.Option) for x in p.opts}
    flagged = {x for x in names() if flag_of(x) in flags} - {"model"}  # --model is ``named``
    assert flagged == names() - WITHOUT_FLAG.keys()
    assert all(WITHOUT_FLAG.values())
    assert names() >= OF_THE_MACHINE
    assert OTHER.keys() == names() - WITHOUT_FLAG.keys()


@pytest.mark.parametrize("name", OTHER)
def test_the_command_of_an_option_reads_as_that_option(name: str) -> None:
    partners = BELONGS_TO.get(name, ())[:1]
    options = options_with(**{x: OTHER[x] for x in (name, *partners)})
    assert options != options_with()
    words = command_line(options, ["demo", "own/my task.toml"])
    assert words is not None
    assert parsed(shlex.split(shlex.join(words))) == (options, ("demo", "own/my task.toml"))


def test_the_command_has_no_option_without_effect() -> None:
    words = command_line(options_with(rerank_top=7, query_seed=7, limit=3), ["demo"])
    assert words == ["harness", "run", "--model", "bm25", "--task", "demo", "--limit", "3"]


def test_the_command_of_all_options_reads_as_all_of_them() -> None:
    options = options_with(**OTHER)
    words = command_line(options, ["demo"])
    assert words is not None and parsed(words)[0] == options


def test_a_prompt_of_several_lines_is_one_line_of_a_shell() -> None:
    prompt = "It's a task\\:\nquery\u3000"
    line = again(options_with(named="m", query_prompt=prompt), ["demo"], "m")
    assert line.isprintable() and r"\n" in line
    bash = shutil.which("bash")
    if bash is not None:
        done = subprocess.run(
            [bash, "-c", f"printf '%s|' {line}"], capture_output=True, check=True,
            env={"LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert prompt in done.stdout.decode().split("|")


def test_a_command_on_a_board_is_without_what_changes_no_number() -> None:
    options = options_with(
        **OTHER
        | {
            "named": "/srv/models/m",
            "treatments": ("offset:/srv/texts.tsv", "shift-both:/srv/texts.tsv@0.5"),
        }
    )
    kept = parsed(shlex.split(again(portable_options(options), ["demo"], "m")))[0]
    machine = {x: getattr(RunOptions(), x) for x in OF_THE_MACHINE - {"concurrency"}}
    assert kept == replace(
        options,
        **machine,
        named="./m",
        treatments=("offset:./texts.tsv", "shift-both:./texts.tsv@0.5"),
        model=replace(options.model, concurrency=None, offline=False),
    )


def test_a_saved_record_has_all_options(tmp_path: Path) -> None:
    task = str(tiny.write_task(tmp_path / "own"))
    given: dict[str, Any] = {"languages": ("en", "de"), "measures": ("map",), "resamples": 30}
    record = harness.evaluate("bm25", task, output=tmp_path / "out", **given)
    assert record.folder is not None
    run = harness.load_record(record.folder).contents.run
    assert run is not None and run.tasks == (task,)
    assert run.options == options_with(**given)
    command = reproduce(record.contents, "tiny")
    assert parsed(shlex.split(command)) == (options_with(**given), ("./tiny.toml",))


def test_a_run_that_only_python_can_do_gives_the_call(tmp_path: Path) -> None:
    task = str(tiny.write_task(tmp_path / "own"))
    record = harness.evaluate("bm25", task, bias=False, limit=4, resamples=0)
    call = reproduce(record.contents, "tiny")
    assert call == (
        "harness.evaluate('bm25', tasks=['./tiny.toml'], limit=4, bias=False, resamples=0)"
    )
    again = eval(call.replace("./tiny.toml", task), {"harness": harness})
    assert again.to_frame().equals(record.to_frame())


def test_the_text_option_of_a_task_that_python_handed_over_is_said(tmp_path: Path) -> None:
    spec = replace(read_task(tiny.write_task(tmp_path / "own")), text="title-space-text")
    record = harness.evaluate("bm25", spec, limit=4, resamples=0)
    assert record.tasks[0].text == "title-space-text" and record.contents.run is not None
    assert record.contents.run.options.text is None
    assert "--text title-space-text" in reproduce(record.contents, "tiny")


def test_a_model_from_python_is_named_as_what_it_is(tmp_path: Path) -> None:
    task = str(tiny.write_task(tmp_path / "own"))
    record = harness.evaluate(tiny.WordBag(), task, limit=4, batch_size=2, store=False)
    assert reproduce(record.contents, "tiny") == (
        "harness.evaluate(model, tasks=['./tiny.toml'], limit=4, batch_size=2)"
        "  # model: the encoder called 'word-bag'"
    )


def test_a_baseline_names_no_folder_of_its_machine(tmp_path: Path) -> None:
    task = str(tiny.write_task(tmp_path / "own"))
    record = harness.evaluate("bm25", task, trec=tmp_path / "runs", memory="64G", resamples=0)
    for path in baselines.write(record, tmp_path / "baseline"):
        assert str(tmp_path).encode() not in path.read_bytes()
    run = harness.load_record(tmp_path / "baseline").contents.run
    assert run is not None and run.tasks == ("./tiny.toml",)
    assert run.options == options_with(resamples=0)
