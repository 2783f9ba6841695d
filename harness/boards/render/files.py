"""Write or check all files of a leaderboards folder."""

from __future__ import annotations

import difflib
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.base.files import write_atomically
from harness.base.reading import read_text
from harness.boards.board import Board
from harness.boards.payload import to_payload
from harness.boards.render import latex, long_form, markdown, verified
from harness.console.markdown import table
from harness.errors import UsageError

START, END = "<!-- board:start -->", "<!-- board:end -->"
_MARKERS = re.compile(
    r"(<!-- board:start(?: (?P<task>\S+))? -->\n).*?(<!-- board:end -->)", re.DOTALL
)
_SHOWN_LINES = 40
"""Lines shown of one file's difference."""
_SHOWN_WIDTH = 200
"""Characters shown of a line."""


def board_files(board: Board) -> dict[str, bytes]:
    """Name -> content of every file made from the records of a leaderboards folder."""
    found = {
        "all-tasks.md": markdown.overview(board).encode(),
        "all-tasks.tex": latex.overview(board).encode(),
        "all-tasks.json": to_json(board, None).encode(),
    }
    lines = long_form.to_table(board)
    for task in board.tasks:
        found[f"{task.slug}.md"] = markdown.task_board(task, board).encode()
        found[f"{task.slug}.tex"] = latex.task_board(task, board).encode()
        found[f"{task.slug}.csv"] = long_form.csv(lines, task.slug)
        found[f"{task.slug}.json"] = to_json(board, task.slug).encode()
    if board.verified:
        found[f"{verified.NAME}.md"] = verified.markdown(board.verified).encode()
    found["boards.parquet"] = long_form.parquet(lines)
    return found


def to_json(board: Board, slug: str | None) -> str:
    """The JSON of one board or of that across tasks: a line per row, for readable diffs."""
    payload = to_payload(board)
    tasks = [x for x in payload.pop("tasks") if x["slug"] == slug]
    overview = payload.pop("overview")
    if tasks:
        del payload["records"]  # a record of another task does not change this one's file
        for row in tasks[0]["rows"]:
            if row["source"] == "imported":  # published/TASK.csv has the other measures
                kept = {k: x for k, x in row["languages"].items() if k == tasks[0]["sort"]}
                row["languages"] = kept
    parts = [f"{_compact(k)}:{_compact(v)}" for k, v in payload.items()]
    parts.append(f'"task":{_object(tasks[0])}' if tasks else f'"overview":{_object(overview)}')
    return "{" + ",\n".join(parts) + "}\n"


def _object(values: Mapping[str, object]) -> str:
    """An object with one line per row and ranking."""
    parts = []
    for key, value in values.items():
        if key == "rows" and isinstance(value, list):
            text = "[\n" + ",\n".join(_compact(x) for x in value) + "]"
        elif key == "rankings" and isinstance(value, dict):
            named = (f"{_compact(k)}:{_compact(v)}" for k, v in value.items())
            text = "{\n" + ",\n".join(named) + "}"
        else:
            text = _compact(value)
        parts.append(f"{_compact(key)}:{text}")
    return "{" + ",\n".join(parts) + "}"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def write(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write the files that differ; returns the paths written."""
    written = []
    for name, content in files.items():
        path = folder / name
        if not _same(path, content):
            write_atomically(path, content)
            written.append(path)
    return written


def _same(path: Path, content: bytes) -> bool:
    """Whether a file has this content; parquet files are compared as tables."""
    if not path.is_file():
        return False
    present = path.read_bytes()
    if present == content or path.suffix != ".parquet":
        return present == content
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        before, after = (pq.read_table(io.BytesIO(x)) for x in (present, content))
    except (pa.ArrowException, OSError):
        return False
    return bool(before.equals(after))


@dataclass(frozen=True)
class Difference:
    """A file that does not match its records."""

    path: Path
    lines: tuple[str, ...]
    """Unified diff from the actual to the expected content, shortened."""


def differences(folder: Path, files: Mapping[str, bytes]) -> list[Difference]:
    """Every file of ``folder`` that is missing or differs from ``files``."""
    return [
        Difference(path, tuple(_diff(path, content)))
        for name, content in files.items()
        if not _same(path := folder / name, content)
    ]


def _diff(path: Path, content: bytes) -> Iterable[str]:
    if not path.is_file():
        yield f"{path}: is missing"
        return
    if path.suffix == ".parquet":
        yield f"{path}: contains another table"
        return
    before = path.read_text("utf-8", errors="replace").splitlines()
    after = content.decode().splitlines()
    names = (str(path), f"{path} from its records")
    found = difflib.unified_diff(before, after, *names, lineterm="", n=1)
    lines = list(found)
    for number, line in enumerate(lines[:_SHOWN_LINES]):
        # If single lines differ, the diff pairs each line with its replacement.
        other = lines[number + 1] if line[0] == "-" and number + 1 < len(lines) else ""
        if line[0] == "+" and number and lines[number - 1][0] == "-":
            other = lines[number - 1]
        yield "".join(x if x.isprintable() else " " for x in _window(line, other))
    if len(lines) > _SHOWN_LINES:
        yield "..."


def _window(line: str, other: str) -> str:
    """A long line cut to the part where it differs from another."""
    if len(line) <= _SHOWN_WIDTH:
        return line
    pairs = zip(line[1:], other[1:], strict=False)
    at = next((i for i, (x, y) in enumerate(pairs, 1) if x != y), 1)
    start = max(1, at - _SHOWN_WIDTH // 2)
    cut = line[start : start + _SHOWN_WIDTH]
    return f"{line[0]}{'...' * (start > 1)}{cut}{'...' * (start + _SHOWN_WIDTH < len(line))}"


def stale(folder: Path, board: Board) -> list[Path]:
    """Board files in ``folder`` that belong to no record any more."""
    names = {"all-tasks", *(task.slug for task in board.tasks)}
    if board.verified:
        names.add(verified.NAME)
    gone = [
        path.stem
        for path in sorted(folder.glob("*.md"))
        if path.stem not in names and markdown.GENERATED.encode() in path.read_bytes()[:2000]
    ]
    return [
        path
        for name in gone
        for path in (folder / f"{name}.{x}" for x in ("md", "tex", "csv", "json"))
        if path.is_file()
    ]


def injected(path: Path, board: Board) -> bytes:
    """The content of a Markdown page with the table across tasks between its markers.

    ``<!-- board:start -->`` and ``<!-- board:end -->``; with a task's name, as in
    ``<!-- board:start xquad-r -->``, that task's main table.

    Raises:
        UsageError: the page cannot be read, has no markers, or names a task without a board.
    """
    from harness.boards.render.grids import main_grid

    text = read_text(path, UsageError)
    names = {task.slug: task for task in board.tasks}

    def filled(found: re.Match[str]) -> str:
        task = found["task"]
        if task is not None and task not in names:
            raise UsageError(f"{path} names a board {task!r}; there is {', '.join(names)}")
        filling = markdown.overview_table(board) if task is None else table(main_grid(names[task]))
        return f"{found[1]}{filling}{found[3]}"

    whole, count = _MARKERS.subn(filled, text)
    if not count:
        raise UsageError(
            f"{path} has no markers for a board; put the lines {START} and {END} where it belongs"
        )
    return whole.encode()
