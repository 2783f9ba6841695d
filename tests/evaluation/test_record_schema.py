"""record.schema.json and the models it is written from: they take and refuse the same records."""

from __future__ import annotations

import copy
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import tiny

from harness import evaluate
from harness.errors import RecordError
from harness.evaluation.record import SCHEMA_VERSION, Record, validate

ROOT = Path(__file__).parents[2]


def schema() -> dict[str, Any]:
    """The file as it ships in the package."""
    found: dict[str, Any] = json.loads((ROOT / "harness/evaluation/record.schema.json").read_text())
    return found


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
    jsonschema_rs.meta.validate(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema()["properties"]["schema_version"]["const"] == SCHEMA_VERSION


def test_the_schemas_are_written_from_the_models() -> None:
    spec = importlib.util.spec_from_file_location("write_schemas", ROOT / ".ci/write_schemas.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for path, text in script.schemas().items():
        assert path.read_text("utf-8") == text, "run python .ci/write_schemas.py"


ODD: tuple[Any, ...] = (None, True, -1, 0, 1.5, "x", [], {}, "0" * 64, ["a"], {"x": 1})


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Fields of a document, of lists the first item."""
    yield path
    if isinstance(node, dict):
        # Deep down are measures and languages, one as good as another.
        for key, value in list(node.items())[: 2 if len(path) > 3 else None]:
            yield from places(value, (*path, key))
    elif isinstance(node, list) and node:
        yield from places(node[0], (*path, 0))


def test_the_schema_and_the_models_refuse_the_same(document: dict[str, Any]) -> None:
    """Each field in turn is removed, and takes values of every type."""
    validator = jsonschema_rs.validator_for(schema())

    def taken(changed: Any) -> bool:
        try:
            validate(changed, "record.json")
        except RecordError:
            return False
        return True

    both = {True: 0, False: 0}
    for path in list(places(document)):
        if not path or path[0] == "schema_version":  # true equals the constant 1 in the models
            continue
        parent = at(document, path[:-1])
        kept = parent[path[-1]]
        for value in ODD:
            parent[path[-1]] = value
            valid = validator.is_valid(document)
            assert taken(document) == valid, (path, value)
            both[valid] += 1
        if isinstance(parent, dict):
            del parent[path[-1]]
            assert taken(document) == validator.is_valid(document), path
        parent[path[-1]] = kept
    assert both[True] > 100 and both[False] > 1000


def test_every_field_is_described_and_every_level_closed() -> None:
    for path, node in objects(schema()):
        for name, field in node.get("properties", {}).items():
            assert field.get("description") or "$ref" in field, (*path, name)
        if "properties" in node:
            assert node["additionalProperties"] is False, path
            assert set(node.get("required", ())) <= set(node["properties"]), path


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
        with pytest.raises(RecordError, match=f"'{name}' is a required field"):
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
