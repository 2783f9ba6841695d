"""`harness train` with a base and training pairs of the hub, from a hub on loopback."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import random_models
from click.testing import CliRunner, Result
from loopback_hub import Hub, point_at
from tiny_tables import write_rows
from tiny_training import WORDS, write_base

from harness.cli import main
from harness.models import load
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
    served.put("dataset", known.repo, {"README.md": b"a newer commit, with other files"})
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
    hub.put("model", "org/base", {"README.md": b"Moved to org/other"})
    train[train.index("org/base")] = f"org/base@{commit}"
    train[train.index(output)] = tmp_path / "pinned"
    done = command(*train)
    assert done.exit_code == 0, done.output
    pinned = json.loads((tmp_path / "pinned" / MANIFEST).read_text())
    assert pinned["base"]["files"] == manifest["base"]["files"]
    hub.requests.clear()
    train[train.index(tmp_path / "pinned")] = tmp_path / "again"
    done = command(*train, "--offline")
    assert done.exit_code == 0, done.output
    assert hub.requests == []


def test_an_adapter_is_trained_with_its_base_and_saved_whole(hub: Hub, tmp_path: Path) -> None:
    """Its own base is fetched, and pinned in the manifest; what comes out needs neither."""
    pytest.importorskip("peft", reason="peft is not installed")
    folder = tmp_path / "adapter"
    random_models.adapter(folder, tmp_path / "base", "org/base")
    hub.put("model", "org/adapter", folder)
    write_rows(tmp_path / "pairs.jsonl", ROWS)
    output = tmp_path / "trained"
    train = ["train", "--base", "org/adapter", "--data", tmp_path / "pairs.jsonl", *QUICK]
    train += ["--query-prompt", "", "--passage-prompt", ""]
    # A rate at which nothing is learnt: what is saved is adapter and base together.
    done = command(*train, "--learning-rate", "1e-12", "--output", output)
    assert done.exit_code == 0, done.output
    names = {x.name for x in output.iterdir()}
    assert "model.safetensors" in names and "adapter_config.json" not in names
    base = json.loads((output / MANIFEST).read_text())["base"]
    assert base["base"]["name"] == "org/base"
    assert base["base"]["revision"] == hub.repositories["models", "org/base"].names["main"]
    vectors = [
        load(x).encode(["en moon", "de salt"], role="passage", language="en")
        for x in ("org/adapter", "org/base", str(output))
    ]
    np.testing.assert_allclose(vectors[2], vectors[0], atol=1e-5)
    assert abs(vectors[1] - vectors[0]).max() > 0.01


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
        (
            ("train", "--base", "org/lost"),
            "--base org/lost is an adapter for org/none: .*no public",
        ),
    ],
)
def test_what_cannot_be_had_is_one_sentence(
    hub: Hub, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    write_rows(tmp_path / "gated" / "train.jsonl", [{"question": "q", "answers": ["a"]}])
    closed = HUB["entity-questions"].repo
    hub.put("dataset", closed, tmp_path / "gated", access="gated")
    adapter = {"base_model_name_or_path": "org/none"}
    lost = {"adapter_config.json": json.dumps(adapter).encode(), "adapter_model.safetensors": b""}
    hub.put("model", "org/lost", lost)
    write_rows(tmp_path / "pairs.jsonl", ROWS)
    more = ["--data", tmp_path / "pairs.jsonl", *QUICK] if arguments[0] == "train" else []
    done = command(*arguments, "--output", tmp_path / "out.jsonl", *more)
    assert_one_sentence(done, message)


def assert_one_sentence(done: Result, message: str) -> None:
    assert done.exit_code == 2, done.output
    (line,) = [x for x in done.output.splitlines() if x.startswith("Error: ")]
    assert re.search(message, line), line
