"""Every task whose data are on the hub, from a hub on loopback that has them in little."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from loopback_hub import Hub, point_at, refusal
from tiny import WORDS, WordBag
from tiny_miracl import write_miracl
from tiny_tables import debates, write_rows

import harness
from harness.cli import main
from harness.data.task import TaskSpec, find_task, list_tasks
from harness.evaluation.record import load_record

LANGUAGES = {"belebele": "en,bn-Latn", "mlqa": "en,zh", "mmarco": "en,zh"}
"""Some have names of their own in the files."""
TABLES = [x.name for x in list_tasks() if x.source.repository and x.name != "miracl"]


@pytest.fixture
def hub(served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub that has nothing yet."""
    served.clear()
    point_at(served, tmp_path, monkeypatch)
    return served


def languages(name: str) -> list[str]:
    if find_task(name).query_languages:
        return list(find_task(name).languages)
    return LANGUAGES.get(name, ",".join(find_task(name).languages[-2:])).split(",")


def write_task_data(spec: TaskSpec, folder: Path) -> None:
    """Three questions with a passage each among others, in the files that the task names."""
    source = spec.source
    if source.keys.get("language"):
        write_rows(folder / source.paths["rows"], debates(["en", *languages(spec.name)]))
        return
    for language in languages(spec.name):
        questions = [{"id": str(n), "text": f"{WORDS[n]} {language}"} for n in range(3)]
        passages = [{"id": str(10 + n), "text": f"{WORDS[n]} of {language}"} for n in range(9)]
        if spec.text.startswith("title") and spec.name != "mlqa":
            passages = [{**x, "title": "A title"} for x in passages]
        judged = [{"query-id": str(n), "corpus-id": str(10 + n), "score": 1} for n in range(3)]
        rows = [
            {
                "link": f"https://{n}",
                "question_number": 1,
                "flores_passage": passages[n]["text"],
                "question": questions[n]["text"],
            }
            for n in range(3)
        ]
        tables = {"queries": questions, "passages": passages, "qrels": judged, "rows": rows}
        for role, pattern in source.paths.items():
            if role == "images":
                continue  # of which the texts of the pages need none
            if language not in spec.with_queries() and role == "queries":
                continue
            if language not in spec.with_passages() and role != "queries":
                continue
            path = folder / source.name(pattern, language)
            trec = role == "qrels" and path.suffix == ".tsv"
            lines = [{"q": n, "0": 0, "p": 10 + n, "grade": 1} for n in range(3)]
            write_rows(path, lines if trec else tables[role])


def run(name: str, folder: Path, *more: str) -> Result:
    """`harness run` of some languages of a task, of its corpus as far as it is there."""
    kind = "cross" if find_task(name).query_languages else "mono"
    command = ["run", "--model", "python:tiny:factory", "--task", name, "--settings", kind]
    if find_task(name).images:
        command += ["--text", "title-newline-text"]
    command += ["--languages", ",".join(languages(name)), "--output", str(folder), "--quiet"]
    return CliRunner().invoke(main, [*command, *more])


@pytest.mark.parametrize("name", TABLES)
def test_a_task_is_fetched_scored_and_scored_again_offline(
    name: str, hub: Hub, tmp_path: Path
) -> None:
    spec = find_task(name)
    assert spec.source.repository is not None
    write_task_data(spec, tmp_path / "data")
    hub.put("dataset", spec.source.repository, tmp_path / "data", commit=spec.source.revision)
    # The branch has moved on since the commit that the task file names.
    hub.put("dataset", spec.source.repository, {"README.md": b"other files"})
    if spec.source.queries is not None:
        hub.put("dataset", spec.source.queries.repository, tmp_path / "data")
    if spec.streamed:
        done = run(name, tmp_path)
        assert done.exit_code == 2 and "9 of the " in done.output, done.output
        assert "a sample, and scores on it are not" in done.output
    sampled = ("--corpus", "sampled") if spec.streamed else ()
    done = run(name, tmp_path, *sampled)
    assert done.exit_code == 0, done.output
    entry = load_record(done.output.split()[-1]).document["tasks"][0]
    assert len(entry["settings"]) == (3 if spec.query_languages else 2)
    assert all(x["scores"][spec.measures[0]] == 1.0 for x in entry["settings"])
    hub.requests.clear()
    again = run(name, tmp_path, *sampled, "--offline")
    assert again.exit_code == 0, again.output
    assert hub.requests == []


