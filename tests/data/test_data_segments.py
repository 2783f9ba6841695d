"""A retrieval task made from aligned segments by a task file alone."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from harness.data.loading import load, where
from harness.data.readers.segments import BLOCK, part_of
from harness.data.task import find_task, read_task
from harness.errors import DataError, TaskError
from harness.evaluation.layout import choose_tasks
from harness.training.sources.conversion import Options, make_pairs

TASK = """\
name = "help"
title = "Help"
description = "Technical documentation, made by a test."
reader = "segments"
languages = ["en", "de", "zh"]
settings = ["mono", "cross", "multi"]
text = "text"
measures = ["ndcg@10"]
license = "CC0-1.0"

[source]
folder = "{folder}"

[source.segments]
file = "{file}"
pairing = "{pairing}"
{more}
"""

SEGMENTS = [
    {"en": "Find Bar", "de": "Suchleiste"},
    {"en": "The Find toolbar is there to search a document.", "de": "Damit wird gesucht."},
    {"en": "It opens with a key that you can choose.", "zh-CN": "可以选择按键。"},
    {"en": "Icon"},
    {"en": "Match Case", "de": "Groß und klein", "zh-CN": "大小写"},
    {"en": "The find  toolbar is there to search a document.", "zh-CN": "用于搜索。"},
    {"en": "Options"},
    {"en": "These are the options of the one dialog."},
    {"en": "Options"},
    {"en": "These are the options of the other dialog."},
]


def write(folder: Path, *, pairing: str = "heading", more: str = "", packed: bool = False) -> Path:
    raw = "".join(json.dumps(x, ensure_ascii=False) + "\n" for x in SEGMENTS).encode()
    name = "help.jsonl.gz" if packed else "help.jsonl"
    (folder / name).write_bytes(gzip.compress(raw) if packed else raw)
    path = folder / "task.toml"
    codes = '[source.segments.codes]\nzh = "zh-CN"' if "codes" not in more else ""
    path.write_text(TASK.format(folder=".", file=name, pairing=pairing, more=f"{more}\n{codes}"))
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_headings_are_queries_for_their_paragraphs(packed: bool, tmp_path: Path) -> None:
    data = load(read_task(write(tmp_path, packed=packed)))
    assert data.queries["en"].texts == ("Find Bar", "Match Case")
    assert data.queries["zh"].texts == ("大小写",)
    # 5 says in English what 1 says, so that 1 answers both; the headings are not in the pool.
    assert data.passages["en"].ids == ("1", "2", "7", "9")
    assert data.passages["de"].texts == ("Damit wird gesucht.",)
    assert data.qrels == {"0": {"en:1": 1, "de:1": 1}, "4": {"en:1": 1, "de:1": 1}}


def test_sentences_are_queries_for_the_next(tmp_path: Path) -> None:
    data = load(read_task(write(tmp_path, pairing="next")), languages=["en"])
    assert data.queries["en"].ids == ("1",)
    assert data.qrels == {"1": {"en:2": 1}}
    # What asks is not in the pool: it would find itself.
    assert data.passages["en"].ids == ("2", "5", "7", "9")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('part = "dev"', "key 'source.segments.part' must be one of all, train, test"),
        ('pivot = "fr"', "key 'source.segments.pivot' must be one of en, de, zh"),
        ('kind = "x"', "key 'source.segments.kind' is unknown"),
        ('[source.segments.codes]\nfr = "fr-FR"', "key 'source.segments.codes.fr' is not one of"),
        ('[source.segments.codes]\nzh = "chinese"', "must be a language's code in the file"),
    ],
)
def test_a_wrong_table_names_its_key(more: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=message):
        read_task(write(tmp_path, more=more))


def test_the_table_is_for_this_reader_alone(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text().replace('"segments"', '"simple"'))
    with pytest.raises(TaskError, match=r"key .source\.segments. is not for reader"):
        read_task(path)


def test_a_file_without_pairs_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, more='part = "test"')
    with pytest.raises(DataError, match="contains no pair for pairing 'heading' in 'en'"):
        load(read_task(path))
    (tmp_path / "help.jsonl.gz").write_bytes(b"not gzip")
    path.write_text(path.read_text().replace("help.jsonl", "help.jsonl.gz"))
    with pytest.raises(DataError, match="incomplete gzip file"):
        load(read_task(path))


def test_every_fifth_block_is_for_tests() -> None:
    parts = [part_of(number) for number in range(10 * BLOCK)]
    assert [parts[x * BLOCK] for x in range(10)] == [*["train"] * 4, "test"] * 2
    assert parts.count("test") == 2 * BLOCK


def test_documentation_that_comes_with_the_real_data(real_data: Path, tmp_path: Path) -> None:
    """A task and training pairs of the same file have no question in common."""
    if not (real_data / "train" / "libreoffice_help.jsonl.gz").is_file():
        pytest.skip("no train/libreoffice_help.jsonl.gz in the real data")
    path = tmp_path / "task.toml"
    path.write_text(
        TASK.format(
            folder=real_data / "train",
            file="libreoffice_help.jsonl.gz",
            pairing="heading",
            more='part = "test"\n[source.segments.codes]\nzh = "zh-CN"',
        )
    )
    data = load(read_task(path))
    counts = {x: (len(data.queries[x]), len(data.passages[x])) for x in data.languages}
    assert all(requested > 400 and told > 1000 for requested, told in counts.values()), counts
    make_pairs(
        "segments",
        [real_data / "train" / "libreoffice_help.jsonl.gz"],
        tmp_path / "train.jsonl",
        Options(pairing="heading", part="train"),
    )
    rows = (tmp_path / "train.jsonl").read_text(encoding="utf-8").splitlines()
    trained = {json.loads(x)["query"].get("en") for x in rows}
    assert not trained & set(data.queries["en"].texts)


def test_the_help_task_that_ships(real_data: Path, tmp_path: Path) -> None:
    """Headings and paragraphs of the test part; the train part has no segment of them."""
    spec = find_task("libreoffice-help")
    if where(spec, data_dir=real_data)[0].state != "present":
        pytest.skip("the LibreOffice help is not at hand: train/libreoffice_help.jsonl.gz")
    task = load(spec, data_dir=real_data)
    # Every heading is English first: the pivot has all 1,319.
    assert len(task.queries["en"]) == max(len(x) for x in task.queries.values()) == 1319
    assert set(task.queries) == set(spec.languages)
    source = real_data / "train" / "libreoffice_help.jsonl.gz"
    options = Options(pairing="heading", part="train", rename={"zh-CN": "zh"})
    make_pairs("segments", [source], tmp_path / "train.jsonl", options)
    for line in (tmp_path / "train.jsonl").read_text().splitlines():
        assert part_of(int(json.loads(line)["id"].rsplit(":", 1)[1])) == "train"
    # A task that anyone can train on and that cannot be fetched is not run by default.
    assert spec.name not in {x.name for x in choose_tasks(None, None)}
