"""Every format from a fixed set of records, and text that is hard to write in it."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import golden_boards
import pytest
import yaml
from golden_boards import GOLDEN, HARD, LONG, RIGHT_TO_LEFT

from harness.boards import Leaderboards, make_board, read_leaderboards
from harness.boards.render import files, long_form
from harness.console.latex import escaped as latex
from harness.console.markdown import code as markdown_code
from harness.console.markdown import escaped as markdown
from harness.console.markdown import item
from harness.console.tables import Item, one_line

EXPECTED = GOLDEN / "expected"


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    return golden_boards.expected()


def test_every_format_is_as_it_was_read_and_kept(made: dict[str, bytes]) -> None:
    assert {path.name for path in EXPECTED.iterdir()} == set(made)
    differing = files.differences(EXPECTED, made)
    assert not differing, "\n".join(line for x in differing for line in x.lines)


def test_the_same_records_give_the_same_bytes(made: dict[str, bytes]) -> None:
    assert golden_boards.expected() == made


def test_markdown_tables_keep_their_columns_whatever_a_model_is_called(
    made: dict[str, bytes],
) -> None:
    for name in ("xquad-r.md", "all-tasks.md", "card.md"):
        width = 0
        for line in made[name].decode().splitlines():
            if not line.startswith("|"):
                width = 0
                continue
            cells = len(re.findall(r"(?<!\\)\|", line)) - 1
            assert cells == (width := width or cells), line


ODD = (HARD, LONG, RIGHT_TO_LEFT, "- item", "1. first", "www.e.org", "a\nb\u202ec", "x@e.org")


@pytest.mark.parametrize("name", ODD)
def test_markdown_shows_hard_names_letter_by_letter(name: str) -> None:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    text = markdown(name)
    for page in (f"| a |\n| - |\n| {text} |\n", f"{text}\n"):
        inline = [x for x in parser.parse(page) if x.type == "inline"][-1].children or []
        assert {x.type for x in inline} <= {"text", "text_special"}
        assert "".join(x.content for x in inline) == one_line(name)
    # What GitHub would make a link or a mention of.
    assert not re.search(r"https?:|www\.|(?<!\w)@\w|@\w+\.", text)


@pytest.mark.parametrize("name", [x for x in ODD if "\n" not in x])
def test_markdown_code_shows_hard_names_letter_by_letter(name: str) -> None:
    from markdown_it import MarkdownIt

    in_a_table = f"| a |\n| - |\n| {item(Item(name, code=True))} |\n"
    for page in (in_a_table, markdown_code(name)):
        parsed = MarkdownIt("commonmark").enable("table").parse(page)
        inline = [x for x in parsed if x.type == "inline"][-1].children or []
        assert [(x.type, x.content) for x in inline] == [("code_inline", name.strip())]


def test_names_that_run_from_right_to_left_are_isolated_and_overrides_taken_out() -> None:
    assert one_line(RIGHT_TO_LEFT) == f"\u2068{RIGHT_TO_LEFT}\u2069"
    assert one_line("a\u202eb\u2066c\x07d") == "a b c d"


def test_latex_has_no_live_special_character() -> None:
    text = latex(HARD)
    bare = re.sub(r"\\[a-z]+\{\}|\\[{}$&%#_]|\{\[\}|\{\]\}", "", text)
    assert not set(bare) & set('\\{}$&%#_~^<>|"`'), bare


def test_latex_tables_are_balanced(made: dict[str, bytes]) -> None:
    text = made["xquad-r.tex"].decode()
    for name in ("sidewaystable", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") > 0
    bare = re.sub(r"\\[{}]", "", text.replace(r"\\", ""))
    assert bare.count("{") == bare.count("}")
    for body in text.split(r"\toprule")[1:]:
        rows = body.split(r"\bottomrule")[0].replace(r"\midrule", "")
        lines = [x for x in rows.splitlines() if x.endswith(r"\\")]
        widths = set()
        for line in lines:
            spans = [int(x) - 1 for x in re.findall(r"\\multicolumn\{(\d+)\}", line)]
            widths.add(len(re.findall(r"(?<!\\)&", line)) + 1 + sum(spans))
        assert len(widths) == 1, lines


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(made: dict[str, bytes], tmp_path: Path) -> None:
    # pdflatex has no Hebrew letters; engines for Unicode have.
    text = re.sub("[\u0590-\u05ff]", "x", made["xquad-r.tex"].decode())
    head = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs,rotating}"
    (tmp_path / "page.tex").write_text(rf"{head}\begin{{document}}{text}\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_csv_and_parquet_have_the_values_of_the_record(made: dict[str, bytes]) -> None:
    import pyarrow.parquet as pq

    record = json.loads((GOLDEN / "records" / "hard.json").read_text())
    entry = record["tasks"][0]
    lines = list(csv.DictReader(io.StringIO(made["xquad-r.csv"].decode())))
    own = [x for x in lines if x["row"] == "hard"]
    assert {x["model"] for x in own} == {HARD}
    found = {(x["kind"], x["query_language"], x["measure"]): x for x in own}
    for kind, both in entry["means"].items():
        for measure, value in both["macro"].items():
            line = found[kind, "", measure]
            assert float(line["value"]) == value
            low, high, _ = entry["intervals"]["means"][kind][measure]
            assert (float(line["low"]), float(line["high"])) == (low, high)
    table = pq.read_table(io.BytesIO(made["boards.parquet"])).to_pylist()
    assert set(table[0]) == set(long_form.COLUMNS)
    pairs = {
        (x["query_language"], x["passage_language"], x["measure"]): x["value"]
        for x in table
        if x["passage_language"] is not None
    }
    assert pairs == {
        (asked, answered, m): entry["scores"][m][i]
        for i, (kind, asked, answered, *_) in enumerate(entry["settings"])
        for m in entry["means"]["cross"]["macro"]
        if kind == "cross"
    }


def test_json_is_the_payload_of_one_board(made: dict[str, bytes]) -> None:
    document = json.loads(made["xquad-r.json"])
    assert document["format"] == 1
    row = next(x for x in document["task"]["rows"] if x["source"] == "measured")
    assert row["model"] == HARD and len(row["matrices"]["map"]) == 3
    assert json.loads(made["all-tasks.json"])["overview"]["rows"]


def test_model_index_is_read_by_the_hubs_own_library(made: dict[str, bytes]) -> None:
    from huggingface_hub.repocard_data import model_index_to_eval_results

    name, results = model_index_to_eval_results(
        yaml.safe_load(made["model-index.yaml"])["model-index"]
    )
    assert name == "acme/plain-encoder"
    record = json.loads((GOLDEN / "records" / "acme-plain-encoder.json").read_text())
    value = next(
        x for x in results if x.metric_type == "map" and x.dataset_config == "multi"
    ).metric_value
    assert value == pytest.approx(record["tasks"][0]["means"]["multi"]["macro"]["map"], rel=1e-5)


def test_eval_results_are_read_by_the_hubs_own_library(made: dict[str, bytes]) -> None:
    from huggingface_hub import parse_eval_result_entries

    entries = parse_eval_result_entries(yaml.safe_load(made["eval_results.xquad-r.yaml"]))
    assert {x.dataset_id for x in entries} == {"google-research-datasets/xquad_r"}
    assert {"mono_map", "multi_rank_distance", "cross_recall_at_1"} <= {x.task_id for x in entries}
    assert all(x.source_url == "https://example.org/x" for x in entries)


def test_an_empty_board_across_tasks_says_nothing_false() -> None:
    one = [x for x in read_leaderboards(GOLDEN).records if x.name == "right-to-left"]
    board = make_board(Leaderboards(GOLDEN, one, ()))
    assert [x.slug for x in board.tasks] == ["xquad-r", "own-part"]
    assert {x.slug for x in board.overview.columns} == {"xquad-r"}
