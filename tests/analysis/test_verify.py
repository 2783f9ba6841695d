"""A record against what is published of the same model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import tiny
from click.testing import CliRunner, Result

from harness import evaluate
from harness.analysis.verify import Drift, Scored, drift_of, known_drifts, verify
from harness.boards.commands import add, make_boards
from harness.cli import main
from harness.data.task import Setting
from harness.errors import NotComparableError
from harness.evaluation.record import Record
from harness.interop.published import Published
from harness.interop.published_tables import keep

NOISE = (
    Drift("m", "demo", "cpu", "batch size 8", False, "de", 100, "map", 0.0001),
    Drift("m", "demo", "cpu", "float16", True, "de", 100, "map", 0.01),
)
LANGUAGES = ("en", "de", "fr")


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    folder = tmp_path_factory.mktemp("verify")
    task = str(tiny.write_task(folder / "task", languages=LANGUAGES))
    made = evaluate(tiny.WordBag(), tasks=[task], store=False)
    made.save(folder / "record")
    return Record.load(folder / "record")


def published(record: Record, *, moved: dict[str, float] | None = None, **more: Any) -> Published:
    """What somebody published of the record's model, with some languages moved."""
    (task,) = record.contents.tasks
    scores = {
        Setting("mono", s.query_language, s.passage_language): {
            "map": round((s.scores["map"] or 0.0) + (moved or {}).get(s.query_language, 0.0), 5)
        }
        for s in task.settings
        if s.kind == "mono"
    }
    values: dict[str, Any] = {
        "task": task.task,
        "model": "acme/word-bag",
        "source": "imported",
        "origin": "mteb 1.18.0",
        "scores": scores,
        "published_as": "TinyRetrieval test",
        "decimals": {"map": 5},
        "text": task.text,
    }
    return Published(**(values | more))


def scored(record: Record) -> Scored:
    return Scored.of_record(record.contents, record.contents.tasks[0])


def test_each_language_is_ok_close_or_fails(record: Record) -> None:
    queries = next(iter(scored(record).queries.values()))
    # As far as float32 and half precision move a mean over so few queries, and a little less.
    small, large = (x * 10 / queries**0.5 for x in (0.0001, 0.01))
    moved = {"de": -0.9 * small, "fr": 0.9 * large}
    found = verify(scored(record), [published(record, moved=moved)], drifts=NOISE)
    assert {x.language: x.verdict for x in found.checks} == {"en": "OK", "de": "OK", "fr": "close"}
    assert (found.verdict, found.exit_code, found.by_name) == ("close", 3, True)
    assert found.largest.language == "fr" and found.largest.difference < 0
    failed = verify(scored(record), [published(record, moved={"fr": 1.5 * large})], drifts=NOISE)
    assert (failed.verdict, failed.exit_code) == ("FAIL", 1)
    equal = verify(scored(record), [published(record)], drifts=())
    assert (equal.verdict, equal.exit_code, equal.reasons) == ("OK", 0, ())
    assert {x.ok for x in equal.checks} == {5e-6 + 1e-6}
    labelled = verify(scored(record), [published(record)], measure="mAP", drifts=())
    assert (labelled.measure, labelled.verdict) == ("map", "OK")


def test_reasons_are_in_order_and_say_both_sides(record: Record) -> None:
    row = published(record, moved={"fr": 0.3}, revision="f" * 40, text="title", options="long")
    found = verify(scored(record), [row], named="acme/word-bag", drifts=NOISE)
    assert [x.partition(":")[0] for x in found.reasons] == [
        "revision", "prompts", "precision", "ties", "text",
    ]  # fmt: skip
    words = " ".join(found.reasons)
    assert "ffffffffffff there" in words and "there: long" in words and "title there" in words
    assert "more than" in words  # beyond what half precision moves


def test_the_row_of_the_records_own_revision_comes_first(record: Record) -> None:
    old = published(record, revision="old", moved={"en": 0.2})
    new = published(record, revision="new", moved={"en": 0.3}, origin="mteb 2.1.0")
    tried = dataclasses.replace(new, options="tried", origin="mteb 3.0.0")
    assert verify(scored(record), [new, tried, old]).published is new
    record_of_old = scored(record)
    facts = record_of_old.run.model.model_copy(update={"facts": {"revision": "old"}})
    run = record_of_old.run.model_copy(update={"model": facts})
    found = verify(dataclasses.replace(record_of_old, run=run), [new, old])
    assert found.published is old and not any("revision" in x for x in found.reasons)


