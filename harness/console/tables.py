"""A table before it is printed: its contents, for every output format.

:mod:`harness.console.terminal`, :mod:`~harness.console.markdown` and :mod:`~harness.console.latex`
write it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Mark = Literal["", "best", "second"]
Style = Literal["", "strong", "dim"]
_ISOLATE, _END = "\u2068", "\u2069"
_JOINERS = "\u200c\u200d"
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))
"""Where a line may break or must not: in the middle of words."""


@dataclass(frozen=True)
class Item:
    """One cell, as plain text."""

    text: str
    mark: Mark = ""
    interval: tuple[str, str] | None = None
    """The ends of the number's interval."""
    sign: str = ""
    """A footnote's sign behind the text."""
    code: bool = False
    """A command or a digest."""


@dataclass(frozen=True)
class Line:
    """One row; a plain sequence of cells can be used for an ordinary row."""

    cells: Sequence[Item | str]
    style: Style = ""
    group: str = ""
    """Rows of one group follow each other below its title."""

    @property
    def items(self) -> list[Item]:
        """The cells, plain texts as items."""
        return [x if isinstance(x, Item) else Item(x) for x in self.cells]


@dataclass(frozen=True)
class Grid:
    """One table."""

    title: str
    headers: Sequence[str]
    """A header per column; all of them empty: no header."""
    rows: Sequence[Line | Sequence[Item | str]]
    over: Sequence[tuple[str, int]] = ()
    """Headers over several columns, from the left: text (empty: none) and number of columns."""
    align: str = "l"
    """A letter per column from the left, those beyond have numbers: ``l`` names, ``w`` words that
    wrap where the width is short, ``r`` numbers."""

    def side(self, column: int) -> str:
        """``l``, ``w`` or ``r``."""
        return self.align[column] if column < len(self.align) else "r"

    @property
    def names(self) -> int:
        """Number of columns from the left that name a row."""
        return len(self.align) - len(self.align.lstrip("l"))

    def lines(self) -> Iterator[Line]:
        """The rows."""
        for row in self.rows:
            yield row if isinstance(row, Line) else Line(row)


def ends(interval: tuple[str, str]) -> str:
    """An interval in running text: ``0.41–0.47``, with signs ``-0.02 to +0.05``."""
    low, high = interval
    signed = (low[:1] + high[:1]).strip("0123456789")
    return f"{low} to {high}" if signed else f"{low}\N{EN DASH}{high}"


def one_line(text: str) -> str:
    """``text`` without line breaks, control characters and direction overrides.

    Joiners stay: words of Persian and Hindi, and emoji, are spelt with them. Text that runs from
    right to left is isolated, so that it does not turn its neighbours.
    """
    kept = "".join(
        x if unicodedata.category(x)[0] != "C" or x in _JOINERS else " "
        for x in text.translate(_UNSEEN)
    )
    flat = " ".join(kept.split())
    if any(unicodedata.bidirectional(x) in ("R", "AL") for x in flat):
        return f"{_ISOLATE}{flat}{_END}"
    return flat
