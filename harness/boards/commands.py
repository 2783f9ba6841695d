"""The steps of ``harness board``."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.text import Text

from harness.base.files import write_atomically
from harness.base.reading import read_text
from harness.boards import make_board, read_leaderboards
from harness.boards.board import Board, TaskBoard
from harness.boards.render import files
from harness.boards.render import latex as as_latex
from harness.boards.render import markdown as as_markdown
from harness.boards.render.grids import (
    KIND_TITLES,
    main_grid,
    models_grid,
    overview_grid,
    pair_grid,
)
from harness.boards.render.legend import about, legend, of_models
from harness.boards.render.paper import paper_grids
from harness.boards.tracked.document import FOLDER, load
from harness.boards.tracked.document import add as track
from harness.boards.tracked.retrieved import add as keep_retrieved
from harness.console import consoles, latex, markdown
from harness.console.tables import Grid
from harness.console.terminal import print_grid
from harness.errors import HarnessWarning, UsageError, did_you_mean
from harness.evaluation.record import Record

README = "README.md"
HTML = "index.html"
CHECK_FAILED = "The boards do not match their records; make them again with: harness board"


def read(leaderboards: Path, *, skip_invalid: bool, tell: Callable[[str], None]) -> Board:
    """The board of a folder; ``tell`` gets a sentence for each record that is left out."""
    found = read_leaderboards(leaderboards, skip_invalid=skip_invalid)
    for sentence in found.refused:
        tell(sentence)
    return make_board(found)


def make_boards(
    leaderboards: str | Path = "leaderboards",
    *,
    add: Sequence[str | Path] = (),
    skip_invalid: bool = False,
    data_dir: str | Path | None = None,
) -> list[Path]:
    """Make all boards of a folder, in all formats, as ``harness board`` does.

    Args:
        leaderboards: folder with ``records/``.
        add: records to track first, as ``harness board add`` does; paths of a record.json or its
            folder.
        skip_invalid: leave out records that are not valid, with a warning.
        data_dir: local copy of the data, for the texts of questions on the page.

    Returns:
        The paths that changed.

    Raises:
        RecordError: a record cannot be read, or is not valid.
    """
    folder, tracked = Path(leaderboards), []
    for record in add:
        tracked += track(Path(record), folder)
    board = read(folder, skip_invalid=skip_invalid, tell=_warn)
    return [*tracked, *update(board, folder, (), Path(data_dir) if data_dir else None)]


def _warn(sentence: str) -> None:
    warnings.warn(f"left out: {sentence}", HarnessWarning, stacklevel=3)


def add(
    records: Sequence[Path],
    leaderboards: Path,
    *,
    trec: Path | None = None,
    skip_invalid: bool,
    tell: Callable[[str], None],
) -> list[Path]:
    """Track records and make all boards again; returns the paths written.

    Args:
        records: paths of a record.json or its folder, or, with ``trec``, of a tracked record.
        leaderboards: the leaderboards folder.
        trec: TREC files of the run of the one record, whose first passages are kept.
        skip_invalid: leave out records that are not valid.
        tell: gets a sentence for each of those.

    Raises:
        UsageError: ``trec`` with several records.
        RecordError: a record or its TREC files cannot be read, or do not belong together.
    """
    if trec is not None and len(records) != 1:
        raise UsageError(f"--trec is for one record, and {len(records)} were named")
    tracked = leaderboards / FOLDER
    known = [x for x in records if x.parent.resolve() == tracked.resolve()] if trec else []
    new = [record for record in records if record not in known]
    for record in new:  # before the first is written
        Record.load(record)
    written = [x for record in new for x in track(record, leaderboards)]
    if trec is not None:
        kept = load(next(x for x in (*known, *written) if x.parent.resolve() == tracked.resolve()))
        written.append(keep_retrieved(kept, trec, leaderboards))
    board = read(leaderboards, skip_invalid=skip_invalid, tell=tell)
    return [*written, *update(board, leaderboards, ())]


def _pages(leaderboards: Path, pages: Sequence[Path]) -> list[Path]:
    """Pages with markers: the folder's README, if it has markers, and the pages given."""
    own = leaderboards / README
    has = own.is_file() and files.START in read_text(own, UsageError)
    return list(dict.fromkeys([*([own] if has else []), *pages]))


