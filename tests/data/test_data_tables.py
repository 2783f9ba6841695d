"""Tables of queries, passages and judgements, and rows that hold a question and its passage."""

from __future__ import annotations

import gzip
import hashlib
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import pytrec_eval
from loopback_hub import Hub, point_at
from mteb.abstasks.retrieval_dataset_loaders import RetrievalDatasetLoader
from mteb_published import published
from tiny import WordBag
from tiny_tables import Rows, write_repository, write_rows

import harness
from harness.base.hub import Repository
from harness.data import hub_files, locations
from harness.data import loading as library
from harness.data.task import TaskSpec, find_task, read_task
from harness.data.trec import read_qrels, read_run
from harness.errors import DataError, TaskError

COMMIT = "c" * 40
TASK = """\
name = "tables"
title = "Tables"
description = "Tables, made by a test."
reader = "tables"
languages = ["fa", "ru"]
settings = ["mono"]
text = "title-space-text"
texts = ["title-space-text", "text"]
measures = ["ndcg@10", "map"]
license = "CC0-1.0"

[source]
folder = "data"
parallel = false

[source.paths]
queries = "{code}-queries/test-00000-of-00001.parquet"
passages = "{code}-corpus/test-00000-of-00001.parquet"
qrels = "{code}-qrels/test-00000-of-00001.parquet"

[source.codes]
fa = "fas"
ru = "rus"
"""
FAS: tuple[Rows, Rows, Rows] = (
    [{"id": "1", "text": "which tea"}, {"id": "2", "text": "which bread"},
     {"id": "3", "text": "of another split"}],
    [{"id": "a", "title": "Tea", "text": "of tea "}, {"id": "b", "title": "", "text": " of bread"},
     {"id": "c", "title": "", "text": ""}, {"id": "d", "title": "Milk", "text": ""}],
    # Graded, judged not relevant, and judged not relevant in a larger collection.
    [{"query-id": q, "corpus-id": p, "score": n}
     for q, p, n in [("1", "a", 3), ("1", "b", 1), ("1", "d", 0), ("2", "x", 0), ("2", "b", 2)]],
)  # fmt: skip
RUS: tuple[Rows, Rows, Rows] = (
    [{"id": "1", "text": "another question"}],
    [{"id": "a", "title": "Another", "text": "passage"}, {"id": "b", "title": "", "text": "more"}],
    [{"query-id": "1", "corpus-id": "a", "score": 1}],
)


@pytest.fixture
def task(tmp_path: Path) -> TaskSpec:
    write_repository(tmp_path / "data", "test", {"fas": FAS, "rus": RUS})
    (tmp_path / "task.toml").write_text(TASK)
    return read_task(tmp_path / "task.toml")