def test_what_cannot_be_compared_is_named(record: Record) -> None:
    row = published(record)
    twins = [row, dataclasses.replace(row, model="other/word-bag")]
    cases: list[tuple[list[Published], dict[str, Any], str]] = [
        ([], {}, "nothing is published of"),
        (twins, {}, "acme/word-bag or other/word-bag"),
        ([row], {"named": "acme/another"}, "nothing is published of acme/another"),
        ([row], {"measure": "ndcg@20"}, "no setting with ndcg@20"),
        ([dataclasses.replace(row, published_as=None)], {}, "does not say which"),
    ]
    for rows, more, words in cases:
        with pytest.raises(NotComparableError, match=words):
            verify(scored(record), rows, **more)
    task = record.contents.tasks[0]
    part = task.model_copy(update={"partial": task.partial.model_copy(update={"limit": 4})})
    part.partial.model_fields_set.add("limit")
    with pytest.raises(NotComparableError, match="first 4 questions"):
        verify(Scored.of_record(record.contents, part), [row])


def test_drifts_are_scaled_by_the_number_of_queries() -> None:
    assert drift_of("map", 400, half=False, drifts=NOISE) == pytest.approx(0.00005)
    assert drift_of("map", 25, half=True, drifts=NOISE) == pytest.approx(0.02)
    assert drift_of("recall@10", 25, half=True, drifts=NOISE) == 0
    # Those that come with the harness: half precision moves more; cutoffs stand for each other.
    known = [drift_of(m, 1190, half=True) for m in ("ndcg@10", "ndcg@20", "map", "mrr@10")]
    assert all(x > drift_of("ndcg@10", 1190, half=False) for x in known)
    assert known[0] == known[1] and {x.half for x in known_drifts()} == {True, False}


def test_a_board_means_each_kind_of_setting_alone(record: Record, tmp_path: Path) -> None:
    assert record.folder is not None
    add([record.folder], tmp_path, skip_invalid=False, tell=print)
    (task,) = record.contents.tasks
    scores = {
        Setting(s.kind, s.query_language, s.passage_language): {"map": s.scores["map"] or 0.0}
        for s in task.settings
    }
    keep([published(record, scores=scores, decimals={})], tmp_path)
    make_boards(tmp_path)
    lines = (tmp_path / "tiny.md").read_text().splitlines()
    found = [x.split(" | ")[2:5] for x in lines if "| acme/word-bag‡ |" in x and " of 3" in x]
    assert found[:3] == [
        [f"{kind} mAP", "3 of 3", f"{task.means[kind].macro['map']:.4f}"]
        for kind in ("mono", "cross", "multi")
    ]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["verify", *map(str, arguments)])


def test_the_command_and_the_table_of_all(record: Record, tmp_path: Path) -> None:
    assert record.folder is not None
    boards = tmp_path / "leaderboards"
    add([record.folder], boards, skip_invalid=False, tell=print)
    nothing = run("--all", "--leaderboards", boards)
    assert nothing.exit_code == 4 and not (boards / "verified.md").exists()
    keep([published(record, moved={"fr": 0.3})], boards)
    make_boards(boards)
    page = (boards / "verified.md").read_text()
    assert "acme/word-bag" in page and "FAIL" in page and "2 of 3" in page
    one = run(record.folder, "--leaderboards", boards)
    assert one.exit_code == 1 and "mono/fr" in one.output and "likeliest first" in one.output
    every = run("--all", "--leaderboards", boards, "--json")
    assert every.exit_code == 1
    (document,) = json.loads(every.output)
    assert document["verdict"] == "FAIL" and len(document["checks"]) == 3
    assert "Beside what is published" in next(boards.glob("*tiny*.md")).read_text()
    lines = next(boards.glob("*tiny*.md")).read_text().splitlines()
    (line,) = [x for x in lines if "acme/word-bag‡ | 3 of 3 |" in x]
    here = sum(c["here"] for c in document["checks"]) / 3
    assert f"| {here:.4f} |" in line and line.endswith("| 2 of 3 |")
    # A number typed into the table is found.
    (boards / "verified.md").write_text(page.replace("FAIL", "OK"))
    checked = CliRunner().invoke(main, ["board", "--leaderboards", str(boards), "--check"])
    assert checked.exit_code == 1 and "verified.md" in checked.output
    assert run().exit_code == 2 and run(record.folder, "--all").exit_code == 2
    assert run(tmp_path / "no", "--leaderboards", boards).exit_code == 2
