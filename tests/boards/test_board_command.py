"""``harness board`` and ``harness card`` as a user types them."""

from __future__ import annotations

import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import tiny
import yaml
from click.testing import CliRunner, Result
from golden_boards import GOLDEN

from harness import evaluate
from harness.cli import main

RECORD = GOLDEN / "records" / "acme-plain-encoder.json"


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    """A leaderboards folder with records and no boards yet."""
    for name in ("records", "questions"):
        shutil.copytree(GOLDEN / name, tmp_path / "leaderboards" / name)
    return tmp_path / "leaderboards"


def harness(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(x) for x in arguments], catch_exceptions=False)


def board(folder: Path, *arguments: str | Path) -> Result:
    return harness("board", "--leaderboards", folder, *arguments)


def test_boards_are_made_and_checked(boards: Path) -> None:
    missing = board(boards, "--check")
    assert missing.exit_code == 1 and "is missing" in missing.output
    made = board(boards)
    assert made.exit_code == 0, made.output
    assert {x.name for x in boards.glob("*.*")} >= {
        "all-tasks.md", "xquad-r.md", "xquad-r.tex", "xquad-r.csv", "xquad-r.json",
        "boards.parquet",
    }  # fmt: skip
    assert board(boards, "--check").exit_code == 0
    assert board(boards).output == ""  # nothing changed, nothing written


def test_a_long_line_is_shown_where_it_differs(boards: Path) -> None:
    board(boards)
    path = boards / "xquad-r.json"
    text = path.read_text()
    at = text.rindex('"processor":"one|two"')
    path.write_text(text[:at] + text[at:].replace("one|two", "one|other", 1))
    shown = board(boards, "--check").output
    assert "one|other" in shown and "one|two" in shown
    assert all(len(line) < 250 for line in shown.splitlines())


@pytest.mark.parametrize(
    "name", ["xquad-r.md", "miracl-sample.tex", "xquad-r.csv", "all-tasks.json"]
)
def test_a_number_that_was_typed_in_is_found_and_shown(boards: Path, name: str) -> None:
    board(boards)
    path = boards / name
    text = path.read_text()
    at = next(i for i in range(len(text)) if text[i : i + 2] == "0.")
    path.write_text(f"{text[:at]}9{text[at + 1 :]}")
    found = board(boards, "--check")
    assert found.exit_code == 1
    assert f"--- {path}" in found.output and "\n-" in found.output and "\n+" in found.output
    assert "harness board" in found.stderr
    assert path.read_text()[at] == "9"  # a check writes nothing
    assert str(path) in board(boards).output
    assert path.read_text() == text


def test_another_table_in_parquet_is_found_and_another_writer_is_not(boards: Path) -> None:
    import pyarrow.parquet as pq

    board(boards)
    path = boards / "boards.parquet"
    table = pq.read_table(path)
    pq.write_table(table, path, compression="none")
    assert board(boards, "--check").exit_code == 0
    pq.write_table(table.slice(1), path)
    assert "contains another table" in board(boards, "--check").output


def test_a_board_that_no_record_gives_any_more_is_found_and_removed(boards: Path) -> None:
    board(boards)
    for name in ("acme-plain-encoder", "long"):
        (boards / "records" / f"{name}.json").unlink()
    found = board(boards, "--check")
    assert found.exit_code == 1 and "miracl-sample.md: belongs to no record" in found.output
    assert str(boards / "miracl-sample.tex") in board(boards).output
    assert not list(boards.glob("miracl*")) and board(boards, "--check").exit_code == 0


def test_invalid_records_end_with_2_or_are_left_out(boards: Path) -> None:
    (boards / "records" / "broken.json").write_text("{")
    refused = board(boards)
    assert refused.exit_code == 2 and "broken.json: not valid JSON" in refused.stderr
    assert "--skip-invalid" in refused.stderr
    skipped = board(boards, "--skip-invalid")
    assert skipped.exit_code == 0 and "Warning: left out" in skipped.stderr
    assert (boards / "xquad-r.md").is_file()


