"""Queries in a language that no passage is in, against one pool of several languages."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytrec_eval
from click.testing import CliRunner
from loopback_hub import Hub, point_at
from tiny import WORDS, WordBag
from tiny_tables import write_rows

import harness
from harness.base.hub import Repository
from harness.cli import main
from harness.data.task import TaskSpec, find_task, read_task
from harness.data.trec import read_qrels, read_run
from harness.errors import TaskError, UsageError
from harness.interop.trec_runs import score_run

NEWS = ("fa", "ru", "zh")
BRANCH = {"neuclir/bench": "b" * 40}


def grade(language: str, topic: int, passage: int) -> int | None:
    """Made judgements: graded, of other topics in each language, some of them not relevant."""
    if (topic + NEWS.index(language)) % 3 == 2:
        return None  # not judged in this language
    return {0: 3, 1: 1, 2: 0}.get((passage - topic) % 9)


def write_neuclir(spec: TaskSpec, folder: Path) -> tuple[Path, Path]:
    """The track's topics and mteb's tables, ten passages a language; the two repositories."""
    topics, tables = folder / "topics", folder / "tables"
    source = spec.source
    lines = [{"id": n, "text": f"{WORDS[n]} {WORDS[(n + 3) % 9]} found"} for n in range(8)]
    lines.append({"id": 300, "text": "a topic of another year"})
    write_rows(topics / source.file("queries", "en"), lines)
    for x in NEWS:
        passages: list[dict[str, Any]] = [
            {"_id": f"{x}-{n}", "title": WORDS[n], "text": f"{WORDS[(n * 2) % 9]} {WORDS[n]} {x}"}
            for n in range(9)
        ]
        passages.append({"_id": f"{x}-9", "title": "", "text": f"judged for no topic {x}"})
        judged = [
            {"query-id": str(q), "corpus-id": f"{x}-{p}", "score": found}
            for q in range(8)
            for p in range(9)
            if (found := grade(x, q, p)) is not None
        ]
        write_rows(tables / source.file("passages", x), passages)
        write_rows(tables / source.file("qrels", x), judged)
    return topics, tables


@pytest.fixture
def hub(served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    served.clear()
    point_at(served, tmp_path, monkeypatch)
    return served


@pytest.mark.parametrize("name", ["neuclir-2022-mlir", "neuclir-2023-mlir-hard-negatives"])
def test_english_topics_against_one_pool_of_three_languages(
    name: str, hub: Hub, tmp_path: Path
) -> None:
    spec = find_task(name)
    topics, tables = write_neuclir(spec, tmp_path)
    source = spec.source
    assert source.queries is not None and source.repository is not None
    hub.put("dataset", source.queries.repository, topics)
    hub.put("dataset", source.repository, tables, commit=source.revision)
    record = harness.evaluate(
        WordBag(),
        tasks=[spec],
        settings=("cross", "multi"),
        corpus="sampled" if spec.streamed else "whole",
        store=False,
        trec=tmp_path / "trec",
        resamples=0,
    )
    entry = record.document["tasks"][0]
    assert [x["setting"] for x in entry["settings"]] == [
        "cross/en-fa", "cross/en-ru", "cross/en-zh", "multi/en",
    ]  # fmt: skip
    assert entry["counts"]["passages"] == dict.fromkeys(NEWS, 10)
    # Eight topics, each judged in one language at least; the one of another year is not.
    assert entry["counts"]["queries"] == {"en": 8}
    table = record.table(name)
    for setting in ("cross/en-ru", "multi/en"):
        file = tmp_path / "trec" / name / setting.replace("/", ".")
        judged, run = read_qrels(f"{file}.qrels"), read_run(f"{file}.run")
        theirs = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut.20", "map"}).evaluate(run)
        rows = np.flatnonzero(table.setting == [s.name for s in table.settings].index(setting))
        for at in rows:
            expected = theirs[f"en:{table.questions[table.question[at]]}"]
            for ours, there in (("ndcg@20", "ndcg_cut_20"), ("map", "map")):
                assert table.values[ours][at] == pytest.approx(expected[there], abs=1e-12)
    # Without the passages, which `harness score` does not read where they are streamed.
    runs = sorted((tmp_path / "trec" / name).glob("*.run"))
    for scored in score_run(runs, task=spec, measures="ndcg@20"):
        assert scored.setting is not None
        ours = next(x for x in entry["settings"] if x["setting"] == scored.setting.name)
        assert scored.scores["ndcg@20"] == pytest.approx(ours["scores"]["ndcg@20"], abs=1e-12)
        runs.remove(scored.path)
    assert runs == []
    pooled = next(x for x in entry["settings"] if x["setting"] == "multi/en")
    assert set(pooled["scores"]) == {
        "ndcg@20", "map", "recall@100", "rank_fairness@10", "language_ndcg_spread@10",
    }  # fmt: skip
    # Grades of three languages in one ranking: not the mean of the three.
    assert len(read_qrels(tmp_path / "trec" / name / "multi.en.qrels")["en:0"]) > 9 / 3


def test_the_branch_is_what_it_was_when_it_was_fetched(hub: Hub, tmp_path: Path) -> None:
    """Both repositories are fetched, and neither is asked again offline."""
    spec = find_task("neuclir-2022-mlir-hard-negatives")
    folder, tables = write_neuclir(spec, tmp_path)
    assert spec.source.repository is not None
    command = ["run", "--task", spec.name, "--model", "python:tiny:factory", "--quiet"]
    command += ["--output", str(tmp_path / "records")]
    hub.put("dataset", spec.source.repository, tables, commit=spec.source.revision)
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 2
    assert "neuclir/bench: the hub has no public data set of that name" in refused.output
    name = spec.source.file("queries", "en")
    topics = {name: (folder / name).read_bytes()}
    first = hub.put("dataset", "neuclir/bench", topics)
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert hub.downloads.count("neuclir/bench/data/news.eng.tsv") == 1
    hub.put("dataset", "neuclir/bench", {"data/news.eng.tsv": b"0\tchanged\n"})
    assert hub.repositories["datasets", "neuclir/bench"].names["main"] != first
    hub.requests.clear()
    again = CliRunner().invoke(main, [*command, "--offline"])
    assert again.exit_code == 0 and hub.requests == []
    shown = CliRunner().invoke(main, ["data", "where", spec.name])
    assert "news.eng.tsv" in shown.output and "news.fas.tsv" not in shown.output
    # Once it is gone from the hub's cache, the branch of now is fetched, and compared with the
    # checksums of now: those of before made it damaged for good.
    cached = Repository("neuclir/bench", "main", "dataset").cached
    shutil.rmtree(cached.parents[1])
    hub.put("dataset", "neuclir/bench", topics | {"README.md": b"of now"})
    assert CliRunner().invoke(main, command).exit_code == 0
    now = Repository("neuclir/bench", "main", "dataset").cached
    assert now != cached
    # Another program has fetched a later one.
    raw = topics["data/news.eng.tsv"] + b"99\tof later\n"
    hub.put("dataset", "neuclir/bench", {"data/news.eng.tsv": raw})
    Repository("neuclir/bench", "main", "dataset").fetch(["data/news.eng.tsv"])
    damaged = CliRunner().invoke(main, command)
    assert damaged.exit_code == 2 and f"run `harness data fetch {spec.name}`" in damaged.output
    assert CliRunner().invoke(main, ["data", "fetch", spec.name]).exit_code == 0
    assert CliRunner().invoke(main, command).exit_code == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["en"]', '["de"]', "'query_languages' must be one of en, fa, ru, zh, not 'de'"),
        ('["fa", "ru", "zh"]', '["fa", "ru"]', "'languages' has 'zh', which is neither among"),
        ('"tables"', '"simple"', "'query_languages' is not for reader 'simple'"),
        ('revision = "main"\n', "", "'source.queries.revision' is missing"),
    ],
)
def test_a_wrong_side_names_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = find_task("neuclir-2022-mlir-hard-negatives").path.read_text()
    assert old in text
    (tmp_path / "task.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(TaskError, match=re.escape(message)):
        read_task(tmp_path / "task.toml")


def test_a_side_that_is_missing_is_one_sentence(hub: Hub, tmp_path: Path) -> None:
    spec = find_task("neuclir-2022-mlir-hard-negatives")
    topics, tables = write_neuclir(spec, tmp_path)
    folder = tmp_path / "copy" / spec.name
    for part in (topics, tables):
        for path in (x for x in part.rglob("*") if x.is_file()):
            target = folder / path.relative_to(part)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    spec = replace(spec, source=replace(spec.source, folder=spec.name))
    with pytest.raises(UsageError, match="no queries in fa, ru: name at least one of en"):
        harness.evaluate(
            WordBag(), tasks=[spec], languages=("fa", "ru"), data_dir=tmp_path / "copy"
        )
    with pytest.raises(UsageError, match="no passages in en: name at least one of fa, ru, zh"):
        harness.evaluate(WordBag(), tasks=[spec], languages=("en",), data_dir=tmp_path / "copy")
