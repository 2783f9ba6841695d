"""Text that others wrote (names of models, notes, commands) inside Markdown and LaTeX."""

from __future__ import annotations

import re
import unicodedata

_MARKDOWN = re.compile(r"([\\`*_\[\]{}#~$|!])")
# At the start of a cell or line these would begin a list or a heading underline.
_MARKDOWN_START = re.compile(r"^(\d*)((?<=\d)[.)](?= |$)|(?<!\d)[-+=](?=[ =-]|$))")
# What would become a mention or an address to write to; R@10 is neither.
_MENTION = re.compile(r"(?<!\w)@(?=\w)|@(?=[\w-]+(\.[\w-]+)*\.[A-Za-z])")
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "[": r"{[}",
    "]": r"{]}",
    "–": "--",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
}
_ISOLATE, _END = "\u2068", "\u2069"


def one_line(text: str) -> str:
    """``text`` without line breaks, control characters and direction overrides.

    Text that runs from right to left is isolated, so that it does not turn its neighbours.
    """
    kept = "".join(x if unicodedata.category(x)[0] != "C" or x == "\u200d" else " " for x in text)
    flat = " ".join(kept.split())
    if any(unicodedata.bidirectional(x) in ("R", "AL") for x in flat):
        return f"{_ISOLATE}{flat}{_END}"
    return flat


def markdown(text: str) -> str:
    """``text`` as Markdown shows it letter by letter, in a table as well."""
    safe = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = _MARKDOWN.sub(r"\\\1", safe)
    # Addresses that would become links are plain text here.
    safe = re.sub(r"(?i)\b(https?|ftp):", r"\1&#58;", safe)
    safe = re.sub(r"(?i)\b(www)\.", r"\1&#46;", safe)
    safe = _MENTION.sub("&#64;", safe)
    return _MARKDOWN_START.sub(r"\1\\\2", safe)


def markdown_code(text: str) -> str:
    """``text`` as a code span, in a table as well; empty text gives nothing."""
    flat = " ".join(text.split())
    if not flat:
        return ""
    fence = "`" * (max((len(x) for x in re.findall("`+", flat)), default=0) + 1)
    pad = " " if flat[0] == "`" or flat[-1] == "`" else ""
    return f"{fence}{pad}{flat.replace('|', chr(92) + '|')}{pad}{fence}"


def latex(text: str) -> str:
    """``text`` as LaTeX prints it letter by letter."""
    return "".join(_LATEX.get(x, x) for x in one_line(text).strip(_ISOLATE + _END))
