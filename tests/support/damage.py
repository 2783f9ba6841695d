"""Every kind of file that the product reads, damaged by a seed, and the command that reads it.

A damaged file is one sentence and exit code 2, or, where a file is a cache, no trouble at all; what
else comes out is a bug. ``python tests/support/damage.py [INPUTS] [FIRST]`` runs a long series by
hand, over all kinds; ``tests/test_damaged_files.py`` runs a short one, without :data:`SLOW`, whose
files take seconds to make.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import random_models
import tiny
import tiny_miracl
import tiny_study
import tiny_tables
import tiny_training
from click.testing import CliRunner
from endpoint import Endpoint, serving

import harness
from harness.boards.tracked.document import add
from harness.cli import main
from harness.data.lexicon import read_lexicons
from harness.data.loading import load
from harness.data.task import read_task
from harness.errors import DamagedShardWarning, HarnessError, errors_of
from harness.evaluation.postprocessing.parallel_texts import read_parallel
from harness.gate import baselines
from harness.models import ModelOptions, write_embeddings
from harness.models import load as load_model
from harness.models.http_encoder import HttpEncoder
from harness.models.translation.engine import EngineOptions
from harness.models.translation.open_engine import open_engine
from harness.study.file import read_study
from harness.training.settings import read_recipe
from harness.training.translated_pairs import translate_file

LONGEST = 2100
"""Characters of a sentence: a path, where, what, what is known, a line of what is there."""


@dataclass(frozen=True)
class Kind:
    """Files of one kind, as patterns in the folder of the inputs, and what reads them there."""

    name: str
    files: Sequence[str]
    read: Sequence[str | Path] | Callable[[], object]
    """Arguments of ``harness``, or a function that raises a :class:`HarnessError`."""
    writes: str = ""
    """A folder of the inputs that reading may change, to be put back."""


TASK = """\
name = "{name}"
title = "x"
description = "x"
reader = "{reader}"
languages = ["en"]
settings = ["mono"]
text = "{text}"
measures = ["map"]
license = "CC0-1.0"
[source]
folder = "./{name}"
{more}
"""


def _data(task: str) -> Callable[[], object]:
    def read() -> object:
        data = load(read_task(f"{task}.toml"), sampled=False)
        return [list(corpus.read()) for corpus in data.corpora.values()]

    return read


def _embeddings() -> object:
    model = load_model("embeddings:emb")
    return [model.encode(["a", "b"], role=x, language="en") for x in ("query", "passage")]


def _stored() -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedShardWarning)
        return harness.evaluate(tiny.WordBag(), tasks=["tiny.toml"], languages=["en"], resamples=0)


def _streamed() -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedShardWarning)
        return harness.evaluate(
            tiny.WordBag(), tasks=["tiny-miracl.toml"], shard_size=30, resamples=0, bias=False
        )


def _model() -> object:
    return load_model("./base").parameters


def _trained() -> object:
    model = load_model("./trained")
    with errors_of("encode"):  # as every encoding has it
        return model.encode(["a"], role="query", language="en"), model.facts


def _answered() -> object:
    reply = Path("answer.json").read_bytes()
    endpoint = Endpoint()
    endpoint.faults = [lambda _: (200, {}, reply)] * 50
    with serving(endpoint) as url:
        options = ModelOptions(base_url=url, concurrency=1)
        encoder = HttpEncoder("m", options, sleep=lambda _: None)
        return encoder.encode(["a", "b"], role="query", language="en")


def _translated() -> object:
    program = f"command:{sys.executable} upper.py"
    return translate_file(Path("pairs.jsonl"), Path("made.jsonl"), ["el"], program, source="en")


def _engine(name: str) -> object:
    engine = open_engine(f"{name}:{name}", EngineOptions(max_length=12, device="cpu"))
    return engine.facts("en", "de"), engine.translate(["the river is near."], "en", "de")


def _pairs(source: str, *files: str) -> list[str]:
    return ["pairs", "make", source, *files, "-o", "made.jsonl", "-q"]


def _hub_set(name: str) -> list[str]:
    return ["pairs", "make", name, "--data-dir", "mirror", "--offline", "-o", "made.jsonl", "-q"]


TRAINING = ("--base", "./base", "--data", "pairs.jsonl", "--languages", "en,de", "--steps", "2",
            "--batch-size", "2", "--evaluate-every", "1", "--holdout", "0", "-q")  # fmt: skip

BOARD, CARD = ("board", "--leaderboards", "lb"), ("card", "lb/records/one.json")
REPORT = ("study", "report", "--no-png")
STUDY = ("study", "run", "study/tiny.toml", "--dry-run")

KINDS = (
    Kind("task", ["tiny.toml"], ["tasks", "tiny.toml"]),
    Kind("simple", ["data/*"], _data("tiny")),
    Kind("beir", ["beir/**/*"], _data("beir")),
    Kind("squad", ["squad/*"], _data("squad")),
    Kind("lareqa", ["lareqa/*"], _data("lareqa")),
    Kind("rows", ["rows/*"], _data("rows")),
    Kind("tables", ["tables/*-*/*.parquet"], _data("tables")),
    Kind("tables as text", ["text/*"], _data("text")),
    Kind("segments", ["segments/*"], _data("segments")),
    Kind("corpus", ["data/miracl-*/**/*"], _data("tiny-miracl")),
    Kind("record", ["out/one/record.json"], ["show", "out/one", "-v"]),
    Kind("record in a comparison", ["out/one/*"], ["compare", "out/one", "out/two"]),
    Kind("table", ["out/one/*.parquet"], ["breakdown", "out/one", "--by", "language"]),
    Kind("record exported", ["out/one/record.json"], ["export", "out/one", "--output", "mteb"]),
    Kind(
        "policy",
        ["gate.toml"],
        ["gate", "out/one", "--baseline", "first", "--baselines", "held", "--policy", "gate.toml"],
    ),
    Kind(
        "baseline",
        ["held/first/*.json", "held/first/*.parquet"],
        ["gate", "out/two", "--baseline", "first", "--baselines", "held", "--policy", "gate.toml"],
    ),
    Kind("tracked", ["lb/records/*", "lb/questions/*"], BOARD, "lb"),
    Kind("card", ["lb/records/*"], CARD),
    Kind("published", ["lb/published/*"], BOARD, "lb"),
    Kind("mteb results", ["results/**/*.json"], ["import", "results", "--leaderboards", "new"]),
    Kind("run", ["my.run"], ["score", "my.run", "--qrels", "my.qrels"]),
    Kind("qrels", ["my.qrels"], ["score", "my.run", "--qrels", "my.qrels"]),
    Kind("run of a task", ["task.run"], ["score", "task.run", "--task", "tiny.toml"]),
    Kind("embeddings", ["emb/*"], _embeddings),
    Kind("store", ["store/vectors/*/*"], _stored),
    Kind("shards", ["store/vectors/*/0*"], _streamed),
    Kind("store listed", ["store/vectors/*/*"], ["store", "verify"]),
    Kind("pairs", ["pairs.jsonl"], ["pairs", "stats", "pairs.jsonl"]),
    Kind("pairs from SQuAD", ["squad/en.json"], _pairs("squad", "squad/en.json")),
    Kind("pairs from XNLI", ["xnli.jsonl"], _pairs("xnli", "xnli.jsonl")),
    Kind("pairs from bitext", ["en-de.tsv"], _pairs("bitext", "en-de.tsv")),
    Kind(
        "pairs from segments",
        ["segments/s.jsonl"],
        _pairs("segments", "segments/s.jsonl", "--pairing", "heading"),
    ),
    Kind(
        "lexicon",
        ["en-de.txt"],
        ["pairs", "code-switch", "pairs.jsonl", "-o", "made.jsonl", "--lexicon", "en-de.txt"],
    ),
    Kind("model folder", ["base/*.json", "base/*.safetensors"], _model),
    Kind("study", ["study/tiny.toml"], lambda: read_study("study/tiny.toml")),
    Kind("recipe", ["recipe.toml"], lambda: read_recipe(Path("recipe.toml"))),
    Kind("records of a folder", ["out/*/*"], ["records", "out"]),
    Kind("record as CSV", ["out/one/*"], ["show", "out/one", "--csv", "made.csv"]),
    Kind("record as SVG", ["out/one/record.json"], ["show", "out/one", "--svg", "made.svg"]),
    Kind("baselines listed", ["held/*/*"], ["baseline", "list", "--baselines", "held"]),
    Kind("boards", ["lb/*"], [*BOARD, "--check"]),
    Kind("boards made again", ["lb/*"], [*BOARD, "--inject", "page.md"], "lb"),
    Kind("page", ["page.md"], [*BOARD, "--inject", "page.md"], "lb"),
    Kind("model card", ["hub/README.md"], [*CARD, "--output", "hub"], "hub"),
    Kind("runs and qrels", ["trec/tiny/*"], ["score", "trec/tiny"]),
    Kind("parallel texts", ["par.jsonl"], lambda: read_parallel(Path("par.jsonl"), ["en", "de"])),
    Kind("set in Parquet", ["mirror/wikiqa/**/*"], _hub_set("wikiqa")),
    Kind("set in packed lines", ["mirror/mr-tydi/**/*"], _hub_set("mr-tydi")),
    Kind("set in lines", ["mirror/mfaq/**/*"], _hub_set("mfaq")),
    Kind("set of triples", ["mirror/mmarco/**/*"], [*_hub_set("mmarco"), "--languages", "de"]),
    Kind("lexicon of queries", ["en-de.txt"], lambda: read_lexicons([Path("en-de.txt")])),
    Kind("aligned lines", ["par.jsonl"], ["pairs", "lexicon", "par.jsonl", "-o", "en-de.tsv"]),
    Kind("pairs and tasks", ["pairs.jsonl"], ["overlap", "--data", "pairs.jsonl", "-q",
                                              "--task", "tiny.toml"]),
    Kind("pairs to train on", ["pairs.jsonl"], ["train", *TRAINING, "--output", "new",
                                                "--dry-run"]),
    Kind("where pairs are from", ["pairs.jsonl.about.json"], ["pairs", "stats", "pairs.jsonl"]),
    Kind("answer of an endpoint", ["answer.json"], _answered),
    Kind("translations", ["store/translations/*"], _translated),
    Kind("adapter", ["adapter/*"], lambda: load_model("./adapter").fingerprint),
)  # fmt: skip

SLOW = (
    Kind("trained folder", ["trained/**/*"], _trained),
    Kind("finished training", ["trained/training.json"],
         ["train", *TRAINING, "--output", "trained"], "trained"),
    Kind("stopped training", ["begun/.training/identity.json"],
         ["train", *TRAINING, "--output", "begun", "--dry-run"], "begun"),
    Kind("finished study", ["done/study.json", "done/*/*/*.json", "done/data/*.json"],
         [*REPORT, "done"], "done"),
    Kind("records of a study", ["done/*/*/records/*/*"], [*REPORT, "done"], "done"),
    Kind("study to go on with", ["done/study.json", "done/*/*/*.json", "done/data/*"],
         [*STUDY, "--output", "done", "--seeds", "0"], "done"),
    Kind("transformers to translate", ["transformers/*.json", "transformers/*.spm"],
         lambda: _engine("transformers")),
    Kind("ctranslate2 to translate", ["ctranslate2/*.json", "ctranslate2/*.spm"],
         lambda: _engine("ctranslate2")),
    Kind("pairs of a study", ["study/rows.jsonl"],
         [*STUDY, "--output", "new"]),
)  # fmt: skip
"""Kinds whose files take seconds to make: of series by hand alone."""


def prepare(folder: Path, kinds: Sequence[Kind] = KINDS) -> None:
    """Write an undamaged file of every kind; the working folder and the store are in ``folder``."""
    rng = np.random.default_rng(0)
    tiny.write_task(folder, questions=4, distractors=4, languages=("en", "de"))
    tiny_miracl.write_miracl(folder, questions=4)
    (folder / "beir" / "qrels").mkdir(parents=True)
    passages = [{"_id": f"d{i}", "title": f"t{i}", "text": f"word {i}"} for i in range(4)]
    queries = [{"_id": f"q{i}", "text": f"word {i}"} for i in range(3)]
    _lines(folder / "beir" / "corpus.jsonl", passages)
    _lines(folder / "beir" / "queries.jsonl", queries)
    table = "query-id\tcorpus-id\tscore\n" + "".join(f"q{i}\td{i}\t1\n" for i in range(3))
    (folder / "beir" / "qrels" / "test.tsv").write_text(table)
    (folder / "text").mkdir()
    (folder / "text" / "q.tsv").write_text("".join(f"q{i}\tword {i}\n" for i in range(3)))
    _lines(folder / "text" / "p.jsonl", passages)
    (folder / "text" / "r.tsv").write_text(table)
    (folder / "text" / "r.txt").write_text("q0 0 d0 1\nq1 0 d1 1\n")
    rows = [{"query-id": f"q{i}", "corpus-id": f"d{i}", "score": 1} for i in range(3)]
    tiny_tables.write_repository(folder / "tables", "test", {"en": (queries, passages, rows)})
    answers = [{"text": "Tea", "answer_start": 0}]
    paragraph = {
        "context": "Tea is hot. Bread is not.",
        "sentence_breaks": [[0, 11], [12, 25]],
        "qas": [{"id": f"q{i}", "question": f"What {i}?", "answers": answers} for i in range(3)],
    }
    for name in ("squad", "lareqa"):
        (folder / name).mkdir()
        whole = {"data": [{"title": "T", "paragraphs": [paragraph]}]}
        (folder / name / "en.json").write_text(json.dumps(whole))
    (folder / "rows").mkdir()
    of_rows = [{"q": f"Q {i}?", "i": i, "p": f"P {i}.", "j": f"p{i}"} for i in range(3)]
    _lines(folder / "rows" / "en.jsonl", of_rows)
    (folder / "segments").mkdir()
    heads = [{"en": f"Heading {i}", "de": f"Titel {i}"} for i in range(3)]
    texts = [{"en": f"This is a paragraph of seven words {i}.", "de": "So."} for i in range(3)]
    both = [x for pair in zip(heads, texts, strict=True) for x in pair]
    _lines(folder / "segments" / "s.jsonl", both)
    titled, plain = "title-space-text", "text"
    for name, reader, text, more in (
        ("beir", "beir", titled, ""),
        ("squad", "squad", plain, ""),
        ("lareqa", "lareqa", "sentence", ""),
        ("rows", "rows", plain, '[source.paths]\nrows = "{language}.jsonl"\n[source.rows]\n'
         'question = "q"\nquestion_id = ["i"]\npassage = "p"\npassage_id = ["j"]'),
        ("tables", "tables", titled, "[source.paths]\n" + "\n".join(
            f'{x} = "{{language}}-{y}/test-00000-of-00001.parquet"'
            for x, y in (("queries", "queries"), ("passages", "corpus"), ("qrels", "qrels")))),
        ("text", "tables", titled,
         '[source.paths]\nqueries = "q.tsv"\npassages = "p.jsonl"\nqrels = "r.tsv"'),
        ("segments", "segments", plain, '[source.segments]\nfile = "s.jsonl"\npairing = "heading"'),
    ):  # fmt: skip
        (folder / f"{name}.toml").write_text(
            TASK.format(name=name, reader=reader, text=text, more=more)
        )
    for name, bias in (("one", 0.4), ("two", 0.1)):
        bag = tiny.WordBag(bias=bias)
        bag.name = bag.fingerprint = name
        record = harness.evaluate(bag, tasks=[folder / "tiny.toml"], resamples=20)
        record.save(folder / "out" / name)
        add(folder / "out" / name, folder / "lb")
    baselines.write(record, folder / "held" / "first")
    for path in sorted((folder / "lb" / "records").glob("*.json")):
        path.rename(path.with_name(f"{path.stem.partition('-')[0]}.json"))
    (folder / "gate.toml").write_text(
        'alpha = 0.05\nresamples = 100\n[[rules]]\nmeasure = "map"\nsettings = ["mono"]\n'
        'by = "language"\nmax_drop = 0.05\n'
    )
    results = folder / "results" / "acme__m" / "rev"
    results.mkdir(parents=True)
    scores = {"hf_subset": "en", "languages": ["eng-Latn"], "main_score": 0.5, "ndcg_at_10": 0.5}
    for name in ("XQuADRetrieval", "BelebeleRetrieval"):
        document = {
            "task_name": name, "mteb_version": "2.1.0", "dataset_revision": "x",
            "scores": {"validation": [scores], "test": [scores]}, "evaluation_time": 1.0,
        }  # fmt: skip
        (results / f"{name}.json").write_text(json.dumps(document))
    meta = {"name": "acme/m", "revision": "rev", "n_parameters": 5, "languages": ["eng-Latn"]}
    (results / "model_meta.json").write_text(json.dumps(meta))
    (folder / "my.run").write_text("q1 Q0 d1 1 3.0 t\nq1 Q0 d2 2 2.0 t\nq2 Q0 d2 1 0.9 t\n")
    (folder / "my.qrels").write_text("q1 0 d1 1\nq2 0 d2 1\n")
    (folder / "task.run").write_text("".join(f"en:q0{i} Q0 en:p0{i} 1 1 t\n" for i in range(4)))
    vectors = rng.normal(size=(2, 4)).astype(np.float32)
    write_embeddings(
        folder / "emb", "e", {(x, "en"): (["a", "b"], vectors) for x in ("query", "passage")}
    )
    for run in (_stored, _streamed):
        run()
    _lines(folder / "pairs.jsonl", tiny_training.pairs(6))
    sides = {x: {"en": f"{x} one", "de": f"{x} eins"} for x in ("premise", "hypothesis")}
    _lines(folder / "xnli.jsonl", [{**sides, "label": "neutral"}] * 2)
    (folder / "en-de.tsv").write_text("river\tFluss\nsalt\tSalz\n")
    (folder / "en-de.txt").write_text("w1 wort\nw2\twelt\n")
    tiny_training.write_base(folder / "base")
    (folder / "base" / "config_sentence_transformers.json").write_text('{"prompts": {}}')
    tiny_study.write_study(folder / "study", rows=6)
    (folder / "recipe.toml").write_text('recipe = "hybrid"\nsteps = 5\nseed = 1\n')
    _prepare_outputs(folder, record)
    _prepare_sets(folder / "mirror")
    if any(kind in SLOW for kind in kinds):
        _prepare_slow(folder)
    problems = []
    for kind in kinds:  # undamaged, all are read: else nothing would be tried
        if callable(kind.read):
            try:
                kind.read()
            except HarnessError as error:
                problems.append(f"{kind.name}: {error}")
            continue
        done = CliRunner().invoke(main, [str(x) for x in kind.read], catch_exceptions=False)
        shutil.rmtree("new", ignore_errors=True)
        if done.exit_code not in (0, 1, 3):
            problems.append(f"{kind.name}: {done.output}")
    assert not problems, "\n".join(problems)


def _prepare_outputs(folder: Path, record: harness.Record) -> None:
    """What commands write and read again, and texts of all sorts."""
    (folder / "page.md").write_text("# Mine\n\n<!-- board:start -->\n<!-- board:end -->\n")
    (folder / "hub").mkdir()
    (folder / "hub" / "README.md").write_text("---\nlanguage: [en, de]\nlicense: mit\n---\n# M\n")
    (folder / "upper.py").write_text(
        "import sys\nfor x in sys.stdin: print('\u03c4\u03b9', x.upper(), end='')\n"
    )
    (folder / "answer.json").write_bytes(Endpoint().vectors(["a", "b"]))
    texts = [{"en": f"a river runs {n}", "de": f"ein Fluss rinnt {n}"} for n in range(100)]
    _lines(folder / "par.jsonl", texts)
    (folder / "pairs.jsonl.about.json").write_text(json.dumps({"format": 1, "source": "xnli"}))
    (folder / "adapter").mkdir()
    configuration = {"base_model_name_or_path": "./base", "peft_type": "LORA"}
    (folder / "adapter" / "adapter_config.json").write_text(json.dumps(configuration))
    for arguments in (
        ["import", "results", "--leaderboards", "lb"],
        ["run", "--model", "bm25", "--task", "tiny.toml", "--settings", "mono", "--trec", "trec",
         "--output", "out", "--resamples", "0", "-q"],
        ["board", "--leaderboards", "lb"],
    ):  # fmt: skip
        done = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output


def _prepare_sets(folder: Path) -> None:
    """Local copies of data sets of the hub, in the schema of each."""
    answer = {"question_id": "Q1", "question": "what", "document_title": "T", "answer": "that"}
    passage = [{"docid": "2#1", "title": "Field", "text": "In the 1920s."}]
    topic = {"query_id": "1", "query": "When?", "positive_passages": passage}
    page = {"qa_pairs": [{"question": "How?", "answer": "So.", "language": "en"}]}
    for name, rows in (
        (
            "wikiqa/data/train-00000-of-00001.parquet",
            [answer | {"label": 1}, answer | {"label": 0}],
        ),
        ("mr-tydi/mrtydi-v1.1-english/train.jsonl.gz", [topic | {"negative_passages": passage}]),
        ("mfaq/data/en/train.jsonl", [page | {"domain": "example.org"}] * 2),
        ("mmarco/data/triples.train.ids.small.tsv", [(1, 1, 2), (2, 2, 1)]),
        ("mmarco/data/google/queries/train/german_queries.train.tsv", [(1, "Was?"), (2, "Wer?")]),
        ("mmarco/data/google/collections/german_collection.tsv", [(1, "Das."), (2, "Der.")]),
    ):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist(rows), file)
        elif file.suffix == ".tsv":
            file.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
        else:
            raw = "".join(json.dumps(row) + "\n" for row in rows).encode()
            file.write_bytes(gzip.compress(raw) if file.suffix == ".gz" else raw)


def _prepare_slow(folder: Path) -> None:
    """A training, a study, and a model that translates."""
    from ctranslate2 import converters

    for arguments in (
        ["train", *TRAINING, "--output", "trained"],
        ["study", "run", "study/tiny.toml", "--output", "done", "--seeds", "0", "-q"],
    ):
        done = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    identity = folder / "begun" / ".training" / "identity.json"
    identity.parent.mkdir(parents=True)
    manifest = json.loads((folder / "trained" / "training.json").read_text())
    identity.write_text(json.dumps({"settings": manifest["settings"], "processes": 1}))
    (identity.parent / "checkpoint-1").mkdir()
    random_models.marian(folder / "transformers")
    converters.TransformersConverter(
        str(folder / "transformers"), copy_files=["source.spm", "target.spm"]
    ).convert(str(folder / "ctranslate2"))


def _lines(path: Path, rows: Sequence[object]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def damaged(raw: bytes, rng: random.Random) -> bytes:
    """``raw`` with one damage; of a packed file sometimes the content's."""
    if raw[:2] == b"\x1f\x8b" and rng.random() < 0.7:
        return gzip.compress(damaged(gzip.decompress(raw), rng), mtime=0)
    return rng.choice(DAMAGES)(raw, rng)


