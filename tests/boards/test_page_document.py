"""What the page carries: numbers that read back to the digit, safe text, and its size."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import golden_board
from click.testing import CliRunner
from golden_boards import GOLDEN
from hypothesis import given
from hypothesis import strategies as st

from harness.boards import make_board, read_leaderboards, to_payload
from harness.boards.commands import html
from harness.boards.page import LIMIT, json_in_html, render
from harness.boards.page.document import page_document, static_tables
from harness.boards.page.packing import ALPHABET, pack, pack_ends, shown_by_browser
from harness.boards.page.question_texts import texts_at_hand
from harness.boards.page.serving import server
from harness.cli import main
from harness.metrics.builtin import BUILT_IN

VENDOR = Path(__file__).resolve().parents[2] / "harness" / "boards" / "page" / "vendor"


def unpacked(packed: dict[str, Any], rows: int, columns: int) -> np.ndarray:
    """What ``unpack`` in data.js reads, written a second time."""
    out = np.full((rows, columns), np.nan)
    width, letters = packed["width"], iter(packed["text"])
    for row in packed["rows"]:
        for column in range(columns):
            code = 0
            for _ in range(width):
                code = code * 64 + ALPHABET.index(next(letters))
            if code != 64**width - 1:
                out[row, column] = (packed["low"] + code) / 10 ** packed["e"]
    assert next(letters, None) is None
    return out


number = st.floats(-1, 1) | st.fractions(0, 1, max_denominator=1190).map(float) | st.just(np.nan)
table = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.lists(number, min_size=n, max_size=n), min_size=1, max_size=6)
)


@given(table, st.sampled_from([0, 1, 3]))
def test_packed_numbers_show_the_digits_that_python_shows(
    values: list[list[float]], guard: int
) -> None:
    found = unpacked(pack(np.array(values), 4, guard), len(values), len(values[0]))
    for row, wanted in zip(found, values, strict=True):
        for got, value in zip(row, wanted, strict=True):
            if np.isnan(value):
                assert np.isnan(got)
            elif float(f"{value:.4f}") == 0:
                assert float(shown_by_browser(got, 4)) == 0
            else:
                assert shown_by_browser(got, 4) == f"{value:.4f}"
                assert abs(got - value) <= 1.01 * 10.0 ** -(4 + guard)


def test_ties_are_shown_as_python_shows_them() -> None:
    # 1/32 and 3/32 lie on a tie at four decimals; Python takes the even digit, toFixed the upper.
    assert (f"{1 / 32:.4f}", f"{3 / 32:.4f}") == ("0.0312", "0.0938")
    assert (shown_by_browser(1 / 32, 4), shown_by_browser(3 / 32, 4)) == ("0.0313", "0.0938")
    # Rounded to seven decimals and then to four, this one would go up.
    close = 0.12344999999
    assert f"{close:.4f}" == "0.1234"
    found = unpacked(pack(np.array([[1 / 32, 3 / 32, close]]), 4, 3), 1, 3)[0]
    assert [shown_by_browser(x, 4) for x in found] == ["0.0312", "0.0938", "0.1234"]


def test_rank_distances_of_large_pools_fit() -> None:
    values = [[0.04, 13_013.25, 20_533.0, 8_841_822.77]]
    found = unpacked(pack(np.array(values), 1, 3), 1, 4)
    assert found[0] == pytest.approx(values[0], abs=1e-4)
    # Measures that count passages with as many digits as others, and whatever a package counts.
    for least, most in ((0.5, 500_000.1234), (0.5, 98_765_432.1), (3e11, 3e11 + 1)):
        found = unpacked(pack(np.array([[least, most]]), 4, 3), 1, 2)
        assert found[0] == pytest.approx([least, most], rel=1e-12, abs=1e-3)


def test_rows_without_numbers_take_no_room() -> None:
    packed = pack(np.array([[np.nan, np.nan], [0.5, np.nan], [np.nan, np.nan]]), 4, 0)
    assert packed["rows"] == [1]
    assert np.array_equal(
        unpacked(packed, 3, 2), [[np.nan] * 2, [0.5, np.nan], [np.nan] * 2], equal_nan=True
    )
    assert pack(np.array([[np.nan]]), 4, 0)["text"] == ""


def test_ends_of_intervals_are_the_digits_that_are_shown() -> None:
    cells = np.array([[0.52595, 0.51174, 0.54014], [0.3, np.nan, np.nan]])
    found = unpacked(pack_ends(cells, 4), 2, 2)
    assert found[0].tolist() == [5260 - 5117, 5401 - 5260]
    assert np.isnan(found[1]).all()


@given(st.text(st.characters(), max_size=40) | st.sampled_from(["</script>", "<!--", "\u2028"]))
def test_json_in_the_page_ends_no_element_and_reads_back(text: str) -> None:
    written = json_in_html({text: [text]})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {text: [text]}
    written.encode()


def policy_of(html: str) -> dict[str, list[str]]:
    found = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert found is not None
    words = [x.split() for x in found[1].replace("&#39;", "'").split(";")]
    return {name: sources for name, *sources in words}


def test_the_policy_allows_the_pages_own_scripts_and_styles_and_nothing_else() -> None:
    html = render(to_payload(golden_board()))

    def digests(pattern: str) -> set[str]:
        inside = re.findall(pattern, html, re.DOTALL)
        sha = (hashlib.sha256(x.encode()).digest() for x in inside)
        return {f"'sha256-{base64.b64encode(x).decode()}'" for x in sha}

    policy = policy_of(html)
    assert policy["default-src"] == ["'none'"]
    assert set(policy["script-src"]) == digests("<script>(.*?)</script>")
    assert set(policy["style-src"]) >= digests("<style>(.*?)</style>")
    assert len(policy["style-src"]) == 2  # the other is the charting library's
    assert policy["img-src"] == policy["font-src"] == ["data:"]
    assert not any(re.search(r"unsafe|https?:", x) for x in map(" ".join, policy.values()))
    # No address of anything outside: what is linked is inside.
    assert re.findall(r'(?:src|href)="(?!#|data:)([^"]*)"', html) == []


def test_every_measure_has_a_sentence() -> None:
    words = (VENDOR.parent / "scripts" / "words.js").read_text("utf-8")
    assert [x.base for x in BUILT_IN if f"\n  {x.base}:" not in words] == []


def test_the_same_records_give_the_same_page() -> None:
    payload = to_payload(golden_board())
    assert render(payload) == render(json.loads(json.dumps(payload)))


def test_the_charting_library_is_the_one_that_is_described() -> None:
    described = (VENDOR / "README.md").read_text("utf-8")
    raw = (VENDOR / "plot.min.js").read_bytes()
    assert hashlib.sha256(raw).hexdigest() in described
    version = re.search(r"Observable Plot (\S+) with", raw[:200].decode())
    assert version is not None
    assert f"@observablehq/plot@{version[1]}" in described
    assert f"@observablehq/plot {version[1]}" in (VENDOR / "LICENSE").read_text("utf-8")
    assert all(path.stat().st_size < 1 << 20 for path in VENDOR.iterdir())


def large_payload(models: int) -> dict[str, Any]:
    """A board of the size of XQuAD-R's: 11 languages, 132 settings, 1,190 questions."""
    drawn = np.random.default_rng(7)
    languages = "ar de el en es hi ru th tr vi zh".split()
    template = next(x for x in to_payload(golden_board())["tasks"] if x["slug"] == "xquad-r")
    measured = next(x for x in template["rows"] if x["source"] == "measured")
    columns = [*template["columns"], *template["more"]]
    rows = []
    for i in range(models):
        triples = drawn.random((len(columns), len(languages) + 1, 1)) * 0.9
        triples = triples + np.array([0, -0.0123456789, 0.0123456789])
        rows.append(
            {
                **measured,
                "id": f"model-{i}",
                "model": f"organisation/multilingual-encoder-base-v{i}",
                "cells": {c["key"]: x[0].tolist() for c, x in zip(columns, triples, strict=True)},
                "languages": {
                    c["key"]: x[1:].tolist()
                    for c, x in zip(columns, triples, strict=True)
                    if c in template["columns"]
                },
                "matrices": {m: drawn.random((11, 11)).tolist() for m in measured["matrices"]},
                "top_languages": drawn.dirichlet(np.ones(11), 11).tolist(),
                "hits": {k: base64.b64encode(drawn.bytes(1637)).decode() for k in measured["hits"]},
            }
        )
    order = list(range(models))
    ranking = {
        "order": order,
        "spans": [[max(1, i - 2), min(models, i + 4)] for i in order],
        "ties": [list(range(i, min(models, i + 5))) for i in range(0, models, 3)],
        "best": [0],
        "second": [1],
        "tested": models,
    }
    task = {
        **template,
        "languages": languages,
        "questions": 1190,
        "question_ids": [f"{i:024x}" for i in range(1190)],
        "asked": {k: base64.b64encode(b"\xff" * 1637).decode() for k in template["asked"]},
        "queries": dict.fromkeys(languages, 1190),
        "passages": dict.fromkeys(languages, 1200),
        "rankings": {c["key"]: ranking for c in columns},
        "rows": rows,
    }
    return {**to_payload(golden_board()), "tasks": [task]}


