"""Tracked records: what they keep, that it is right, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from contents import record_document, task_entry

from harness import Record, evaluate
from harness.boards.tracked.document import add, load, question_ids
from harness.boards.tracked.fields import PackedQuestions
from harness.boards.tracked.questions import Hits, Questions, from_packed, to_document
from harness.boards.tracked.reproduce import reproduce
from harness.boards.tracked.text import text_of
from harness.errors import RecordError
from harness.evaluation.record import validate
from harness.evaluation.reproduction import portable


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Path, Path]:
    """A saved record, the leaderboards folder it was added to, and its tracked file."""
    folder = tmp_path_factory.mktemp("tracked")
    record = evaluate(
        tiny.WordBag(bias=1.0),
        tasks=[str(tiny.write_task(folder))],
        store=False,
        output=folder / "results",
        resamples=200,
        command=["harness", "run", "--model", "/home/me/bag", "-q", "--output", "/home/me/out"],
    )
    assert record.folder is not None
    *_, path = add(record.folder, folder / "leaderboards")
    return record, folder / "leaderboards", path


def test_every_mean_comes_back_from_the_values_of_single_questions(
    made: tuple[Record, Path, Path],
) -> None:
    record, _, path = made
    tracked = load(path)
    entry = record.document["tasks"][0]
    questions = tracked.questions["tiny"]
    assert {kind for kind, _ in questions.columns} == {"mono", "cross", "multi"}
    assert ("multi", "rank_distance") in questions.columns
    for (kind, measure), values in zip(questions.columns, questions.values.T, strict=True):
        mean = entry["means"][kind]["macro"][measure]
        # Half a step of each value at most.
        step = (values.max() - values.min()) / 65_534
        assert values.mean() == pytest.approx(mean, abs=step / 2 + 1e-9), (kind, measure)


def test_means_scores_and_intervals_are_the_records(made: tuple[Record, Path, Path]) -> None:
    record, _, path = made
    whole, kept = record.document["tasks"][0], json.loads(path.read_text())["tasks"][0]
    for i, setting in enumerate(whole["settings"]):
        assert kept["settings"][i] == [
            setting[k] for k in ("kind", "query_language", "passage_language", "queries", "pool")
        ]
        for measure, value in setting["scores"].items():
            assert kept["scores"][measure][i] == pytest.approx(value, rel=1e-8)
    ends = whole["intervals"]["means"]["multi"]["map"]
    assert kept["intervals"]["means"]["multi"]["map"] == pytest.approx(
        [*ends["bca"], ends["standard_error"]], rel=1e-5
    )
    assert kept["per_query"]["sha256"] == whole["per_query"]["sha256"]


def test_hits_are_the_queries_with_a_relevant_passage_first(
    made: tuple[Record, Path, Path],
) -> None:
    record, folder, path = made
    tracked = load(path)
    ids = question_ids(tracked.contents.tasks[0], folder)
    assert ids is not None
    languages = tracked.contents.tasks[0].languages
    frame = record.per_query("tiny")
    for kind in ("mono", "multi"):
        hits = tracked.questions["tiny"].hits[kind]
        rows = frame[frame["kind"] == kind]
        assert hits.has_query.sum() == len(rows) > 0
        for row in rows.itertuples():
            at = ids.index(row.question), languages.index(row.query_language)
            assert hits.has_query[at]
            assert hits.hit[at] == (row._asdict()[_column(frame, "mrr@10")] == 1)


def _column(frame: Any, name: str) -> str:
    """What itertuples calls a column whose name is no identifier."""
    return f"_{list(frame.columns).index(name) + 1}"


def test_adding_twice_changes_nothing(made: tuple[Record, Path, Path]) -> None:
    record, folder, path = made
    before = path.read_bytes()
    assert record.folder is not None
    assert add(record.folder, folder) == [path]
    assert path.read_bytes() == before
    assert text_of(json.loads(before)).encode() == before


def test_no_folder_of_the_machine_stands_in_it(made: tuple[Record, Path, Path]) -> None:
    text = made[2].read_text()
    assert "/home/me" not in text and "./bag" in text
    assert str(made[1].parent) not in text and '"tasks":["./tiny.toml"]' in text.replace(" ", "")


def test_undefined_and_constant_values_come_back() -> None:
    values = np.array([[0.5, 7.0, np.nan], [np.nan, 7.0, np.nan], [1.0, 7.0, np.nan]])
    asked = np.array([[True, False], [True, True], [False, True]])
    before = Questions(
        3,
        "0" * 64,
        (("mono", "map"), ("mono", "mrr@10"), ("multi", "rank_distance")),
        values,
        {"mono": Hits(asked, ~asked)},
    )
    packed = PackedQuestions.model_validate_json(json.dumps(to_document(before)))
    after = from_packed(packed, 2, "here")
    np.testing.assert_allclose(after.values, values, atol=1e-9)
    hits = after.hits["mono"]
    assert (hits.has_query == asked).all() and (hits.hit == ~asked).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("model"), "model"),
        (lambda d: d.update(tracked_version=9), "install a newer polyglot-harness"),
        (lambda d: d["tasks"][0]["scores"]["map"].pop(), "scores for"),
        (lambda d: d["tasks"][0]["scores"].pop("map"), "has means of map and no scores"),
        (lambda d: d["tasks"][0].update(extra=1), "tasks/0"),
        (lambda d: d["tasks"][0]["questions"]["columns"][0].__setitem__(4, "AAAA"), "questions"),
        (lambda d: d["tasks"][0]["questions"]["hits"]["mono"].update(hit="AA=="), "bytes where"),
    ],
)
def test_what_is_not_valid_is_named_and_refused(
    made: tuple[Record, Path, Path], tmp_path: Path, change: Any, words: str
) -> None:
    document = json.loads(made[2].read_text())
    change(document)
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(document))
    with pytest.raises(RecordError, match=r"broken\.json") as refusal:
        load(path)
    assert words in str(refusal.value)


def test_a_full_record_in_place_of_a_tracked_one_is_refused(
    made: tuple[Record, Path, Path],
) -> None:
    assert made[0].folder is not None
    with pytest.raises(RecordError, match="harness board add"):
        load(made[0].folder / "record.json")


def test_other_question_ids_than_the_records_are_refused(
    made: tuple[Record, Path, Path], tmp_path: Path
) -> None:
    record = made[0]
    assert record.folder is not None
    ids, path = add(record.folder, tmp_path)
    ids.write_text("q1\n")
    with pytest.raises(RecordError, match="question ids"):
        question_ids(load(path).contents.tasks[0], tmp_path)
    ids.unlink()
    assert question_ids(load(path).contents.tasks[0], tmp_path) is None


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("harness run --model a/b -q --task xquad-r", "harness run --model a/b --task xquad-r"),
        ("harness run --output=x --model a/b --memory 2G -v", "harness run --model a/b"),
        ("harness run --model /srv/models/m --limit 5", "harness run --model ./m --limit 5"),
        ("harness run --model embeddings:/srv/v", "harness run --model embeddings:./v"),
        ("harness run --model ~/m --no-store --text x", "harness run --model ./m --text x"),
    ],
)
def test_commands_keep_what_changes_a_number(command: str, kept: str) -> None:
    assert portable(command.split()) == kept.split()


def test_the_command_of_a_row_names_its_task_alone() -> None:
    document = record_document(
        task_entry("xquad-r", text="sentence", text_default="sentence"),
        task_entry("my-task"),
        name="m",
        command="harness run --model m --task xquad-r --task own/my-task.toml".split(),
        options={"dtype": "float32", "max_length": 64},
    )
    contents = validate(document, "the record of this test")
    assert reproduce(contents, "xquad-r") == "harness run --model m --task xquad-r"
    assert reproduce(contents, "my-task") == "harness run --model m --task own/my-task.toml"
    document["command"] = None
    document["tasks"][0] |= {"text": "sentence-context", "partial": {"limit": 9}}
    contents = validate(document, "the record of this test")
    assert reproduce(contents, "xquad-r") == (
        "harness run --model m --task xquad-r --max-length 64 --text sentence-context --limit 9"
    )
