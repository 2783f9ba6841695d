"""Corpora as streams: read anywhere, counted once, and refused where something is wrong."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import pytest
from tiny_miracl import passage, write_miracl

from harness.data.corpus import Corpus, CorpusReader, scan
from harness.data.loading import load
from harness.data.task import find_task, read_task
from harness.errors import DataError


def corpus(folder: Path, **more: object) -> Corpus:
    """The Swahili corpus of a task written under ``folder``: 60 passages in 2 files."""
    return load(read_task(write_miracl(folder, **more)), languages=("sw",)).corpora["sw"]


def test_official_files_are_read_as_they_are_meant(tmp_path: Path) -> None:
    """Topics, judgements and passages; the same query id in two languages is two questions."""
    data = load(read_task(write_miracl(tmp_path)))
    assert data.queries["sw"].ids[:2] == ("sw-0", "sw-1")
    assert data.queries["yo"].texts[1] == "yo what is bridge river"
    assert data.qrels["sw-1"] == {"sw:0#2": 1, "sw:9#0": 1, "sw:1#0": 0}
    assert data.qrels["yo-1"] == {"yo:0#2": 1, "yo:9#0": 1, "yo:1#0": 0}
    assert data.passage_counts == {"sw": 60, "yo": 60}
    assert data.partial == {}
    first = next(data.corpora["yo"].read())
    assert first == ("0#0", "yo river\nyo river river told of in 0")


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("title-newline-text", "sw river\nsw river river told of in 0"),
        ("title-space-text", "sw river sw river river told of in 0"),
        ("text", "sw river river told of in 0"),
    ],
)
def test_title_and_text_are_joined_by_the_text_option(
    tmp_path: Path, option: str, text: str
) -> None:
    """And another joint is other data."""
    path = write_miracl(tmp_path)
    data = load(read_task(path, text=option))
    assert next(data.corpora["sw"].read()).text == text
    others = {load(read_task(path, text=x)).digest for x in read_task(path).texts}
    assert len(others) == 3


def test_any_cut_gives_the_same_passages(tmp_path: Path) -> None:
    """Across files, forwards, backwards, with one reader or several."""
    found = corpus(tmp_path, files=3)
    whole = [x.id for x in found.read()]
    assert whole == [passage("sw", n)["docid"] for n in range(60)]
    reader = CorpusReader(found)
    for start, stop in ((0, 7), (7, 25), (30, 41), (2, 9), (19, 21), (59, 60), (60, 60)):
        assert [x.id for x in reader.read(start, stop)] == whole[start:stop]
        assert [x.id for x in found.read(start, stop)] == whole[start:stop]


def test_a_reader_that_was_left_halfway_reads_on_rightly(tmp_path: Path) -> None:
    """After an error in the middle of a shard the same reader reads it again."""
    found = corpus(tmp_path)
    reader = CorpusReader(found)
    next(reader.read(0, 20))
    assert [x.id for x in reader.read(0, 5)] == [x.id for x in found.read(0, 5)]
    assert [x.id for x in reader.read(5, 9)] == [x.id for x in found.read(5, 9)]


def test_compression_does_not_change_what_is_measured(tmp_path: Path) -> None:
    """Other bytes of the same lines, in several gzip members, have the same digest."""
    before = corpus(tmp_path)
    passages = list(before.read())
    file = before.files[0].path
    lines = gzip.decompress(file.read_bytes())
    file.write_bytes(gzip.compress(lines[:50], 1) + gzip.compress(lines[50:].rstrip(b"\n"), 9))
    after = load(read_task(tmp_path / "tiny-miracl.toml"), languages=("sw",)).corpora["sw"]
    assert after.digest == before.digest
    assert after.files[0].sha256 != before.files[0].sha256
    assert list(after.read()) == passages


def test_zeros_may_follow_what_is_compressed(tmp_path: Path) -> None:
    """As the gzip module has it, with which files that fit into memory are read."""
    found = corpus(tmp_path)
    before, path = list(found.read()), found.files[0].path
    path.write_bytes(path.read_bytes() + b"\0" * 20 + gzip.compress(b"") + b"\0")
    again = load(read_task(tmp_path / "tiny-miracl.toml"), languages=("sw",)).corpora["sw"]
    assert list(again.read()) == before


def test_a_corpus_travels_to_another_process(tmp_path: Path) -> None:
    """As paths and counts: 60 passages weigh no more than 6."""
    found = corpus(tmp_path)
    assert list(pickle.loads(pickle.dumps(found)).read()) == list(found.read())
    assert len(pickle.dumps(found)) < 1000


def test_a_file_that_is_cut_short_is_an_error(tmp_path: Path) -> None:
    """Of a gzip file, at any place."""
    found = corpus(tmp_path)
    raw = found.files[1].path.read_bytes()
    for length in (0, 12, len(raw) // 2, len(raw) - 1):
        found.files[1].path.write_bytes(raw[:length])
        if length:
            with pytest.raises(DataError, match=r"docs-1\.jsonl\.gz: .*gzip"):
                scan(found.files[1].path)
        else:
            assert scan(found.files[1].path).passages == 0


def test_a_file_that_changed_since_its_scan_is_not_read(tmp_path: Path) -> None:
    """Shards name passages by place: another file in its place would be encoded under wrong ids."""
    found = corpus(tmp_path)
    file = found.files[0].path
    file.write_bytes(file.read_bytes() + gzip.compress(b"\n"))
    with pytest.raises(DataError, match="changed while it was being read"):
        list(found.read())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"docid": "1#0"', "line 3: not valid JSON"),
        ('{"docid": "1#0", "title": "a"}', "line 3: key 'text' is missing"),
        ('{"docid": "1 0", "title": "a", "text": "b"}', "line 3: id '1 0' contains whitespace"),
        (
            '{"docid": "1\\u0000", "title": "a", "text": "b"}',
            r"line 3: id '1\\x00' contains a zero byte",
        ),
        ('{"docid": "x#0", "title": "", "text": 7}', "line 3, docid 'x#0': text must be a string"),
        ('["1#0"]', "line 3: must be a JSON object"),
    ],
)
def test_a_malformed_passage_names_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    """However deep in a file."""
    found = corpus(tmp_path)
    file = found.files[0].path
    lines = gzip.decompress(file.read_bytes()).decode().split("\n")
    file.write_bytes(gzip.compress("\n".join([*lines[:2], line, *lines[3:]]).encode()))
    with pytest.raises(DataError, match=f"docs-0.jsonl.gz: {message}"):
        list(load(read_task(tmp_path / "tiny-miracl.toml"), languages=("sw",)).corpora["sw"].read())


def test_a_docid_in_two_files_is_refused_before_anything_is_encoded(tmp_path: Path) -> None:
    """Else a passage was found twice, or under the vector of another."""
    found = corpus(tmp_path)
    first, second = (file.path for file in found.files[:2])
    again = gzip.decompress(first.read_bytes()).split(b"\n")[1]
    second.write_bytes(gzip.compress(gzip.decompress(second.read_bytes()) + again + b"\n"))
    number = found.files[0].passages + found.files[1].passages + 1
    with pytest.raises(DataError, match=rf"passages 2 and {number} in sw have the same id '0#1'"):
        load(read_task(tmp_path / "tiny-miracl.toml"), languages=("sw",))


@pytest.mark.parametrize("blank", [None, "", " \n"])
def test_an_empty_passage_stays_in_the_corpus(tmp_path: Path, blank: str | None) -> None:
    found = corpus(tmp_path)
    file = found.files[0].path
    lines = gzip.decompress(file.read_bytes()).decode().split("\n")
    for number, row in enumerate(({"title": "T", "text": blank}, {"title": blank, "text": blank})):
        lines[number] = json.dumps({"docid": f"x#{number}", **row})
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    held = load(read_task(tmp_path / "tiny-miracl.toml"), languages=("sw",)).corpora["sw"].read()
    assert [next(held).text for _ in range(2)] == ["T", ""]


@pytest.mark.parametrize("ending", ["", "\n", "\n\n", "\r\n\r\n"])
def test_empty_lines_at_the_end_of_a_file_are_no_passages(tmp_path: Path, ending: str) -> None:
    """As of files that are read into memory."""
    found = corpus(tmp_path)
    file = found.files[1].path
    text = gzip.decompress(file.read_bytes()).decode().rstrip("\n")
    file.write_bytes(gzip.compress(f"{text}{ending}".encode()))
    again = load(read_task(tmp_path / "tiny-miracl.toml"), languages=("sw",)).corpora["sw"]
    assert list(again.read()) == list(corpus(tmp_path / "other").read())
    assert list(again.ids()) == [x.id for x in again.read()]


def test_a_sample_is_refused_unless_it_is_requested(tmp_path: Path) -> None:
    """And then it is noted, with the relevant passages and questions that it lacks."""
    kept = [n for n in range(60) if n not in (0, 25, 2)]
    task = read_task(write_miracl(tmp_path, only=kept, whole={"sw": 60, "yo": 60}))
    with pytest.raises(DataError, match=r"57 of the 60 passages in sw .*--corpus sampled"):
        load(task)
    data = load(task, sampled=True)
    assert data.partial == {
        "sampled_corpus": {x: {"passages": 57, "whole": 60} for x in ("sw", "yo")},
        # Passage 0 answers question 0, passage 25 question 0, passage 2 question 1; 25 = 2q + 25.
        "golds_outside_sample": 6,
        "questions_without_gold": 2,
    }
    assert data.qrels["sw-1"] == {"sw:9#0": 1, "sw:1#0": 0}
    assert "sw-0" not in data.qrels


def test_judged_passages_alone_are_refused_even_as_a_sample(tmp_path: Path) -> None:
    """24 relevant passages and 12 judged wrong: nothing else to rank."""
    judged = sorted({m for q in range(12) for m in (2 * q, 2 * q + 25, 2 * q + 1)})
    task = read_task(write_miracl(tmp_path, only=judged, whole={"sw": 60, "yo": 60}))
    with pytest.raises(DataError, match="every available passage in sw is a judged one"):
        load(task, sampled=True)
    more = read_task(write_miracl(tmp_path, only=[*judged, 58], whole={"sw": 60, "yo": 60}))
    assert load(more, sampled=True).passage_counts["sw"] == len(judged) + 1


def test_too_many_passages_are_an_error(tmp_path: Path) -> None:
    """What is larger than the whole is another corpus."""
    with pytest.raises(DataError, match="60 passages are available in sw, but the full corpus has"):
        load(read_task(write_miracl(tmp_path, whole={"sw": 59, "yo": 60})))


def test_the_task_that_ships_says_what_miracl_is() -> None:
    """18 languages, 106 million passages (Zhang et al. 2023, table 2), one setting each."""
    task = find_task("miracl")
    assert task.source.corpus is not None
    assert sum(task.source.corpus.passages.values()) == 106_332_152
    assert len(task.settings()) == 18
    assert [s.kind for s in task.settings(kinds=("multi",))] == ["multi"] * 18
    # docs-N.jsonl.gz hold half a million each.
    for language, passages in task.source.corpus.passages.items():
        assert task.source.corpus.files[language] == -(-passages // 500_000)


def test_real_sample_reads_whole(real_data: Path) -> None:
    """3,611 and 2,647 passages, 120 and 53 answerable questions: counted without the loader."""
    if not (real_data / "miracl").is_dir():
        pytest.skip("MIRACL's sample is not in HARNESS_DATA")
    data = load(find_task("miracl"), languages=("sw", "yo"), data_dir=real_data, sampled=True)
    assert data.passage_counts == {"sw": 3611, "yo": 2647}
    assert {x: len(q) for x, q in data.queries.items()} == {"sw": 120, "yo": 53}
    assert sum(1 for _ in data.corpora["yo"].read()) == 2647
