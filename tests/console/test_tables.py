"""One grid in every form: what is where, and what is never cut off."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from harness.console import latex, markdown
from harness.console.heat_maps import heat_map
from harness.console.tables import Grid, Item, Line, one_line
from harness.console.terminal import print_grid

SCORES = Grid(
    "Models",
    ("Model", "mAP", "Recall"),
    [
        (Item("a|b", sign="†"), Item("0.5", "best", ("0.4", "0.6")), "0.7"),
        ("plain", Item("0.4", "second", ("-0.1", "+0.2")), "-"),
    ],
    over=(("", 1), ("Multilingual", 2)),
)
CLUSTERS = Grid(
    "",
    ("", "mean", "verdict"),
    [
        Line(["A", Item("0.25", interval=("0.20", "0.30")), ""], group="mAP"),
        Line(["B", Item("0.35", interval=("0.30", "0.40")), "better"], "strong", group="mAP"),
        Line(["A", "12.0", ""], group="Rank distance"),
        Line(["B", "9.0", "no difference shown"], group="Rank distance"),
    ],
    align="lrw",
)


def printed(grid: Grid, width: int = 80, **how: bool) -> list[str]:
    out = io.StringIO()
    print_grid(Console(file=out, width=width, color_system=None), grid, **how)
    return out.getvalue().splitlines()


def test_joiners_stay_and_what_turns_a_line_goes() -> None:
    assert one_line("\u200f\u0645\u06cc\u200c\u062e") == "\u2068\u0645\u06cc\u200c\u062e\u2069"
    assert one_line("a\u202e b\n\x1bc") == "a b c"
    assert one_line("co\u00adoperate \u0e44\u200b\u0e17") == "cooperate \u0e44\u0e17"


def test_markdown() -> None:
    assert markdown.table(SCORES).splitlines() == [
        r"| Model | Multilingual mAP | Multilingual Recall |",
        "| :-- | --: | --: |",
        r"| a\|b† | **0.5** (0.4–0.6) | 0.7 |",
        r"| plain | <ins>0.4</ins> (-0.1 to +0.2) | \- |",
    ]


def test_commands_are_shown_as_they_are_and_in_a_table_as_it_needs() -> None:
    assert markdown.code("a '|  b'\n") == "`a '|  b'`"
    grid = Grid("", ("",), [(Item("a | b", code=True),)], align="l")
    assert markdown.rows(grid)[-1] == r"| `a \| b` |"


def test_groups_are_the_first_column_in_markdown_and_lines_in_a_terminal() -> None:
    assert markdown.rows(CLUSTERS)[2:4] == [
        "| mAP | A | 0.25 (0.20–0.30) |  |",
        "| mAP | **B** | **0.35 (0.30–0.40)** | **better** |",
    ]
    lines = printed(CLUSTERS)
    assert [x for x in lines if x in ("mAP", "Rank distance")] == ["mAP", "Rank distance"]
    assert "B  0.35 [0.30, 0.40]  better" in lines
    assert f"B  {'9.0':>17}  no difference shown" in lines, "columns line up across groups"
    lines = printed(Grid("", ("", "x"), [Line(["a", "1"], group="why?"), Line(["b", "2"])]))
    assert lines[-4:] == ["why?", "a  1", "", "b  2"]


def test_where_the_width_is_short_intervals_go_below_and_words_wrap() -> None:
    lines = printed(CLUSTERS, 32)
    at = lines.index("B          0.35  better")
    assert lines[at + 1] == "   [0.30, 0.40]"
    at = lines.index("B           9.0  no difference")
    assert lines[at + 1].split() == ["shown"]
    assert max(map(len, lines)) <= 32


def test_columns_that_do_not_fit_go_on_below_with_the_names() -> None:
    headers = ("Model", *(f"measure{i}" for i in range(6)))
    rows = [(f"model{n}", *(f"0.{n}{i}" for i in range(6))) for n in range(3)]
    lines = printed(Grid("Wide", headers, rows), 40)
    assert max(map(len, lines)) <= 40 and lines[0] == "Wide"
    for n in range(3):
        values = [v for x in lines if x.startswith(f"model{n}") for v in x.split()[1:]]
        assert values == [f"0.{n}{i}" for i in range(6)]
    turned = printed(Grid("", headers, rows), 40, turn=True)
    assert turned[0].split() == ["Model", "model0", "model1", "model2"]
    assert turned[-1].split() == ["measure5", "0.05", "0.15", "0.25"]
    long = [("an-encoder-of-a-long-name", "hybrid, alpha 0.5, seed 0", *x[1:]) for x in rows]
    lines = printed(Grid("", ("Model", "Recipe", *headers[1:]), long, align="ll"), 30)
    assert max(map(len, lines)) <= 30, "names wrap where no number would stand next to them"
    assert sorted(re.findall(r"0\.\d\d", " ".join(lines))) == [x for r in rows for x in r[1:]]


def test_a_terminal_can_do_without_intervals_and_shows_indents() -> None:
    lines = printed(SCORES, intervals=False)[-2:]
    assert [x.split() for x in lines] == [["a|b†", "0.5", "0.7"], ["plain", "0.4", "-"]]
    assert printed(Grid("", ("", ""), [("whole", "1"), ("  part", "2")])) == [
        "whole   1",
        "  part  2",
    ]


def test_latex() -> None:
    text = latex.table(SCORES, "50 % of all", "x")
    assert r"\begin{tabular}{lrr}" in text and r"\caption{50 \% of all}" in text
    assert r" & \multicolumn{2}{c}{Multilingual} \\" in text and r"\cmidrule(lr){2-3}" in text
    best = r"\shortstack[r]{\textbf{0.5}\\{\footnotesize (0.4--0.6)}}"
    assert rf"a\textbar{{}}b\textsuperscript{{\dag}} & {best} & 0.7 \\" in text
    joined = latex.escaped("a--b '' ,, a-b")
    assert joined == "a-{}-b '{}' ,{}, a-b", "two hyphens are no dash"


def test_latex_parts_of_a_wide_table_are_even() -> None:
    wide = Grid("", ("Model", *(f"column {x}" for x in range(18))), [("m", *(["0.1234"] * 18))])
    text = latex.table(wide, "wide", "x")
    columns = [len(x) for x in re.findall(r"begin\{tabular\}\{([lr]+)\}", text)]
    assert columns == [10, 10] and text.count("sidewaystable") == 4


@pytest.mark.parametrize("lines", [["a", "  - b"], []])
def test_lists(lines: list[str]) -> None:
    assert markdown.bullets(lines) == ("- a\n  - b\n" if lines else "")


def test_a_heat_map_is_as_wide_as_its_title() -> None:
    widths = []
    for letter in "a模":
        drawn = heat_map(letter * 30, ["en"], ["en"], {("en", "en"): 0.5}, str)
        widths.append(int(re.findall(r'width="(\d+)"', drawn)[0]))
    assert widths[1] - 24 == 2 * (widths[0] - 24) == 2 * 30 * 7.2
