"""JSON Schemas of records, written from the models of their fields.

The files ship in the package for readers in other languages; the harness itself checks records
against the models. ``python .ci/write_schemas.py`` writes them, and a test compares them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from harness.evaluation.options import RunOptions
from harness.evaluation.record_fields import Fields
from harness.models.base import ModelOptions


class _Schema(GenerateJsonSchema):
    """Without titles and defaults: fields are named and absent, never null, where not required."""

    schema_dialect = "https://json-schema.org/draft/2020-12/schema"

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> Any:
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: Any) -> Any:
        found = super().dict_schema(schema)
        # Patterns of keys apply to all keys, as in the models.
        for pattern, values in found.pop("patternProperties", {}).items():
            found |= {"propertyNames": {"pattern": pattern}, "additionalProperties": values}
        return found


def schema_of(model: type[BaseModel], title: str) -> dict[str, Any]:
    """The JSON Schema of ``model``, with the docstrings of classes and fields as descriptions."""
    found = model.model_json_schema(schema_generator=_Schema)
    definitions = found.pop("$defs")
    classes: dict[str, type] = {x.__name__: x for x in (*_models(), RunOptions, ModelOptions)}
    for name, schema in [(model.__name__, found), *definitions.items()]:
        schema.pop("title", None)
        schema["description"] = " ".join((inspect.getdoc(classes[name]) or "").split())
        documented = _field_docstrings(classes[name])
        for field, described in schema["properties"].items():
            described["description"] = documented[field]
    return {
        "$schema": _Schema.schema_dialect,
        "title": title,
        **found,
        "$defs": dict(sorted(definitions.items())),
    }


def _models() -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = []
    waiting: list[type[BaseModel]] = [Fields]
    while waiting:
        found.append(waiting.pop())
        waiting += found[-1].__subclasses__()
    return found


def _field_docstrings(model: type) -> dict[str, str]:
    """Field -> the docstring below it, in ``model`` and its base classes."""
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if not cls.__module__.startswith("harness."):
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                found[field.target.id] = " ".join(str(text.value.value).split())
    return found