def test_tables_are_read_as_mteb_reads_them(
    task: TaskSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same parquet files through mteb's own loader: queries, joined texts and grades."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    data = library.load(task)
    for language, subset in (("fa", "fas"), ("ru", "rus")):
        theirs = RetrievalDatasetLoader(
            str(tmp_path / "data"), revision="main", split="test", config=subset
        ).load()
        requested, held = data.queries[language], data.passages[language]
        assert [f"{language}-{x}" for x in theirs["queries"]["id"]] == list(requested.ids)
        assert list(theirs["queries"]["text"]) == list(requested.texts)
        # As mteb hands a passage to an encoder: title, space, text, without spaces around.
        joined = [f"{x['title']} {x['text']}".strip() for x in theirs["corpus"]]
        assert joined == list(held.texts)
        assert list(theirs["corpus"]["id"]) == list(held.ids)
        relevant = {
            f"{language}-{query}": {f"{language}:{x}": n for x, n in judged.items() if n > 0}
            for query, judged in theirs["relevant_docs"].items()
        }
        ours = {x: {p: n for p, n in data.qrels[x].items() if n > 0} for x in requested.ids}
        assert ours == relevant
    assert data.passages["fa"].texts == ("Tea of tea", "of bread", "", "Milk")
    assert data.partial == {}
    assert library.load(read_task(task.path, text="text")).passages["fa"].texts[0] == "of tea"


class Begun(WordBag):
    """Every text begins alike, as it does where a tokenizer adds marks of its own."""

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
        return super().encode([f"begin {x}" for x in texts], role=role, language=language)


def test_a_run_over_tables_with_an_empty_passage(task: TaskSpec) -> None:
    """In memory, and the same numbers with the passages read as a stream."""
    record = harness.evaluate(Begun(), tasks=[task], store=False)
    counts = {"fa": 4, "ru": 2}
    task.path.write_text(
        TASK + "\n[source.corpus.passages]\n" + "".join(f"{x} = {n}\n" for x, n in counts.items())
    )
    spec = read_task(task.path)
    assert spec.streamed and spec.needed_files(["fa"]) == (
        "fas-queries/test-00000-of-00001.parquet",
        "fas-qrels/test-00000-of-00001.parquet",
    )
    streamed = harness.evaluate(Begun(), tasks=[spec], store=False)
    (whole,), (stream,) = record.document["tasks"], streamed.document["tasks"]
    assert whole["counts"]["passages"] == stream["counts"]["passages"] == counts
    scores = {x["setting"]: x["scores"] for x in whole["settings"]}
    assert set(scores) == {"mono/fa", "mono/ru"}
    assert {x["setting"]: x["scores"] for x in stream["settings"]} == scores
    bm25 = harness.evaluate("bm25", tasks=[spec], store=False)
    assert bm25.document["tasks"][0]["counts"]["passages"] == counts


PARALLEL = (
    TASK.replace("parallel = false\n", "")
    .replace('"fa", "ru"', '"de", "en"')
    .replace('["mono"]', '["mono", "cross"]')
)
TSV = (
    PARALLEL[: PARALLEL.index("[source.paths]")]
    + """\
[source.paths]
queries = "queries/{code}.tsv"
passages = "collections/{code}.tsv"
qrels = "qrels.tsv"

[source.codes]
de = "german"
en = "english"
"""
)


def write_collection(folder: Path, text: str = TSV) -> TaskSpec:
    """Numbered lines and TREC judgements for all languages, as mMARCO has them."""
    for code in ("german", "english"):
        queries = [(7, f"{code} tea"), (9, f"{code} bread"), (11, f"{code} not judged")]
        passages = [(0, f"{code} of tea"), (1, f"{code} of bread"), (2, f"{code} of milk")]
        for name, rows in (("queries", queries), ("collections", passages)):
            write_rows(folder / "data" / name / f"{code}.tsv", [{"i": i, "t": t} for i, t in rows])
    (folder / "data" / "qrels.tsv").write_text("7\t0\t0\t1\n9\t0\t1\t1\n")
    (folder / "task.toml").write_text(text)
    return read_task(folder / "task.toml")


@pytest.mark.parametrize("stream", [False, True])
def test_one_table_of_judgements_applies_in_every_language(tmp_path: Path, stream: bool) -> None:
    told = "\n[source.corpus.passages]\nde = 3\nen = 3\n" if stream else ""
    spec = write_collection(tmp_path, TSV + told)
    data = library.load(spec)
    assert data.queries["de"].ids == data.queries["en"].ids == ("7", "9")
    assert data.qrels == {"7": {"de:0": 1, "en:0": 1}, "9": {"de:1": 1, "en:1": 1}}
    entry = harness.evaluate(WordBag(), tasks=[spec], store=False).document["tasks"][0]
    scores = {x["setting"]: x["scores"]["map"] for x in entry["settings"]}
    # Of "german tea" and its passages, the words in common decide: the relevant passage has both.
    assert scores["mono/de"] == scores["mono/en"] == 1.0
    assert set(scores) == {"mono/de", "mono/en", "cross/de-en", "cross/en-de"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("queries/german.tsv", "7 tea\n", "line 1: must be 'id TAB text', not '7 tea'"),
        ("queries/german.tsv", "7\ta\n7\tb\n", "line 2, id '7': this id occurs twice in the file"),
        ("queries/german.tsv", "7\t \n", "line 1, id '7': text is empty"),
        ("collections/german.tsv", "0\ta\tb\n", "line 1: must be 'id TAB text'"),
        ("qrels.tsv", "7 0 1\n", "line 1: must be 'qid Q0 docid grade'"),
        ("qrels.tsv", "7 0 0 x\n", "line 1: score must be an integer, not 'x'"),
        ("qrels.tsv", "7 0 0 1\n7 0 0 1\n", "line 2: passage '0' is judged twice"),
        ("qrels.tsv", "query-id\tcorpus-id\tscore\n7\t0\n", "line 2: has 2 tab-separated fields"),
    ],
)
def test_what_is_wrong_in_a_table_is_named(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    spec = write_collection(tmp_path)
    (tmp_path / "data" / name).write_text(text)
    with pytest.raises(DataError, match=rf"{re.escape(name)}: {re.escape(message)}"):
        library.load(spec)


def test_a_damaged_parquet_file_is_one_sentence(task: TaskSpec, tmp_path: Path) -> None:
    path = tmp_path / "data" / "fas-corpus" / "test-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"parquet: incomplete parquet file"):
        library.load(task)
    task.path.write_text(TASK + "\n[source.corpus.passages]\nfa = 4\nru = 2\n")
    with pytest.raises(DataError, match=r"parquet: incomplete parquet file"):
        library.load(read_task(task.path))


def test_a_text_in_parquet_that_is_not_utf8_is_one_sentence(task: TaskSpec, tmp_path: Path) -> None:
    path = tmp_path / "data" / "fas-corpus" / "test-00000-of-00001.parquet"
    raw = pyarrow.array([b"caf\xe9"], pyarrow.binary())
    text = pyarrow.Array.from_buffers(pyarrow.string(), 1, raw.buffers())
    table = pyarrow.table({"_id": pyarrow.array(["1"]), "text": text})
    pyarrow.parquet.write_table(table, path)
    with pytest.raises(DataError, match=r"parquet: a text in it is not UTF-8"):
        library.load(task)


@pytest.mark.parametrize("stream", [False, True])
def test_texts_in_columns_of_bytes_are_texts(task: TaskSpec, tmp_path: Path, stream: bool) -> None:
    """As Impala and old versions of Spark write them: they were read as ``b'...'``."""
    if stream:
        task.path.write_text(TASK + "\n[source.corpus.passages]\nfa = 4\nru = 2\n")
        task = read_task(task.path)

    def texts() -> list[str]:
        data = library.load(task)
        return (
            [x.text for x in data.corpora["fa"].read()] if stream else [*data.passages["fa"].texts]
        )

    before = texts()
    path = tmp_path / "data" / "fas-corpus" / "test-00000-of-00001.parquet"
    table = pyarrow.parquet.read_table(path)
    for at, name in enumerate(table.column_names):
        if pyarrow.types.is_string(table.schema.field(name).type):
            table = table.set_column(at, name, table.column(name).cast(pyarrow.binary()))
    pyarrow.parquet.write_table(table, path)
    assert texts() == before and len(before) == 4
    latin = pyarrow.array([b"caf\xe9"] * table.num_rows, pyarrow.binary())
    table = table.set_column(table.column_names.index("text"), "text", latin)
    pyarrow.parquet.write_table(table, path)
    with pytest.raises(DataError, match=r"text must be a string, not \{'bytes': 4\}"):
        texts()


def test_a_date_that_python_lacks_is_one_sentence(task: TaskSpec, tmp_path: Path) -> None:
    path = tmp_path / "data" / "fas-corpus" / "test-00000-of-00001.parquet"
    table = pyarrow.parquet.read_table(path)
    dates = pyarrow.array([9 * 10**6] * table.num_rows, pyarrow.date32())
    pyarrow.parquet.write_table(table.append_column("crawled", dates), path)
    with pytest.raises(DataError, match=r"parquet: a value in it cannot be read \(date value out"):
        library.load(task)


def test_trec_judgements_may_be_packed(tmp_path: Path) -> None:
    spec = write_collection(tmp_path, TSV.replace("qrels.tsv", "qrels.txt.gz"))
    raw = (tmp_path / "data" / "qrels.tsv").read_bytes()
    raw = raw.replace(b"\t1\n", b"\t+1\n")  # as trec_eval takes it, too
    (tmp_path / "data" / "qrels.txt.gz").write_bytes(gzip.compress(raw))
    assert library.load(spec).qrels == {"7": {"de:0": 1, "en:0": 1}, "9": {"de:1": 1, "en:1": 1}}
    (tmp_path / "data" / "qrels.txt.gz").write_bytes(gzip.compress(raw + b"9 0 a\0b 1\n"))
    with pytest.raises(DataError, match=r"line [0-9]+: contains a zero byte"):
        library.load(spec)


def on_hub(task: TaskSpec, small: bool) -> tuple[TaskSpec, Hub]:
    """The task's files on a hub, and the task that names it; ``small``: outside large storage."""
    folder = task.path.parent / "data"
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.parquet")}
    text = task.path.read_text().replace(
        'folder = "data"\n',
        f'folder = "made"\nrepository = "org/made"\nrevision = "{COMMIT}"\nchecksums = "hub"\n',
    )
    elsewhere = task.path.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "task.toml").write_text(text)
    hub = Hub()
    hub.put("dataset", "org/made", files, commit=COMMIT, small=files if small else ())
    return read_task(elsewhere / "task.toml"), hub