def html(board: Board, data_dir: Path | None = None) -> str:
    """The HTML page, with the texts of questions if their data is available.

    Raises:
        UsageError: ``data_dir`` is not a folder.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise UsageError(f"--data-dir: {data_dir} is not a folder")
    from harness.boards import to_payload
    from harness.boards.page import render
    from harness.boards.page.opened import opened_questions
    from harness.boards.page.question_texts import texts_at_hand
    from harness.boards.page.task_words import task_words

    pairs = {task.slug: task.pairs for task in board.tasks if task.pairs is not None}
    texts = texts_at_hand(board, data_dir)
    opened = opened_questions(board, data_dir)
    return render(to_payload(board), texts, pairs=pairs, words=task_words(board), opened=opened)


def update(
    board: Board, leaderboards: Path, pages: Sequence[Path], data_dir: Path | None = None
) -> list[Path]:
    """Write every format and fill every page; returns the paths that changed."""
    filled = {page: files.injected(page, board) for page in _pages(leaderboards, pages)}
    # Not among the tracked files: it contains more than records do, the texts of questions.
    page_of_all = html(board, data_dir).encode()
    written = files.write(leaderboards, files.board_files(board))
    written += files.write(leaderboards, {HTML: page_of_all})
    for path in files.stale(leaderboards, board):
        path.unlink()
        written.append(path)
    for page, content in filled.items():
        if page.read_bytes() != content:
            write_atomically(page, content)
            written.append(page)
    return written


def update_if_any(leaderboards: Path) -> list[Path]:
    """Make the boards again where there are tracked records; returns the paths that changed."""
    if not any((leaderboards / FOLDER).glob("*.json")):
        return []
    return update(read(leaderboards, skip_invalid=False, tell=lambda _: None), leaderboards, ())


def check(board: Board, leaderboards: Path, pages: Sequence[Path]) -> list[str]:
    """One line per difference between the files and what the records give."""
    found = files.differences(leaderboards, files.board_files(board))
    filled = {str(page): files.injected(page, board) for page in _pages(leaderboards, pages)}
    found += files.differences(Path(), filled)
    lines = [line for difference in found for line in difference.lines]
    return lines + [f"{path}: belongs to no record" for path in files.stale(leaderboards, board)]


def show(board: Board, *, tasks: Sequence[str], sort: str | None, paper: bool, form: str) -> None:
    """Print boards: the papers' tables, or a table per task in the order of a column."""
    chosen = _chosen(board, tasks)
    if paper:
        grids = paper_grids(board, tasks)
        if not grids:
            raise UsageError(
                "no paper has tables of these boards; they are of xquad-r, mlqa-r and miracl"
            )
        _print(grids, form)
    elif not tasks and sort is None:
        _print([overview_grid(board)], form)
    else:
        for x in chosen:
            _show(x, board, _column(x, sort), form)


def _show(task: TaskBoard, whole: Board, sort: str, form: str) -> None:
    """One board's main table, with all that is needed to read it."""
    console = consoles.console()
    if form == "markdown":
        console.out(as_markdown.main_part(task, whole, sort), highlight=False)
        return
    if form == "latex":
        console.out(as_latex.main_table(task, whole, sort), highlight=False)
        return
    notes, facts = about(task)
    console.print(Text(task.title, "bold"))
    for note in notes:
        console.print(Text(note, "bold yellow"))
    console.print(Text(facts))
    console.print()
    grids = [main_grid(task, sort)]
    column = next(c for c in task.every if c.key == sort)
    models = models_grid(task, column)
    print_grid(console, replace(grids[0], over=_short(grids[0].over)), intervals=False)
    for line in legend(task, whole, sort):
        console.print(
            Text(line.replace("; in brackets 95% intervals (bootstrap over questions)", ""))
        )
    if models is not None:
        console.print()
        print_grid(console, models, intervals=False)
        for line in of_models(task):
            console.print(Text(line))
    console.print()


def show_pair(board: Board, task: str, names: tuple[str, str], sort: str | None, form: str) -> None:
    """Print two rows of a board by language, with the mean over the languages of both."""
    (chosen,) = _chosen(board, [task])
    key = _column(chosen, sort)
    column = next(c for c in chosen.every if c.key == key)
    _print([pair_grid(chosen, names, column)], form)


def show_changes(board: Board, leaderboards: Path, revision: str, form: str) -> None:
    """Print what changed on the boards since a commit."""
    from harness.boards.changes import changes_since

    found = changes_since(board, leaderboards, revision)
    if found.rows:
        _print([found], form)
    else:
        consoles.console().print(f"Nothing that is shown changed since {revision}.")


def _chosen(board: Board, names: Sequence[str]) -> list[TaskBoard]:
    known = {x.slug: x for x in board.tasks}
    for name in names:
        if name not in known:
            raise UsageError(
                f"there is no board {name!r}{did_you_mean(name, known)} (there is "
                f"{', '.join(known)})"
            )
    return [known[x] for x in names or known]


def _column(task: TaskBoard, sort: str | None) -> str:
    if sort is None:
        return task.sort
    known = [c.key for c in task.every]
    if sort not in known:
        raise UsageError(
            f"{task.slug} has no column {sort!r}{did_you_mean(sort, known)} (it has "
            f"{', '.join(known)})"
        )
    return sort


def _print(grids: Sequence[Grid], form: str) -> None:
    console = consoles.console()
    labels = Counter[str]()
    for grid in grids:
        if form == "markdown":
            console.out(
                f"### {markdown.escaped(grid.title)}\n\n{markdown.table(grid)}", highlight=False
            )
        elif form == "latex":
            label = "-".join(re.findall("[a-z0-9]+", grid.title.lower()))
            labels[label] += 1  # tables of more models have the same title
            label += f"-part{labels[label]}" if labels[label] > 1 else ""
            console.out(latex.table(grid, grid.title, label), highlight=False)
        else:
            print_grid(console, replace(grid, over=_short(grid.over)), intervals=False)
            console.print()


def _short(over: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Headers with ``mono`` for ``Monolingual``: a terminal is narrower than a page."""
    short = {title: kind for kind, title in KIND_TITLES.items()}
    return [(" ".join(short.get(x, x) for x in title.split()), width) for title, width in over]
