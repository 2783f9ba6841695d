"""Runs over corpora, end to end: trec_eval's numbers, samples that say so, runs that go on."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from tiny import WordBag, write_task
from tiny_miracl import write_miracl

import harness
from harness.base.cache import cache_folder
from harness.cli import main
from harness.data.trec import read_qrels, read_run
from harness.errors import DataError, StoreError, UsageError
from harness.evaluation.record import Record
from harness.vectors import encode as encoding

NAMES = {"ndcg_cut_10": "ndcg@10", "recall_100": "recall@100", "recip_rank": "mrr@10"}
BOTH = ("mono", "multi")


def without_times(record: Record) -> dict[str, Any]:
    """The document of a record apart from times, memory and where its files went."""
    document = copy.deepcopy(record.document)
    document.pop("created")
    for entry in document["tasks"]:
        for field in ("seconds", "peak_bytes", "trec", "close_comparisons"):
            entry.pop(field)
        entry["encoding"].pop("model_seconds")
    return document


@pytest.mark.parametrize("model", ["dense", "bm25"])
def test_exported_runs_scored_by_trec_eval_are_the_record(tmp_path: Path, model: str) -> None:
    """Two languages and their pool, per query, to 1e-12; each language searches its own corpus."""
    import pytrec_eval

    task = write_miracl(tmp_path)
    record = harness.evaluate(
        WordBag() if model == "dense" else "bm25",
        tasks=[str(task)],
        settings=BOTH,
        shard_size=16,
        trec=tmp_path / "trec",
        trec_depth=100,
    )
    table = record.per_query("tiny-miracl")
    frame = record.to_frame().set_index("setting")
    assert list(frame.index) == ["mono/sw", "mono/yo", "multi/sw", "multi/yo"]
    assert list(frame["pool"]) == [60, 60, 120, 120]
    for setting, row in frame.iterrows():
        stem = tmp_path / "trec" / "tiny-miracl" / str(setting).replace("/", ".")
        run = read_run(stem.with_name(stem.name + ".run"))
        qrels = read_qrels(stem.with_name(stem.name + ".qrels"))
        evaluator = pytrec_eval.RelevanceEvaluator(
            qrels, {"ndcg_cut.10", "recall.100", "recip_rank"}
        )
        oracle = evaluator.evaluate(run)
        mine = table[table.setting == setting].set_index("question")
        assert len(mine) == len(oracle) == row.queries == 12
        for theirs, ours in NAMES.items():
            for query, values in oracle.items():
                value = values[theirs]
                if ours == "mrr@10" and value < 0.1:
                    value = 0.0  # trec_eval has no cutoff of its own here
                assert mine.loc[query.partition(":")[2], ours] == pytest.approx(value, abs=1e-12)
    assert set(frame.columns) >= {"ndcg@10", "recall@100", "mrr@10", "intrusion", "ndcg_drop@10"}


def test_the_pool_pushes_relevant_passages_down_by_those_of_other_languages_above(
    tmp_path: Path,
) -> None:
    """Intrusion and nDCG drop from the exported rankings, by hand."""
    task = write_miracl(tmp_path)
    record = harness.evaluate(
        WordBag(), tasks=[str(task)], settings=BOTH, trec=tmp_path, trec_depth=120
    )
    table = record.per_query("tiny-miracl").set_index(["setting", "question"])
    qrels = read_qrels(tmp_path / "tiny-miracl" / "multi.yo.qrels")
    run = read_run(tmp_path / "tiny-miracl" / "multi.yo.run")
    for query, relevant in qrels.items():
        question = query.partition(":")[2]
        order = sorted(run[query].items(), key=lambda x: (x[1], x[0]), reverse=True)
        names = [name for name, _ in order]
        above = [sum(x.startswith("sw:") for x in names[: names.index(gold)]) for gold in relevant]
        multi, mono = table.loc[("multi/yo", question)], table.loc[("mono/yo", question)]
        assert multi["intrusion"] == pytest.approx(np.mean(above), abs=1e-12)
        assert multi["ndcg_drop@10"] == pytest.approx(mono["ndcg@10"] - multi["ndcg@10"], abs=1e-12)
    assert table.loc["multi/yo"]["intrusion"].max() > 0


def test_mean_and_median_are_over_the_languages_run(tmp_path: Path) -> None:
    """Three languages of unlike scores: the median is the middle one."""
    task = str(write_miracl(tmp_path, languages=("bn", "sw", "yo")))
    entry = harness.evaluate(WordBag(bias=3), tasks=[task]).document["tasks"][0]
    scores = sorted(s["scores"]["ndcg@10"] for s in entry["settings"])
    assert entry["kinds"] == ["mono"]
    assert entry["medians"]["mono"]["ndcg@10"] == scores[1]
    mean = entry["means"]["mono"]["macro"]["ndcg@10"]
    assert mean == pytest.approx(np.mean(scores), abs=1e-12)
    assert mean != pytest.approx(scores[1], abs=1e-6)


@pytest.mark.parametrize("command", ["show", "breakdown", "compare"])
def test_a_sampled_corpus_is_named_in_the_record_and_every_report(
    tmp_path: Path, command: str
) -> None:
    """And refused without the flag, with exit code 2 and one sentence."""
    kept = [n for n in range(60) if n not in (0, 25)]
    task = str(write_miracl(tmp_path, only=kept, whole={"sw": 60, "yo": 60}))
    with pytest.raises(DataError, match="--corpus sampled"):
        harness.evaluate(WordBag(), tasks=[task])
    record = harness.evaluate(WordBag(), tasks=[task], corpus="sampled", output=tmp_path / "out")
    entry = record.document["tasks"][0]
    assert "A SAMPLE OF THE CORPUS" in entry["sampled"]
    assert entry["partial"]["sampled_corpus"]["sw"] == {"passages": 58, "whole": 60}
    assert entry["corpus"]["languages"]["sw"]["passages"] == 58
    folder = str(record.folder)
    arguments = {
        "show": ["show", folder],
        "breakdown": ["breakdown", folder, "--by", "language"],
        "compare": ["compare", folder, folder],
    }[command]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "A SAMPLE OF THE CORPUS (sw 58 of 60" in " ".join(done.output.split())


def test_a_sampled_corpus_never_becomes_a_result_file_of_mteb(tmp_path: Path) -> None:
    """Those have no field that could say so."""
    from harness.errors import RecordError
    from harness.interop.mteb.results import to_result

    task = str(write_miracl(tmp_path, only=range(50), whole={"sw": 60, "yo": 60}))
    record = harness.evaluate(WordBag(), tasks=[task], corpus="sampled", resamples=0)
    with pytest.raises(RecordError, match=r"A SAMPLE OF THE CORPUS .* not exported"):
        to_result(record, "tiny-miracl")


def test_a_whole_corpus_is_not_a_sample(tmp_path: Path) -> None:
    """Neither does the record say so, nor may the user."""
    task = str(write_miracl(tmp_path, whole={"sw": 60, "yo": 60}))
    entry = harness.evaluate(WordBag(), tasks=[task]).document["tasks"][0]
    assert "sampled" not in entry and entry["partial"] == {}
    with pytest.raises(UsageError, match="task tiny-miracl has a whole one"):
        harness.evaluate(WordBag(), tasks=[task], corpus="sampled")


def test_the_command_line_refuses_a_sample_in_one_sentence(tmp_path: Path) -> None:
    """The real material is one, where it is available; here it is made."""
    task = str(write_miracl(tmp_path, only=range(50), whole={"sw": 60, "yo": 60}))
    done = CliRunner().invoke(main, ["run", "--model", "bm25", "--task", task])
    assert done.exit_code == 2
    assert "--corpus sampled" in done.output and "Traceback" not in done.output


class StoppedError(BaseException):
    """As if the process had been killed."""


def test_a_run_that_goes_on_ends_in_the_same_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after each number of calls to the model: record and table are as if it never was."""
    task = str(write_miracl(tmp_path))

    def run(cache: str, budget: int | None = None) -> Record:
        monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / cache))
        encoder = WordBag()
        right = encoder.encode
        calls = iter(range(1000))

        def encode(texts: Any, **more: Any) -> np.ndarray:
            if budget is not None and next(calls) >= budget:
                raise StoppedError
            return right(texts, **more)

        encoder.encode = encode
        return harness.evaluate(
            encoder, tasks=[task], settings=BOTH, shard_size=16, output=tmp_path / "o"
        )

    whole = run("whole")
    wanted = without_times(whole)
    assert wanted["tasks"][0]["encoding"]["encoded"] > 100
    for budget in range(10):  # 2 of queries and 8 of shards
        cache = f"stopped-{budget}"
        with pytest.raises(StoppedError):
            run(cache, budget)
        with pytest.raises(StoppedError):
            run(cache, 0)
        assert without_times(run(cache)) == wanted
        monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / cache))
        assert list((cache_folder() / "begun").iterdir()) == []
    # Another run over the finished store is another run.
    again = without_times(run("whole"))["tasks"][0]["encoding"]
    assert (again["from_store"], again["encoded"]) == (again["distinct"], 0)


