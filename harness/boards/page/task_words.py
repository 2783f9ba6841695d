"""What the page says of a task beyond its numbers: what it is, and where it comes from."""

from __future__ import annotations

import re
from typing import Any

from harness.boards.board import Board
from harness.data.task import TaskSpec, find_task
from harness.errors import TaskError


def task_words(board: Board) -> dict[str, dict[str, Any]]:
    """Board -> ``sentence``, the first of the task's description, and ``links`` by label.

    A user's own task whose file is not available has none.
    """
    found = {}
    for board_of_task in board.tasks:
        try:
            spec = find_task(board_of_task.task)
        except TaskError:
            continue
        sentence = re.split(r"(?<=\.)\s", " ".join(spec.description.split()), maxsplit=1)[0]
        found[board_of_task.slug] = {"sentence": sentence, "links": links(spec)}
    return found


def links(spec: TaskSpec) -> list[tuple[str, str]]:
    """Labels and addresses of a task's papers and data."""
    papers = re.findall(r"url\s*=\s*\{(https://[^}\s]+)\}", spec.citation)
    label = "paper" if len(papers) == 1 else "paper {}"
    found = [(label.format(i), address) for i, address in enumerate(papers, 1)]
    url = spec.source.url or ""
    # Of files on GitHub, the folder that a browser can show.
    raw = re.fullmatch(r"https://raw\.githubusercontent\.com/([^/]+/[^/]+)/([^/]+)/(.*)", url)
    if raw:
        url = f"https://github.com/{raw[1]}/tree/{raw[2]}/{raw[3]}"
    if spec.source.repository:
        url = f"https://huggingface.co/datasets/{spec.source.repository}"
    return [*found, ("data", url)] if url.startswith("https://") else found
