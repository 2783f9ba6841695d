"""The list of the studies whose reports are in one folder."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from harness.base.files import write_atomically
from harness.base.reading import read_text
from harness.errors import StudyError
from harness.study.report.page import GENERATED

INDEX = "README.md"
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
_QUESTION = re.compile(r"^\*\*(.+)\*\*$", re.MULTILINE)
# Statements about the whole study, before those about single measures.
_FIRST = re.compile(r"^## What came out\n\n((?:- (?!\*\*).+\n)+)", re.MULTILINE)
_SAMPLED = re.compile(r"^\*\*.*SAMPLE OF THE CORPUS.*\*\*$", re.MULTILINE)


def write_index(folder: str | Path) -> Path:
    """Write ``README.md`` with a line for every page ``FOLDER/*/index.md``, by name.

    Each has its title, question, whether a corpus was sampled, and the first statements of its
    summary.

    Raises:
        StudyError: the folder contains no page of a study.
        StoreError: it cannot be written.
    """
    folder = Path(folder)
    entries = []
    for path in sorted(folder.glob("*/index.md")):
        text = read_text(path, StudyError)
        title, question, first = (x.search(text) for x in (_TITLE, _QUESTION, _FIRST))
        if GENERATED not in text or title is None or question is None:
            continue
        lines = [f"## [{title[1]}]({quote(path.parent.name)}/index.md)", f"**{question[1]}**"]
        lines += [found[0] for found in _SAMPLED.finditer(text.partition("\n## ")[0])]
        lines += [] if first is None else [first[1].rstrip()]
        entries.append("\n\n".join(lines))
    if not entries:
        raise StudyError(
            f"{folder}: contains no report of a study; make one with `harness study report OUT "
            f"--output {folder}/NAME`"
        )
    heading = (
        f"# Studies\n\n{GENERATED}\n\nWhat each page says first; the pages say how sure it is."
    )
    path = folder / INDEX
    write_atomically(path, ("\n\n".join([heading, *entries]) + "\n").encode())
    return path
