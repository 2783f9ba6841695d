"""What a comparison prints and writes, and how the command ends."""

from __future__ import annotations

import copy
import csv
import io
import itertools
import json
import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from click.testing import CliRunner, Result
from compared import changed, mono, part_of, printed, with_values
from rich.console import Console

from harness import evaluate
from harness.analysis.compare import Against, Comparison, compare
from harness.cli import main
from harness.cli.views.comparison import print_comparison, to_csv, to_latex, to_markdown
from harness.evaluation.record import Record


def saved(record: Record, folder: Path) -> str:
    """A copy of ``record`` on disk."""
    again = Record(copy.deepcopy(record.document), dict(record.tables))
    again.save(folder)
    return str(folder)


def harness(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"COLUMNS": "80"})


@pytest.fixture
def forced(task: str, first: Record) -> Comparison:
    return compare([first, part_of(task)], force=True, flips=1)


def test_every_forced_output_says_so_first(forced: Comparison) -> None:
    assert printed(forced).startswith("FORCED: these records do not measure the same thing")
    assert "tiny partial: A has the whole task" in printed(forced).split("\n\n")[0]
    assert to_markdown(forced).startswith("**FORCED: these records do not measure the same thing")
    document = forced.to_dict()
    assert list(document)[:2] == ["forced", "note"]
    assert document["forced"] is True and document["note"].startswith("FORCED")
    assert {x["field"] for x in document["mismatches"]} >= {"data digest", "partial", "languages"}


def test_what_is_not_forced_does_not_say_so(first: Record, second: Record) -> None:
    found = compare([first, second])
    for text in (printed(found), to_markdown(found), json.dumps(found.to_dict())):
        assert "FORCED" not in text
    assert found.to_dict()["forced"] is False and found.to_dict()["note"] is None


def test_a_part_of_a_task_is_called_partial(task: str) -> None:
    record = evaluate(tiny.WordBag(), tasks=[task], limit=4, store=False)
    found = compare([record, record])
    assert "PARTIAL: the first 4 questions of each language" in printed(found)
    assert "PARTIAL: the first 4 questions of each language" in to_markdown(found)


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_the_width_without_colour(first: Record, second: Record, width: int) -> None:
    text = printed(compare([first, second], flips=3), width, verbose=True)
    body = [x for x in text.splitlines() if not x.startswith(("A  ", "B  ", "without the"))]
    assert max(map(len, body)) <= width
    assert "\x1b" not in text and "no difference" in text
    assert re.search(r"cross, mAP, \S+ minus \S+: queries down, passages across", text)
    row = next(x for x in text.splitlines() if x.startswith("Own language first"))
    assert row.startswith("Own language first")


def test_csv_and_latex_have_every_difference(first: Record, second: Record, tmp_path: Path) -> None:
    a, b = saved(first, tmp_path / "a"), saved(second, tmp_path / "b")
    done = harness("compare", a, b, "--csv", "-", "--latex", str(tmp_path / "c.tex"))
    assert done.exit_code == 0, done.output
    found = compare([a, b])
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    every = [(k.kind, m) for k in found.tasks[0].kinds for m in k.measures]
    assert [(x["kind"], x["measure"]) for x in rows] == [(k, m.measure) for k, m in every]
    for row, (_, one) in zip(rows, every, strict=True):
        assert float(row["difference"]) == one.against[0].difference
        assert row["verdict"] == one.against[0].verdict
    text = (tmp_path / "c.tex").read_text()
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") >= 4
    assert "no difference shown" in text and "&  &" not in text.splitlines()[0]


def test_what_was_forced_is_said_in_csv_and_latex(forced: Comparison) -> None:
    assert "FORCED" in to_latex(forced)
    assert {x["forced"] for x in csv.DictReader(io.StringIO(to_csv(forced)))} == {"forced"}


def test_measures_go_by_the_names_of_tables_too(first: Record, second: Record) -> None:
    labels = compare([first, second], measures=["mAP", "R@10", "Own language ahead"])
    names = compare([first, second], measures=["map", "recall@10", "own_language_pairs"])
    assert labels == names


