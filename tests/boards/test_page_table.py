"""The page's table in a browser: what it shows, against the board it was made from."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browsing import Opened, as_file, golden_board

import harness.boards.page
from harness.boards import Board, Row, TaskBoard, to_payload
from harness.boards.board import Cell
from harness.boards.commands import html
from harness.boards.page import render
from harness.console.numbers import value as shown

DASH = "–"


@pytest.fixture(scope="module")
def board() -> Board:
    return golden_board()


@pytest.fixture(scope="module")
def opened(
    browser: Any, board: Board, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    folder = tmp_path_factory.mktemp("page")
    found = Opened(browser, as_file(folder, render(to_payload(board))))
    yield found
    assert found.complaints == []
    assert [x for x in found.requests if not x.startswith(("file:", "data:"))] == []
    found.close()


@pytest.fixture
def page(opened: Opened) -> Opened:
    opened.view("pub=1")  # with the published rows, whose group is closed at first
    return opened


@pytest.fixture
def task(board: Board) -> TaskBoard:
    return next(x for x in board.tasks if x.slug == "xquad-r")


def text(value: float | None, measure: str) -> str:
    return DASH if value is None else shown(measure, value).replace("-", "−")


def test_numbers_that_round_to_zero_or_to_the_next_unit(page: Opened) -> None:
    source = (Path(harness.boards.page.__file__).parent / "scripts" / "dom.js").read_text("utf-8")
    calls = "[shown(-0.00004, 4), shown(-0.5, 1), parameters(999_600_000), parameters(117_653_760)]"
    found = page.tab.evaluate(f"(() => {{ {source}\n return {calls}; }})()")
    assert found == ["0.0000", "−0.5", "1.00 B", "118 M"]


def ordered(rows: list[Row], key: str, *, lowest_first: bool = False) -> list[str]:
    """Ids by a column; rows without a value last, equal ones as the board has them."""

    def place(row: Row) -> tuple[bool, float]:
        value = row.cells[key].value if key in row.cells else None
        return (value is None, 0 if value is None else value if lowest_first else -value)

    # Measured rows stand above the others.
    return [row.id for row in sorted(rows, key=lambda x: (x.source != "measured", place(x)))]


def test_opens_on_the_board_of_the_whole_task_in_its_own_order(
    page: Opened, task: TaskBoard
) -> None:
    assert page.tab.input_value("#task") == "xquad-r"
    rows = ordered(list(task.rows), "multi/map")
    assert page.rows() == rows
    by_id = {row.id: row for row in task.rows}
    shown_values = [text(by_id[x].cells["multi/map"].value, "map") for x in rows]
    assert page.column("multi/map") == shown_values


@pytest.mark.parametrize("kind", ["mono", "cross", "multi"])
def test_a_setting_shows_the_means_of_its_columns(page: Opened, task: TaskBoard, kind: str) -> None:
    page.tab.locator(f"#kind input[value={kind}]").check()
    by_id = {row.id: row for row in task.rows}
    assert page.rows() == ordered(list(task.rows), f"{kind}/map")
    columns = [c for c in task.columns if c.kind == kind]
    assert len(columns) >= 5
    for column in columns:
        wanted = [by_id[x].cells.get(column.key) for x in page.rows()]
        values = [text(x.value if x else None, column.measure) for x in wanted]
        assert page.column(column.key) == values, column.key


@pytest.mark.parametrize("measure", ["recall@1", "rank_distance", "mean_rank_correlation"])
def test_a_measure_is_shown_first_in_its_own_order(
    page: Opened, task: TaskBoard, measure: str
) -> None:
    page.tab.select_option("#measure", measure)
    key = f"multi/{measure}"
    lowest = measure == "rank_distance"
    assert page.rows() == ordered(list(task.rows), key, lowest_first=lowest)
    by_id = {row.id: row for row in task.rows}
    cells = [by_id[x].cells.get(key) for x in page.rows()]
    assert page.column(key) == [text(x.value if x else None, measure) for x in cells]
    ends = [
        f"{text(x.low, measure)} {DASH} {text(x.high, measure)}" if x and x.low is not None else ""
        for x in cells
    ]
    assert page.texts("#models tbody td.ends") == ends
    assert any(ends)
    # Rank distance does not stand without mAP, nor any other measure of bias.
    assert page.heading("multi/map").count() == 1


def test_a_heading_orders_and_orders_the_other_way(page: Opened, task: TaskBoard) -> None:
    rows = list(task.rows)
    head = page.heading("multi/rank_distance")
    head.click()
    sorted_as = head.locator("xpath=..")
    assert page.rows() == ordered(rows, "multi/rank_distance", lowest_first=True)
    assert sorted_as.get_attribute("aria-sort") == "ascending"
    head.click()
    assert page.rows() == ordered(rows, "multi/rank_distance")
    assert sorted_as.get_attribute("aria-sort") == "descending"
    said = page.texts("#models th[aria-sort=ascending], #models th[aria-sort=descending]")
    assert said == ["Rank distance↓"]
    assert page.hash()["sort"] == "multi/rank_distance"


def test_models_are_ordered_by_name_and_by_what_they_cost(page: Opened, task: TaskBoard) -> None:
    page.heading("model").click()
    latin = ["LaBSE", "mBERT (LAReQA)", "XLM-R"]
    names = "#models .others .model"
    assert list(dict.fromkeys(page.texts(names))) == latin
    page.heading("model").click()
    assert list(dict.fromkeys(page.texts(names))) == latin[::-1]
    page.heading("parameters").click()
    assert page.column("parameters")[0] == "1.23 M"
    assert set(page.column("parameters")[1:]) == {DASH}


def test_the_filter_leaves_rows_with_all_its_words(page: Opened, task: TaskBoard) -> None:
    page.tab.fill("#filter", "labse HYBRID")
    assert page.rows() == ["published-labse-hybrid"]
    page.tab.fill("#filter", "רב")
    assert page.rows() == ["right-to-left"]
    page.tab.fill("#filter", "<b>a|b")
    assert page.rows() == ["hard"]
    page.tab.fill("#filter", "no such model")
    assert page.rows() == []
    assert page.texts("#models-note")[0].startswith(f"0 of {len(task.rows)} rows")
    page.tab.fill("#filter", "")
    assert len(page.rows()) == len(task.rows)


def test_published_rows_are_marked_and_can_be_left_out(page: Opened, task: TaskBoard) -> None:
    published = {row.id for row in task.rows if row.source == "published"}
    assert published
    for row in published:
        assert page.cell(row, ".chip.published").inner_text() == "published"
        assert page.cell(row, "td.rank").inner_text() == DASH
    marked = page.tab.eval_on_selector_all(
        "#models tr.published", "all => all.map(x => x.dataset.row)"
    )
    assert set(marked) == published
    assert page.tab.locator("#models tr.published .best, #models tr.published .second").count() == 0
    page.tab.locator("#published").uncheck()
    assert page.rows() == [row.id for row in task.rows if row.source == "measured"]
    assert "pub" not in page.hash()
    opens = page.tab.locator("#models .others .opens")
    assert opens.inner_text().endswith(f"({len(published)})")
    opens.click()
    assert published < set(page.rows())
    assert opens.get_attribute("aria-expanded") == "true"
    assert page.tab.locator("#published").is_checked()


def test_ranks_ties_best_and_second_are_those_of_the_board(page: Opened, task: TaskBoard) -> None:
    ranking = task.rankings["multi/map"]
    assert ranking.ties == (("hard", "right-to-left"),)  # else this test shows nothing
    for row, (best, worst) in ranking.spans.items():
        wanted = str(best) if best == worst else f"{best}{DASH}{worst}"
        assert page.cell(row, "td.rank").inner_text().strip() == wanted
        assert page.cell(row, ".lanes i.on").count() == (1 if row in ranking.ties[0] else 0)
    cell = "td.chosen.number"
    for row in (x.id for x in task.rows):
        classes = (page.cell(row, cell).get_attribute("class") or "").split()
        assert ("best" in classes) == (row in ranking.best)
        assert ("second" in classes) == (row in ranking.second)


def test_one_language_shows_its_means_and_intervals(page: Opened, task: TaskBoard) -> None:
    page.tab.click("#languages summary")
    for code in ("en", "zh"):
        page.tab.locator(f"#languages-sheet input[value={code}]").uncheck()
    assert page.hash()["langs"] == "de"
    at = task.languages.index("de")
    by_id = {row.id: row for row in task.rows}
    for row in ("acme-plain-encoder", "long"):
        cell = by_id[row].languages["multi/map"][at]
        assert page.cell(row, "td.chosen.number").inner_text() == text(cell.value, "map")
        ends = f"{text(cell.low, 'map')} {DASH} {text(cell.high, 'map')}"
        assert page.cell(row, "td.ends").inner_text() == ends
    assert set(page.texts("#models tbody td.rank")) == {DASH}


def test_some_languages_show_the_mean_over_them_and_no_interval(
    page: Opened, task: TaskBoard
) -> None:
    page.view("kind=cross&langs=zh,en")
    at = [task.languages.index(x) for x in ("en", "zh")]
    for row in (x for x in task.rows if x.source == "measured"):
        cells = row.languages["cross/map"]
        mean = sum(cells[i].value or 0.0 for i in at) / 2
        assert page.cell(row.id, "td.chosen.number").inner_text() == text(mean, "map")
        assert page.cell(row.id, "td.ends").inner_text() == ""
    assert page.texts("#languages-chosen") == ["en, zh"]
    page.tab.click("#languages summary")
    page.tab.click("#languages-sheet button")
    assert "langs" not in page.hash()


def test_a_part_of_a_task_says_so_loudly(page: Opened, board: Board) -> None:
    assert page.texts(".loud") == []
    page.tab.select_option("#task", "own-part")
    part = next(x for x in board.tasks if x.slug == "own-part")
    assert page.texts("#warnings .loud") == [f"Mind: {part.notes[0]}"]
    assert "first 4 questions" in part.notes[0]
    assert page.rows() == ["right-to-left"]


def test_a_task_without_pairs_shows_languages_as_columns_with_their_median(
    page: Opened, board: Board
) -> None:
    page.tab.select_option("#task", "miracl-sample")
    page.tab.select_option("#measure", "ndcg@10")
    task = next(x for x in board.tasks if x.task == "miracl")
    by_id = {row.id: row for row in task.rows}
    for i, code in enumerate(task.languages):
        cells = [by_id[x].languages["mono/ndcg@10"][i].value for x in page.rows()]
        assert page.column(f"language/{code}") == [text(x, "ndcg@10") for x in cells]
    own = sorted(c.value or 0.0 for c in by_id["long"].languages["mono/ndcg@10"])
    at = page.rows().index("long")
    assert page.column("language/median")[at] == text(own[1], "ndcg@10")
    page.heading("language/zh").click()
    zh = [x for x in page.column("language/zh") if x != DASH]
    assert zh == sorted(zh, reverse=True)
    assert page.tab.locator("#heat-section").is_hidden()


def test_models_stand_side_by_side_across_tasks(page: Opened, board: Board) -> None:
    heads = page.texts(".across thead tr:last-child button span:first-child")
    columns = board.overview.columns
    assert heads == ["Model", "Mean", *(f"{c.column.label}, {c.column.kind}" for c in columns)]
    script = "all => all.map(x => [...x.children].map(y => y.textContent))"
    listed = page.tab.eval_on_selector_all(".across tbody tr", script)
    rows = board.overview.rows
    assert len(listed) == len(rows)
    for (name, mean, *values), row in zip(listed, rows, strict=True):
        assert name.startswith(row.model)
        assert mean == text(row.mean, "map")
        cells = [row.cells.get(c.key) for c in columns]
        wanted = [x.value if x else None for x in cells]
        measures = [c.column.measure for c in columns]
        assert values == [text(x, m) for x, m in zip(wanted, measures, strict=True)]
    bold = page.texts(".across td.best")
    assert len(bold) == sum(len(x) for x in board.overview.best.values())
    key = next(c.key for c in columns if c.column.measure == "rank_distance")
    page.tab.locator(f'[data-focus="across {key}"]').click()
    at = 2 + [c.key for c in columns].index(key)
    listed = page.tab.eval_on_selector_all(".across tbody tr", script)
    shown_values = [float(x[at]) for x in listed if x[at] != DASH]
    assert shown_values == sorted(shown_values) and len(shown_values) > 4
    page.tab.fill("#filter", "xlm-r x-y")
    assert page.tab.locator(".across tbody tr:not([hidden])").count() == 1


def test_the_address_encodes_the_view(
    page: Opened, browser: Any, board: Board, tmp_path: Path
) -> None:
    page.tab.locator("#kind input[value=cross]").check()
    page.tab.select_option("#measure", "recall@10")
    page.heading("model").click()
    page.tab.fill("#filter", "e")
    page.tab.select_option("#model-a", "long")
    rows, address = page.rows(), page.tab.url
    again = Opened(browser, address)
    assert again.rows() == rows
    assert again.tab.input_value("#measure") == "recall@10"
    assert again.tab.input_value("#model-a") == "long"
    assert again.tab.locator("#kind input:checked").get_attribute("value") == "cross"
    again.view("task=gone&kind=gone&measure=gone&langs=xx&sort=gone&a=gone&b=gone&heat=gone")
    assert again.tab.input_value("#task") == "xquad-r"
    assert again.texts("#warnings .loud") == [
        "Mind: the board gone of this address is not on this page; this is XQuAD-R"
    ]
    assert (
        "A (gone) and B (gone) of this address are not on this board"
        in again.texts("#versus-about")[0]
    )
    assert again.complaints == []
    again.close()


def test_what_an_address_names_and_the_board_lacks_changes_nothing(
    page: Opened, task: TaskBoard
) -> None:
    page.view("pub=1&size=small&type=of-another-board&licence=gone")
    small = [row.id for row in task.rows if row.parameters]  # of others no size is known
    assert page.rows() == small != [] and page.texts("#filters-chosen") == ["1 set"]
    page.view("pub=1&sort=mono/map&dir=worst&hide=mono/map")
    assert page.rows() == ordered(list(task.rows), "multi/map")


def test_back_undoes_a_choice_and_letters_typed_together_are_one(
    browser: Any, board: Board, tmp_path: Path
) -> None:
    page = Opened(browser, as_file(tmp_path, html(board)))
    page.tab.locator("#kind input[value=cross]").check()
    page.tab.locator("#filter").press_sequentially("long")
    assert (page.hash()["kind"], page.hash()["q"]) == ("cross", "long")
    page.tab.go_back()
    assert page.tab.input_value("#filter") == ""
    page.tab.go_back()
    assert page.tab.locator("#kind input:checked").get_attribute("value") == "multi"
    # Difference, interval and p-value of A and B side by side.
    task = next(x for x in board.tasks if x.slug == "xquad-r")
    pairs = task.pairs
    assert pairs is not None
    at = [pairs.rows.index(page.tab.input_value(f"#model-{x}")) for x in "ab"]
    i, j = sorted(at)
    n = len(pairs.rows)
    p = pairs.p_values["multi/map"][i * n - i * (i + 1) // 2 + j - i - 1]
    cells = page.texts(".versus tbody:last-of-type tr:nth-child(2) > *")
    assert cells[0] == "mAP"
    assert cells[5] == ("< .0001" if p < 0.0001 else f"{p:.4f}"[1:])
    # The best value is bold in the chosen column, and what is chosen shows in forced colours.
    best = page.tab.locator("#models td.chosen.best")
    weight = "x => getComputedStyle(x).fontWeight"
    assert {best.nth(x).evaluate(weight) for x in range(best.count())} == {"700"}
    page.tab.emulate_media(forced_colors="active")
    colour = "x => getComputedStyle(x).backgroundColor"
    on, off = (
        page.tab.locator(f"#kind input{x} + span").first.evaluate(colour)
        for x in (":checked", ":not(:checked)")
    )
    assert on != off
    assert page.complaints == []
    page.close()


def test_a_model_trained_on_the_task_is_not_said_to_be_best(
    browser: Any, board: Board, task: TaskBoard, tmp_path: Path
) -> None:
    note = "trained on 2 questions of this task, so not ranked"
    best, second, third = [row for row in task.rows if row.source == "measured"][:3]
    leaky = replace(best, notes=(note,), comparable=False)
    other = next(row for row in task.rows if row.source == "published")
    at = task.languages.index("zh")
    cells = [Cell(None) if i == at else x for i, x in enumerate(other.languages["multi/map"])]
    part = replace(other, languages={**other.languages, "multi/map": tuple(cells)})
    of = {best.id: leaky, other.id: part}
    pair = (second.id, third.id)
    ranking = replace(task.rankings["multi/map"], ties=(), tied_apart=(pair,))
    changed = replace(
        task,
        rows=tuple(of.get(x.id, x) for x in task.rows),
        rankings={**task.rankings, "multi/map": ranking},
        one_each=False,
    )
    tasks = tuple(changed if x is task else x for x in board.tasks)
    page = Opened(browser, as_file(tmp_path, render(to_payload(replace(board, tasks=tasks)))))
    told = page.texts("#takeaway")[0]
    assert told.startswith("Of 3 measured models, ") and second.model in told
    assert best.model not in told
    assert f"not significantly better than {third.model}" in told
    page.view("a={}&b={}".format(*pair))  # though no group of neighbours has both
    assert page.texts(".versus tbody:last-of-type tr:nth-child(2) .verdict") == ["tied"]
    page.view("measure=rank_distance")
    assert "best possible" not in page.texts("#models-about")[0]
    page.view("pub=1&langs=de,zh")
    means = dict(zip(page.rows(), page.column("multi/map"), strict=True))
    assert means[other.id] == DASH != means[best.id], "a mean over fewer languages is none"
    page.view()
    page.tab.click("#save summary")
    with page.tab.expect_download() as saved:
        page.tab.click("#save-json")
    shown = json.loads(saved.value.path().read_text("utf-8"))
    assert [x["comparable"] for x in shown] == [False, True, True, True]
    page.close()


def test_what_is_shown_is_saved_as_csv_with_best_and_chance_beside_the_measure(
    page: Opened, task: TaskBoard
) -> None:
    page.view("table=languages")
    page.tab.click("#save summary")
    with page.tab.expect_download() as saved:
        page.tab.click("#save-csv")
    lines = list(csv.DictReader(saved.value.path().read_text("utf-8").splitlines()))
    measured = [x for x in ordered(list(task.rows), "multi/map") if len(lines)]
    by_id = {row.id: row for row in task.rows}
    assert [x["model"] for x in lines] == [
        by_id[x].model for x in measured if by_id[x].source == "measured"
    ]
    for line, row in zip(lines, (by_id[x] for x in measured), strict=False):
        for code, cell in zip(task.languages, row.languages["multi/map"], strict=True):
            assert float(line[f"multi/map/{code}"]) == pytest.approx(cell.value, abs=1e-6)
    page.view("q=no-such-model")
    page.tab.click("#save summary")
    with page.tab.expect_download() as saved:
        page.tab.click("#save-csv")
    (heads,) = saved.value.path().read_text("utf-8").splitlines()
    assert heads.startswith("task,model,recipe,")
    page.view("measure=rank_distance")
    told = page.texts("#models-about")[0]
    assert re.search(r"best possible [1-9]\d*, random order [1-9]\d*\.", told), told
    assert page.texts("#takeaway")[0].startswith("Of 4 measured models, ")
    # Of 20 passages 3 are relevant: C(9, 3) of the C(20, 3) sets of ranks are in the top nine.
    words = (Path(harness.boards.page.__file__).parent / "scripts" / "words.js").read_text()
    formulas = words[words.index("const harmonic") : words.index("/** The chosen measure")]
    values = page.tab.evaluate(
        f"() => {{ {formulas} return [CHANCE.complete(20, 3, 9), CHANCE.complete(20, 3, 2), "
        "CHANCE.max_rank(20, 3), CHANCE.scaled_max_rank(20, 3)]; }"
    )
    assert values == [[1, pytest.approx(84 / 1140)], [0, 0], [3, 3 * 21 / 4], [0, 0.75]]
