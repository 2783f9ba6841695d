"""Queries translated or expanded before they are encoded, and what the record says of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from endpoint import KEY, Endpoint, serving

import harness
from harness.cli import main
from harness.errors import ModelError, UsageError
from harness.evaluation.record import Record

TO_ENGLISH = "command:sed s/^../en/"
"""The tiny task's languages differ in the first word alone."""


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.write_task(tmp_path_factory.mktemp("task")))


def run(task: str, model: Any = None, **more: Any) -> Record:
    return harness.evaluate(model or tiny.WordBag(bias=1.0), tasks=[task], resamples=0, **more)


def scores(record: Record) -> dict[str, dict[str, float]]:
    return {r["setting"]: r["scores"] for r in record.document["tasks"][0]["settings"]}


def test_translated_queries_are_encoded_as_english_ones(task: str) -> None:
    plain, translated = run(task), run(task, translate_queries=TO_ENGLISH, into="en")
    before, after = scores(plain), scores(translated)
    for setting, like in (("cross/de-en", "mono/en"), ("mono/de", "cross/en-de")):
        for measure in ("map", "ndcg@10", "recall@1"):
            assert after[setting][measure] == before[like][measure]
        assert after[setting] != before[setting]
    assert after["mono/en"] == before["mono/en"]
    assert translated.model == "word-bag + queries in en"
    facts = translated.document["model"]["facts"]["treatments"][0]
    assert (facts["into"], set(facts["by_language"])) == ("en", {"de", "zh"})
    assert facts["by_language"]["de"]["engine"] == "command"
    assert translated.document["model"]["fingerprint"] != plain.document["model"]["fingerprint"]
    # The data that was scored is the same.
    digests = [r.document["tasks"][0]["data_digest"] for r in (plain, translated)]
    assert digests[0] == digests[1]


def test_a_system_without_vectors_searches_translated_queries_too(task: str) -> None:
    before, after = (
        scores(run(task, "bm25")),
        scores(run(task, "bm25", translate_queries=TO_ENGLISH)),
    )
    assert after["cross/de-en"]["map"] == before["mono/en"]["map"]


@pytest.mark.parametrize("apart", [True, False])
def test_an_index_is_told_the_language_that_translated_queries_are_in(
    task: str, apart: bool
) -> None:
    class Index:
        name, facts, pool_matters = "index", MappingProxyType({}), apart
        heard: ClassVar[set[str]] = set()

        def index(self, passages: Sequence[str], *, languages: Sequence[str]) -> Index:
            made = Index()
            made.passages = len(passages)
            return made

        def score(self, queries: Sequence[str], *, language: str) -> np.ndarray:
            self.heard.add(language)
            return np.ones((len(queries), self.passages), np.float32)

    run(task, Index(), translate_queries=TO_ENGLISH)
    assert Index.heard == {"en"}


def test_what_was_translated_is_not_translated_again(task: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = tmp_path / "engine.sh"
    script.write_text(f"#!/bin/sh\ntee -a {log} | sed s/^../en/\n")
    script.chmod(0o755)
    for _ in range(2):
        run(task, translate_queries=f"command:{script}", store=False)
    assert len(log.read_text().splitlines()) == 20  # ten questions in de and in zh, once


def test_equal_translations_of_several_languages_are_encoded_once(task: str) -> None:
    """Without a store, too: the translations of this task's questions are the English ones."""
    model = tiny.WordBag(bias=1.0)
    record = run(task, model, translate_queries=TO_ENGLISH, store=False)
    requested = [text for text in model.requested if "what is" in text]
    assert len(requested) == len(set(requested)) == 10
    counts = record.document["tasks"][0]["encoding"]
    assert (counts["texts"], counts["distinct"]) == (30 + 66, 10 + 48)
    assert scores(record) == scores(run(task, translate_queries=TO_ENGLISH))


@pytest.fixture
def endpoint() -> Iterator[tuple[Endpoint, str]]:
    found = Endpoint()
    with serving(found) as url:
        yield found, url


def test_queries_are_expanded_by_a_model_behind_an_endpoint(
    task: str, endpoint: tuple[Endpoint, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_API_KEY", KEY)
    server, url = endpoint
    model = tiny.WordBag()
    record = run(task, model, expand_queries="http:writer", expand_url=url)
    assert "en what is river number 0 river is told of" in model.requested
    assert "de what is river number 0 river is told of" in model.requested
    assert len(server.paid_for("chat/completions")) == 30
    facts = record.document["model"]["facts"]["treatments"][0]
    # One question of ten is about salt, and has no answer in any of three languages.
    assert facts["left_as_they_were"] == 3
    assert "en what is salt number 1" in model.requested
    assert facts["by_language"]["en"]["model"] == "writer"
    assert KEY not in str(record.document)
    run(task, tiny.WordBag(), expand_queries="http:writer", expand_url=url)
    assert len(server.paid_for("chat/completions")) == 30  # remembered


def test_a_rate_limit_of_the_writer_is_waited_out(
    task: str, endpoint: tuple[Endpoint, str]
) -> None:
    server, url = endpoint
    server.faults = [lambda _: (429, {"Retry-After": "0"}, b"")]
    record = run(task, expand_queries="http:writer", expand_url=url)
    assert record.model.endswith("queries expanded")


def test_translated_queries_can_be_expanded(task: str) -> None:
    model = tiny.WordBag()
    settings = {"translate_queries": TO_ENGLISH, "expand_queries": "command:sed s/what.*number/is/"}
    record = run(task, model, **settings)
    assert "en what is moon number 3 en is 3" in model.requested
    assert not [text for text in model.requested if text.startswith("de what")]
    assert record.model == "word-bag + queries in en + queries expanded"


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"translate_queries": "sed"}, UsageError, "write transformers:NAME, ctranslate2:FOLDER"),
        ({"translate_queries": "command:no-such-program"}, ModelError, "program 'no-such-prog"),
        ({"translate_queries": TO_ENGLISH, "into": "english"}, UsageError, "--into 'english'"),
        ({"expand_queries": "writer"}, UsageError, "write command:COMMAND or http:NAME"),
        ({"expand_queries": "http:writer"}, ModelError, "needs --expand-url URL"),
        ({"expand_url": "http://localhost"}, UsageError, "needs --expand-queries http:NAME"),
        ({"translate_queries": "command:head -n 1"}, ModelError, "it must write one for each"),
    ],
)
def test_what_cannot_be_is_refused(
    task: str, settings: dict[str, str], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        run(task, **settings)


def test_the_command_takes_it(task: str, tmp_path: Path) -> None:
    given = ["run", "--model", "bm25", "--task", task, "--resamples", "0", "-q"]
    more = ["--translate-queries", TO_ENGLISH, "--into", "en", "--output", str(tmp_path)]
    done = CliRunner().invoke(main, given + more)
    assert done.exit_code == 0, done.output
    assert Record.load(done.output.strip()).model == "bm25 + queries in en"