def test_the_significant_best_is_bold(tmp_path: Path) -> None:
    base = mono(tmp_path, 12)
    ones, none = ({f"mono/{x}": [v] * 12 for x in ("en", "de")} for v in (1.0, 0.0))
    found = compare([with_values(base, none), with_values(base, ones)], measures=["map"])
    out = io.StringIO()
    coloured = Console(
        file=out, width=80, force_terminal=True, color_system="standard", highlight=False
    )
    print_comparison(coloured, found)
    rows = [x for x in out.getvalue().splitlines() if x.startswith(("\x1b[1mB", "A "))]
    assert any(x.startswith("\x1b[1mB") and "better" in x for x in rows)
    assert not any(x.startswith("\x1b[1mA") and "0.0000" in x for x in out.getvalue().splitlines())


def test_a_comparison_begins_with_its_result(first: Record, second: Record) -> None:
    found = compare([first, second])
    text = printed(found)
    assert text.index("In short: ") < text.index("Differences between the records")
    table = [
        x.split() for x in text.splitlines() if x.startswith(("mono ", "cross ", "multi ", "all "))
    ]
    verdicts = [one.against[0].verdict for t in found.tasks for k in t.kinds for one in k.measures]
    assert table[-1][0] == "all" and sum(map(int, table[-1][1:])) == len(verdicts)
    assert sorted(map(int, table[-1][1:])) == sorted(Counter(verdicts).values())
    assert "## In short: " in to_markdown(found)


def test_records_have_their_models_names_where_these_differ_and_fit(
    first: Record, second: Record
) -> None:
    other = Record(copy.deepcopy(second.document), second.tables)
    other.document["model"]["name"] = "org/bag-8"
    found = compare([first, other], measures=["map"])
    text = printed(found)
    assert "In short: bag-8 against word-bag" in text and "to word-bag" in text
    assert re.search(r"^bag-8 +0\.\d{4} ", text, re.MULTILINE)
    assert "A  word-bag" in text and "name: A word-bag, B org/bag-8" in text
    named = copy.deepcopy(other.document)
    named["model"]["name"] = "a-model-with-a-name-of-some-length"
    long = compare([first, Record(named, second.tables)], measures=["map"])
    assert re.search(r"^B +0\.\d{4} ", printed(long), re.MULTILINE)
    assert re.search(r"^a-model-with-a-name-of-some-length +0", printed(long, 160), re.MULTILINE)


def test_an_interval_that_says_otherwise_than_the_verdict_is_explained(tmp_path: Path) -> None:
    base = mono(tmp_path, 12)
    # Alone the difference would count: 9 of 12 questions are better. Of two hundred it is not.
    some = {f"mono/{x}": [0.5] * 9 + [0.0] * 3 for x in ("en", "de")}
    none = {f"mono/{x}": [0.0] * 12 for x in ("en", "de")}
    found = compare([with_values(base, none), with_values(base, some)], measures=["map"])
    kind = found.tasks[0].kinds[0]
    x = kind.measures[0].against[0]
    assert x.low > 0 and x.verdict == "better" and "leaves out 0" not in printed(found)
    doubt = replace(
        x, verdict="no difference shown", adjusted=0.2, corrected_low=-0.01, corrected_high=0.6
    )

    def with_doubt(doubt: Against) -> Comparison:
        measures = (replace(kind.measures[0], against=(doubt,)),)
        task = replace(found.tasks[0], kinds=(replace(kind, measures=measures),))
        return replace(found, tasks=(task,))

    again = with_doubt(doubt)
    text = " ".join(printed(again).split())
    assert (
        "B: the interval leaves out 0, but counts one comparison; corrected as the verdict" in text
    )
    assert "it is [-0.0100, +0.6000]" in text
    text = " ".join(printed(with_doubt(replace(doubt, corrected_low=0.01))).split())
    assert "it is [+0.0100, +0.6000] and leaves out 0 too: the bootstrap and the test" in text
    assert "\N{EN DASH}" in to_markdown(again) or "-0.0100 to +0.6000" in to_markdown(again)


def test_names_with_markup_come_through_as_they_are(first: Record, second: Record) -> None:
    odd = Record(copy.deepcopy(second.document), second.tables)
    odd.document["model"]["name"] = "[red]a|b[/red] *c* <i>"
    found = compare([first, odd])
    assert "[red]a|b[/red] *c* <i>" in printed(found)
    assert r"\[red\]a\|b\[/red\] \*c\* &lt;i&gt;" in to_markdown(found)
    assert found.to_dict()["records"][1]["model"] == "[red]a|b[/red] *c* <i>"


