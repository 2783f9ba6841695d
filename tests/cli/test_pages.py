"""Every `harness` command in the pages is one that the program takes: name, options and values."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from harness.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^ *(```+).*?^ *\1", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`(harness [a-z][^`]+)`(?!`)")


def commands(text: str) -> Iterator[str]:
    """The command lines of a page that can be pasted: blocks of sh, and those within sentences."""
    blocks = "".join(BLOCK.findall(text)).replace("\\\n", " ")
    yield from re.findall(r"(?:^|&& )(harness .*?)(?: &&.*)?$", blocks, re.MULTILINE)
    yield from INLINE.findall(FENCE.sub("", text).replace("\n", " "))


def problem(command: str) -> str | None:
    """What the program says of a command line before it does anything; ``None``: it takes it."""
    command = re.sub(r"\$\((?:[^()]|\([^()]*\))*\)", "RECORD", command)  # what a shell puts there
    command = re.sub(r"[\[\]]|(?<=\w)\|[\w|]+", "", command)  # [--x]; a|b: one of them
    words = shlex.split(command, comments=True)[1:]
    words = [x for x in words if x != "..." and not re.fullmatch(r"\$\w+", x)]  # $M: whatever
    group: click.Command = main
    context = click.Context(main, info_name="harness")
    while (
        isinstance(group, click.Group) and words and (found := group.get_command(context, words[0]))
    ):
        group, words = found, words[1:]
    if isinstance(group, click.Group) and words and not words[0].startswith("-"):
        return f"no command {words[0]!r}"
    if not words:  # only the name of a command
        return None
    try:
        group.make_context("harness", words, parent=context)
    except click.exceptions.Exit:
        return None
    except click.ClickException as error:
        # A sentence may name a flag without its value.
        named = isinstance(error, click.MissingParameter) or "requires a" in error.format_message()
        return None if named else error.format_message()
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda x: x.name)
def test_every_command_of_a_page_is_one_that_the_program_takes(page: Path) -> None:
    found = {x: problem(x) for x in commands(page.read_text("utf-8"))}
    assert {x: y for x, y in found.items() if y is not None} == {}


def test_a_command_that_the_program_lacks_would_be_seen() -> None:
    page = "```sh\nharness run --modle x  # y\nharness bord\n```\nand `harness show R --svg`"
    said = [problem(x) for x in commands(page)]
    assert said[0] is not None and "--modle" in said[0]
    assert said[1:] == ["no command 'bord'", None]
