"""The page for readers who need more than eyes and a mouse, on screens and paper of all kinds."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from browsing import Opened, as_file, golden_board

from harness.boards import to_payload
from harness.boards.page import render

VIEWS = (
    "",
    "pub=1&bias=parameters",
    "table=languages&measure=recall@1",
    "task=miracl-sample&pub=1",
)
RULES = """rules => axe.run(document, {
    resultTypes: ["violations"],
    ...(rules ? { runOnly: { type: "rule", values: rules } } : {}),
}).then(x => x.violations.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 200))]))"""


@pytest.fixture(scope="module")
def payload() -> dict[str, Any]:
    """The golden board with sizes and speeds, so that every chart has something to show."""
    found = copy.deepcopy(to_payload(golden_board()))
    for task in found["tasks"]:
        for i, row in enumerate(task["rows"]):
            row["parameters"] = 10_000_000 * (i + 1)
            row["released"] = "2026-01-01"
    return found


@pytest.fixture(scope="module")
def address(payload: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    return as_file(tmp_path_factory.mktemp("page"), render(payload))


@pytest.fixture(scope="module")
def opened(browser: Any, address: str) -> Iterator[Opened]:
    # The policy of the page would keep out the script that looks it over.
    found = Opened(browser, address, bypass_csp=True, reduced_motion="reduce")
    yield found
    assert found.complaints == []
    found.close()


@pytest.fixture
def page(opened: Opened) -> Opened:
    opened.tab.emulate_media(color_scheme="light", forced_colors="none", media="screen")
    opened.view()
    return opened


@pytest.fixture(scope="module")
def axe(opened: Opened) -> Opened:
    path = files("axe_playwright_python").joinpath("axe.min.js")
    opened.tab.add_script_tag(content=path.read_text("utf-8"))
    return opened


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(axe: Opened, view: str) -> None:
    axe.tab.emulate_media(color_scheme="light")
    axe.view(view)
    assert axe.tab.evaluate(RULES, None) == []
    axe.tab.emulate_media(color_scheme="dark")
    assert axe.tab.evaluate(RULES, ["color-contrast"]) == []


def test_axe_finds_nothing_in_what_opens(axe: Opened) -> None:
    axe.view("pub=1")
    axe.tab.click("#columns summary")
    axe.tab.click("#models .how >> nth=0")
    assert axe.tab.evaluate(RULES, None) == []
    axe.tab.keyboard.press("Escape")


def test_chosen_columns_are_kept_in_the_address_and_in_the_download(page: Opened) -> None:
    page.tab.click("#columns summary")
    page.tab.locator('[data-focus="show parameters"]').uncheck()
    page.tab.locator('[data-focus="show multi/recall@10"]').uncheck()
    assert page.hash()["hide"] == "parameters,multi/recall@10"
    assert page.heading("parameters").count() == page.heading("multi/recall@10").count() == 0
    assert page.heading("multi/recall@1").count() == 1
    page.tab.keyboard.press("Escape")
    page.tab.click("#save summary")
    with page.tab.expect_download() as saved:
        page.tab.click("#save-json")
    text = saved.value.path().read_text("utf-8")
    assert '"multi/recall@1"' in text and '"multi/recall@10"' not in text
    page.tab.go_back()
    assert page.hash()["hide"] == "parameters"
    page.tab.click("#columns summary")
    page.tab.click("#columns-sheet button")
    assert "hide" not in page.hash() and page.heading("parameters").count() == 1


def test_rows_are_left_by_size_kind_and_licence(page: Opened, payload: dict[str, Any]) -> None:
    task = next(x for x in payload["tasks"] if x["slug"] == "xquad-r")
    small = {x["id"] for x in task["rows"] if x["parameters"] < 200_000_000}
    page.view("pub=1")
    page.tab.click("#filters summary")
    page.tab.select_option("#type", "dense")
    dense = {x["id"] for x in task["rows"] if x["kind"] == "dense"}
    assert set(page.rows()) == dense & small != set()
    page.tab.select_option("#type", "")
    page.tab.select_option("#size", "large")
    assert page.rows() == [] and page.texts("#filters-chosen") == ["1 set"]
    page.tab.select_option("#size", "small")
    assert set(page.rows()) == small
    page.tab.select_option("#licence", "not said")
    assert page.hash() == {"pub": "1", "size": "small", "licence": "not said"}


def test_languages_are_coloured_by_value_and_those_not_trained_on_are_marked(
    page: Opened, payload: dict[str, Any]
) -> None:
    page.view("table=languages")
    script = """all => all.map(x => {
        const canvas = new OffscreenCanvas(1, 1).getContext("2d");
        canvas.fillStyle = getComputedStyle(x).backgroundColor;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
        return [Number(x.textContent), r + g + b];
    })"""
    cells = page.tab.eval_on_selector_all("#models tr:not([hidden]) td.heat-cell", script)
    assert len(cells) == 12
    values = sorted(cells)
    assert [x for _, x in values] == sorted((x for _, x in cells), reverse=True)
    # acme/plain-encoder was trained on German and English; of the others nothing is known.
    marked = page.tab.eval_on_selector_all(
        "td.unseen-language", "all => all.map(x => [x.closest('tr').dataset.row, x.cellIndex])"
    )
    chinese = page.tab.eval_on_selector_all(
        '#models thead button[data-focus="sort language/zh"]',
        "all => all.map(x => x.closest('th').cellIndex)",
    )
    assert [row for row, _ in marked] == ["acme-plain-encoder"]
    assert page.texts("td.unseen-language") == [page.column("language/zh")[0]] and chinese
    assert "* not among the languages" in page.texts("#models-note")[0]


def test_quality_stands_against_size_and_against_speed(
    page: Opened, payload: dict[str, Any]
) -> None:
    task = next(x for x in payload["tasks"] if x["slug"] == "xquad-r")
    page.view("pub=1&bias=parameters&kind=mono")
    assert page.texts("#scatter-title") == ["Quality against size"]
    script = "all => all.map(x => [x.dataset.focus.slice(4), Number(x.getAttribute('cx'))])"
    dots = page.tab.eval_on_selector_all("#scatter .models circle", script)
    size = {x["id"]: x["parameters"] for x in task["rows"]}
    drawn = [x["id"] for x in task["rows"] if x["cells"].get("mono/map", [None])[0] is not None]
    assert sorted(x for x, _ in dots) == sorted(drawn) and len(dots) > 5
    assert [x for x, _ in sorted(dots, key=lambda x: x[1])] == sorted(drawn, key=size.__getitem__)
    # Only speeds that were measured: published rows have none.
    page.tab.select_option("#bias", "speed")
    dots = page.tab.eval_on_selector_all("#scatter .models circle", script)
    assert {x for x, _ in dots} == {x["id"] for x in task["rows"] if x["facts"]}
    assert "of 6 rows it is not known" in page.texts("#scatter-about")[0]
    page.view("task=miracl-sample")
    assert page.texts("#scatter-title") == ["Quality against size"]


def test_forced_colours_show_what_is_chosen(page: Opened) -> None:
    page.view("table=languages")
    page.tab.emulate_media(forced_colors="active")
    colour = "x => getComputedStyle(x).backgroundColor"
    for on, off in (
        ("#kind input:checked + span", "#kind input:not(:checked) + span"),
        (".pick[aria-pressed=true]", ".pick[aria-pressed=false]"),
    ):
        chosen, other = (page.tab.locator(x).first.evaluate(colour) for x in (on, off))
        assert chosen != other
    shades = page.tab.locator("td.heat-cell").evaluate_all(
        "all => all.map(x => getComputedStyle(x).backgroundColor)"
    )
    assert len(set(shades)) > 3


def test_a_print_names_its_task_measure_and_models(page: Opened) -> None:
    page.tab.emulate_media(media="print")
    text = page.tab.inner_text("body")
    for words in ("XQuAD-R", "mAP, multi", "XQuAD-R, A: acme/plain-encoder; B: "):
        assert words in text


def test_a_phone_shows_verdicts_and_what_opens_whole(browser: Any, address: str) -> None:
    phone = Opened(
        browser, f"{address}#a=hard&b=right-to-left", viewport={"width": 390, "height": 844}
    )
    boxes = phone.tab.locator(".versus .verdict").evaluate_all(
        "all => all.map(x => x.getBoundingClientRect().right)"
    )
    assert boxes and max(boxes) <= 390
    assert "tied" in phone.texts(".versus .verdict")
    for opens in ("languages", "filters", "columns", "save"):
        phone.tab.click(f"#{opens} summary")
        box = phone.tab.locator(f"#{opens} .sheet").bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390, opens
        phone.tab.keyboard.press("Escape")
    assert phone.tab.evaluate("document.documentElement.scrollWidth") == 390
    phone.close()


def test_the_columns_of_a_long_table_stay_in_place_while_it_is_filtered(
    browser: Any, payload: dict[str, Any], tmp_path: Path
) -> None:
    long = copy.deepcopy(payload)
    task = next(x for x in long["tasks"] if x["slug"] == "xquad-r")
    long["tasks"] = [task]
    last = next(x for x in task["rows"] if x["id"] == "published-labse-x-y")
    task["rows"] += [
        {**last, "id": f"copy-{i}", "model": f"copy {'long ' * (i % 7)}{i}"} for i in range(60)
    ]
    page = Opened(browser, as_file(tmp_path, render(long)) + "#pub=1")
    places = "() => [...document.querySelectorAll('#models thead th')].map(x => x.offsetLeft)"
    before = page.tab.evaluate(places)
    page.tab.fill("#filter", "copy 59")
    assert page.rows() == ["copy-59"]
    assert page.tab.evaluate(places) == pytest.approx(before, abs=1)
    # The chart follows when the typing rests, and what is chosen after it is drawn as well.
    page.tab.fill("#filter", "copy")
    page.tab.locator("#intervals svg[aria-label*='40 rows']").wait_for()
    page.tab.fill("#filter", "")
    page.tab.locator("#kind input[value=mono]").check()
    assert len(page.rows()) == len(task["rows"])
    assert page.complaints == []
    page.close()