def test_texts_of_questions_control_no_terminal(first: Record, second: Record) -> None:
    found = compare([first, second], flips=1)
    (task, *_) = found.tasks
    (kind, *_) = task.kinds
    hostile = replace(kind.flips[0], text="who\x1b]0;taken\x07\nwins")
    kind = replace(kind, flips=(hostile,))
    text = printed(replace(found, tasks=(replace(task, kinds=(kind,)),)))
    assert "\x1b" not in text and "who ]0;taken wins" in text


def test_markdown_tables_are_whole(first: Record, second: Record) -> None:
    rows = [x for x in to_markdown(compare([first, second], flips=2)).splitlines() if x[:1] == "|"]
    for kind, block in itertools.groupby(rows, key=lambda x: x.count("|")):
        assert kind > 3, list(block)


def numbers_of(node: Any) -> list[float]:
    if isinstance(node, dict):
        return [x for v in node.values() for x in numbers_of(v)]
    if isinstance(node, list):
        return [x for v in node for x in numbers_of(v)]
    return [node] if isinstance(node, float) else []


def test_the_command(first: Record, second: Record, tmp_path: Path) -> None:
    a, b = saved(first, tmp_path / "a"), saved(second, tmp_path / "b")
    done = harness("compare", a, b, "--json", str(tmp_path / "out" / "c.json"))
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    assert done.stdout.startswith("A  word-bag (")
    document = json.loads((tmp_path / "out" / "c.json").read_text())
    assert [x["letter"] for x in document["records"]] == ["A", "B"]
    kind = document["tasks"][0]["kinds"][1]
    assert kind["kind"] == "cross" and len(kind["measures"][0]["against"][0]["pairs"]) == 6
    assert all(math.isfinite(x) for x in numbers_of(document))

    piped = harness("compare", a, b, "--measure", "map", "--json", "-")
    assert piped.exit_code == 0
    assert [m["measure"] for m in json.loads(piped.stdout)["tasks"][0]["kinds"][0]["measures"]] == [
        "map"
    ]
    page = harness("compare", a, b, "--markdown", "-", "--flips", "2")
    assert page.exit_code == 0 and page.stdout.startswith("- A word-bag")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{a}"], "name at least two records"),
        (["{a}", "nowhere"], "nowhere cannot be read"),
        (["{a}", "{b}", "--task", "x"], "task 'x' is not in all of these records"),
        (["{a}", "{b}", "--measure", "mop"], "has no measure 'mop'"),
        (["{a}", "{b}", "--json", "-", "--markdown", "-"], "need different files"),
        (["{a}", "{b}", "--data-dir", "."], "--data-dir has no effect without --flips"),
    ],
)
def test_the_command_refuses_in_one_sentence(
    first: Record, tmp_path: Path, arguments: list[str], said: str
) -> None:
    a, b = saved(first, tmp_path / "a"), saved(first, tmp_path / "b")
    done = harness("compare", *(x.format(a=a, b=b) for x in arguments))
    assert done.exit_code == 2
    assert done.stdout == ""
    assert said in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


def test_the_command_refuses_and_is_forced(first: Record, tmp_path: Path) -> None:
    a = saved(first, tmp_path / "a")
    b = saved(changed(first, text="title"), tmp_path / "b")
    done = harness("compare", a, b)
    assert done.exit_code == 2 and done.stdout == ""
    assert "tiny text: A has text, B has title" in done.stderr
    done = harness("compare", a, b, "--force")
    assert done.exit_code == 0 and done.stdout.startswith("FORCED")


def test_largest_changes_have_texts_if_the_data_is_available() -> None:
    records = [
        evaluate(tiny.WordBag(b), tasks=["demo"], settings=("mono", "cross"), store=False,
                 languages=("en", "de"), resamples=0)
        for b in (8, 24)
    ]  # fmt: skip
    task = compare(records, flips=2, measures=["ndcg@10"]).tasks[0]
    assert task.texts_note is None
    from harness.data.loading import load
    from harness.data.task import find_task

    data = load(find_task("demo"), offline=True)
    flips = [x for kind in task.kinds for x in kind.flips]
    assert flips
    for flip in flips:
        side = data.queries[flip.query_language]
        assert flip.text == side.texts[side.ids.index(flip.question)]
