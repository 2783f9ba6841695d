"""Option types and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness.base import option_text
from harness.data.task import KINDS
from harness.errors import UsageError


def _read(reader: Callable[[str], Any]) -> Callable[..., Any]:
    """A callback of click's for a value that is written as ``reader`` takes it."""

    def callback(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
        if value is None:
            return None
        try:
            return reader(value)
        except UsageError as problem:
            raise click.BadParameter(str(problem), ctx, param) from problem

    return callback


size = _read(option_text.size)
"""``2G``, ``500M``, ``1.5G`` as bytes."""
part = _read(option_text.part)
"""``3/8`` as numbers."""
kinds = _read(lambda value: option_text.some_of(value, KINDS))
"""``mono,multi`` as a tuple."""
_languages = _read(option_text.languages)


def renamed(words: tuple[str, ...], flag: str, example: str) -> dict[str, str]:
    """``OLD=NEW`` words of a flag that may be given again, as a mapping."""
    found: dict[str, str] = {}
    for word in words:
        old, equals, new = word.partition("=")
        if not (old and equals and new):
            raise UsageError(f"{flag} {word!r}: write it as {example}")
        found[old] = new
    return found


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def languages_option(what: str, flag: str = "--languages") -> Decorator:
    """``--languages``, or another ``flag`` that takes language codes."""
    return click.option(flag, callback=_languages, metavar="CODES", help=f"{what}, as in en,de.")


def data_dir_option() -> Decorator:
    """``--data-dir``."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Local copy of the data, as DIR/xquad-r/en.json; HARNESS_DATA does the same.",
    )


offline_option = click.option("--offline", is_flag=True, help="Never touch the network.")


def baselines_option() -> Decorator:
    """``--baselines``, handed on as ``folder``."""
    return click.option(
        "--baselines",
        "folder",
        type=click.Path(path_type=Path),
        default=Path("leaderboards/baselines"),
        show_default=True,
        metavar="DIR",
        help="Folder of tracked baselines.",
    )


def verbose_option(what: str) -> Decorator:
    """``--verbose``."""
    return click.option("-v", "--verbose", is_flag=True, help=what)
