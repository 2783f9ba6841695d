"""Vectors computed elsewhere: found by their text, checked, and never mixed up."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import ModelError
from harness.models import ModelOptions, load, write_embeddings
from harness.models.wrapped import as_float32

TEXTS = ["river", "salt", "bridge"]
VECTORS = np.arange(12, dtype=np.float64).reshape(3, 4) + 0.1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_embeddings(
        tmp_path / "vectors",
        "elsewhere",
        {("query", "en"): (TEXTS, VECTORS), ("passage", "de"): (TEXTS[:2], VECTORS[:2])},
        similarity="dot",
    )


def test_vectors_come_back_by_text_whatever_the_order(folder: Path) -> None:
    model = load(f"embeddings:{folder}")
    assert (model.name, model.similarity) == ("elsewhere", "dot")
    got = model.encode(["bridge", "river", "bridge"], role="query", language="en")
    assert got.dtype == np.float32
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, VECTORS[[2, 0, 2]].astype(np.float32))


def test_manifest_and_keys_are_as_the_page_says(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["dimensions"] == 4
    assert manifest["roles"]["query"]["en"] == {
        "file": "queries.en.npy",
        "keys": "queries.en.keys",
        "rows": 3,
    }
    keys = (folder / "queries.en.keys").read_text().split()
    assert keys == [hashlib.sha256(t.encode()).hexdigest()[:16] for t in TEXTS]


def test_unknown_text_is_named(folder: Path) -> None:
    model = load(f"embeddings:{folder}")
    with pytest.raises(ModelError, match=r"1 of 2 query texts.*'query: salt'"):
        model.encode(["river", "query: salt"], role="query", language="en")


def test_missing_language_says_which_there_are(folder: Path) -> None:
    model = load(f"embeddings:{folder}")
    with pytest.raises(ModelError, match=r"no passage vectors for language 'en'.*has de"):
        model.encode(["river"], role="passage", language="en")


def test_array_that_does_not_fit_the_manifest(folder: Path) -> None:
    np.save(folder / "queries.en.npy", VECTORS[:2].astype(np.float32))
    model = load(f"embeddings:{folder}")
    with pytest.raises(ModelError, match=r"promises floats of shape \(3, 4\).*\(2, 4\)"):
        model.encode(["river"], role="query", language="en")


def test_keys_that_do_not_fit_the_rows(folder: Path) -> None:
    (folder / "queries.en.keys").write_text("0" * 16 + "\n")
    model = load(f"embeddings:{folder}")
    with pytest.raises(ModelError, match=r"queries\.en\.keys: 1 keys for 3 rows"):
        model.encode(["river"], role="query", language="en")


def test_damaged_array(folder: Path) -> None:
    (folder / "queries.en.npy").write_bytes(b"\x93NUMPY")
    model = load(f"embeddings:{folder}")
    with pytest.raises(ModelError, match=r"queries\.en\.npy: not a readable"):
        model.encode(["river"], role="query", language="en")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("similarity", "euclidean", "key 'similarity' must be one of cosine, dot, not 'euclidean'"),
        ("dimensions", "4", "key 'dimensions' must be a whole number, not '4'"),
        ("format", 2, "key 'format' is 2; this version reads 1"),
        ("dimension", 4, "key 'dimension' is unknown; did you mean 'dimensions'"),
        (
            "roles",
            {"queries": {}},
            "key 'roles.queries' must be one of query, passage, not 'queries'",
        ),
        (
            "roles",
            {"query": {"en": {"file": "x.npy"}}},
            "key 'roles.query.en.keys' is missing: it must be a string",
        ),
        (
            "roles",
            {"query": {"en": {"file": "../x.npy", "keys": "k", "rows": 1}}},
            "key 'roles.query.en.file' must be a file in the folder itself",
        ),
    ],
)
def test_manifest_errors_name_the_key(folder: Path, key: str, value: object, message: str) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ModelError, match=re.escape(message)):
        load(f"embeddings:{folder}")


def test_a_file_the_manifest_names_is_missing(folder: Path) -> None:
    (folder / "queries.en.npy").unlink()
    with pytest.raises(ModelError, match=r"queries\.en\.npy: missing"):
        load(f"embeddings:{folder}")


def test_no_folder_no_manifest_no_json(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        load(f"embeddings:{tmp_path / 'nowhere'}")
    with pytest.raises(ModelError, match=r"manifest\.json: missing"):
        load(f"embeddings:{tmp_path}")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ModelError, match="not valid JSON"):
        load(f"embeddings:{tmp_path}")


def test_other_vectors_have_another_fingerprint(folder: Path, tmp_path: Path) -> None:
    vectors = {("query", "en"): (TEXTS, VECTORS), ("passage", "de"): (TEXTS[:2], VECTORS[:2])}
    same = write_embeddings(tmp_path / "same", "elsewhere", vectors, similarity="dot")
    vectors["query", "en"] = (TEXTS, VECTORS + 1)
    other = write_embeddings(tmp_path / "other", "elsewhere", vectors, similarity="dot")
    prints = [load(f"embeddings:{x}").fingerprint for x in (folder, same, other)]
    assert prints[0] == prints[1] != prints[2]


def test_options_that_would_change_the_vectors_are_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="--query-prompt does not apply"):
        load(f"embeddings:{folder}", ModelOptions(query_prompt="query: "))


@pytest.mark.parametrize("header", [b"[" * 60, b"\xa0'", b"(" * 60 + b"\x00"])
def test_a_damaged_header_is_one_sentence(folder: Path, header: bytes) -> None:
    """Numpy reads it as Python, with errors of its tokenizer and parser."""
    path = folder / "queries.en.npy"
    raw = path.read_bytes()
    at = raw.index(b"'shape'")
    path.write_bytes(raw[:at] + header + raw[at + len(header) :])
    with pytest.raises(ModelError, match=r"queries\.en\.npy: not a readable \.npy array"):
        load(f"embeddings:{folder}").encode(TEXTS, role="query", language="en")


def test_writer_refuses_what_does_not_fit(tmp_path: Path) -> None:
    target = tmp_path / "new"
    with pytest.raises(ModelError, match=r"3 texts need an array of shape \(3, width\), not"):
        write_embeddings(target, "x", {("query", "en"): (TEXTS, VECTORS[:2])})
    with pytest.raises(ModelError, match="'queries' is not a role"):
        write_embeddings(target, "x", {("queries", "en"): (TEXTS, VECTORS)})
    with pytest.raises(ModelError, match=r"one width, not \[3, 4\]"):
        write_embeddings(
            target,
            "x",
            {("query", "en"): (TEXTS, VECTORS), ("query", "de"): (TEXTS, VECTORS[:, :3])},
        )
    with pytest.raises(ModelError, match="is not a language code"):
        write_embeddings(target, "x", {("query", "../en"): (TEXTS, VECTORS)})
    assert not target.exists()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.bool_])
def test_packed_bits_are_not_taken_for_coordinates(tmp_path: Path, dtype: type) -> None:
    """By the writer, and from an encoder: their bytes rank passages, but not by similarity."""
    packed = np.packbits(VECTORS > 0, axis=1).astype(dtype)
    with pytest.raises(ModelError, match=r"query vectors of en: vectors of \w+ are codes"):
        write_embeddings(tmp_path / "new", "x", {("query", "en"): (TEXTS, packed)})
    for made in (packed, list(packed), torch.from_numpy(packed)):
        with pytest.raises(ModelError, match=r"mine: encode: vectors of \w+ are codes"):
            as_float32(made, "mine")
    assert as_float32([[1, 2]], "mine").tolist() == [[1.0, 2.0]]


def test_a_link_to_a_folder_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    for _ in range(2):
        write_embeddings(tmp_path / "link", "x", {("query", "en"): (TEXTS, VECTORS)})
    assert (tmp_path / "link").is_symlink() and (tmp_path / "disk" / "manifest.json").is_file()
    with pytest.raises(ModelError, match="is a file"):
        write_embeddings(
            tmp_path / "disk" / "manifest.json", "x", {("query", "en"): (TEXTS, VECTORS)}
        )


def test_writer_leaves_a_folder_of_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelError, match="contains other files"):
        write_embeddings(tmp_path, "x", {("query", "en"): (TEXTS, VECTORS)})
    assert (tmp_path / "thesis.txt").exists()
