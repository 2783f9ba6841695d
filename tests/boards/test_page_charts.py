"""The page's charts and the side-by-side in a browser, against the records they are made from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from browsing import Opened, as_file, golden_board
from golden_boards import GOLDEN

from harness.boards import to_payload
from harness.boards.page import render
from harness.boards.tracked.document import load, question_ids

HARD, PLAIN, LONG = "hard", "acme-plain-encoder", "long"


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    html = render(to_payload(golden_board()))
    found = Opened(browser, as_file(tmp_path_factory.mktemp("page"), html))
    yield found
    assert found.complaints == []
    found.close()


@pytest.fixture
def page(opened: Opened) -> Opened:
    opened.view()
    return opened


def scores(record: str, measure: str) -> dict[tuple[str, str, str | None], float | None]:
    """(kind, query language, passage language) -> score, from the tracked record's file."""
    document = json.loads((GOLDEN / "records" / f"{record}.json").read_text("utf-8"))
    entry = next(x for x in document["tasks"] if x["task"] == "xquad-r")
    return {
        (kind, asked, answered): value
        for (kind, asked, answered, *_), value in zip(
            entry["settings"], entry["scores"][measure], strict=True
        )
    }


def cells(page: Opened) -> dict[tuple[str, str], str]:
    """Query and passage language -> the value that a cell of the heat map tells."""
    script = "all => all.map(x => [x.dataset.cell, x.dataset.value])"
    found = page.tab.eval_on_selector_all("#heat .cells rect", script)
    return {tuple(at.split(" ")): value for at, value in found}


def pairs(record: str, measure: str) -> dict[tuple[str, str], float]:
    """Query and passage language -> score, mono on the diagonal."""
    held = scores(record, measure)
    return {
        (q, p): x for (kind, q, p), x in held.items() if kind != "multi" and p and x is not None
    }


@pytest.mark.parametrize("measure", ["map", "recall@1", "ndcg@10"])
@pytest.mark.parametrize("record", [HARD, LONG])
def test_the_heat_map_is_the_records_matrix(page: Opened, record: str, measure: str) -> None:
    page.tab.select_option("#heat-model", record)
    page.tab.select_option("#heat-what", measure)
    wanted = {at: f"{x:.4f}" for at, x in pairs(record, measure).items()}
    assert len(wanted) == 9
    assert cells(page) == wanted
    listed = page.texts("#heat-table tbody td")
    assert listed == [wanted[q, p] for q in ("en", "de", "zh") for p in ("en", "de", "zh")]
    assert page.texts("#heat-table td.own") == [wanted[x, x] for x in ("en", "de", "zh")]


def test_languages_that_a_model_has_not_seen_are_named(page: Opened) -> None:
    page.tab.select_option("#heat-model", PLAIN)  # trained on de and en
    told = page.texts("#heat-about")[0]
    assert told.endswith("acme/plain-encoder was not trained on Chinese (marked *).")
    assert page.tab.locator("#heat svg text", has_text="zh*").count() == 2
    page.tab.select_option("#heat-model", HARD)  # not known
    assert "not trained" not in page.texts("#heat-about")[0]


def test_darker_is_higher_and_the_own_language_is_outlined(page: Opened) -> None:
    page.tab.select_option("#heat-model", LONG)
    held = pairs(LONG, "map")
    lightness = """all => all.map(x => {
        const canvas = new OffscreenCanvas(1, 1).getContext("2d");
        canvas.fillStyle = getComputedStyle(x).fill;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
        return [x.dataset.cell, 0.2126 * r + 0.7152 * g + 0.0722 * b];
    })"""
    found = page.tab.eval_on_selector_all("#heat .cells rect", lightness)
    shades = {tuple(at.split(" ")): shade for at, shade in found}
    order = sorted(held, key=lambda at: held[at])
    for low, high in pairwise(order):
        if held[high] - held[low] > 0.02:
            assert shades[high] < shades[low], (low, high)
    outlined = page.tab.locator("#heat .own-language rect")
    place = "all => all.map(x => [x.getBBox().x + x.getBBox().width / 2, x.getBBox().y + 1])"
    outlines = outlined.evaluate_all(place)
    own = page.tab.locator(
        '#heat [data-cell="en en"], #heat [data-cell="de de"], #heat [data-cell="zh zh"]'
    )
    assert len(outlines) == 3
    for (x, y), (own_x, own_y) in zip(outlines, own.evaluate_all(place), strict=True):
        assert abs(x - own_x) < 1 and abs(y - own_y) < 3


