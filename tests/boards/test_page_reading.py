"""The page in a browser: safe with any name, without network, by keyboard, on a phone, in print."""

from __future__ import annotations

import copy
import http.client
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Opened, as_file, golden_board

from harness.boards import to_payload
from harness.boards.page import render
from harness.boards.page.serving import HOST, server
from harness.errors import UsageError

HOSTILE = (
    '</script><script>document.title="taken"</script>',
    '<img src=x onerror="document.title=`taken`"><style>body{display:none}</style>',
    "\"'`&lt;&amp; ${1} {{ 7*7 }} \u2028\u2029 \u202eright to left\u202c \ud800",
    "m" * 200,
)
BLOCKED = "violates the following Content Security Policy"


@pytest.fixture(scope="module")
def payload() -> dict[str, Any]:
    """The golden board with names that try to leave their place."""
    found = copy.deepcopy(to_payload(golden_board()))
    for task in found["tasks"]:
        measured = [row for row in task["rows"] if row["source"] == "measured"]
        for row, name in zip(measured, HOSTILE, strict=False):
            row["model"] = name
            row["options"] = name
            row["facts"]["command"] = f"harness run --model '{name}'"
    return found


@pytest.fixture(scope="module")
def address(payload: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    return as_file(tmp_path_factory.mktemp("page"), render(payload, title="<i>Boards</i>"))


@pytest.fixture(scope="module")
def opened(browser: Any, address: str) -> Iterator[Opened]:
    found = Opened(browser, address)
    yield found
    assert found.complaints == []
    assert [x for x in found.requests if not x.startswith(("file:", "data:"))] == []
    found.close()


@pytest.fixture
def page(opened: Opened) -> Opened:
    opened.view()
    return opened


def test_hostile_names_are_shown_as_text(page: Opened) -> None:
    names = page.texts("#models tbody.measured .model")
    # A lone surrogate has no letter: the browser shows the replacement character.
    assert [x.replace("\ufffd", "\ud800") for x in names] == [x.strip() for x in HOSTILE]
    assert page.tab.title() == "<i>Boards</i>"
    assert page.texts("h1") == ["<i>Boards</i>"]
    assert (
        page.tab.locator("img, body i:not(.key, .lanes i), body style:not(svg style)").count() == 0
    )
    assert page.tab.locator("script").count() == 4
    assert page.texts("#model-a option")[0].startswith(HOSTILE[0])
    inside = page.tab.locator("#models bdi").first
    assert inside.evaluate("x => x.children.length") == 0
    assert page.tab.locator("body").is_visible()


def test_the_command_is_one_click_away_with_digest_and_fingerprint(
    page: Opened, payload: dict[str, Any]
) -> None:
    task = next(x for x in payload["tasks"] if x["slug"] == "xquad-r")
    row = next(x for x in task["rows"] if x["model"] == HOSTILE[0])
    page.cell(row["id"], ".how").click()
    dialog = page.tab.locator("#details")
    assert dialog.locator("pre code").inner_text() == f"harness run --model '{HOSTILE[0]}'"
    told = dialog.inner_text()
    for fact in (task["data_digest"], row["facts"]["fingerprint"], row["facts"]["record_sha256"]):
        assert fact in told
    dialog.locator(".copy").click()
    dialog.get_by_text(re.compile("Copied|Press Ctrl")).wait_for()
    page.tab.keyboard.press("Escape")
    assert dialog.is_hidden()
    published = next(x for x in task["rows"] if x["source"] == "published")
    page.view("pub=1")
    page.cell(published["id"], ".how").click()
    assert published["reference"] in dialog.inner_text()
    assert dialog.locator("pre").count() == 0
    dialog.locator(".close").click()


def test_rows_of_a_larger_corpus_stand_apart_under_a_loud_note(page: Opened) -> None:
    page.view("task=miracl-sample&pub=1")
    notes = next(x for x in golden_board().tasks if x.slug == "miracl-sample").notes
    assert "SAMPLE" in notes[0]
    assert page.texts("#warnings .loud") == [f"Mind: {x}" for x in notes]
    apart = page.tab.locator("tbody.apart tr.published")
    assert apart.count() == 6
    assert "over the whole corpus, not this sample" in page.texts("tbody.apart .loud-row")[0]
    assert len(page.rows()) == 2
    assert page.tab.locator("#intervals .values circle").count() == 2
    assert set(page.texts("tbody.apart td.rank")) == {"–"}
    assert not any(x.startswith("LaBSE") for x in page.texts("#model-a option"))


def test_nothing_can_be_loaded_or_sent(browser: Any, address: str) -> None:
    page = Opened(browser, address)
    script = """async there => {
        new Image().src = `${there}/x.png`;
        const made = document.createElement("script");
        made.textContent = "document.title = 'taken'";
        document.body.append(made);
        const styled = document.createElement("style");
        styled.textContent = "body { display: none }";
        document.head.append(styled);
        navigator.sendBeacon(`${there}/beacon`, "x");
        return fetch(there).then(() => "sent", () => "refused");
    }"""
    with socket.create_server((HOST, 0)) as there:
        there.settimeout(0.3)
        answer = page.tab.evaluate(script, f"http://{HOST}:{there.getsockname()[1]}")
        with pytest.raises(TimeoutError):
            there.accept()
    assert answer == "refused"
    assert page.tab.title() != "taken"
    assert page.tab.locator("body").is_visible()
    # The browser says of each that the policy forbade it.
    blocked = [x for x in page.complaints if BLOCKED in x]
    for source in ("img-src", "script-src", "style-src", "connect-src"):
        assert any(source in x for x in blocked), source
    page.close()


def focused(page: Opened) -> str:
    """What has the focus: its cell of the matrix, what it is for, its id or its text."""
    script = """() => {
        const x = document.activeElement;
        const known = x.dataset.cell ?? x.dataset.focus;
        return known ?? (x.id || x.getAttribute("value") || x.textContent.trim());
    }"""
    found: str = page.tab.evaluate(script)
    return found


def test_the_page_can_be_used_by_keyboard_alone(browser: Any, address: str) -> None:
    page = Opened(browser, address)
    press = page.tab.keyboard.press
    page.view("kind=multi")
    press("Tab")
    assert focused(page) == "Skip to the table"
    press("Enter")
    assert focused(page) == "models" and page.hash() == {"kind": "multi"}
    for stop in ("table ", "Columns", "Download", "to-the-right", "table-scroll"):
        press("Tab")
        assert focused(page) == stop or stop == "to-the-right"
        if focused(page) == "table-scroll":
            break
    assert focused(page) == "table-scroll"
    press("Tab")
    assert focused(page) == "sort model"  # the headings are one stop, arrows move among them
    press("ArrowRight")
    press("ArrowRight")
    key = focused(page).removeprefix("sort ")
    press("Enter")
    assert focused(page) == f"sort {key}"  # kept though the table was drawn again
    assert page.hash()["sort"] == key
    best_first = page.rows()
    press("Enter")  # once more: the worst first
    assert focused(page) == f"sort {key}"
    assert page.rows() != best_first
    press("End")
    assert focused(page) == "sort memory"
    press("Home")
    assert focused(page) == "sort model"

    press("Tab")
    first, second = page.rows()[:2]
    assert focused(page) == f"a {first}"  # all rows are one stop as well
    press("ArrowDown")
    press("ArrowRight")
    assert focused(page) == f"b {second}"
    press("Enter")
    assert page.hash()["b"] == second
    assert focused(page) == f"b {second}"
    press("ArrowRight")
    press("Enter")
    assert page.tab.locator("#details").is_visible()
    press("Escape")
    assert focused(page) == f"how {second}"

    for _ in range(20):  # to the heat map: selects, the scatter, ...
        press("Tab")
        if focused(page) == "en en":
            break
    assert focused(page) == "en en"
    press("ArrowRight")
    press("ArrowDown")
    assert focused(page) == "de de"
    told = page.texts("#heat-readout")[0]
    value = page.tab.locator('[data-cell="de de"]').get_attribute("data-value")
    assert told.startswith("Questions in German, passages in German") and value in told
    press("Shift+Tab")
    assert focused(page) == "heat-minus"
    assert page.complaints == []
    page.close()


def test_controls_work_by_keyboard(page: Opened) -> None:
    page.tab.locator("#kind input:checked").focus()
    page.tab.keyboard.press("ArrowLeft")
    assert page.hash()["kind"] == "cross"
    assert focused(page) == "kind cross"
    page.tab.keyboard.press("ArrowLeft")
    assert page.hash()["kind"] == "mono"
    page.tab.locator("#languages summary").focus()
    page.tab.keyboard.press("Enter")
    page.tab.keyboard.press("Tab")
    page.tab.keyboard.press("Tab")
    page.tab.keyboard.press("Space")
    assert page.hash()["langs"] == "de,zh"
    page.tab.keyboard.press("Escape")
    assert not page.tab.locator("#languages").evaluate("x => x.open")
    page.view()
    before = page.tab.input_value("#model-b")
    row = next(x for x in page.rows() if x not in (before, page.tab.input_value("#model-a")))
    page.tab.locator(f'#scatter .models circle[data-focus="dot {row}"]').focus()
    page.tab.keyboard.press("Space")
    assert page.hash() == {"a": row, "b": before}, "the other stays, whatever is best"


def test_every_control_has_a_name_and_every_id_is_one(page: Opened) -> None:
    script = """() => [...document.querySelectorAll("button, select, input, summary")].filter(x =>
        !(x.getAttribute("aria-label") ?? x.closest("label")?.textContent ?? x.textContent).trim()
    ).map(x => x.outerHTML)"""
    assert page.tab.evaluate(script) == []
    ids = page.tab.eval_on_selector_all("[id]", "all => all.map(x => x.id)")
    assert len(ids) == len(set(ids))
    named = page.tab.eval_on_selector_all(
        "[aria-labelledby]", "all => all.map(x => x.getAttribute('aria-labelledby'))"
    )
    assert set(named) <= {*ids, "details-title", "question-title"}


@pytest.mark.parametrize("task", ["xquad-r", "miracl-sample", "own-part"])
def test_a_phone_scrolls_the_table_and_not_the_page(browser: Any, address: str, task: str) -> None:
    page = Opened(browser, f"{address}#task={task}", viewport={"width": 390, "height": 844})
    width = page.tab.evaluate("document.documentElement.scrollWidth")
    assert width == 390
    scroll = page.tab.locator("#table-scroll")
    assert scroll.evaluate("x => x.scrollWidth > x.clientWidth")
    scroll.evaluate("x => { x.scrollLeft = 300 }")
    name = page.tab.locator("#models tbody th.name").first
    assert (
        abs(
            name.evaluate("x => x.getBoundingClientRect().x")
            - scroll.evaluate("x => x.getBoundingClientRect().x")
        )
        < 2
    )  # names stay in view
    for element in ("#task", "#measure", "#filter"):
        assert page.tab.locator(element).evaluate("x => x.getBoundingClientRect().height") >= 34
    size = "x => parseFloat(getComputedStyle(x).fontSize)"
    assert page.tab.locator("#models td.number").first.evaluate(size) >= 13
    assert page.complaints == []
    page.close()


CONTRAST = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const light = colour => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const part = x => (x /= 255, x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
        const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const ratio = (x, y) => (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
    const paper = light(getComputedStyle(document.body).backgroundColor);
    const texts = ["h1", ".about", "#models .model", "#models .ends", "#made", ".chip", ".caution"];
    const found = texts.flatMap(x => [...document.querySelectorAll(x)].slice(0, 1)).map(x => {
        let behind = x;
        const ground = () => getComputedStyle(behind).backgroundColor;
        while (ground() === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
        return ratio(light(getComputedStyle(x).color), light(ground()));
    });
    const letters = [...document.querySelectorAll("#heat svg > g[aria-label=text] text")];
    const cells = [...document.querySelectorAll("#heat .cells rect")];
    const heat = cells.map((x, i) =>
        ratio(light(getComputedStyle(letters[i]).fill), light(getComputedStyle(x).fill)));
    return { paper, texts: found, heat };
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_readers_colours_and_can_be_read(
    browser: Any, address: str, scheme: str
) -> None:
    page = Opened(browser, f"{address}#measure=mrr@10", color_scheme=scheme)
    found = page.tab.evaluate(CONTRAST)
    assert (found["paper"] > 0.5) == (scheme == "light")
    assert min(found["texts"]) >= 4.5  # WCAG 2.2, 1.4.3
    assert len(found["heat"]) == 9
    assert min(found["heat"]) >= 4.5
    page.tab.select_option("#heat-minus", index=1)
    assert min(page.tab.evaluate(CONTRAST)["heat"]) >= 4.5
    other = "dark" if scheme == "light" else "light"
    page.tab.locator(f"#theme input[value={other}]").check()
    assert (page.tab.evaluate(CONTRAST)["paper"] > 0.5) == (other == "light")
    page.tab.reload()
    assert (page.tab.evaluate(CONTRAST)["paper"] > 0.5) == (other == "light")
    page.tab.locator("#theme input[value=auto]").check()
    assert (page.tab.evaluate(CONTRAST)["paper"] > 0.5) == (scheme == "light")
    page.close()


def test_a_print_is_light_and_shows_what_a_screen_folds_away(browser: Any, address: str) -> None:
    page = Opened(browser, address, color_scheme="dark")
    assert page.tab.locator("#commands").is_hidden()
    page.tab.emulate_media(media="print")
    page.tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.tab.evaluate(CONTRAST)["paper"] > 0.9
    for hidden in ("#controls", "#theme", ".acts", ".copy"):
        assert page.tab.locator(hidden).first.is_hidden()
    for there in (".board", "#intervals svg", "#scatter svg", "#heat svg", "#commands pre"):
        assert page.tab.locator(there).first.is_visible()
    assert page.texts("#models thead .stick.name span")[0] == "Model"
    page.tab.evaluate("dispatchEvent(new Event('afterprint'))")
    page.tab.emulate_media(media="screen")
    assert page.tab.locator("#commands").is_hidden()
    printed = page.tab.pdf(prefer_css_page_size=True)
    assert printed.startswith(b"%PDF")
    assert page.complaints == []
    page.close()


def test_the_page_is_served_on_this_machine_alone(browser: Any, payload: dict[str, Any]) -> None:
    with server(render(payload)) as running:
        port = running.server_address[1]
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            page = Opened(browser, f"http://{HOST}:{port}/#kind=mono")
            assert len(page.rows()) == 4
            assert page.requests == [f"http://{HOST}:{port}/"]
            assert page.complaints == []
            page.close()
            answers = {}
            for host, path in (("localhost", "/"), ("evil.example", "/"), (HOST, "/etc/passwd")):
                asked = http.client.HTTPConnection(HOST, port, timeout=60)
                asked.request("GET", path, headers={"Host": f"{host}:{port}"})
                answers[host, path] = asked.getresponse().status
                asked.close()
            assert list(answers.values()) == [200, 421, 404]
            with pytest.raises(UsageError, match=f"port {port} is taken; choose another"):
                server("", port)
        finally:
            running.shutdown()
            thread.join()


def test_without_scripts_the_page_says_where_the_boards_are(browser: Any, address: str) -> None:
    page = Opened(browser, address, java_script_enabled=False)
    assert "switched\n  off" in page.tab.content() or "switched off" in page.tab.content()
    assert page.tab.locator("noscript .loud").is_visible()
    assert page.tab.locator("#controls").is_hidden()
    board = next(x for x in golden_board().tasks if x.slug == "xquad-r")
    rows = [x for x in board.rows if x.source == "measured"]
    table = page.tab.locator("noscript table", has_text="XQuAD-R, multi")
    assert table.locator("tbody tr").count() == len(rows)
    first = table.locator("tbody tr").first.locator("td").first.inner_text()
    assert first == f"{rows[0].cells['multi/map'].value:.4f}"
    page.close()


def test_a_file_name_does_not_matter(browser: Any, address: str, tmp_path: Path) -> None:
    odd = tmp_path / "a b#c%20ü.html"
    odd.write_bytes(Path(address.removeprefix("file://")).read_bytes())
    page = Opened(browser, odd.as_uri())
    page.tab.select_option("#measure", "recall@10")
    assert page.hash()["measure"] == "recall@10"
    assert page.complaints == []
    page.close()