def _cut(raw: bytes, rng: random.Random) -> bytes:
    return raw[: rng.randrange(len(raw) + 1)]


def _flip(raw: bytes, rng: random.Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(rng.choice((1, 1, 3, 30)) if raw else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _noise(raw: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(raw) + 1)
    return raw[:at] + rng.randbytes(rng.choice((1, 4, 64))) + raw[at + rng.choice((0, 4)) :]


def _random(raw: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice((1, 16, 1000)))


def _fixed(*contents: bytes) -> Callable[[bytes, random.Random], bytes]:
    return lambda raw, rng: rng.choice(contents)


def _insert(*parts: bytes) -> Callable[[bytes, random.Random], bytes]:
    def insert(raw: bytes, rng: random.Random) -> bytes:
        at = rng.randrange(len(raw) + 1)
        return raw[:at] + rng.choice(parts) + raw[at:]

    return insert


_VALUES = (
    b"NaN", b"Infinity", b"-1", b"0", b"null", b"true", b'""', b'"x"', b"[]", b"{}", b"[[]]",
    b"1e999", b"-1e999", b"9" * 400, b"9" * 5000, b'"\\ud800"', b'"\\u0000"', b'"\\u001b[31m"',
    b'"' + b"x" * 5000 + b'"', b"[" * 2000 + b"]" * 2000, b'{"a":' * 1500 + b"1" + b"}" * 1500,
    b"1.5", b"[1]", b'{"a": 1}', b"nan", b"inf", b"1_0", b"2026-01-01", b'"en\\tde"',
)  # fmt: skip


def _value(raw: bytes, rng: random.Random) -> bytes:
    """A value of JSON, TOML or a table replaced by one of another type or size."""
    import re

    spans = [m.span() for m in re.finditer(rb'"[^"\n]*"|-?\d+(\.\d+)?(e-?\d+)?|\w+', raw)]
    if not spans:
        return rng.choice(_VALUES)
    start, stop = rng.choice(spans)
    return raw[:start] + rng.choice(_VALUES) + raw[stop:]


def _lose_line(raw: bytes, rng: random.Random) -> bytes:
    lines = raw.split(b"\n")
    at = rng.randrange(len(lines))
    return b"\n".join(lines[:at] + lines[at + 1 :])


def _double_line(raw: bytes, rng: random.Random) -> bytes:
    lines = raw.split(b"\n")
    at = rng.randrange(len(lines))
    return b"\n".join([*lines[: at + 1], *lines[at:]])


def _document(raw: bytes, rng: random.Random) -> bytes:
    """A JSON document with a part removed, or replaced by one of another type."""
    try:
        whole = json.loads(raw)
    except ValueError:
        return _value(raw, rng)
    spots: list[tuple[dict[str, object] | list[object], object]] = []

    def walk(part: object) -> None:
        if isinstance(part, dict | list):
            for key in part if isinstance(part, dict) else range(len(part)):
                spots.append((part, key))
                walk(part[key])  # type: ignore[index]

    walk(whole)
    if not spots:
        return _value(raw, rng)
    holder, key = rng.choice(spots)
    if rng.random() < 0.4:
        del holder[key]  # type: ignore[arg-type]
    else:
        holder[key] = rng.choice(  # type: ignore[index,call-overload]
            (None, True, -1, 0, 1e308, float("nan"), "", "x", "x" * 3000, [], {}, [[]], {"a": 1},
             10**400, "\x1b[31m", "a\nb", ["x"], [1.5], 2**63, -(2**63) - 1)
        )  # fmt: skip
    return json.dumps(whole).encode("utf-8", "surrogatepass")


DAMAGES: Sequence[Callable[[bytes, random.Random], bytes]] = (
    _cut, _flip, _flip, _noise, _random, _value, _value, _value, _document, _document, _document,
    _lose_line, _double_line,
    _fixed(b"", b"\n", b"\x00", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"null", b"[]",
           b"1", b'"x"', b"\x1f\x8b", b"PAR1", b"\x93NUMPY", b"\xef\xbb\xbf", b"a=" + b"[" * 1000),
    _insert(b"\x00", b"\xff", b"\xef\xbb\xbf", b"\r\n", b"\r", b"\x1b[2J", b"\xe2\x80\xa8", b"\t"),
    lambda raw, rng: b"\xef\xbb\xbf" + raw,
    lambda raw, rng: raw.replace(b"\n", b"\r\n"),
    lambda raw, rng: raw.decode("utf-8", "replace").encode("utf-16"),
)  # fmt: skip


def trouble(kind: Kind) -> str | None:
    """What is wrong with how a damaged input is read in the working folder; ``None``: nothing."""
    if callable(kind.read):
        try:
            kind.read()
        except HarnessError as error:
            return _said(str(error))
        except BaseException:
            return traceback.format_exc()
        return None
    result = CliRunner().invoke(main, [str(x) for x in kind.read])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return "".join(traceback.format_exception(result.exception))
    if result.exit_code not in (0, 1, 2, 3, 4) or "Traceback" in result.output:
        return f"exit code {result.exit_code}: {result.output}"
    said = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    return next(filter(None, map(_said, said)), None) or (
        "a control character is printed" if _controls(result.output) else None
    )


def _said(sentence: str) -> str | None:
    if _controls(sentence):
        return f"not printable: {sentence[:300]!r}"
    if max(map(len, sentence.split())) > 420 or len(sentence) > LONGEST:
        return f"{len(sentence)} characters: {sentence[:300]}"
    return None


def _controls(text: str) -> bool:
    return any((ord(x) < 32 and x != "\n") or 0x7F <= ord(x) < 0xA0 for x in text)


@dataclass(frozen=True)
class Found:
    """A damaged input that is not read as it should be."""

    seed: int
    kind: str
    file: str
    content: bytes
    trouble: str


CHANGED = ("mteb", "new")
"""Folders that reading makes."""


class Inputs:
    """Damages one file at a time in ``folder``, which :func:`prepare` has filled."""

    def __init__(self, folder: Path, kinds: Sequence[Kind] = KINDS) -> None:
        self.folder, self.kinds = folder, kinds
        self.whole = folder.parent / f"{folder.name}.whole"
        shutil.copytree(folder, self.whole)
        self.counts: Counter[str] = Counter()

    def run(self, seed: int) -> Found | None:
        """The trouble with input ``seed``, if any; the folder is put back as it was."""
        rng = random.Random(seed)
        kind = self.kinds[seed % len(self.kinds)]
        files = sorted(x for p in kind.files for x in self.folder.glob(p) if x.is_file())
        file = rng.choice(files)
        content = damaged(file.read_bytes(), rng)
        file.write_bytes(content)
        self.counts[kind.name] += 1
        try:
            found = trouble(kind)
        finally:
            place = file.relative_to(self.folder)
            for path in [*self.folder.glob("made.*"), *map(self.folder.joinpath, CHANGED)]:
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.exists():
                    path.unlink()
            for part in filter(None, ("store", kind.writes)):
                shutil.rmtree(self.folder / part, ignore_errors=True)
                shutil.copytree(self.whole / part, self.folder / part)
            shutil.copyfile(self.whole / place, self.folder / place)
        return None if found is None else Found(seed, kind.name, str(place), content, found)


def series(folder: Path, seeds: Iterable[int], kinds: Sequence[Kind] = KINDS) -> Iterator[Found]:
    """Run ``seeds`` in ``folder``, an empty one; gives those that fail, as they do."""
    os.environ["HARNESS_CACHE"] = str(folder / "inputs" / "store")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    inputs = folder / "inputs"
    inputs.mkdir()
    with chdir(inputs), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepare(inputs, kinds)
        runs = Inputs(inputs, kinds)
        for seed in seeds:
            if (found := runs.run(seed)) is not None:
                yield found


def _counted(seeds: Sequence[int]) -> Iterator[int]:
    for done, seed in enumerate(seeds):
        if done % 100 == 0:
            print(f"{done} of {len(seeds)}", file=sys.stderr, flush=True)
        yield seed


if __name__ == "__main__":
    count, first = (int(x) for x in (*sys.argv[1:], "5000", "0")[:2])
    if len(sys.argv) == 2:
        first = 0
    failures, every = 0, (*KINDS, *SLOW)
    with tempfile.TemporaryDirectory() as place:
        for one in series(Path(place), _counted(range(first, first + count)), every):
            failures += 1
            where = f"{one.seed} {one.kind} {one.file} {one.content[:120]!r}"
            print(f"=== {where}\n{one.trouble}", flush=True)
    print(f"{count} damaged inputs of {len(every)} kinds, {failures} not read as they should be")
    sys.exit(failures > 0)