@pytest.mark.parametrize("small", [False, True])
def test_files_are_compared_with_what_the_hub_says(
    task: TaskSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: bool
) -> None:
    """Of large files SHA-256, of small ones git's object id; kept for later, offline as well."""
    spec, hub = on_hub(task, small)
    point_at(hub, tmp_path, monkeypatch)
    with pytest.raises(DataError, match="missing, and --offline forbids downloads"):
        library.load(spec, offline=True)
    data = library.load(spec)
    assert data.digest == library.load(task).digest
    reports = library.verify(spec)
    assert [x.state for x in reports] == ["ok"] * 6
    assert all((x.expected or "").startswith("git:") == small for x in reports)
    requests = len(hub.requests)
    assert library.load(spec, offline=True).digest == data.digest
    assert len(hub.requests) == requests
    path = reports[0].path
    path.resolve().write_bytes(b"damaged")
    kind = "git's SHA-1" if small else "SHA-256"
    with pytest.raises(DataError, match=rf"{kind} is .*, expected .*harness data fetch"):
        library.load(spec, offline=True)
    assert library.verify(spec)[0].state == "damaged"
    assert library.fetch(spec)[0].state == "ok"
    # A copy of one's own is compared as well, once the hub was asked.
    copy = tmp_path / "copies" / "made" / reports[1].name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"another")
    assert library.verify(spec, data_dir=tmp_path / "copies")[1].state == "damaged"
    hub.close()


