"""Terminal output as HTML for a notebook."""

from __future__ import annotations

import io
from collections.abc import Callable

from rich.console import Console

_WIDTH = 110
"""Characters per line: most notebooks fit them."""
_FRAME = '<pre style="line-height: 1.25; white-space: pre; overflow-x: auto">{code}</pre>'


def html(print_to: Callable[[Console], None]) -> str:
    """A ``<pre>`` with what ``print_to`` prints; texts are escaped, styles are inline."""
    console = Console(
        record=True, file=io.StringIO(), width=_WIDTH, force_terminal=True, force_jupyter=False,
        color_system="truecolor", highlight=False, markup=False, emoji=False,
    )  # fmt: skip
    print_to(console)
    return console.export_html(inline_styles=True, code_format=_FRAME)