def test_a_store_that_has_everything_is_only_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be another user's."""
    task = str(write_miracl(tmp_path))
    first = harness.evaluate(WordBag(), task, settings=BOTH, resamples=0)

    def refuse(path: Path, raw: bytes) -> None:
        raise StoreError(f"{path} could not be written: Read-only file system")

    for module in ("evaluation.corpus_run", "vectors.corpus_store", "vectors.store"):
        monkeypatch.setattr(f"harness.{module}.write_atomically", refuse)
    again = harness.evaluate(WordBag(), task, settings=BOTH, resamples=0)
    assert again.per_query().equals(first.per_query())
    assert again.tasks[0].encoding.encoded == 0


def test_vectors_that_are_not_kept_need_a_place_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(StoreError, match=r"cannot take this run's vectors: .* HARNESS_CACHE"):
        harness.evaluate(WordBag(), str(write_miracl(tmp_path)), store=False, resamples=0)


def test_how_a_corpus_is_cut_does_not_move_a_score(tmp_path: Path) -> None:
    """Shards of 7, of 16 and of all 60: the same per-query table."""
    task = str(write_miracl(tmp_path))
    tables = [
        harness.evaluate(WordBag(), tasks=[task], settings=BOTH, shard_size=n).per_query(
            "tiny-miracl"
        )
        for n in (7, 16, 8192)
    ]
    for other in tables[1:]:
        assert other.equals(tables[0])


