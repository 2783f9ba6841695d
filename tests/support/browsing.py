"""A real browser for the tests of the page, and what they read from it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from golden_boards import GOLDEN

from harness.boards import Board, make_board, read_leaderboards

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A machine that does other work as well would run tabs that nobody sees last of all.
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
]


def find_chromium() -> str | None:
    """Path of an installed Chromium or Chrome; CHROMIUM names another."""
    named = os.environ.get("CHROMIUM")
    return named or next((x for x in map(shutil.which, NAMES) if x), None)


ROWS = "#models tbody:not(.apart) tr[data-row]:not([hidden])"


@contextmanager
def running_browser() -> Iterator[Any]:
    """A headless browser, or a skip that says what to install."""
    where = find_chromium()
    if where is None:
        pytest.skip("no browser: install chromium (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=where, args=FLAGS)
        yield launched
        launched.close()


class Opened:
    """One page in one tab; remembers what the browser complained of and where requests went."""

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        options = {"viewport": {"width": 1280, "height": 900}, **context}
        self._context = browser.new_context(**options)
        self.tab = self._context.new_page()
        self.tab.set_default_timeout(60_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", lambda x: self.complaints.append(f"{x.type}: {x.text}"))
        self.tab.on("pageerror", lambda x: self.complaints.append(f"error: {x}"))
        self.tab.on("dialog", lambda x: (self.complaints.append("a dialog"), x.dismiss()))
        self.tab.on("request", lambda x: self.requests.append(x.url))
        self.url = url
        self.tab.goto(url)

    def view(self, choices: str = "") -> None:
        """Show what an address with ``choices`` after # shows."""
        script = """hash => {
            for (const x of document.querySelectorAll("details")) x.open = false;
            for (const x of document.querySelectorAll("dialog")) x.close();
            history.replaceState(null, "", "#" + hash);
            dispatchEvent(new Event("hashchange"));
        }"""
        self.tab.evaluate(script, choices)

    def hash(self) -> dict[str, str]:
        """What the address says of the view."""
        script = "() => Object.fromEntries(new URLSearchParams(location.hash.slice(1)))"
        found: dict[str, str] = self.tab.evaluate(script)
        return found

    def texts(self, selector: str) -> list[str]:
        """Text of every element, blanks at the ends left out."""
        found = self.tab.eval_on_selector_all(selector, "all => all.map(x => x.textContent)")
        return [x.strip() for x in found]

    def rows(self) -> list[str]:
        """Ids of the rows of the table that are compared, from the top."""
        script = "all => all.map(x => x.dataset.row)"
        found: list[str] = self.tab.eval_on_selector_all(ROWS, script)
        return found

    def column(self, key: str) -> list[str]:
        """The cells below the heading that orders by ``key``."""
        script = """(all, key) => {
            const heads = [...document.querySelectorAll('#models thead tr:last-child > *')];
            const at = heads.findIndex(x => x.querySelector('button')?.dataset.focus === key);
            return all.map(row => row.children[at].textContent);
        }"""
        found: list[str] = self.tab.eval_on_selector_all(ROWS, script, f"sort {key}")
        return found

    def heading(self, key: str) -> Any:
        """The button that orders by a column."""
        return self.tab.locator(f'#models thead button[data-focus="sort {key}"]')

    def cell(self, row: str, selector: str) -> Any:
        """Something in a row of the table."""
        return self.tab.locator(f'tr[data-row="{row}"] {selector}')

    def close(self) -> None:
        """Close the tab."""
        self._context.close()


def golden_board() -> Board:
    """The board of the records in tests/boards/golden."""
    return make_board(read_leaderboards(GOLDEN))


def as_file(folder: Path, html: str) -> str:
    """Write a page; returns its file:// address."""
    path = folder / "page.html"
    path.write_text(html, encoding="utf-8")
    return path.as_uri()
