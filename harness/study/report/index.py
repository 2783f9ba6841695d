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
_ANSWER = re.compile(r"^\*\*.+\*\*\n\n(\w.+)$", re.MULTILINE)
_SAMPLED = re.compile(r"^\*\*.*SAMPLE OF THE CORPUS.*\*\*$", re.MULTILINE)


def write_index(folder: str | Path) -> Path:
    """Write ``README.md`` with a line for every page ``FOLDER/*/index.md``, by name.

    Each has its title, question, the sentence that answers it, and whether a corpus was sampled.

    Raises:
        StudyError: the folder contains no page of a study.
        StoreError: it cannot be written.
    """
    folder = Path(folder)
    entries = []
    for path in sorted(folder.glob("*/index.md")):
        text = read_text(path, StudyError)
        title, question = (x.search(text) for x in (_TITLE, _QUESTION))
        if GENERATED not in text or title is None or question is None:
            continue
        lines = [f"## [{title[1]}]({quote(path.parent.name)}/index.md)", f"**{question[1]}**"]
        opening = text.partition("\n## ")[0]
        lines += [found[1] for found in _ANSWER.finditer(opening)][:1]
        lines += [found[0] for found in _SAMPLED.finditer(opening)]
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
