"""Boards with rows of other people's: coverage, facts, pairs, changes, and columns not tested."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from golden_boards import GOLDEN

from harness.boards import Board, make_board, read_leaderboards
from harness.boards.commands import make_boards
from harness.boards.render.grids import (
    beside_grid,
    facts_grid,
    main_grid,
    models_grid,
    name_of,
    overview_grid,
    pair_grid,
    rank_item,
)
from harness.boards.render.legend import legend, of_models, order_of
from harness.boards.render.markdown import task_board
from harness.cli import main
from harness.data.task import Setting
from harness.errors import UsageError
from harness.interop.published import ModelFacts, Published
from harness.interop.published_tables import keep


def published(model: str, values: dict[str, float], **more: object) -> Published:
    scores = {Setting("multi", x, None): {"map": value} for x, value in values.items()}
    row = Published("xquad-r", model, "imported", "mteb 1.2", scores, published_as="X test")
    return dataclasses.replace(row, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A leaderboards folder with two imported models, one of which lacks a language."""
    folder = tmp_path_factory.mktemp("many") / "leaderboards"
    for name in ("records", "questions"):
        shutil.copytree(GOLDEN / name, folder / name)
    (task,) = (x for x in make_board(read_leaderboards(folder)).tasks if x.slug == "xquad-r")
    whole = dict.fromkeys(task.languages, 0.5)
    part = dict(list(whole.items())[1:]) | {task.languages[-1]: 0.9}
    facts = ModelFacts(560_000_000, 1024, "2024-02-08", False, "mit")
    rows = [
        published("acme/whole", whole, facts=facts, trained="XQuADRetrieval, through acme/base"),
        published("acme/part", part),
    ]
    keep(rows, folder)
    return folder


@pytest.fixture(scope="module")
def board(folder: Path) -> Board:
    return make_board(read_leaderboards(folder))


def names(grid: object) -> list[str]:
    return [line.items[0].text + line.items[0].sign for line in grid.lines()]  # type: ignore[attr-defined]


def test_every_model_by_every_language(board: Board) -> None:
    task = next(x for x in board.tasks if x.slug == "xquad-r")
    column = next(c for c in task.every if c.key == "multi/map")
    grid = models_grid(task, column)
    assert grid is not None and grid.headers[:3] == ("Model", "Languages", "mean")
    lines = {line.items[0].text: line for line in grid.lines()}
    n = len(task.languages)
    whole, part = lines["acme/whole"].items, lines["acme/part"].items
    assert (whole[1].text, whole[2].text) == ("all", "0.5000")
    assert (part[1].text, part[2].text, part[3].text) == (f"{n - 1} of {n}", "–", "–")
    assert names(grid)[-1] == "acme/part‡" and "acme/whole‡◆" in names(grid)
    measured = [name_of(r).text for r in task.rows if r.source == "measured"]
    assert all(lines[x].style == "strong" for x in measured) and lines["acme/part"].style == ""
    # They are in that table alone, and the page says what its signs mean.
    assert not {"acme/whole", "acme/part"} & {
        line.items[1].text for line in main_grid(task).lines()
    }
    assert not any("acme/whole" in x for x in names(overview_grid(board)))
    page = task_board(task, board)
    assert "◆ trained on data of this task" in page and page.index("## Models") < page.index("◆")
    assert page.index("Dimensions") > page.index("Multilingual mAP")
    facts = facts_grid(task)
    assert facts is not None and names(facts) == ["acme/part‡", "acme/whole‡◆"]
    assert [x.text for x in list(facts.lines())[1].items[1:]] == [
        "560.0M", "1024", "2024-02-08", "closed", "mit", "XQuADRetrieval, through acme/base",
        "mteb 1.2",
    ]  # fmt: skip
    assert any("no mean" in x for x in of_models(task)) and beside_grid(task, board) is None


def test_two_rows_are_compared_over_the_languages_of_both(board: Board) -> None:
    task = next(x for x in board.tasks if x.slug == "xquad-r")
    column = next(c for c in task.every if c.key == "multi/map")
    grid = pair_grid(task, ("acme/whole", "imported-acme-part"), column)
    *_, mean = grid.lines()
    n = len(task.languages)
    other = (0.5 * (n - 2) + 0.9) / (n - 1)
    assert mean.items[0].text == f"mean of {n - 1} languages"
    assert [x.text for x in mean.items[1:]] == ["0.5000", f"{other:.4f}", f"{other - 0.5:+.4f}"]
    with pytest.raises(UsageError, match="no row 'acme/hole'; did you mean 'acme/whole'"):
        pair_grid(task, ("acme/hole", "acme/part"), column)
    with pytest.raises(UsageError, match="name one by its id"):
        pair_grid(task, ("LaBSE", "acme/part"), column)


def test_rows_that_were_not_tested_have_no_rank_and_no_ties(board: Board) -> None:
    task = max(board.tasks, key=lambda x: sum(r.comparable for r in x.rows))
    untested = [x for x in task.rankings.values() if x.untested]
    assert untested and any(x.tested for x in task.rankings.values())
    for ranking in untested:
        assert not set(ranking.untested) & ({*ranking.order} | {*ranking.spans})
        assert not any(set(tie) & set(ranking.untested) for tie in ranking.ties)
        rows = [r for r in task.rows if r.id in ranking.untested]
        assert {rank_item(task, r, ranking.column).text for r in rows} == {"–"}
    column = untested[0].column
    assert "not tested" in order_of(task, column) and "no rank" in legend(task, board, column)[0]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["board", *map(str, arguments)], catch_exceptions=False)


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex"])
def test_what_is_printed_of_a_board_can_be_read_alone(folder: Path, form: str) -> None:
    words = " ".join(
        run("--leaderboards", folder, "--task", "miracl-sample", "--format", form).output.split()
    )
    assert "MIRACL (sample)" in words and "SAMPLE OF THE CORPUS" in words
    assert "rder is by mono" in words or "Rank and order are by mono" in words
    assert "Best measured value" in words
    assert form != "latex" or (r"\label{tab:miracl-sample}" in words and "resizebox" not in words)


def test_what_changed_since_a_commit(folder: Path, tmp_path: Path) -> None:
    boards = tmp_path / "leaderboards"
    shutil.copytree(folder, boards)
    make_boards(boards)
    (boards / "notes.json").write_text("[]")  # a file of the user's own

    def git(*words: str) -> None:
        me = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", *me, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    git("add", "leaderboards")
    git("commit", "-qm", "boards")
    assert (
        "Nothing that is shown changed" in run("--leaderboards", boards, "--changed", "HEAD").output
    )
    (boards / "records" / "hard.json").unlink()
    path = boards / "records" / "acme-plain-encoder.json"
    record = json.loads(path.read_text())
    record["tasks"][0]["means"]["multi"]["macro"]["map"] = 0.1234
    path.write_text(json.dumps(record))
    shown = run("--leaderboards", boards, "--changed", "HEAD", "--format", "markdown").output
    assert "row is gone" in shown and "| multi mAP |" in shown and "0.1234" in shown
    for revision, words in (("nothing", "git cannot read"), ("--output=x", "is not a commit")):
        failed = run("--leaderboards", boards, "--changed", revision)
        assert failed.exit_code == 2 and words in failed.output
