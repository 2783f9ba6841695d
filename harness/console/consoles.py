"""The two consoles: results go to stdout, everything else to stderr."""

from __future__ import annotations

from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """A console without markup, so that brackets in a model's name are printed as they are.

    Colours, and their absence, follow the terminal and NO_COLOR; 80 columns where there is none.
    """
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)
