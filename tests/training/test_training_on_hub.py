"""`harness train` with a base and training pairs of the hub, from a hub on loopback."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from loopback_hub import Hub, point_at
from tiny_tables import write_rows
from tiny_training import WORDS, write_base

from harness.cli import main
from harness.models.trained_folder import MANIFEST
from harness.training.sources.hub_sets import HUB

ROWS = [{"id": x, "language": "en", "query": x, "passage": x} for x in WORDS]
QUICK = ["--steps", "2", "--batch-size", "4", "--languages", "en", "--recipe", "mono"]


@pytest.fixture
def hub(served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub with a base model and one set of pairs."""
    served.clear()
    served.put("model", "org/base", write_base(tmp_path / "base"))
    rows = [{"query": f"en {x}", "answer": f"en {x} w1"} for x in WORDS]
    write_rows(tmp_path / "set" / "pair" / "train-00000-of-00001.parquet", rows)
    known = HUB["natural-questions"]
    served.put("dataset", known.repo, tmp_path / "set", commit=known.revision)
    point_at(served, tmp_path, monkeypatch)
    return served


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(x) for x in arguments])


def fetched(name: str, folder: Path, *more: str) -> dict[str, Any]:
    """The pairs of a set, as a file, and what the file next to it says."""
    out = folder / f"{name}.jsonl"
    done = command("pairs", "make", name, "--output", out, *more)
    assert done.exit_code == 0, done.output
    return dict(json.loads((folder / f"{name}.jsonl.about.json").read_text()))


def test_a_base_and_pairs_of_the_hub_are_pinned_in_the_manifest(hub: Hub, tmp_path: Path) -> None:
    about = fetched("natural-questions", tmp_path)
    assert about["revision"] == HUB["natural-questions"].revision and about["pinned"] is True
    pairs, output = tmp_path / "natural-questions.jsonl", tmp_path / "trained"
    train = ["train", "--base", "org/base", "--data", pairs, "--output", output, *QUICK]
    done = command(*train)
    assert done.exit_code == 0, done.output
    manifest = json.loads((output / MANIFEST).read_text())
    commit = hub.repositories["models", "org/base"].names["main"]
    assert manifest["base"]["revision"] == commit
    hub.requests.clear()
    train[train.index(output)] = tmp_path / "again"
    done = command(*train, "--offline")
    assert done.exit_code == 0, done.output
    assert hub.requests == []


def test_a_set_without_a_pin_records_the_commit_it_came_from(hub: Hub, tmp_path: Path) -> None:
    """And the newer one once the branch has moved."""
    for answer in ("first", "second"):
        row = {"question_id": "Q", "question": "q", "document_title": "T", "answer": answer}
        write_rows(tmp_path / answer / "data" / "train-0.parquet", [{**row, "label": 1}])
        commit = hub.put("dataset", "microsoft/wiki_qa", tmp_path / answer)
        about = fetched("wikiqa", tmp_path)
        assert about["revision"] == commit
        assert json.loads((tmp_path / "wikiqa.jsonl").read_text())["passage"] == answer


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pairs", "make", "entity-questions"), "accept this data set's terms on its page"),
        (("pairs", "make", "duorc"), "ibm-research/duorc: the hub has no public data set"),
        (("train", "--base", "org/none"), "org/none: .*the hub has no public model of that name"),
        (("train", "--base", "org/base@v2"), "org/base: the hub has no revision 'v2' of it"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(
    hub: Hub, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    write_rows(tmp_path / "gated" / "train.jsonl", [{"question": "q", "answers": ["a"]}])
    closed = HUB["entity-questions"].repo
    hub.put("dataset", closed, tmp_path / "gated", access="gated")
    write_rows(tmp_path / "pairs.jsonl", ROWS)
    more = ["--data", tmp_path / "pairs.jsonl", *QUICK] if arguments[0] == "train" else []
    done = command(*arguments, "--output", tmp_path / "out.jsonl", *more)
    assert done.exit_code == 2, done.output
    (line,) = [x for x in done.output.splitlines() if x.startswith("Error: ")]
    assert re.search(message, line), line
