"""The page: boards as one HTML file that opens from disk and uses no network.

>>> from harness.boards.page import render
>>> html = render(to_payload(make_board(read_leaderboards("leaderboards"))))

Scripts, styles and the charting library are inlined; the content security policy lists their
digests and allows nothing else. ``page.html.j2`` is the frame, ``scripts/`` fills it in the order
of :data:`SCRIPTS`; there is no build step.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Any

from harness.boards.board import Pairs
from harness.boards.page.document import page_document, smaller, static_tables
from harness.boards.page.opened import Opened, fewer, packed

SCRIPTS = (
    "dom.js", "data.js", "state.js", "roving.js", "controls.js", "columns.js", "table.js",
    "save.js", "details.js", "charts.js", "intervals.js", "scatter.js", "heat.js", "versus.js",
    "question.js", "overview.js", "words.js", "main.js",
)  # fmt: skip
"""Scripts in the order of inclusion: each uses those before it."""

LIMIT = 3_000_000
"""Maximum size of a page in bytes; see :func:`render`."""


def render(
    payload: Mapping[str, Any],
    texts: Mapping[str, Mapping[str, str]] | None = None,
    *,
    pairs: Mapping[str, Pairs] | None = None,
    words: Mapping[str, Mapping[str, Any]] | None = None,
    opened: Opened | None = None,
    title: str = "Leaderboards",
    limit: int = LIMIT,
) -> str:
    """The page of ``payload``.

    Args:
        payload: from :func:`harness.boards.to_payload`, not rounded.
        texts: board -> question id -> its text, shown with the questions that flipped.
        pairs: board -> paired differences of its rows, shown side by side.
        words: board -> what the task is and where it comes from; see
            :func:`harness.boards.page.task_words.task_words`.
        opened: what is shown where a question is opened; see
            :func:`harness.boards.page.opened.opened_questions`.
        title: the page's heading.
        limit: bytes; a larger page leaves out first what opened questions show, then the questions'
            texts, then which questions each model answers first, with a note in their place.
    """
    documents = smaller(page_document(payload, texts, pairs, words))
    whole = next(documents)
    choices = chain(
        ((whole, packed(x)) for x in fewer(opened or {})),
        ((document, "") for document in documents),
    )
    page = ""
    for document, of_questions in choices:
        page = _render(document, of_questions, static_tables(payload), title)
        if len(page.encode()) <= limit:
            break
    return page


def _render(document: Mapping[str, Any], opened: str, tables: Sequence[Any], title: str) -> str:
    import jinja2
    from markupsafe import Markup

    library, plot_style = _asset("vendor/plot.min.js"), _asset("vendor/plot.css").rstrip("\n")
    style, script = _style(), _script()
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_digest(library)} {_digest(script)}",
            f"style-src {_digest(style)} {_digest(plot_style)}",
            "font-src data:",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_asset("page.html.j2")).render(
        title=title,
        policy=policy,
        tables=tables,
        # These five are the package's own files, escaped, or base64.
        style=Markup(style),
        library=Markup(library),
        script=Markup(script),
        data=Markup(json_in_html(document)),
        opened=Markup(opened),
    )


def json_in_html(value: Any) -> str:
    """``value`` as JSON that is safe inside a script element whatever its strings contain.

    No ``<`` can end the element, ``&`` and ``>`` start nothing, and the two line separators that
    JSON allows in strings and older JavaScript does not are escaped, as are lone surrogates.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text.encode("utf-8", "backslashreplace").decode()


@cache
def _asset(name: str) -> str:
    """A page file from the package."""
    return files("harness.boards.page").joinpath(*name.split("/")).read_text("utf-8")


@cache
def _style() -> str:
    """The style sheet, with its typeface inside."""
    raw = files("harness.boards.page").joinpath("vendor", "source-sans-3.woff2").read_bytes()
    source = f"data:font/woff2;base64,{base64.b64encode(raw).decode()}"
    return f"""@font-face {{
  font-family: "Source Sans 3";
  font-weight: 200 900;
  font-display: block;
  src: url("{source}") format("woff2");
}}
{_without_comments(_asset("page.css"))}"""


@cache
def _script() -> str:
    """All scripts joined in one scope, without comments and indentation, which saves 30 kB."""
    parts = "\n".join(_without_comments(_asset(f"scripts/{name}")) for name in SCRIPTS)
    return f'"use strict";\n{{\n{parts}}}\n'


def _without_comments(source: str) -> str:
    """``source`` without indentation and without comments that have lines of their own."""
    source = re.sub(r"^[ ]*/\*.*?\*/\n", "", source, flags=re.MULTILINE | re.DOTALL)
    source = re.sub(r"^[ ]*//.*\n", "", source, flags=re.MULTILINE)
    return re.sub(r"^ +", "", source, flags=re.MULTILINE)


def _digest(content: str) -> str:
    """The source expression that allows ``content`` in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