def test_the_heat_map_shows_the_difference_between_two_models(page: Opened) -> None:
    page.tab.select_option("#heat-model", PLAIN)
    page.tab.select_option("#heat-minus", LONG)
    first, second = pairs(PLAIN, "map"), pairs(LONG, "map")
    labels = page.tab.eval_on_selector_all(
        "#heat .cells rect", "all => all.map(x => x.getAttribute('aria-label'))"
    )
    wanted = [round(first[at], 4) - round(second[at], 4) for at in first if at]
    told = [float(x.rpartition(": ")[2].replace("−", "-")) for x in labels]
    assert sorted(told) == pytest.approx(sorted(wanted), abs=1e-4)
    assert PLAIN.replace("acme-", "acme/") in page.texts("#heat-about")[0]


def test_the_heat_map_follows_the_languages_that_are_chosen(page: Opened) -> None:
    page.view("langs=de")
    assert {q for q, _ in cells(page)} == {"de"}
    assert len(cells(page)) == 3


def test_the_languages_of_the_first_places_are_a_matrix_too(page: Opened) -> None:
    page.tab.select_option("#heat-model", HARD)
    page.tab.select_option("#heat-what", "top")
    document = json.loads((GOLDEN / "records" / f"{HARD}.json").read_text("utf-8"))
    share = next(x for x in document["tasks"] if x["task"] == "xquad-r")["top_languages"]["share"]
    wanted = {(q, p): f"{share[q].get(p, 0):.4f}" for q in share for p in share}
    assert cells(page) == wanted


def test_every_interval_is_drawn_from_end_to_end(page: Opened) -> None:
    board = next(x for x in golden_board().tasks if x.slug == "xquad-r")
    rows = [r for r in board.rows if r.source == "measured"]
    dots = page.tab.eval_on_selector_all(
        "#intervals .values circle",
        "all => all.map(x => Number(x.getAttribute('cx')))",
    )
    values = sorted((r.cells["multi/map"].value or 0.0 for r in rows), reverse=True)
    assert len(dots) == len(values) == 4
    # The axis is linear: two dots give its scale, and everything else must lie on it.
    unit = (dots[0] - dots[-1]) / (values[0] - values[-1])
    assert unit > 0

    def at(value: float) -> float:
        return dots[0] + (value - values[0]) * unit

    assert dots == pytest.approx([at(x) for x in values], abs=0.6)
    lines = page.tab.eval_on_selector_all(
        "#intervals .ends path",
        "all => all.map(x => { const b = x.getBBox(); return [b.x, b.x + b.width]; })",
    )
    ends = sorted((r.cells["multi/map"][1:] for r in rows), reverse=True)
    drawn = [x for line in sorted(lines, reverse=True) for x in line]
    assert drawn == pytest.approx([at(x or 0.0) for pair in ends for x in pair], abs=0.8)
    assert page.tab.locator("#intervals .ties path").count() == 1


def test_rank_distance_is_never_drawn_against_anything_but_map(page: Opened) -> None:
    for measure in ("recall@10", "ndcg@10", "rank_distance"):
        page.view(f"measure={measure}&bias=rank_distance&pub=1")
        label = page.tab.locator("#scatter svg").get_attribute("aria-label")
        assert label == "mAP against Rank distance, 10 rows"
    page.view("measure=recall@10&bias=own_language_first")
    label = page.tab.locator("#scatter svg").get_attribute("aria-label")
    assert label == "R@10 against Own language first, 4 rows"


def test_the_scatter_places_models_by_both_measures(page: Opened) -> None:
    board = next(x for x in golden_board().tasks if x.slug == "xquad-r")
    rows = {r.model: r.cells for r in board.rows if r.source == "measured"}
    script = """all => all.map(x => [
        x.getAttribute("aria-label"), Number(x.getAttribute("cx")), Number(x.getAttribute("cy")),
    ])"""
    dots = page.tab.eval_on_selector_all("#scatter .models circle", script)
    found = {label.rpartition(": mAP")[0]: (x, y) for label, x, y in dots}
    assert set(found) == set(rows)
    by_bias = sorted(rows, key=lambda m: rows[m]["multi/rank_distance"].value or 0)
    by_quality = sorted(rows, key=lambda m: rows[m]["multi/map"].value or 0)
    assert sorted(found, key=lambda m: found[m][0]) == by_bias
    assert sorted(found, key=lambda m: -found[m][1]) == by_quality
    page.tab.locator("#scatter .models circle").first.hover()
    assert "mAP" in page.texts("#scatter-readout")[0]