def test_an_encoder_without_fingerprint_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its shards have to lie somewhere while they are searched, and are gone after it."""

    class Nameless(WordBag):
        fingerprint = None

    task = str(write_miracl(tmp_path))
    named = harness.evaluate(WordBag(), tasks=[task], store=False)
    nameless = harness.evaluate(Nameless(), tasks=[task])
    assert not list(cache_folder().glob("unkept-*")) and not (cache_folder() / "vectors").exists()
    assert nameless.document["tasks"][0]["encoding"]["from_store"] == 0
    assert nameless.per_query("tiny-miracl").equals(named.per_query("tiny-miracl"))


def test_half_precision_is_on_the_record_and_gives_the_same_numbers_twice(tmp_path: Path) -> None:
    """Fresh vectors are rounded as stored ones are."""
    task = str(write_miracl(tmp_path))
    first, second = (
        harness.evaluate(WordBag(), tasks=[task], store_dtype="float16") for _ in range(2)
    )
    assert first.document["options"]["store_dtype"] == "float16"
    assert first.document["tasks"][0]["shards"] == {"passages": 8192, "dtype": "float16"}
    assert first.per_query("tiny-miracl").equals(second.per_query("tiny-miracl"))


def test_small_tasks_keep_half_precision_too(tmp_path: Path) -> None:
    """The same option, the same store, its own space."""
    for _ in range(2):
        record = harness.evaluate(WordBag(), tasks=["demo"], store_dtype="float16", resamples=0)
    spaces = [json.loads(p.read_text()) for p in cache_folder().glob("vectors/*/space.json")]
    assert {x["stored"] for x in spaces} == {"float16"}
    sizes = [np.load(p, mmap_mode="r").dtype for p in cache_folder().glob("vectors/*/*.npy")]
    assert np.dtype("float16") in sizes and np.dtype("float32") not in sizes
    assert record.document["tasks"][0]["encoding"]["encoded"] == 0


def test_vectors_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    """Rather than stored as infinite."""

    class Long(WordBag):
        similarity = "dot"

        def encode(self, texts: Any, *, role: str, language: str) -> np.ndarray:
            return super().encode(texts, role=role, language=language) * np.float32(1e6)

    task = str(write_miracl(tmp_path))
    with pytest.raises(StoreError, match="too large for float16"):
        harness.evaluate(Long(), tasks=[task], store_dtype="float16")


def test_bm25_says_what_limits_it(tmp_path: Path) -> None:
    """Texts and postings are held in memory: refused before they are read."""
    task = str(write_miracl(tmp_path))
    with pytest.raises(UsageError, match=r"bm25 indexes 120 passages in memory.*--memory allows"):
        harness.evaluate("bm25", tasks=[task], memory=1000)


def test_the_first_questions_of_each_language(tmp_path: Path) -> None:
    """A limit counts questions language by language: the same number is another question."""
    task = str(write_miracl(tmp_path))
    entry = harness.evaluate(WordBag(), tasks=[task], limit=5).document["tasks"][0]
    assert entry["counts"]["queries"] == {"sw": 5, "yo": 5}
    assert entry["partial"] == {"limit": 5}


def test_a_dry_run_counts_what_is_left(tmp_path: Path) -> None:
    """Before: 24 queries and 120 passages; after: nothing."""
    from harness.evaluation import dry_run
    from harness.evaluation.options import RunOptions

    task = str(write_miracl(tmp_path))
    _, (before,) = dry_run.plan(WordBag(), [task], options=RunOptions(shard_size=16))
    assert (before.texts, before.missing, before.pool) == (144, 144, 120)
    harness.evaluate(WordBag(), tasks=[task], shard_size=16)
    _, (after,) = dry_run.plan(WordBag(), [task], options=RunOptions(shard_size=16))
    assert (after.texts, after.missing) == (144, 0)
    assert encoding.STEP >= 16  # one call of the model a shard here


@pytest.mark.parametrize("ids", ["official", "global"])
def test_runs_of_other_systems_are_scored_without_the_corpus(tmp_path: Path, ids: str) -> None:
    """Questions and judgements are enough; ids as MIRACL's files have them, or as ours."""
    import shutil

    task = str(write_miracl(tmp_path))
    record = harness.evaluate(WordBag(), tasks=[task], trec=tmp_path / "trec", trec_depth=60)
    shutil.rmtree(tmp_path / "data" / "miracl-corpus-v1.0-sw")
    run = tmp_path / "trec" / "tiny-miracl" / "mono.sw.run"
    if ids == "official":
        run.write_text(run.read_text().replace("sw:sw-", "").replace("sw:", ""))
    arguments = ["score", str(run), "--task", task, "--setting", "mono/sw", "--measure", "ndcg@10"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    value = record.to_frame().set_index("setting").loc["mono/sw", "ndcg@10"]
    assert f"{value:.4f}" in done.output


def test_commands_for_small_tasks_refuse_a_large_one(tmp_path: Path) -> None:
    """Before anything is encoded."""
    task = str(write_miracl(tmp_path))
    done = CliRunner().invoke(main, ["noise", "--task", task])
    assert done.exit_code == 2 and "too large for harness noise" in done.output


@pytest.mark.parametrize("kinds", [("mono",), ("mono", "cross", "multi")])
def test_a_small_task_searched_as_a_large_one_has_the_same_scores(
    tmp_path: Path, kinds: Any
) -> None:
    """All settings, equal texts and their ties; rankings of one question across languages too."""
    task = str(write_task(tmp_path))
    usual, streamed = (
        harness.evaluate(WordBag(), tasks=[task], settings=kinds, streamed=x).per_query("tiny")
        for x in (False, True)
    )
    assert list(streamed) == list(usual)
    assert ("mean_rank_correlation" in streamed) == ("multi" in kinds)
    for name in streamed:
        if streamed[name].dtype == float:
            np.testing.assert_allclose(streamed[name], usual[name], atol=1e-9)
        else:
            assert list(streamed[name]) == list(usual[name])
