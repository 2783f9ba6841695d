"""The two consoles: results go to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys

from rich.console import Console

_UNBOUNDED = 10_000
"""Columns of output that no screen shows: a file or a pipe has no width to fit."""


def console(*, stderr: bool = False) -> Console:
    """A console without markup, so that brackets in a model's name are printed as they are.

    Colours, and their absence, follow the terminal and NO_COLOR. Into a file or a pipe lines are as
    long as they are, so that other programs find a table's row, or a sentence, in one line.
    """
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _UNBOUNDED
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)
