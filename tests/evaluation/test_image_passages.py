"""Passages that are images: files or rows of a table, known by their digest, read in batches."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
import random_models
from click.testing import CliRunner
from loopback_hub import Hub, point_at
from PIL import Image as Pillow
from pyarrow import parquet
from tiny import WORDS, WordBag
from tiny_tables import write_rows

import harness
from harness.cli import main
from harness.data import loading as library
from harness.data.images import Image
from harness.data.task import TaskSpec, find_task, read_task
from harness.errors import DataError, ModelError, TaskError, UsageError
from harness.evaluation.layout import prepare
from harness.evaluation.options import RunOptions
from harness.vectors import encode as encoding

LANGUAGES = ("sw", "yo")
TASK = """\
name = "pages"
title = "Pages"
description = "Pages, made by a test."
reader = "tables"
languages = ["en"]
settings = ["mono"]
text = "image"
texts = ["image", "title-newline-text"]
measures = ["map"]
license = "CC0-1.0"

[source]
folder = "data"

[source.paths]
queries = "queries.jsonl"
passages = "passages.jsonl"
qrels = "qrels.jsonl"
images = "pages/"
"""


def picture(number: int) -> bytes:
    """A page of one grey, which says what word it is about."""
    out = io.BytesIO()
    Pillow.new("RGB", (24, 32), (20 * number,) * 3).save(out, "PNG")
    return out.getvalue()


def write_vision(folder: Path, pages: int = 9) -> Path:
    """MIRACL-VISION's files in two languages: question n is answered by page n, of word n.

    Page ``again`` has the picture of page 0.
    """
    for language in LANGUAGES:
        at = folder / "miracl-vision" / language
        ids = [*map(str, range(pages)), "again"]
        numbers = [*range(pages), 0]
        write_rows(at / "queries.parquet", [{"_id": f"q{n}", "text": WORDS[n]} for n in range(3)])
        write_rows(
            at / "corpus.parquet",
            [
                {"_id": x, "title": WORDS[n], "text": f"about {x}", "image_id": f"{language}-{x}"}
                for x, n in zip(ids, numbers, strict=True)
            ],
        )
        judged = [{"query-id": f"q{n}", "corpus-id": str(n), "score": 1} for n in range(3)]
        write_rows(at / "qrels.parquet", judged)
        # In another order than the passages, a few to a row group.
        rows = [
            {"file_name": f"{language}-{x}", "image": {"bytes": picture(n), "path": None}}
            for x, n in reversed(list(zip(ids, numbers, strict=True)))
        ]
        table = pyarrow.Table.from_pylist(rows)
        parquet.write_table(table, at / "images.parquet", row_group_size=4)
    return folder


class Reader(WordBag):
    """Reads the word that a page is about from its grey."""

    name = fingerprint = "reader"
    modalities = ("text", "image")

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
        assert all(isinstance(x, Image) for x in texts) == (role == "passage")
        greys = [x.open().getpixel((0, 0))[0] if isinstance(x, Image) else None for x in texts]
        words = [
            x if grey is None else WORDS[grey // 20] for x, grey in zip(texts, greys, strict=True)
        ]
        return super().encode(words, role=role, language=language)


def factory() -> Reader:
    """For ``--model python:test_image_passages:factory``."""
    return Reader()


def test_pages_are_searched_as_pictures_and_as_texts(tmp_path: Path) -> None:
    """The one picture on two passages is encoded once, and ties as equal texts do."""
    folder = write_vision(tmp_path)
    given: dict[str, Any] = {"languages": LANGUAGES, "data_dir": folder, "resamples": 0}
    model = Reader()
    record = harness.evaluate(model, tasks=["miracl-vision"], settings=("mono", "multi"), **given)
    entry = record.document["tasks"][0]
    assert entry["text"] == "image" and entry["counts"]["passages"] == {"sw": 10, "yo": 10}
    scores = {x["setting"]: x["scores"]["mrr@10"] for x in entry["settings"]}
    # Of equal scores the greater id is first: `again` before 0, and in the pool those of `yo`.
    assert scores["mono/sw"] == pytest.approx((1 / 2 + 1 + 1) / 3)
    assert scores["multi/yo"] == pytest.approx((1 / 2 + 1 + 1) / 3)
    assert scores["multi/sw"] == pytest.approx((1 / 4 + 1 / 2 + 1 / 2) / 3)
    assert entry["encoding"]["distinct"] == 6 + 2 * 9
    again = harness.evaluate(Reader(), tasks=["miracl-vision"], settings=("mono",), **given)
    assert again.document["tasks"][0]["encoding"]["encoded"] == 0
    texts = harness.evaluate(
        WordBag(), tasks=["miracl-vision"], text="title-newline-text", store=False, **given
    )
    assert texts.document["tasks"][0]["text"] == "title-newline-text"
    assert texts.document["tasks"][0]["data_digest"] != entry["data_digest"]
    streamed = harness.evaluate(Reader(), tasks=["miracl-vision"], streamed=True, **given)
    assert [x["scores"] for x in streamed.document["tasks"][0]["settings"]] == [
        x["scores"] for x in again.document["tasks"][0]["settings"]
    ]


def test_an_image_is_its_digest_until_it_is_read(tmp_path: Path) -> None:
    """In any order, from a table of several row groups, and in another process."""
    data = library.load(
        find_task("miracl-vision"), languages=["sw"], data_dir=write_vision(tmp_path)
    )
    pages = data.passages["sw"].texts
    expected = [picture(n) for n in (*range(9), 0)]
    assert pages == tuple(f"image:{hashlib.sha256(x).hexdigest()}" for x in expected)
    copies = pickle.loads(pickle.dumps(pages))
    for at in (5, 0, 9, 9, 1, 8):
        for page in (pages[at], copies[at]):
            assert isinstance(page, Image) and page.read() == expected[at]
    (table,) = {x.path for x in pages if isinstance(x, Image)}
    rows = parquet.read_table(table).to_pylist()
    rows[1]["image"]["bytes"] = picture(3)
    parquet.write_table(pyarrow.Table.from_pylist(rows), table)
    last = pages[8]
    assert isinstance(last, Image)
    with pytest.raises(DataError, match=r"images\.parquet, row 2: the image has changed"):
        last.read()
    # Loaded again, it is what it is now, in the same process too.
    data = library.load(find_task("miracl-vision"), languages=["sw"], data_dir=tmp_path)
    last = data.passages["sw"].texts[8]
    assert isinstance(last, Image) and last.read() == picture(3)


def test_only_a_batch_of_images_is_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "STEP", 4)
    sizes: list[int] = []

    class Counting(Reader):
        def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
            sizes.append(len(texts))
            return super().encode(texts, role=role, language=language)

    given: dict[str, Any] = {"languages": ["sw"], "data_dir": write_vision(tmp_path)}
    harness.evaluate(Counting(), tasks=["miracl-vision"], store=False, resamples=0, **given)
    assert sizes == [3, 4, 4, 1]


def write_files(folder: Path) -> TaskSpec:
    """A task whose pages are files in a folder next to its tables."""
    data = folder / "data"
    write_rows(data / "queries.jsonl", [{"id": "q", "text": "salt"}])
    passages = [
        {"id": f"p{n}", "title": "", "text": WORDS[n], "image_id": f"{WORDS[n]}.png"}
        for n in range(3)
    ]
    write_rows(data / "passages.jsonl", passages)
    write_rows(data / "qrels.jsonl", [{"query-id": "q", "corpus-id": "p1", "score": 1}])
    (data / "pages").mkdir()
    for n in range(3):
        (data / "pages" / f"{WORDS[n]}.png").write_bytes(picture(n))
    (folder / "task.toml").write_text(TASK)
    return read_task(folder / "task.toml")


def test_pages_can_be_files(tmp_path: Path) -> None:
    spec = write_files(tmp_path)
    record = harness.evaluate(Reader(), tasks=[spec], resamples=0)
    assert record.document["tasks"][0]["settings"][0]["scores"] == {"map": 1.0}
    (tmp_path / "data" / "pages" / "salt.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"salt\.png: is no image that Pillow reads"):
        harness.evaluate(Reader(), tasks=[spec], resamples=0)
    # Its pixels end early, and what follows is no chunk: Pillow raises a SyntaxError.
    whole = picture(1)
    at = whole.index(b"IDAT")
    cut = b"\0\0\0\5" + whole[at : at + 9] + b"\0\0\0\0" + b"\0\0\0\5|\xd5T\xa9"
    (tmp_path / "data" / "pages" / "salt.png").write_bytes(whole[: at - 4] + cut + whole[at + 9 :])
    with pytest.raises(DataError, match=r"salt\.png: is no image that Pillow reads: broken PNG"):
        harness.evaluate(Reader(), tasks=[spec], resamples=0)
    (tmp_path / "data" / "pages" / "salt.png").unlink()
    with pytest.raises(DataError, match=r"'p1' in 'en' names the image 'salt\.png', which pages"):
        library.load(spec)
    # Links to where the files are kept, as git-annex and the hub's cache have them.
    (tmp_path / "kept").write_bytes(picture(1))
    (tmp_path / "data" / "pages" / "salt.png").symlink_to(tmp_path / "kept")
    again = harness.evaluate(Reader(), tasks=[spec], resamples=0)
    assert again.document["tasks"][0]["settings"] == record.document["tasks"][0]["settings"]
    path = tmp_path / "data" / "passages.jsonl"
    text = path.read_text()
    for name in ("../queries.jsonl", "x" * 300, "salt\\u0000.png"):
        path.write_text(text.replace("salt.png", name))
        with pytest.raises(DataError, match=r"'p1' in 'en' names the image .*, which pages/ does"):
            library.load(spec)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"file_name": "sw-0", "image": None}], "row 1: 'image' has no bytes"),
        ([{"file_name": "", "image": b"x"}], "row 1: file_name must be a name, not ''"),
        ([{"name": "sw-0", "image": b"x"}], "has no column 'file_name'"),
        ([{"file_name": "a", "image": b"x"}] * 2, "row 2: the image 'a' is there twice"),
        (
            [{"file_name": "a", "image": b"x"}],
            "passage '0' in 'sw' names the image 'sw-0', which sw/images.parquet does not have",
        ),
        (b"no parquet", "incomplete parquet file"),
        (
            {"file_name": pyarrow.array([b"\xff"]).view("string"), "image": [b"x"]},
            "a text in it is not UTF-8",
        ),
    ],
)
def test_a_table_of_images_that_is_wrong_is_one_sentence(
    tmp_path: Path, rows: Any, message: str
) -> None:
    path = write_vision(tmp_path) / "miracl-vision" / "sw" / "images.parquet"
    if isinstance(rows, bytes):
        path.write_bytes(rows)
    elif isinstance(rows, dict):
        parquet.write_table(pyarrow.table(rows), path)
    else:
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    with pytest.raises(DataError, match=re.escape(message)):
        library.load(find_task("miracl-vision"), languages=["sw"], data_dir=tmp_path)


def test_they_come_from_the_hub_and_are_compared_with_its_checksums(
    served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.clear()
    point_at(served, tmp_path, monkeypatch)
    spec = find_task("miracl-vision")
    folder = write_vision(tmp_path / "data") / "miracl-vision"
    assert spec.source.repository is not None
    served.put("dataset", spec.source.repository, folder, commit=spec.source.revision)
    texts = find_task("miracl-vision", text="text")
    library.load(texts, languages=["sw"])
    assert not [x for x in served.downloads if "images" in x]
    data = library.load(spec, languages=["sw"])
    assert [x for x in served.downloads if "images" in x] == [
        "nvidia/miracl-vision/sw/images.parquet"
    ]
    assert [x.state for x in library.verify(spec, languages=["sw"])] == ["ok"] * 4
    page = data.passages["sw"].texts[0]
    assert isinstance(page, Image)
    page.path.resolve().write_bytes(page.path.read_bytes() + b"x")
    with pytest.raises(DataError, match=r"SHA-256 is .*, expected .*harness data fetch"):
        library.load(spec, languages=["sw"], offline=True)


def test_models_of_texts_alone_say_so_in_one_sentence(tmp_path: Path) -> None:
    folder = str(write_vision(tmp_path))
    words = ["run", "--task", "miracl-vision", "--data-dir", folder, "--languages", "sw"]
    for model in ("python:tiny:factory", "bm25"):
        refused = CliRunner().invoke(main, [*words, "--model", model])
        assert refused.exit_code == 2
        assert "takes texts, and the passages of miracl-vision are images" in refused.output
        assert "--text title-newline-text" in refused.output and "\n" not in refused.output.strip()
    with pytest.raises(UsageError, match="--rerank reads texts"):
        prepare(find_task("miracl-vision"), RunOptions(rerank="any"))
    with pytest.raises(ModelError, match="--passage-prompt: cannot be put before an image"):
        harness.evaluate(
            Reader(),
            tasks=["miracl-vision"],
            languages=["sw"],
            data_dir=folder,
            passage_prompt="page: ",
            store=False,
        )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('images = "pages/"\n', "", "'source.paths.images' is missing: the table or folder"),
        ('["image", "title', '["title', "'texts' must offer 'image', since 'source.paths.images'"),
        ('"pages/"', '"pages"', "'source.paths.images' must be a .parquet table or a folder/"),
        (
            'folder = "data"',
            'folder = "d"\nrepository = "o/d"\nrevision = "v1"\nchecksums = "hub"',
            "'source.paths.images' must be a .parquet table where files are downloaded",
        ),
    ],
)
def test_a_task_file_of_images_names_the_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in TASK
    text = TASK.replace(old, new, 1)
    if "texts" in message:
        text = text.replace('text = "image"', 'text = "title-newline-text"')
    (tmp_path / "task.toml").write_text(text)
    with pytest.raises(TaskError, match=re.escape(message)):
        read_task(tmp_path / "task.toml")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_models.clip(tmp_path_factory.mktemp("clip"))


def test_a_model_of_two_towers_encodes_pages_as_its_library_does(
    clip: Path, tmp_path: Path
) -> None:
    """Scores from vectors that sentence-transformers computes here, one picture at a time."""
    from sentence_transformers import SentenceTransformer

    folder = write_vision(tmp_path)
    given: dict[str, Any] = {"languages": ["sw"], "data_dir": folder, "resamples": 0}
    record = harness.evaluate(str(clip), tasks=["miracl-vision"], measures=("mrr",), **given)
    model = SentenceTransformer(str(clip))
    pages = [Pillow.open(io.BytesIO(picture(n))) for n in (*range(9), 0)]
    passages = np.stack([model.encode([x], normalize_embeddings=True)[0] for x in pages])
    queries = model.encode(list(WORDS[:3]), normalize_embeddings=True)
    scores = queries.astype(np.float64) @ passages.T.astype(np.float64)
    found = record.table("miracl-vision").values["mrr"]
    for n in range(3):
        others = np.delete(scores[n], [n, 9] if n == 0 else n)
        rank = 1 + (others > scores[n, n]).sum() + (n == 0)  # `again` ties with 0, and wins
        assert found[n] == pytest.approx(1 / rank)
    again = harness.evaluate(str(clip), tasks=["miracl-vision"], measures=("mrr",), **given)
    assert again.document["tasks"][0]["encoding"]["encoded"] == 0
    assert again.document["tasks"][0]["encoding"]["from_store"] == 3 + 9
    with_texts = harness.evaluate(
        str(clip), tasks=["miracl-vision"], text="title-newline-text", **given
    )
    # The queries are those of the pictures: only the pages' texts are new.
    assert with_texts.document["tasks"][0]["encoding"]["encoded"] == 10


def test_another_version_of_what_decodes_images_has_a_store_of_its_own(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.models import load

    model: Any = load(str(clip))
    text, image = (encoding.space_facts(model, "passage", "sw", images=x) for x in (False, True))
    assert set(image) - set(text) == {"images"} and "pillow" in image["images"]
    monkeypatch.setattr(encoding, "library_versions", lambda *_: {"pillow": "1"})
    assert encoding.space_facts(model, "passage", "sw", images=True) != image
    assert encoding.space_facts(model, "passage", "sw") == text


def test_a_model_of_one_tower_is_told_from_one_of_two(tmp_path: Path) -> None:
    """Which of the two a folder holds is known once it is loaded."""
    folder = random_models.bert(tmp_path / "bert", "BertModel")
    with pytest.raises(ModelError, match="bert takes text, and these passages are images"):
        harness.evaluate(
            str(folder), tasks=["miracl-vision"], languages=["sw"],
            data_dir=write_vision(tmp_path), store=False,
        )  # fmt: skip
