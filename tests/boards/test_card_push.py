"""``harness card --push``: one commit on the hub, through the real client, to a hub on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from golden_boards import GOLDEN
from loopback_hub import Hub, point_at, refusal

from harness.cli import main

RECORD = GOLDEN / "records" / "acme-plain-encoder.json"
README = b"---\nlicense: mit\n---\n# Tiny\n\nMine.\n"


@pytest.fixture
def hub(served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    served.clear()
    served.put("model", "org/tiny", {"README.md": README, "model.safetensors": b"weights"})
    point_at(served, tmp_path, monkeypatch)
    monkeypatch.setenv("HF_TOKEN", Hub.token)
    return served


def push(*given: str) -> Result:
    return CliRunner().invoke(main, ["card", str(RECORD), *given])


def files(hub: Hub, revision: str = "main") -> dict[str, bytes]:
    repository = hub.repositories["models", "org/tiny"]
    return repository.commits[repository.names[revision]]


def test_card_metadata_and_eval_results_go_there_in_one_commit(hub: Hub) -> None:
    for _ in range(2):  # the second time replaces the first
        pushed = push("--push", "org/tiny")
        assert pushed.exit_code == 0, pushed.output
        assert f"{hub.url}/org/tiny/commit/" in pushed.stdout
        found = files(hub)
        text = found["README.md"].decode()
        assert text.count("## Evaluation") == 1 and "# Tiny\n\nMine.\n" in text
        assert yaml.safe_load(text.split("---\n")[1])["license"] == "mit"
    assert set(found) == {"README.md", "model.safetensors", ".eval_results/xquad-r.yaml"}
    entries = yaml.safe_load(found[".eval_results/xquad-r.yaml"])
    assert {"mono_map", "cross_map", "multi_map"} <= {x["dataset"]["task_id"] for x in entries}
    assert hub.messages[0].startswith("Results on ")


def test_a_pull_request_leaves_the_main_branch_alone(hub: Hub) -> None:
    pushed = push("--push", "org/tiny", "--pull-request")
    assert pushed.exit_code == 0, pushed.output
    assert "/org/tiny/discussions/1" in pushed.stdout
    assert files(hub)["README.md"] == README
    assert b"## Evaluation" in files(hub, "refs/pr/1")["README.md"]


def test_what_the_hub_refuses_is_one_sentence(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = push("--push", "org/absent")
    assert absent.exit_code == 2 and "the hub has no public model of that name" in absent.stderr
    monkeypatch.delenv("HF_TOKEN")
    unknown = push("--push", "org/tiny")
    assert unknown.exit_code == 2 and "refuses access (You need write access)" in unknown.stderr
    hub.refuses = refusal(503)
    down = push("--push", "org/tiny")
    assert down.exit_code == 2 and "Traceback" not in down.output
    alone = push("--pull-request")
    assert alone.exit_code == 2 and "--push" in alone.stderr