def test_all_tasks_of_the_hub_are_among_them() -> None:
    assert {"belebele", "mlqa", "mmarco", "miracl-hard-negatives", "neuclir-2022"} < set(TABLES)


def test_miracl_of_a_small_language_is_miracl(hub: Hub, tmp_path: Path) -> None:
    """Topics, judgements and corpus in the two repositories; the corpus is whole."""
    write_miracl(tmp_path, languages=("sw",))
    spec = find_task("miracl")
    topics, corpus = dict[str, bytes](), dict[str, bytes]()
    for path in (x for x in (tmp_path / "data").rglob("*") if x.is_file()):
        kind = corpus if path.suffix == ".gz" else topics
        kind[path.relative_to(tmp_path / "data").as_posix()] = path.read_bytes()
    pinned = spec.source.corpus
    assert pinned is not None and pinned.repository is not None
    assert spec.source.repository is not None
    hub.put("dataset", spec.source.repository, topics, commit=spec.source.revision)
    hub.put("dataset", pinned.repository, corpus, commit=pinned.revision)
    for name in (spec.source.repository, pinned.repository):
        hub.put("dataset", name, {"README.md": b"a newer commit, with other files"})
    small = replace(
        spec.source,
        files={name: hashlib.sha256(raw).hexdigest() for name, raw in topics.items()},
        corpus=replace(pinned, passages={"sw": 60}, files={"sw": 2}),
    )
    spec = replace(spec, languages=("sw",), source=small)
    hub.breaks["docs-1.jsonl.gz"] = [100]
    record = harness.evaluate(WordBag(), tasks=[spec], store=False)
    assert hub.sent["miracl/miracl-corpus/miracl-corpus-v1.0-sw/docs-1.jsonl.gz"][0] == 100
    entry = record.document["tasks"][0]
    assert entry["counts"]["passages"] == {"sw": 60}
    assert "sampled" not in str(entry.get("corpus", ""))
    hub.requests.clear()
    again = harness.evaluate(WordBag(), tasks=[spec], store=False, offline=True)
    assert again.document["tasks"][0]["settings"] == entry["settings"]
    assert hub.requests == []


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ("absent", "facebook/belebele: the hub has no public data set of that name"),
        ("private", "facebook/belebele: the hub has no public data set of that name; .*auth login"),
        ("gated", "accept this data set's terms on its page on the hub, then: hf auth login"),
        ("no file", "the hub has no file data/ben_Latn.jsonl"),
        ("moved", "facebook/belebele: the hub has no revision '75b399394"),
        ("down", "the hub answered with an error .*503"),
    ],
)
def test_data_that_cannot_be_had_are_one_sentence(
    trouble: str, message: str, hub: Hub, tmp_path: Path
) -> None:
    spec = find_task("belebele")
    write_task_data(spec, tmp_path / "data")
    if trouble == "no file":
        (tmp_path / "data" / "data" / "ben_Latn.jsonl").unlink()
    if trouble != "absent":
        access = trouble if trouble in ("private", "gated") else "public"
        commit = None if trouble == "moved" else spec.source.revision
        hub.put("dataset", "facebook/belebele", tmp_path / "data", commit=commit, access=access)
    if trouble == "down":
        hub.refuses = refusal(503)
    done = run("belebele", tmp_path)
    assert done.exit_code == 2, done.output
    (line,) = [x for x in done.output.splitlines() if x.startswith("Error: ")]
    assert re.search(message, line), line
