"""Results in files, or on stdout where a file is called ``-``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click

STDOUT = Path("-")


def write_outputs(wanted: Mapping[str, tuple[Path | None, Callable[[], str]]]) -> bool:
    """Write the texts that have a file; whether there were any.

    Args:
        wanted: flag -> its file, if it was given, and the function that makes the text.

    Raises:
        click.UsageError: two flags have the same file.
    """
    from harness.base.files import write_atomically

    given = {flag: (file, make) for flag, (file, make) in wanted.items() if file is not None}
    if len({file for file, _ in given.values()}) < len(given):
        raise click.UsageError(f"{' and '.join(given)} need different files")
    # All of them are made before the first is written, so that a refusal leaves no file behind.
    for file, text in [(file, make()) for file, make in given.values()]:
        if file == STDOUT:
            click.echo(text, nl=False)
        else:
            write_atomically(file, text.encode("utf-8", "backslashreplace"))
    return bool(given)
