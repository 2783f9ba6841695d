"""A question opened on the page, and the retrieved passages that boards keep for it."""

from __future__ import annotations

import base64
import json
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
from browsing import Opened, as_file
from click.testing import CliRunner

from harness import evaluate
from harness.boards import make_board, read_leaderboards, to_payload
from harness.boards.page import opened, render
from harness.boards.page.opened import fewer, opened_questions, packed
from harness.boards.tracked import retrieved
from harness.boards.tracked.document import load
from harness.cli import main
from harness.data import task as tasks
from harness.errors import RecordError

HOSTILE = "</script><img src=x onerror=\"document.title='taken'\">"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two records of one task in leaderboards/, with the TREC files of the runs in a/ and b/."""
    folder = tmp_path_factory.mktemp("opened")
    task = tiny.write_task(folder / "task")
    queries = folder / "task" / "data" / "queries.en.jsonl"
    hostile = queries.read_text().replace("en what", f"{json.dumps(HOSTILE)[1:-1]} en what")
    queries.write_text(hostile)
    for name, bias in (("a", 0.2), ("b", 3.0)):
        bag = tiny.WordBag(bias=bias)
        bag.name = f"bag-{name}"
        evaluate(
            bag,
            tasks=[str(task)],
            store=False,
            resamples=0,
            trec=folder / name,
            trec_depth=5,
            output=folder / f"results-{name}",
        )
    return folder


@pytest.fixture(scope="module")
def boards(folder: Path) -> Path:
    for name in "ab":
        (record,) = (folder / f"results-{name}").iterdir()
        done = add(folder, record, folder / name)
        assert done.exit_code == 0, done.output
    return folder / "leaderboards"


def add(folder: Path, record: Path, trec: Path) -> Any:
    words = ["board", "add", str(record), "--leaderboards", str(folder / "leaderboards")]
    return CliRunner().invoke(main, [*words, "--trec", str(trec)], catch_exceptions=False)


@pytest.fixture(scope="module")
def kept(folder: Path, boards: Path) -> dict[str, dict[str, Any]]:
    """What a page of these boards shows of single questions."""
    spec = tasks.find_task(str(folder / "task" / "tiny.toml"))
    patch = pytest.MonkeyPatch()
    patch.setattr(opened, "find_task", lambda name, text: spec)
    try:
        return opened_questions(make_board(read_leaderboards(boards)))
    finally:
        patch.undo()


def test_first_passages_are_those_of_the_run_file(folder: Path, boards: Path) -> None:
    for path in sorted((boards / "retrieved").iterdir()):
        (task,) = retrieved.load(path).tasks
        name = path.stem[4]
        run = folder / name / "tiny" / "multi.de.run"
        found: dict[str, list[str]] = {}
        for line in run.read_text().splitlines():
            query, _, passage, *_ = line.split()
            found.setdefault(query.removeprefix("de:"), []).append(passage)
        assert task.first("multi", "de") == {q: tuple(x[:3]) for q, x in found.items()}
        assert set(task.rankings) == {"mono", "multi"} and len(task.questions) == 10


def test_files_of_another_run_and_damaged_ones_are_refused(folder: Path, boards: Path) -> None:
    (record,) = (folder / "results-a").iterdir()
    failed = add(folder, record, folder / "b")
    assert failed.exit_code == 2 and "is not of the run of" in failed.output
    failed = add(folder, record, folder / "results-a")
    assert failed.exit_code == 2 and "has no folder of a task" in failed.output
    path = next((boards / "retrieved").glob("bag-a*"))
    copy = folder / "damaged.json"
    for old, new, words in (
        ('"retrieved_version": 1', '"retrieved_version": 2', "install a newer"),
        ('"questions": ["q', '"questions": ["more","q', "a line for each of its 11 questions"),
        ('"passages": [', '"passages": 1, "x": [', "is not a valid file of retrieved passages"),
    ):
        text = path.read_text()
        assert old in text
        copy.write_text(text.replace(old, new))
        with pytest.raises(RecordError, match=words):
            retrieved.load(copy)


def test_the_same_questions_are_chosen_for_every_record() -> None:
    ids = [f"question {i}" for i in range(1000)]
    chosen = retrieved.chosen_questions(ids)
    assert len(chosen) == retrieved.QUESTIONS == len(set(chosen))
    assert retrieved.chosen_questions(ids[::-1]) == chosen != tuple(ids[:40])


def test_a_smaller_page_keeps_the_texts_of_what_was_retrieved(kept: dict[str, Any]) -> None:
    board = kept["tiny"]
    whole, less, nothing = fewer(kept)
    assert whole is kept and nothing == {} and packed(nothing) == ""
    assert json.loads(zlib.decompress(base64.b64decode(packed(whole)))) == json.loads(
        json.dumps(whole)
    )
    for rows in board["retrieved"].values():
        for line in rows["multi"]["de"].values():
            assert all(less["tiny"]["texts"][p] for p in line)
    bare = {**board, "retrieved": {}}
    *_, without, _ = fewer({"tiny": bare})
    assert not any(without["tiny"]["texts"]) and any(board["texts"])


def test_retrieved_passages_of_a_question_that_the_board_lacks_are_left_out(
    folder: Path, boards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(boards, tmp_path / "copy")
    path = next((copy / "retrieved").glob("bag-a*"))
    path.write_text(path.read_text().replace('"questions": ["q', '"questions": ["another-q'))
    spec = tasks.find_task(str(folder / "task" / "tiny.toml"))
    monkeypatch.setattr(opened, "find_task", lambda name, text: spec)
    found = opened_questions(make_board(read_leaderboards(copy)))["tiny"]["retrieved"]
    assert len(found[path.stem]["multi"]["de"]) == 9


@pytest.fixture(scope="module")
def page(
    browser: Any, boards: Path, kept: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    html = render(to_payload(make_board(read_leaderboards(boards))), opened=kept)
    found = Opened(browser, as_file(tmp_path_factory.mktemp("page"), html))
    yield found
    assert found.complaints == []
    assert [x for x in found.requests if not x.startswith(("file:", "data:"))] == []
    found.close()


def test_a_question_opens_with_its_texts_and_what_both_found(
    page: Opened, boards: Path, kept: dict[str, Any]
) -> None:
    page.view("hits=multi")
    dialog = page.tab.locator("#question")
    page.tab.locator("#flips button.question").first.click()
    dialog.locator(".passages").first.wait_for()
    board, q = kept["tiny"], int(page.hash()["question"])
    assert page.texts("#question .texts tbody th") == ["English", "German", "Chinese"]
    queries = page.texts("#question .texts tbody td:nth-child(2)")
    assert queries == [board["queries"][x][q] for x in ("en", "de", "zh")]
    assert queries[0].startswith(HOSTILE) and page.tab.title() == "Leaderboards"
    ids = {row: page.tab.input_value(f"#model-{row}") for row in "ab"}
    for code in ("de", "en"):
        dialog.locator("select").select_option(code)
        lists = page.tab.eval_on_selector_all(
            "#question .passages", "all => all.map(x => [...x.children].map(y => y.textContent))"
        )
        for row, found in zip("ab", lists, strict=True):
            line = board["retrieved"][ids[row]]["multi"][code][q]
            assert len(found) == len(line) == 3
            for text, p in zip(found, line, strict=True):
                assert text.startswith(board["ids"][p][:2]) and board["texts"][p] in text
                assert text.endswith("relevant") == (p in board["relevant"][q])
    # The marks of the table are what the records say.
    for letter, column in (("a", 4), ("b", 5)):
        hits = load(boards / "records" / f"{ids[letter]}.json").questions["tiny"].hits["multi"]
        shown = page.texts(f"#question .texts tbody td:nth-child({column})")
        assert [x[0] for x in shown] == ["✓" if x else "✗" for x in hits.hit[q]]


def test_an_opened_question_is_a_step_for_back_and_the_keyboard(page: Opened) -> None:
    page.view("hits=mono")
    dialog = page.tab.locator("#question")
    select = page.tab.locator('[data-focus="open question"]')
    select.select_option(index=3)
    dialog.locator(".texts").wait_for()
    address = page.tab.url
    page.tab.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert "question" not in page.hash()
    page.tab.go_back()
    dialog.wait_for()
    assert page.tab.url == address
    page.tab.go_back()
    dialog.wait_for(state="hidden")
    select.select_option(index=3)  # the same one again
    dialog.wait_for()
    page.tab.locator("#question .close").click()
    dialog.wait_for(state="hidden")
    page.view("question=1.5")
    page.tab.wait_for_timeout(200)
    assert not dialog.is_visible()


def test_without_the_data_questions_are_listed_and_do_not_open(
    browser: Any, boards: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "leaderboards"
    shutil.copytree(boards, copy)
    found = make_board(read_leaderboards(copy))
    assert opened_questions(found) == {}  # a user's own task, whose file is not known
    page = Opened(browser, as_file(tmp_path, render(to_payload(found))) + "#hits=multi&question=1")
    assert page.tab.locator("#flips .question").count() > 0
    assert page.tab.locator("#flips button.question, #question[open]").count() == 0
    assert page.complaints == []
    page.close()
