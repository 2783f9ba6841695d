"""Read tables of a TOML or JSON file as dataclasses; every error names the file and the key.

A dataclass defines its table: names, types, defaults, and constraints on one value (:class:`Check`)
or on several (``__post_init__`` raises :class:`WrongKeyError`). pydantic does the checking; it is
imported when the first file is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NoReturn,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from harness.base.languages import LANGUAGES, is_language
from harness.errors import HarnessError, did_you_mean

T = TypeVar("T")


class WrongKeyError(ValueError):
    """Raised by ``__post_init__`` for a wrong key; ``key`` is relative to the table."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key


@dataclass(frozen=True)
class Check:
    """In ``Annotated``: ``function`` returns the value to use or raises ValueError.

    The message goes on after the key: ``must be a plain name, not 'a/b'``.
    """

    function: Callable[[Any], Any]
    before: bool = False
    """Whether to run before the type check, on the raw value."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        if self.before:
            return core_schema.no_info_before_validator_function(self.function, handler(source))
        return core_schema.no_info_after_validator_function(self.function, handler(source))


def _not_empty(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def different(values: Sequence[Any]) -> Sequence[Any]:
    """For :class:`Check`: no duplicates."""
    for position, value in enumerate(values):
        if value in values[:position]:
            raise ValueError(f"names {value!r} twice")
    return values


def _at_least_one(values: Sequence[Any]) -> Sequence[Any]:
    if not values:
        raise ValueError("must name at least one")
    return values


def _language(code: str) -> str:
    if not is_language(code):
        raise ValueError(
            f"contains {code!r}, which is not a language code (ISO 639, such as 'de', 'yue' or "
            f"'zh-Hant'; 'qaa' to 'qtz' are free for others){did_you_mean(code, LANGUAGES)}"
        )
    return code


def at_least(least: float, most: float = float("inf")) -> Check:
    """A finite number between two others, both included."""

    def check(value: float) -> float:
        if value == float("inf"):
            raise ValueError("must be finite, not inf")
        if not least <= value <= most:
            ends = f"at least {least}" if most == float("inf") else f"between {least} and {most}"
            raise ValueError(f"must be {ends}, not {value}")
        return value

    return Check(check)


def above(least: float) -> Check:
    """A finite number larger than another."""

    def check(value: float) -> float:
        if not least < value < float("inf"):
            raise ValueError(f"must be above {least}, not {value}")
        return value

    return Check(check)


MANY = (Check(_at_least_one), Check(different))
"""For lists of other things: distinct, at least one."""
Text = Annotated[str, Check(_not_empty)]
"""A non-empty string."""
Texts = Annotated[tuple[str, ...], *MANY]
"""Distinct strings, at least one."""
Language = Annotated[str, Check(_language)]
Languages = Annotated[tuple[Language, ...], *MANY]


@dataclass(frozen=True)
class Complaints:
    """Checks constraints between keys after each has been read."""

    where: Path | str
    complaint: type[HarnessError]
    prefix: str = ""

    def __call__(self, key: str, what: str) -> NoReturn:
        """Refuse ``key``.

        Raises:
            complaint: always; names file and key.
        """
        raise self.complaint(f"{self.where}: key {self.prefix + key!r} {what}")

    def within(self, table: str) -> Complaints:
        """Raises errors about the keys of a table."""
        return Complaints(self.where, self.complaint, f"{self.prefix}{table}.")

    def unless_one_of(self, key: str, value: str, known: Iterable[str]) -> None:
        """Refuse ``key`` unless its value is known."""
        choices = list(known)
        if value not in choices:
            hint = did_you_mean(value, choices)
            self(key, f"must be one of {', '.join(choices)}, not {value!r}{hint}")

    def unless_different(self, key: str, names: Sequence[str]) -> None:
        """Refuse ``key`` if two of its tables have the same name."""
        for at, name in enumerate(names):
            if name in names[:at]:
                self(key, f"has two entries named {name!r}; give each its own name")


def read_as(
    kind: type[T], values: Mapping[str, Any], where: Path | str, complaint: type[HarnessError]
) -> T:
    """``values``, as TOML or JSON gives them, as an instance of the dataclass ``kind``.

    Raises:
        complaint: a key is unknown or missing, or its value is of another type or refused; names
            ``where``, the key, and what would be right.
    """
    from pydantic import ValidationError

    try:
        # Validate as JSON, where lists become tuples and tables dataclasses, and nothing else is
        # converted.
        found: T = _adapter(cast("Any", kind)).validate_json(json.dumps(values, default=_no_json))
    except ValidationError as refused:
        errors = refused.errors(include_url=False)
        unknown = [x for x in errors if x["type"] == "unexpected_keyword_argument"]
        key, what = _sentence(kind, (unknown or errors)[0])
        raise complaint(f"{where}: key {key!r} {what}") from refused
    return found


def refusal(hint: Any, value: Any) -> str | None:
    """The error of a value for a type, in the words of :func:`read_as`; ``None`` if it is valid."""
    from pydantic import ValidationError

    try:
        _value_adapter(hint).validate_python(value)
    except ValidationError as refused:
        return _sentence(hint, refused.errors(include_url=False)[0])[1]
    return None


@cache
def _value_adapter(hint: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(hint, config=ConfigDict(strict=True))


def _no_json(value: Any) -> list[str]:
    return [str(value)]  # dates and times, which none of our tables has


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    for table in _tables(kind):
        table.__pydantic_config__ = ConfigDict(strict=True, extra="forbid")
    return TypeAdapter(kind)


def _tables(hint: Any) -> list[Any]:
    """All dataclasses within a type."""
    if isinstance(hint, type) and is_dataclass(hint):
        inner = get_type_hints(hint).values()
        return [hint, *(x for each in inner for x in _tables(each))]
    return [x for each in get_args(hint) for x in _tables(each)]


def _sentence(kind: Any, error: Mapping[str, Any]) -> tuple[str, str]:
    """The key as written in the file, and the error."""
    path: list[str | int] = list(error["loc"])
    if path and path[-1] == "[key]":
        path.pop()
        # The keys of a table: what they can be is the first argument of its type.
        whole = get_args(_at(kind, path[:-1]))[0]
        return _key(path), _sentence(whole, {**error, "loc": ()})[1]
    of, value, what = error["type"], error["input"], error.get("ctx", {}).get("error")
    if isinstance(what, WrongKeyError):
        return _key([*path, what.key]), str(what)
    item = None
    if path and isinstance(path[-1], int) and not is_dataclass(_at(kind, path)):
        item = path.pop()
    hint = _at(kind, path)
    if of == "value_error":
        return _key(path), str(what)
    if of == "unexpected_keyword_argument":
        known = [x.name for x in fields(_at(kind, path[:-1])) if x.init]
        hint_at = did_you_mean(str(path[-1]), known) or f"; known keys are {', '.join(known)}"
        return _key(path), f"is unknown{hint_at}"
    if of == "missing":
        return _key(path), f"is missing: it must be {_called(hint)}"
    if of == "literal_error":
        known = [str(x) for x in get_args(_at(kind, list(error["loc"])))]
        hint_at = did_you_mean(str(value), known)
        return _key(path), f"must be one of {', '.join(known)}, not {value!r}{hint_at}"
    held = f"but contains {value!r}" if item is not None else f"not {value!r}"
    return _key(path), f"must be {_called(hint)}, {held}"


def _key(path: Sequence[str | int]) -> str:
    """``rules[2].name``: lists of tables are counted from 1, as a reader of the file counts."""
    found = ""
    for x in path:
        found += f"[{x + 1}]" if isinstance(x, int) else f".{x}" if found else x
    return found


def _at(hint: Any, path: Sequence[str | int]) -> Any:
    """The type at a path within a type."""
    hint = _plain(hint)
    for x in path:
        if is_dataclass(hint):
            hint = get_type_hints(hint).get(str(x), Any)
        elif get_args(hint):
            hint = get_args(hint)[0 if isinstance(x, int) else -1]
        hint = _plain(hint)
    return hint


def _plain(hint: Any) -> Any:
    """Without ``Annotated`` and ``| None``."""
    if get_origin(hint) is Annotated:
        return _plain(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return _plain(next(x for x in get_args(hint) if x is not NoneType))
    return hint


def _called(hint: Any) -> str:
    """A type in words."""
    words = {str: "a string", bool: "true or false", int: "a whole number", float: "a number"}
    if hint in words:
        return words[hint]
    if get_origin(hint) is tuple:
        item = _plain(get_args(hint)[0])
        many = {str: "strings", int: "whole numbers"}
        return f"a list of {many.get(item, 'tables' if is_dataclass(item) else 'strings')}"
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    return "a table"