def test_tables_go_between_the_markers_of_a_page(boards: Path, tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(
        "# Mine\n\n<!-- board:start -->\nOUTDATED\n<!-- board:end -->\n\nbetween\n"
        "<!-- board:start xquad-r -->\n<!-- board:end -->\nafter\n"
    )
    assert board(boards, "--inject", page).exit_code == 0
    text = page.read_text()
    assert "OUTDATED" not in text and "between" in text and text.endswith("after\n")
    assert text.count("| Rank |") == 1 and text.count("| acme/plain-encoder |") == 2
    assert board(boards, "--check", "--inject", page).exit_code == 0
    page.write_text(text.replace("0.8", "0.9"))
    assert board(boards, "--check", "--inject", page).exit_code == 1


def test_the_folders_own_readme_is_kept_true_unasked(boards: Path) -> None:
    page = boards / "README.md"
    page.write_text("<!-- board:start -->\n<!-- board:end -->\n")
    board(boards)
    assert "acme/plain-encoder" in page.read_text()
    page.write_text("<!-- board:start -->\n<!-- board:end -->\n")
    assert board(boards, "--check").exit_code == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# Mine\n", "<!-- board:start -->"),
        ("<!-- board:start nope -->\n<!-- board:end -->\n", "'nope'"),
    ],
)
def test_a_page_without_markers_for_the_board_is_refused(
    boards: Path, tmp_path: Path, text: str, words: str
) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    refused = board(boards, "--inject", page)
    assert refused.exit_code == 2 and words in refused.stderr
    assert not (boards / "xquad-r.md").exists()  # refused before anything is written


def test_a_board_is_printed_in_the_order_of_any_column(boards: Path) -> None:
    by_quality = board(boards, "--task", "xquad-r").output
    by_bias = board(boards, "--task", "xquad-r", "--sort", "multi/own_language_first").output
    assert by_quality.index("acme/plain-encoder") < by_quality.index("long/name")
    assert by_bias.index("long/name") < by_bias.index("acme/plain-encoder")
    assert not (boards / "xquad-r.md").exists()
    for flags, hint in (
        (["--task", "xquad"], "did you mean 'xquad-r'"),
        (["--task", "xquad-r", "--sort", "multi/mapp"], "did you mean 'multi/map'"),
    ):
        refused = board(boards, *flags)
        assert refused.exit_code == 2 and hint in refused.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--check", "--task", "xquad-r"], "--task has no effect with --check"),
        (["--check", "--serve"], "cannot be given together"),
        (["--changed", "HEAD", "--sort", "multi/map"], "--sort has no effect with --changed"),
        (["--paper", "--inject", "README.md"], "--inject is for writing"),
        (["--data-dir", "nowhere"], "--data-dir: nowhere is not a folder"),
        (["--changed", ""], "git cannot"),  # of an unset variable: nothing is written
        (["add", RECORD], "--leaderboards before `add` has no effect"),
    ],
)
def test_options_that_would_be_ignored_are_refused(
    boards: Path, flags: list[str | Path], words: str
) -> None:
    refused = board(boards, *flags)
    assert refused.exit_code == 2 and words in refused.stderr
    assert not (boards / "all-tasks.md").exists()


def test_letters_that_a_terminal_cannot_show_are_escaped(boards: Path) -> None:
    given = ["board", "--leaderboards", str(boards), "--task", "xquad-r"]
    shown = CliRunner(charset="ascii").invoke(main, given)
    assert shown.exit_code == 0 and r"\u2013" in shown.stdout


def test_the_papers_tables_are_printed(boards: Path) -> None:
    text = board(boards, "--paper", "--task", "xquad-r", "--format", "markdown").output
    assert "| Language | Monolingual mAP acme/plain-encoder |" in text and "as published" in text
    plain = board(boards, "--paper", "--task", "xquad-r").output.splitlines()
    assert "XQuAD-R: mAP" in plain and ("XQuAD-R: mAP",) * 2 not in pairwise(plain)
    latex = board(boards, "--paper", "--format", "latex").output
    labels = re.findall(r"\\label{(.*)}", latex)
    assert r"\begin{tabular}" in latex and len(set(labels)) == len(labels) > 5
    refused = board(boards, "--paper", "--task", "own-part")
    assert refused.exit_code == 2 and "no paper has tables" in refused.stderr


def test_a_record_is_added_and_the_boards_made_by_one_command(tmp_path: Path) -> None:
    record = evaluate(
        tiny.WordBag(),
        tasks=[str(tiny.write_task(tmp_path))],
        store=False,
        resamples=50,
        output=tmp_path / "results",
    )
    assert record.folder is not None
    folder = tmp_path / "leaderboards"
    made = harness("board", "add", record.folder, "--leaderboards", folder)
    assert made.exit_code == 0, made.output
    assert (folder / "tiny.md").is_file() and len(list((folder / "records").iterdir())) == 1
    assert board(folder, "--check").exit_code == 0
    card = harness("card", record.folder)
    assert card.exit_code == 0 and "#### Multilingual Retrieval: Tiny" in card.output
    assert "not in .eval_results" in card.stderr


