"""Option types and options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness.base.languages import is_language
from harness.data.task import KINDS
from harness.errors import UsageError, did_you_mean

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([KMGT]?)(?:i?B)?", re.IGNORECASE)
_PART = re.compile(r"([0-9]+)/([0-9]+)")
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """``2G``, ``500M``, ``1.5G`` as bytes, in powers of 1024."""
    if value is None:
        return None
    match = _SIZE.fullmatch(value.strip())
    found = int(float(match[1]) * 1024 ** _POWERS[match[2].upper()]) if match else 0
    if found < 1:
        raise click.BadParameter(f"{value!r} is not a size; write it as 2G or 500M", ctx, param)
    return found


def part(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """``3/8`` as numbers."""
    if value is None:
        return None
    match = _PART.fullmatch(value.strip())
    if match is None or not int(match[1]) < int(match[2]):
        raise click.BadParameter(
            f"{value!r} is not a part; the parts of 8 are 0/8 to 7/8", ctx, param
        )
    return int(match[1]), int(match[2])


def kinds(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """``mono,multi`` as a tuple."""
    words = _words(value)
    for word in words or ():
        if word not in KINDS:
            hint = did_you_mean(word, KINDS)
            raise click.BadParameter(f"{word!r} is not one of {', '.join(KINDS)}{hint}", ctx, param)
    return words


def _languages(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    words = _words(value)
    for word in words or ():
        if not is_language(word):
            raise click.BadParameter(
                f"{word!r} is not a language code; write codes with commas between, as in en,de",
                ctx,
                param,
            )
    return words


def _words(value: str | None) -> tuple[str, ...] | None:
    """Words with commas between, each once."""
    return None if value is None else tuple(dict.fromkeys(x.strip() for x in value.split(",")))


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
