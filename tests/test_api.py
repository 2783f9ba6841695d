"""``import harness``: what it offers, and options by name."""

from __future__ import annotations

import typing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from tiny import WordBag, write_task

import harness
from harness.evaluation.options import RunOptions, Settings, with_settings
from harness.metrics import parse_measure
from harness.models.base import ModelOptions


@pytest.mark.parametrize("name", harness.__all__)
def test_every_name_can_be_had(name: str) -> None:
    """What is listed is there, and is listed once."""
    assert getattr(harness, name) is getattr(harness, name)
    assert name in dir(harness)
    assert harness.__all__.count(name) == 1


def test_another_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'evaluat'"):
        _ = harness.evaluat


def test_options_by_name_are_those_of_a_run() -> None:
    """An option that is added has to be given a type and, where it must be a string, a reader."""
    own = {f.name for f in fields(RunOptions)} - {"model", "named"}
    of_model = {f.name for f in fields(ModelOptions)}
    assert set(typing.get_type_hints(Settings)) == own | of_model


def test_values_are_written_as_for_the_flags() -> None:
    """Words with commas, a size, a part; or the same as Python has them."""
    written = with_settings(
        RunOptions(),
        {
            "languages": "en, de",
            "settings": "mono,multi",
            "measures": "map,recall@100",
            "treatments": "balanced",
            "memory": "1.5G",
            "shard": "3/8",
            "trec": "runs",
            "batch_size": 8,
            "offline": True,
        },
    )
    spelled_out = with_settings(
        RunOptions(),
        {
            "languages": ["en", "de"],
            "settings": ("mono", "multi"),
            "measures": ["map", "recall@100"],
            "treatments": ("balanced",),
            "memory": 1_610_612_736,
            "shard": (3, 8),
            "trec": Path("runs"),
            "batch_size": 8,
            "offline": True,
        },
    )
    assert written == spelled_out
    assert written.languages == ("en", "de")
    assert (written.model.batch_size, written.model.offline) == (8, True)


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"langages": "en"}, "no option 'langages'; did you mean 'languages'?"),
        ({"languages": "english"}, "languages: 'english' is not a language code"),
        (
            {"settings": "mon"},
            "'mon' is not one of mono, cross, multi, pairs; did you mean 'mono'?",
        ),
        ({"dtype": "float8"}, "dtype='float8' is not one of float32, bfloat16, float16"),
        ({"corpus": "sample"}, "did you mean 'sampled'?"),
        ({"limit": 0}, "limit=0: it must be a whole number, 1 or more"),
        ({"limit": True}, "limit=True: it must be a whole number"),
        ({"resamples": -1}, "resamples=-1: it must be a whole number, 0 or more"),
        ({"memory": "much"}, "memory: 'much' is not a size; write it as 2G or 500M"),
        ({"shard": "8/8"}, "shard: '8/8' is not a part"),
        ({"streamed": "yes"}, "streamed='yes': it must be True or False"),
        ({"query_prompt": 3}, "query_prompt=3: it must be a string"),
        ({"languages": 3}, "languages=3: int is the wrong type"),
        ({"resamples": None}, "resamples=None: leave it out for the default, 10000"),
        ({"backend": None}, "backend=None: leave it out for the default, 'torch'"),
        ({"top_k": 5}, "--top-k 5 keeps fewer passages of each ranking than own_language_share@10"),
    ],
)
def test_a_wrong_option_is_one_sentence(option: dict[str, Any], sentence: str) -> None:
    """With a suggestion where there is one."""
    with pytest.raises(harness.UsageError) as refused:
        harness.evaluate(WordBag(), "demo", **option)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("nDCG@10", "ndcg@10"), ("AP", "map"), ("R@100", "recall@100"), ("RR@10", "mrr@10")],
)
def test_measures_are_known_by_ir_measures_names_too(theirs: str, ours: str) -> None:
    assert parse_measure(theirs) == parse_measure(ours)


def test_a_record_has_one_task_of_a_name(tmp_path: Path) -> None:
    """Twice the same is once; another of its name would take its per-query table."""
    one, other = (str(write_task(tmp_path / x, questions=n)) for x, n in (("a", 3), ("b", 2)))
    record = harness.evaluate(WordBag(), [one, one], resamples=0)
    assert [x.task for x in record.tasks] == ["tiny"]
    with pytest.raises(harness.UsageError, match="two different tasks are called tiny"):
        harness.evaluate(WordBag(), [one, other], resamples=0)
    with pytest.raises(harness.UsageError, match="no task is named"):
        harness.evaluate(WordBag(), [])


def test_a_task_need_not_be_in_a_list(tmp_path: Path) -> None:
    """One task by its path or its spec, and the record read again."""
    path = str(write_task(tmp_path))
    record = harness.evaluate(WordBag(), path, settings="mono", output=tmp_path / "out")
    assert record.folder is not None
    again = harness.load_record(record.folder)
    assert again.document == record.document
    spec = harness.load_task(path)
    assert harness.evaluate(WordBag(), spec, settings=["mono"]).task(spec.name).kinds == ("mono",)


def test_a_run_is_scored_from_python_as_on_the_command_line(tmp_path: Path) -> None:
    """By qrels or by a task; by one of them."""
    path = str(write_task(tmp_path))
    record = harness.evaluate(
        WordBag(), path, settings="mono", trec=tmp_path / "trec", trec_depth=0, measures="map"
    )
    folder = tmp_path / "trec" / "tiny"
    run, qrels = folder / "mono.en.run", folder / "mono.en.qrels"
    (by_qrels,) = harness.score_run(run, qrels=qrels, measures="map")
    (by_task,) = harness.score_run([run], task=path, measures=["map"])
    value = record.to_frame().set_index("setting").loc["mono/en", "map"]
    assert by_qrels.scores["map"] == pytest.approx(value)
    assert by_task.scores["map"] == pytest.approx(value)
    with pytest.raises(harness.UsageError, match="name either the task or the qrels"):
        harness.score_run(run, qrels=qrels, task=path)
    (by_itself,) = harness.score_run(run, measures="map")
    assert by_itself.scores == by_qrels.scores and by_itself.setting.name == "mono/en"
    with pytest.raises(harness.UsageError, match="settings and languages need a task"):
        harness.score_run(run, qrels=qrels, languages="en")


def test_boards_are_made_from_python(tmp_path: Path) -> None:
    """A folder with one tracked record becomes a board in every format."""
    path = str(write_task(tmp_path))
    record = harness.evaluate(WordBag(), path, output=tmp_path / "out")
    assert record.folder is not None
    written = harness.make_boards(tmp_path / "boards", add=[record.folder])
    assert {"tiny.md", "tiny.csv", "index.html"} <= {p.name for p in written}
    assert harness.make_boards(tmp_path / "boards") == []