def test_an_unreadable_record_is_not_added(tmp_path: Path) -> None:
    record = evaluate("bm25", "demo", languages="en", limit=2, resamples=0, output=tmp_path / "r")
    given = ["board", "add", str(record.folder), tmp_path / "nowhere"]
    refused = harness(*given, "--leaderboards", tmp_path / "x")
    assert refused.exit_code == 2 and "cannot be read" in refused.stderr
    assert not (tmp_path / "x").exists()


def test_a_card_goes_into_the_models_folder_and_keeps_what_is_there(tmp_path: Path) -> None:
    head = {
        "license": "mit",
        "model-index": [
            {
                "name": "x",
                "results": [
                    {
                        "task": {"type": "sts", "name": "STS"},
                        "dataset": {"type": "a/b", "name": "Other"},
                        "metrics": [{"type": "spearman", "value": 0.5, "name": "S"}],
                    }
                ],
            }
        ],
    }
    (tmp_path / "README.md").write_text(f"---\n{yaml.safe_dump(head)}---\n# Model\n\nMine.\n")
    for _ in range(2):  # the second time replaces the first
        assert harness("card", RECORD, "--output", tmp_path).exit_code == 0
        text = (tmp_path / "README.md").read_text()
        assert text.count("## Evaluation") == 1 and "# Model\n\nMine.\n" in text
        found = yaml.safe_load(text.split("---\n")[1])
        assert found["license"] == "mit"
        [index] = found["model-index"]
        names = [x["dataset"]["name"] for x in index["results"]]
        assert names[0] == "Other" and len(names) == len(set(names)) == 4
    # The sample of MIRACL is only in the section.
    assert {x.name for x in (tmp_path / ".eval_results").iterdir()} == {"xquad-r.yaml"}


def test_a_section_that_has_lost_its_end_takes_no_text_with_it(tmp_path: Path) -> None:
    """All from its start to the end of the section that was added below it, at the second time."""
    readme = tmp_path / "README.md"
    readme.write_text("# M\n\n<!-- harness:start -->\nold\n\n## Usage\n\nMy text.\n")
    for _ in range(2):
        assert harness("card", RECORD, "--output", tmp_path).exit_code == 0
        text = readme.read_text()
        assert "My text." in text and text.count("<!-- harness:end -->") == 1


def test_a_cards_header_stays_as_its_author_wrote_it(tmp_path: Path) -> None:
    head = "license: mit  # ours\n# -----------\nlanguage:\n- no\nversion: 1.10\n"
    path = tmp_path / "README.md"
    for header in (head, f"{head}model-index: []\n", "{license: mit}\n"):
        path.write_text(f"---\n{header}---\n\n# Model\n")
        for _ in range(2):
            assert harness("card", RECORD, "--output", tmp_path).exit_code == 0
        text = path.read_text()
        assert len(yaml.safe_load(text.split("\n---\n")[0][4:])["model-index"]) == 1
        assert text.count("model-index:") == 1 and "\n---\n\n# Model\n" in text
        assert header[0] == "{" or text.startswith(f"---\n{head}model-index:")


def test_a_part_of_a_task_is_in_the_section_and_not_in_the_metadata() -> None:
    record = GOLDEN / "records" / "right-to-left.json"
    section = harness("card", record)
    assert "Own (part)" in section.stdout and "is only in the section" in section.stderr
    metadata = harness("card", record, "--part", "model-index").stdout
    assert "XQuAD-R" in metadata and "Own (" not in metadata


def test_a_task_of_ones_own_is_named_by_its_data_set_on_the_hub() -> None:
    given = harness(
        "card", RECORD, "--part", "eval-results", "--dataset", "xquad-r=me/my-questions"
    )
    assert "id: me/my-questions" in given.stdout
    refused = harness("card", RECORD, "--dataset", "xquad-r")
    assert refused.exit_code == 2 and "TASK=ORG/NAME" in refused.stderr


def test_a_card_of_several_models_is_refused(tmp_path: Path) -> None:
    refused = harness("card", RECORD, GOLDEN / "records" / "hard.json")
    assert refused.exit_code == 2 and "a model card describes one model" in refused.stderr
    missing = harness("card", RECORD, "--output", tmp_path / "nowhere")
    assert missing.exit_code == 2 and "is not a folder" in missing.stderr