def carried(html: str) -> dict[str, Any]:
    found = re.search(r'id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    task: dict[str, Any] = json.loads(found[1])["tasks"][0]
    return task


def test_fifty_models_of_132_settings_stay_under_a_megabyte_with_their_questions() -> None:
    payload = large_payload(50)
    html = render(payload)
    assert len(html.encode()) <= 1_000_000 < LIMIT
    task = carried(html)
    assert len(task["rows"]["id"]["values"]) == 50
    assert all(set(x) == {"mono", "multi"} for x in task["hits"])
    n = unpacked(task["matrices"]["map"], 50, 121)
    assert n == pytest.approx(
        np.array([x["matrices"]["map"] for x in payload["tasks"][0]["rows"]]).reshape(50, 121),
        abs=0.5001e-4,
    )


def test_a_page_that_would_be_too_large_leaves_out_texts_then_questions() -> None:
    payload = large_payload(6)
    texts = {"xquad-r": {f"{i:024x}": f"What is question {i} about?" for i in range(1190)}}
    whole = len(render(payload, texts).encode())

    def with_limit(limit: int) -> dict[str, Any]:
        return carried(render(payload, texts, limit=limit))

    assert with_limit(whole)["questionTexts"][3] == "What is question 3 about?"
    assert with_limit(whole)["questionIds"] == []
    without = with_limit(whole - 1)
    assert (without["questionTexts"], without["questionIds"][3]) == ([], f"{3:024x}")
    fewer = with_limit(whole - 15_000)
    assert all(set(x) == {"multi"} for x in fewer["hits"])
    none = with_limit(1)
    assert not any(none["hits"]) and none["questionIds"] == []
    assert len(none["rows"]["id"]["values"]) == 6


def test_texts_are_those_of_the_data_that_the_records_name(real_data: Path) -> None:
    board = make_board(read_leaderboards(Path(__file__).resolve().parents[2] / "leaderboards"))
    texts = texts_at_hand(board, real_data)
    task = next(x for x in board.tasks if x.slug == "xquad-r")
    assert task.question_ids is not None
    # The first question of the XQuAD-R file in English.
    assert texts["xquad-r"]["56beb4343aeaaa14008c925b"] == (
        "How many points did the Panthers defense surrender?"
    )
    assert set(texts["xquad-r"]) == set(task.question_ids)
    assert texts_at_hand(golden_board(), real_data) == {}  # its xquad-r is another


def test_board_writes_the_page_and_check_does_not_need_it(tmp_path: Path) -> None:
    for name in ("records", "questions"):
        shutil.copytree(GOLDEN / name, tmp_path / name)
    made = CliRunner().invoke(main, ["board", "--leaderboards", str(tmp_path)])
    assert made.exit_code == 0, made.output
    page = tmp_path / "index.html"
    assert str(page) in made.output
    assert page.read_text("utf-8") == html(golden_board())
    page.unlink()
    checked = CliRunner().invoke(main, ["board", "--leaderboards", str(tmp_path), "--check"])
    assert checked.exit_code == 0, checked.output


def test_serve_shows_the_page_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("records", "questions"):
        shutil.copytree(GOLDEN / name, tmp_path / name)
    before = sorted(tmp_path.rglob("*"))
    shown: list[str] = []

    def stop_at_once(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("http.server.ThreadingHTTPServer.serve_forever", stop_at_once)
    monkeypatch.setattr("webbrowser.open", shown.append)
    done = CliRunner().invoke(main, ["board", "--leaderboards", str(tmp_path), "--serve"])
    assert done.exit_code == 0, done.output
    assert len(shown) == 1 and re.fullmatch(r"http://127\.0\.0\.1:\d+/", shown[0])
    assert shown[0] in done.output
    assert sorted(tmp_path.rglob("*")) == before


def test_a_tab_that_is_closed_early_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with server("x" * 3_000_000) as running:
        threading.Thread(target=running.serve_forever).start()
        before = threading.active_count()
        with socket.socket() as tab:
            tab.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            tab.connect(running.server_address[:2])
            tab.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert tab.recv(8) == b"HTTP/1.0"
            # Reset, with most of the page still to come.
            tab.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end = time.monotonic() + 60
        while threading.active_count() > before and time.monotonic() < end:
            time.sleep(0.01)
        running.shutdown()
    assert threading.active_count() < before + 1 and capsys.readouterr().err == ""


def test_without_scripts_what_rounds_to_zero_has_no_sign() -> None:
    payload = to_payload(golden_board())
    for task in payload["tasks"]:
        for row in task["rows"]:
            row["cells"] = {key: (-0.00004, None, None) for key in row["cells"]}
    shown = {x for table in static_tables(payload) for _, cells in table["rows"] for x in cells}
    assert shown <= {"0.0000", "0.0", "–"} and "0.0000" in shown


def test_the_document_has_every_row_of_the_payload() -> None:
    payload = to_payload(golden_board())
    document = page_document(payload)
    assert [t["rows"]["id"]["values"] for t in document["tasks"]] == [
        [r["id"] for r in t["rows"]] for t in payload["tasks"]
    ]