def test_checksums_of_both_kinds_are_kept_apart(
    task: TaskSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same file, first by git's object id, then by the SHA-256 of a task file."""
    monkeypatch.setattr("harness.data.file_memo._RACY_NS", -(10**18))
    path = tmp_path / "images.parquet"
    path.write_bytes(b"images")
    files = locations.TaskFiles(task)
    for expected in (hub_files.git_object(b"images"), hashlib.sha256(b"images").hexdigest()) * 2:
        report = locations.FileReport(path.name, path, "cache", "present", None, expected, None)
        monkeypatch.setattr(files, "report", lambda _, found=report: found)
        assert files.verified(path.name) == path


def test_jobs_that_ask_at_once_keep_each_others_checksums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job per language, say; the hub takes its time, and what was known before it is old."""
    ledger = hub_files.Checksums(tmp_path, Repository("org/made", COMMIT, "dataset"))

    def asked(_: Repository, names: Sequence[str]) -> dict[str, str]:
        if names == ["fa"]:
            ledger.ask(["ru"])  # another job, meanwhile
        return {x: f"sum of {x}" for x in names}

    monkeypatch.setattr(hub_files, "checksums", asked)
    assert ledger.ask(["fa"]) == ledger.known() == {"fa": "sum of fa", "ru": "sum of ru"}


@pytest.mark.parametrize("small", [False, True])
def test_a_streamed_table_comes_from_the_hub(
    task: TaskSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: bool
) -> None:
    task.path.write_text(TASK + "\n[source.corpus.passages]\nfa = 4\nru = 2\n")
    spec, hub = on_hub(task, small=small)
    point_at(hub, tmp_path, monkeypatch)
    data = library.load(spec)
    assert data.corpora["fa"].verified == "hub" and data.passage_counts == {"fa": 4, "ru": 2}
    assert [x.text for x in data.corpora["fa"].read()] == ["Tea of tea", "of bread", "", "Milk"]
    reports = library.verify(spec)
    assert [x.state for x in reports] == ["ok"] * 6
    next(x.path for x in reports if "corpus" in x.name).resolve().write_bytes(b"{}\n")
    with pytest.raises(DataError, match=r"the hub lists|incomplete parquet"):
        library.load(spec, offline=True)
    hub.close()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("qrels = ", "grades = ", "'source.paths.grades' is unknown"),
        ('passages = "{code}', 'passages = "{part}', "'source.paths.passages' can contain only"),
        ('passages = "{code}', 'passages = "{code.x}', "'source.paths.passages' can contain only"),
        ("parallel = false", 'parallel = "no"', "'source.parallel' must be true or false"),
        ("parallel = false", 'checksums = "hub"', "'source.checksums' can be 'hub' only with"),
        (
            'folder = "data"',
            'folder = "d"\nrepository = "o/d"\nrevision = "v1"\nchecksums = "hub"\nfiles = {}',
            "'source.files' conflicts with 'checksums', which uses the hub's",
        ),
        (
            "parallel = false",
            'rows = { question = "q", question_id = ["i"], passage = "p", passage_id = ["i"] }',
            "'source.rows' is not for reader 'tables'",
        ),
        ('"tables"\nlang', '"squad"\nlang', "'text' must be one of text, not 'title-space-text'"),
    ],
)
def test_a_task_file_that_is_wrong_names_the_key(
    task: TaskSpec, old: str, new: str, message: str
) -> None:
    assert old in TASK
    task.path.write_text(TASK.replace(old, new, 1))
    with pytest.raises(TaskError, match=re.escape(message)):
        read_task(task.path)


def test_the_counts_of_the_hard_negatives_are_those_that_mteb_publishes() -> None:
    spec = find_task("miracl-hard-negatives")
    told = published("MIRACLRetrievalHardNegatives", "dev")
    assert spec.source.corpus is not None
    assert dict(spec.source.corpus.passages) == {x: y["num_documents"] for x, y in told.items()}
    assert set(spec.languages) == set(told)


NEUCLIR = {"neuclir-2022": "NeuCLIR2022Retrieval", "neuclir-2023": "NeuCLIR2023Retrieval"}


@pytest.mark.parametrize("name", NEUCLIR)
def test_the_counts_of_neuclir_are_those_that_mteb_publishes(name: str) -> None:
    """Of mteb's samples, passages are what is not a query."""
    source = find_task(name).source
    assert source.corpus is not None
    for language, passages in source.corpus.passages.items():
        told = published(NEUCLIR[name], "test")[source.codes[language]]
        assert passages == told["num_samples"] - told["queries_text_statistics"]["unique_texts"]


def test_each_task_that_mteb_has_names_mtebs_repository_and_subsets() -> None:
    """Revisions are mteb's, so that both read the same bytes."""
    import mteb

    from harness.models.mteb_registry import MTEB_TASKS

    for name, theirs in MTEB_TASKS.items():
        metadata = mteb.get_task(theirs).metadata
        source = find_task(name).source
        # Of the whole collections mteb names other repositories today, many files each.
        if (source.repository or "").startswith("mteb/") and name not in NEUCLIR:
            assert (source.repository, source.revision) == (
                metadata.dataset["path"], metadata.dataset["revision"],
            )  # fmt: skip
            subset = source.name(source.paths["queries"], "zh").partition("-queries/")[0]
            assert subset in metadata.eval_langs
            split = source.paths["queries"].rpartition("/")[2].partition("-")[0]
            assert split in metadata.eval_splits


@pytest.mark.parametrize("stream", ["", "\n[source.corpus.passages]\nde = 3\nen = 3\n"])
@pytest.mark.parametrize("model", ["dense", "bm25"])
def test_a_relevant_passage_that_the_corpus_lacks_is_never_found(
    tmp_path: Path, stream: str, model: str
) -> None:
    """As trec_eval counts it, whatever searches: half of what there is to find, and a query."""
    spec = write_collection(tmp_path, TSV + stream)
    whole = "7\t0\t0\t1\n9\t0\t1\t1\n"
    values = []
    for more in ("", "7\t0\t77\t1\n9\t0\t78\t0\n"):
        (tmp_path / "data" / "qrels.tsv").write_text(whole + more)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            record = harness.evaluate(
                WordBag() if model == "dense" else "bm25",
                tasks=[spec],
                settings=("mono",),
                languages=("de",),
                measures=("map", "recall@100", "ndcg@10", "mrr", "ndcg"),
                store=False,
                trec=tmp_path / "trec",
                resamples=0,
            )
        said = [str(x.message) for x in told if "never found" in str(x.message)]
        assert len(said) == bool(more) and all("'de:77' for query" in x for x in said)
        table = record.table("tables")
        values.append({m: table.values[m].tolist() for m in table.values})
        judged = read_qrels(tmp_path / "trec" / "tables" / "mono.de.qrels")
        run = read_run(tmp_path / "trec" / "tables" / "mono.de.run")
        theirs = pytrec_eval.RelevanceEvaluator(judged, {"map", "recall_100", "ndcg"}).evaluate(run)
        for ours, name in (("map", "map"), ("recall@100", "recall_100"), ("ndcg", "ndcg")):
            expected = sorted(x[name] for x in theirs.values())
            assert sorted(table.values[ours]) == pytest.approx(expected, abs=1e-12)
    before, after = values
    assert after["map"][0] == before["map"][0] / 2 and after["mrr"] == before["mrr"]
    assert after["recall@100"] == [0.5, 1.0]
