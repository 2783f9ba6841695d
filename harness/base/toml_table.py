"""One table of a TOML file, read key by key: every error names the file and the key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from harness.errors import HarnessError, TaskError, did_you_mean

_TYPES: Mapping[type, str] = {
    str: "a string",
    list: "a list of strings",
    dict: "a table",
}


class Table:
    """One TOML table. Getters raise :attr:`complaint` if a key is missing or of the wrong type."""

    complaint: type[HarnessError] = TaskError

    def __init__(self, path: Path | str, values: Mapping[str, Any], prefix: str = "") -> None:
        self.path, self.values, self.prefix = path, values, prefix

    def error(self, key: str, what: str) -> HarnessError:
        """The error about ``key``, to raise."""
        return self.complaint(f"{self.path}: key {self.prefix + key!r} {what}")

    def only(self, known: Sequence[str]) -> None:
        """Refuse keys that are not ``known``."""
        for key in self.values:
            if key not in known:
                hint = did_you_mean(key, known) or f"; known keys are {', '.join(known)}"
                raise self.error(key, f"is unknown{hint}")

    def _get(self, key: str, kind: type, default: Any) -> Any:
        if key not in self.values:
            if default is not None:
                return default
            raise self.error(key, f"is missing: it must be {_TYPES[kind]}")
        value = self.values[key]
        if not isinstance(value, kind):
            raise self.error(key, f"must be {_TYPES[kind]}, not {value!r}")
        return value

    def string(self, key: str, default: str | None = None) -> str:
        """A string; must not be empty unless there is a default."""
        value: str = self._get(key, str, default)
        if not value.strip() and default is None:
            raise self.error(key, "must not be empty")
        return value

    def strings(self, key: str, default: list[str] | None = None) -> tuple[str, ...]:
        """A list of distinct strings, at least one."""
        value = self._get(key, list, default)
        if not value:
            raise self.error(key, "must name at least one")
        for position, item in enumerate(value):
            if not isinstance(item, str):
                raise self.error(key, f"must be {_TYPES[list]}, but contains {item!r}")
            if item in value[:position]:
                raise self.error(key, f"names {item!r} twice")
        return tuple(value)

    def boolean(self, key: str, default: bool) -> bool:
        """``true`` or ``false``."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"must be true or false, not {value!r}")
        return value

    def counts(self, key: str) -> dict[str, int]:
        """A table of positive whole numbers; empty if it is missing."""
        found = self.table(key, {})
        for name, value in found.values.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise found.error(name, f"must be a whole number above 0, not {value!r}")
        return dict(found.values)

    def table(self, key: str, default: Mapping[str, Any] | None = None) -> Self:
        """A table within this one."""
        return type(self)(self.path, self._get(key, dict, default), f"{self.prefix}{key}.")

    def one_of(self, key: str, value: str, known: Iterable[str]) -> str:
        """``value`` if it is one of ``known``."""
        choices = list(known)
        if value not in choices:
            hint = did_you_mean(value, choices)
            raise self.error(key, f"must be one of {', '.join(choices)}, not {value!r}{hint}")
        return value