def test_two_models_stand_side_by_side(page: Opened) -> None:
    page.tab.select_option("#model-a", PLAIN)
    page.tab.select_option("#model-b", LONG)
    board = next(x for x in golden_board().tasks if x.slug == "xquad-r")
    first, second = (next(r for r in board.rows if r.id == x) for x in (PLAIN, LONG))
    script = "all => all.map(x => [...x.children].map(y => y.textContent))"
    listed = page.tab.eval_on_selector_all(".versus tbody tr:not(.groups)", script)
    columns = list(board.columns)
    assert len(listed) == len(columns)
    for (label, a, b, change, _, _, verdict), column in zip(listed, columns, strict=True):
        digits = 1 if column.measure == "rank_distance" else 4
        x, y = (r.cells[column.key].value or 0.0 for r in (first, second))
        assert (label, a, b) == (column.label, f"{x:.{digits}f}", f"{y:.{digits}f}")
        assert float(change.replace("−", "-")) == pytest.approx(y - x, abs=0.6 * 10**-digits)
        if column.better is None:
            assert verdict == ""
        elif not verdict.startswith("tied"):
            better = (y > x) == (column.better == "higher")
            assert verdict == ("B better" if better else "A better"), column
    page.tab.click("#swap")
    assert page.hash()["a"] == LONG and page.hash()["b"] == PLAIN
    page.tab.select_option("#model-a", PLAIN)  # B's place is taken: B becomes what A was
    assert page.tab.input_value("#model-b") == LONG


def test_tied_models_are_said_to_be_tied(page: Opened) -> None:
    page.view("a=hard&b=right-to-left")
    verdicts = page.tab.eval_on_selector_all(
        ".versus tbody:last-of-type tr:not(.groups)", "all => all.map(x => x.lastChild.textContent)"
    )
    assert verdicts[0] == "tied"  # multi/map
    page.view("a=hard&b=published-labse-hybrid")  # of which no values are known by question
    cells = page.texts(".versus .verdict")
    assert {x for x in cells if x} == {"A better untested"}
    page.view("a=hard&b=right-to-left&langs=de,en")
    assert not {"tied", "A better", "B better"} & set(page.texts(".versus .verdict"))


@pytest.mark.parametrize("kind", ["mono", "multi"])
def test_flipped_questions_are_those_of_the_records(page: Opened, kind: str) -> None:
    page.view(f"a={PLAIN}&b={LONG}&hits={kind}")
    held = [load(GOLDEN / "records" / f"{x}.json") for x in (PLAIN, LONG)]
    entry = next(x for x in held[0].contents.tasks if x.task == "xquad-r")
    ids = question_ids(entry, GOLDEN)
    assert ids is not None
    a, b = (x.questions["xquad-r"].hits[kind] for x in held)
    counts = [a.hit & b.hit, a.hit & ~b.hit, ~a.hit & b.hit, ~a.hit & ~b.hit]
    assert page.texts(".counts dd") == [str(int((x & a.has_query).sum())) for x in counts]
    lost = (a.hit & ~b.hit & a.has_query).sum(axis=1)
    assert lost.any()
    script = "all => all.map(x => [x.firstChild.textContent, x.lastChild.textContent])"
    listed = page.tab.eval_on_selector_all(".lost .flips li", script)
    assert sorted(q for q, _ in listed) == sorted(x for x, n in zip(ids, lost, strict=True) if n)
    of = dict(listed)
    codes = entry.languages
    for at, question in enumerate(ids):
        if question in of:
            languages = [c for c, x in zip(codes, a.hit[at] & ~b.hit[at], strict=True) if x]
            all_of_them = len(languages) == len(codes)
            assert of[question] == ("all languages" if all_of_them else " ".join(languages))


def test_published_rows_have_no_questions_and_the_page_says_so(page: Opened) -> None:
    page.view("a=hard&b=published-labse-hybrid")
    assert "does not hold" in page.texts("#flips .note")[0]
    page.view()


def test_texts_of_questions_stand_in_for_their_ids(browser: Any, tmp_path: Path) -> None:
    texts = {"xquad-r": {f"q{n:02d}": f"Why <{n}>?" for n in range(10)}}
    html = render(to_payload(golden_board()), texts)
    found = Opened(browser, as_file(tmp_path, html) + f"#a={PLAIN}&b={LONG}&hits=multi")
    listed = found.texts(".lost .question")
    assert listed and set(listed) <= set(texts["xquad-r"].values())
    assert found.complaints == []
    found.close()
