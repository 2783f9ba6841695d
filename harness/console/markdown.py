"""Markdown as GitHub shows it: tables, and text that others wrote (names of models, notes)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from harness.console.tables import Grid, Item, ends, one_line

_SPECIAL = re.compile(r"([\\`*_\[\]{}#~$|!])")
# At the start of a cell or line these would begin a list or a heading underline.
_START = re.compile(r"^(\d*)((?<=\d)[.)](?= |$)|(?<!\d)[-+=](?=[ =-]|$))")
# What would become a mention or an address to write to; R@10 is neither.
_MENTION = re.compile(r"(?<!\w)@(?=\w)|@(?=[\w-]+(\.[\w-]+)*\.[A-Za-z])")


def escaped(text: str) -> str:
    """``text`` as Markdown shows it letter by letter, in a table as well."""
    safe = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = _SPECIAL.sub(r"\\\1", safe)
    # Addresses that would become links are plain text here.
    safe = re.sub(r"(?i)\b(https?|ftp):", r"\1&#58;", safe)
    safe = re.sub(r"(?i)\b(www)\.", r"\1&#46;", safe)
    safe = _MENTION.sub("&#64;", safe)
    return _START.sub(r"\1\\\2", safe)


def code(text: str) -> str:
    """``text`` as a code span, outside of tables; empty text gives nothing."""
    flat = re.sub(r"[\r\n\t]+", " ", text).strip()
    if not flat:
        return ""
    fence = "`" * (max((len(x) for x in re.findall("`+", flat)), default=0) + 1)
    pad = " " if flat[0] == "`" or flat[-1] == "`" else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


def item(cell: Item) -> str:
    """One cell: best in bold, second underlined, interval in brackets behind."""
    # In a table a bar ends a cell even within a code span.
    text = code(cell.text).replace("|", r"\|") if cell.code else escaped(cell.text)
    if cell.mark == "best":
        text = f"**{text}**"
    elif cell.mark == "second":
        text = f"<ins>{text}</ins>"
    text += cell.sign
    return f"{text} ({ends(cell.interval)})" if cell.interval else text


def rows(grid: Grid) -> list[str]:
    """The lines of a table: header, rule, rows.

    Headers over several columns join those below; titles of groups become the first column.
    """
    lines = list(grid.lines())
    grouped = any(line.group for line in lines)
    above = [title for title, width in grid.over for _ in range(width)]
    headers = [
        " ".join(x for x in (escaped(over), escaped(header)) if x)
        for over, header in zip(above or [""] * len(grid.headers), grid.headers, strict=True)
    ]
    rule = ["--:" if grid.side(i) == "r" else ":--" for i in range(len(headers))]
    written = [_row([*[""] * grouped, *headers]), _row([*[":--"] * grouped, *rule])]
    for line in lines:
        cells = [item(x) for x in line.items]
        if line.style == "strong":
            cells = [f"**{x}**" if x else "" for x in cells]
        written.append(_row([*[escaped(line.group)] * grouped, *cells]))
    return written


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def table(grid: Grid) -> str:
    """A whole table, a line feed behind each of its lines."""
    return "".join(f"{line}\n" for line in rows(grid))


def bullets(lines: Iterable[str]) -> str:
    """A list; lines that begin with ``  - `` already are below the one before them."""
    return "".join(f"{line}\n" if line.startswith("  - ") else f"- {line}\n" for line in lines)


def folded(summary: str, body: str) -> str:
    """``body`` behind a line to click on; ``summary`` is escaped already."""
    # Between blank lines it is read as Markdown, inside HTML as well.
    return f"<details>\n<summary>\n\n{summary}\n\n</summary>\n\n{body}\n</details>\n"
