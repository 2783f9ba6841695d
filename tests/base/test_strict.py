"""Tables as dataclasses: what is refused, and in which words."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from harness.base.strict import (
    Languages,
    Text,
    Texts,
    WrongKeyError,
    above,
    at_least,
    read_as,
    refusal,
)
from harness.errors import StudyError


@dataclass(frozen=True)
class Inner:
    name: Text
    size: Annotated[int, at_least(1)] = 1
    share: float | None = None

    def __post_init__(self) -> None:
        if self.name == "big" and self.size < 100:
            raise WrongKeyError("size", "must be larger for 'big'")


@dataclass(frozen=True)
class Outer:
    title: str
    kind: Literal["good", "bad"] = "good"
    tables: tuple[Inner, ...] = ()
    by_name: Mapping[str, Inner] = field(default_factory=dict)
    words: Texts = ("a",)
    languages: Languages = ("en",)
    exact: bool = True


def test_values_become_what_the_dataclass_says() -> None:
    found = read_as(
        Outer,
        {"title": "T", "tables": [{"name": "x", "share": 1}], "by_name": {"y": {"name": "y"}}},
        "f",
        StudyError,
    )
    assert found == Outer("T", tables=(Inner("x", 1, 1.0),), by_name={"y": Inner("y")})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"titel": "T"}, "key 'titel' is unknown; did you mean 'title'?"),
        ({"title": "T", "zzz": 1}, "key 'zzz' is unknown; known keys are title, kind, tables, by_"),
        ({}, "key 'title' is missing: it must be a string"),
        ({"title": 3}, "key 'title' must be a string, not 3"),
        ({"title": datetime.date(2026, 1, 2)}, "key 'title' must be a string, not ['2026-01-02']"),
        ({"kind": "god"}, "key 'kind' must be one of good, bad, not 'god'; did you mean 'good'?"),
        ({"tables": {}}, "key 'tables' must be a list of tables, not {}"),
        ({"tables": [{"name": "x"}, 3]}, "key 'tables[2]' must be a table, not 3"),
        ({"tables": [{"name": "x"}, {"nam": ""}]}, "key 'tables[2].nam' is unknown; did you mean"),
        ({"tables": [{"name": " "}]}, "key 'tables[1].name' must not be empty"),
        ({"tables": [{"name": "x", "size": 0}]}, "key 'tables[1].size' must be at least 1, not 0"),
        ({"tables": [{"name": "x", "size": "3"}]}, "[1].size' must be a whole number, not '3'"),
        ({"tables": [{"name": "x", "size": True}]}, "[1].size' must be a whole number, not True"),
        ({"tables": [{"name": "x", "share": "1"}]}, "[1].share' must be a number, not '1'"),
        ({"by_name": {"a b": {"name": "big"}}}, "key 'by_name.a b.size' must be larger for 'big'"),
        ({"by_name": {"a": 3}}, "key 'by_name.a' must be a table, not 3"),
        ({"words": "one"}, "key 'words' must be a list of strings, not 'one'"),
        ({"words": ["one", 2]}, "key 'words' must be a list of strings, but contains 2"),
        ({"words": ["one", "one"]}, "key 'words' names 'one' twice"),
        ({"words": []}, "key 'words' must name at least one"),
        (
            {"languages": ["en", "xx"]},
            "key 'languages' contains 'xx', which is not a language code",
        ),
        ({"exact": 1}, "key 'exact' must be true or false, not 1"),
    ],
)
def test_refused_with_file_and_key(values: dict[str, Any], says: str) -> None:
    titled = values if not values or any(x.startswith("tit") for x in values) else {"title": "T"}
    with pytest.raises(StudyError) as caught:
        read_as(Outer, titled | values, "some.toml", StudyError)
    assert str(caught.value).startswith("some.toml: ") and says in str(caught.value)


@pytest.mark.parametrize(
    ("hint", "value", "says"),
    [
        (Annotated[float, at_least(0, 0.5)], 0.6, "must be between 0 and 0.5, not 0.6"),
        (Annotated[float, at_least(0)], float("nan"), "must be at least 0, not nan"),
        (Annotated[float, above(0)], 0, "must be above 0, not 0.0"),
        (Annotated[float, above(0)], True, "must be a number, not True"),
        (tuple[str, ...], ("a", 1), "must be a list of strings, but contains 1"),
        (tuple[str, ...], "a", "must be a list of strings, not 'a'"),
        (Literal["a", "b"], "c", "must be one of a, b, not 'c'"),
        (float, 1, None),
    ],
)
def test_a_single_value(hint: Any, value: Any, says: str | None) -> None:
    assert refusal(hint, value) == says
