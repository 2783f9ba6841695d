"""record.schema.json: what a run writes is valid, what is foreign to it is not."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tiny

from harness import evaluate
from harness.errors import RecordError
from harness.evaluation.record import SCHEMA_VERSION, Record, schema, validate


def written(folder: Path, **options: Any) -> dict[str, Any]:
    """A record as it is read from disk."""
    task = tiny.write_task(folder / "own")
    record = evaluate(
        options.pop("model", tiny.WordBag()), tasks=[str(task)], output=folder / "out", **options
    )
    assert record.folder is not None
    return Record.load(record.folder).document


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return written(tmp_path_factory.mktemp("record"), limit=3)


def objects(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every JSON object of the schema that describes a value."""
    if isinstance(node, dict):
        if "type" in node or "enum" in node or "$ref" in node or "const" in node:
            yield path, node
        for key, value in node.items():
            yield from objects(value, (*path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from objects(value, (*path, str(number)))


def test_it_is_a_schema_of_this_version() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema()["properties"]["schema_version"]["const"] == SCHEMA_VERSION


def test_every_field_is_described_and_every_level_closed() -> None:
    for path, node in objects(schema()):
        for name, field in node.get("properties", {}).items():
            assert field.get("description") or "$ref" in field, (*path, name)
        if "properties" in node:
            assert node["additionalProperties"] is False, path
            assert set(node["required"]) <= set(node["properties"]), path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"settings": ("mono",)},
        {"languages": ("en", "de"), "query_prompt": "query: ", "store": False},
        {"model": "bm25"},
    ],
)
def test_what_runs_write_is_valid(tmp_path: Path, options: dict[str, Any]) -> None:
    validate(written(tmp_path, **options), "record")


def test_a_run_with_trec_files_is_valid(tmp_path: Path) -> None:
    found = written(tmp_path, trec=tmp_path / "trec", command=["harness", "run"])
    assert found["tasks"][0]["trec"]["depth"] == 100
    assert found["command"] == ["harness", "run"]


FIXED = [
    (),
    ("model",),
    ("options",),
    ("environment",),
    ("tasks", 0),
    ("tasks", 0, "partial"),
    ("tasks", 0, "counts"),
    ("tasks", 0, "encoding"),
    ("tasks", 0, "settings", 0),
    ("tasks", 0, "means", "mono"),
    ("tasks", 0, "top_languages"),
    ("tasks", 0, "per_query"),
]


# Records that were not made by a run of this harness cannot tell how measures were defined.
OPTIONAL = {"close_comparisons", "definitions"}


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


@pytest.mark.parametrize("path", FIXED)
def test_a_field_too_many_is_named(document: dict[str, Any], path: tuple[Any, ...]) -> None:
    changed = copy.deepcopy(document)
    at(changed, path)["surprise"] = 1
    where = "/".join(map(str, path)) or "top level"
    with pytest.raises(RecordError, match=f"{where}: .*surprise"):
        validate(changed, "record.json")


@pytest.mark.parametrize(
    "path", [x for x in FIXED if x not in ((), ("options",)) and x[-1] != "partial"]
)
def test_a_field_too_few_is_named(document: dict[str, Any], path: tuple[Any, ...]) -> None:
    for name in set(at(document, path)) - OPTIONAL:
        changed = copy.deepcopy(document)
        del at(changed, path)[name]
        with pytest.raises(RecordError, match=f"'{name}' is a required property"):
            validate(changed, "record.json")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("created",), "yesterday"),
        (("model", "kind"), "quantum"),
        (("model", "similarity"), "euclid"),
        (("model", "stored"), 1),
        (("tasks",), []),
        (("tasks", 0, "kinds", 0), "all"),
        (("tasks", 0, "data_digest"), "abc"),
        (("tasks", 0, "partial", "limit"), 0),
        (("tasks", 0, "encoding", "encoded"), -1),
        (("tasks", 0, "settings", 0, "scores", "map"), "0.5"),
        (("tasks", 0, "means", "all"), {"macro": {}, "micro": {}}),
        (("tasks", 0, "rank_distance_by_golds", "three"), 1.0),
        (("tasks", 0, "top_languages", "share", "en", "de"), 1.5),
        (("tasks", 0, "per_query", "file"), "../elsewhere.parquet"),
        (("tasks", 0, "trec"), {"folder": "trec"}),
    ],
)
def test_a_wrong_value_is_refused(
    document: dict[str, Any], path: tuple[Any, ...], value: object
) -> None:
    changed = copy.deepcopy(document)
    at(changed, path[:-1])[path[-1]] = value
    with pytest.raises(RecordError, match="is not a valid record"):
        validate(changed, "record.json")
