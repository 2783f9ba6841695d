"""MkDocs hooks: pages link as on a code host, and the site has everything they link to.

``docs/*.md`` links to files of the repository by relative paths, ``../tasks/xquad-r.toml``. The
site holds a copy of each such file under ``repository/``, and the links lead there. A link of a
copied page to something that the site lacks becomes plain text.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / ".ci"))

from check_docs import CODE, FENCE, LINK  # noqa: E402

COPIES = "repository"
API = "<!-- api -->"
_TEXT = re.compile(r"!?\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]")


def _in_repository(page: str, target: str) -> str:
    """The path from the root of the repository that a link of the page at ``page`` leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), target))


def _source(uri: str) -> str:
    """Where a page of the site is in the repository."""
    copy = f"{COPIES}/"
    return uri.removeprefix(copy) if uri.startswith(copy) else f"docs/{uri}"


def _address(path: str) -> str | None:
    """Where a file of the repository is on the site, if it is there; a folder is its README.md."""
    if (ROOT / path).is_dir():
        path = f"{path}/README.md"
    if not (ROOT / path).is_file():
        return None
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{COPIES}/{path}"


def _links(text: str) -> list[str]:
    plain = CODE.sub("", FENCE.sub("", text))
    targets = [match["target"].partition("#")[0] for match in LINK.finditer(plain)]
    return [x for x in targets if x and not re.match(r"[a-z][a-z0-9+.-]*:", x, re.IGNORECASE)]


def on_files(files: Files, config: Any) -> Files:
    """Add what the pages in ``docs/`` link to outside of it."""
    for page in [x for x in files if x.is_documentation_page()]:
        for target in _links(page.content_string):
            address = _address(_in_repository(_source(page.src_uri), target))
            if address is not None and files.get_file_from_path(address) is None:
                file = str(ROOT / _source(address))
                files.append(File.generated(config, address, abs_src_path=file))
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Lead links to the site's copies, and fill in the reference."""
    uri = page.file.src_uri
    if uri.startswith(f"{COPIES}/"):  # boards would come before the pages that explain a measure
        page.meta["search"] = {"exclude": True}
    elif uri == "glossary.md":  # what a word means comes before where it is used
        page.meta["search"] = {"boost": 4}

    def moved(match: re.Match[str]) -> str:
        target, _, fragment = match["target"].partition("#")
        if not target or re.match(r"[a-z][a-z0-9+.-]*:", target, re.IGNORECASE):
            return match[0]
        address = _address(_in_repository(_source(uri), target))
        if address is None or files.get_file_from_path(address) is None:
            text = _TEXT.match(match[0])
            return text["text"] if text else match[0]
        relative = posixpath.relpath(address, posixpath.dirname(uri) or ".")
        return match[0].replace(match["target"], relative + (f"#{fragment}" if fragment else ""))

    done, start = [], 0
    for block in (*FENCE.finditer(markdown), None):
        end = block.start() if block else len(markdown)
        done.append(LINK.sub(moved, markdown[start:end]))
        if block:
            done.append(block[0])
            start = block.end()
    return "".join(done).replace(API, _reference()) if uri == "api.md" else "".join(done)


def on_page_content(html: str, page: Page, config: Any, files: Files) -> str:
    """Remove Sphinx's roles, which the reference's docstrings have for editors."""
    return (
        re.sub(r":\w+:(?=<code>)(<code>)~?", r"\1", html) if page.file.src_uri == "api.md" else html
    )


def _reference() -> str:
    """A directive of mkdocstrings for each public name of the package."""
    text = (ROOT / "harness" / "__init__.py").read_text(encoding="utf-8")
    names = re.findall(r'"(\w+)"', text.partition("__all__ = [")[2].partition("]")[0])
    functions = [x for x in names if x[0].islower()]
    classes = [x for x in names if x[0].isupper() and not x.endswith(("Error", "Warning"))]
    errors = [x for x in names if x.endswith(("Error", "Warning"))]
    parts = []
    for title, group in (("Functions", functions), ("Types", classes), ("Errors", errors)):
        parts += [f"## {title}", *(f"::: harness.{name}" for name in group)]
    return "\n\n".join(parts)
