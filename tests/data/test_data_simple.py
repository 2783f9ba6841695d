from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.data.loading import load
from harness.data.task import TaskSpec, find_task, read_task
from harness.errors import DataError

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own-task" / "my-task.toml"
QRELS = "query-id\tpassage-id\tscore\n"


def put_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def task(tmp_path: Path, reader: str, languages: list[str], text: str) -> TaskSpec:
    path = tmp_path / "own.toml"
    path.write_text(
        f'name = "own"\ntitle = "Own"\ndescription = "Own."\nreader = "{reader}"\n'
        f"languages = {json.dumps(languages)}\nsettings = ['mono']\ntext = '{text}'\n"
        'measures = ["map"]\nlicense = "CC0-1.0"\n[source]\nfolder = "data"\n'
    )
    return read_task(path)


def simple(tmp_path: Path, text: str = "title-newline-text") -> TaskSpec:
    """Two languages that share q1, p1 and p2; each has a query and a passage of its own."""
    data = tmp_path / "data"
    for language in ("en", "de"):
        put_lines(
            data / f"queries.{language}.jsonl",
            [{"id": "q1", "text": f"one {language}"}, {"id": f"q-{language}", "text": "own"}],
        )
        put_lines(
            data / f"passages.{language}.jsonl",
            [
                {"id": "p1", "title": "T", "text": f"first {language}"},
                {"id": "p2", "text": f"second {language}"},
                {"id": f"p-{language}", "title": "", "text": "own"},
            ],
        )
    rows = "q1\tp1\t1\nq-en\tp-en\t2\nq-de\tp-de\t1\nq-de\tp2\t0\n"
    (data / "qrels.tsv").write_text(QRELS + rows)
    return task(tmp_path, "simple", ["en", "de"], text)


def beir(tmp_path: Path) -> TaskSpec:
    data = tmp_path / "data"
    put_lines(
        data / "corpus.jsonl",
        [
            {"_id": "d1", "title": "T", "text": "one", "metadata": {}},
            {"_id": "d2", "title": "", "text": "two"},
            {"_id": "d3", "title": "Three", "text": ""},
        ],
    )
    put_lines(data / "queries.jsonl", [{"_id": x, "text": x} for x in ("a", "train", "b")])
    (data / "qrels").mkdir()
    (data / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\na\td1\t2\nb\td3\t1\nb\td1\t0\n"
    )
    return task(tmp_path, "beir", ["en"], "title-space-text")


def test_a_judgement_applies_in_every_language_that_has_the_passage(tmp_path: Path) -> None:
    data = load(simple(tmp_path))
    assert data.qrels == {
        "q1": {"en:p1": 1, "de:p1": 1},
        "q-en": {"en:p-en": 2},
        "q-de": {"de:p-de": 1, "en:p2": 0, "de:p2": 0},
    }
    assert data.queries["de"].ids == ("q1", "q-de")
    assert data.partial == {}


def test_a_judgement_with_a_language_applies_only_there(tmp_path: Path) -> None:
    spec = simple(tmp_path)
    (tmp_path / "data" / "qrels.tsv").write_text(
        "query-id\tlanguage\tpassage-id\tscore\nq1\tde\tp1\t1\nq1\ten\tp2\t1\n"
        "q-en\tde\tp1\t1\nq-de\tde\tp2\t1\n"
    )
    assert load(spec).qrels == {
        "q1": {"de:p1": 1, "en:p2": 1}, "q-en": {"de:p1": 1}, "q-de": {"de:p2": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("title-newline-text", "T\nfirst en"),
        ("title-space-text", "T first en"),
        ("text", "first en"),
    ],
)
def test_how_title_and_text_are_joined(tmp_path: Path, option: str, text: str) -> None:
    assert load(simple(tmp_path, option)).passages["en"].texts == (text, "second en", "own")


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    spec = simple(tmp_path)
    expected = load(spec).digest
    for path in (tmp_path / "data").iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load(spec).digest == expected


def test_line_separators_inside_a_text_do_not_end_a_line(tmp_path: Path) -> None:
    spec = simple(tmp_path)
    path = tmp_path / "data" / "queries.en.jsonl"
    path.write_text('{"id": "q1", "text": "a\u2028b\u0085c"}\n', encoding="utf-8")
    (tmp_path / "data" / "qrels.tsv").write_text(QRELS + "q1\tp1\t1\nq-de\tp-de\t1\n")
    assert load(spec).queries["en"].texts == ("a\u2028b\u0085c",)


def test_questions_without_a_relevant_passage_are_left_out_and_counted(tmp_path: Path) -> None:
    spec = simple(tmp_path)
    # q-en is judged, but nothing is relevant; q1 is not judged at all in one language less.
    (tmp_path / "data" / "qrels.tsv").write_text(
        "query-id\tpassage-id\tscore\tlanguage\nq-en\tp1\t0\ten\nq1\tp1\t1\tde\nq-de\tp2\t1\tde\n"
    )
    data = load(spec)
    assert data.queries["en"].ids == ("q1",)
    assert data.partial == {"questions_without_gold": 1}
    with pytest.raises(DataError, match="'own': no question in 'en' has a relevant passage among"):
        load(spec, languages=["en"])


def test_relevant_passages_of_languages_left_out_are_dropped(tmp_path: Path) -> None:
    data = load(simple(tmp_path), languages=["de"])
    assert data.qrels == {"q1": {"de:p1": 1}, "q-de": {"de:p-de": 1, "de:p2": 0}}
    assert data.partial == {"languages": ["de"]}


def test_a_limit_counts_in_each_language(tmp_path: Path) -> None:
    data = load(simple(tmp_path), limit=1)
    assert {x: data.queries[x].ids for x in data.languages} == {"en": ("q1",), "de": ("q1",)}
    assert set(data.qrels) == {"q1"}
    assert data.partial == {"limit": 1}


BROKEN_LINES = [
    ('{"id": "q1", "text": "x"', r"line 2: not valid JSON"),
    ('["q2", "x"]', r"line 2: must be a JSON object, not"),
    ("", r"line 2: is empty"),
    ('{"id": "q2"}', r"line 2: key 'text' is missing"),
    ('{"id": "q2", "txet": "x"}', r"line 2: key 'txet' is unknown; did you mean 'text'\?"),
    ('{"id": "q2", "text": 3}', r"line 2, id 'q2': text must be a string, not 3"),
    (
        '{"id": "q2", "text": "\\ud800!"}',
        r"line 2, id 'q2': contains the lone surrogate \\ud800 at",
    ),
    ('{"id": "q1", "text": "x"}', r"line 2, id 'q1': this id occurs twice in the file"),
    ('{"id": "q\\u00a02", "text": "x"}', r"line 2: id 'q\\xa02' contains whitespace"),
    ('{"id": "", "text": "x"}', r"line 2: an id must be a non-empty string"),
    ('{"id": 2, "text": "x"}', r"line 2: an id must be a non-empty string, not 2"),
    ('{"id": "\\udfff", "text": "x"}', r"line 2: id '\\udfff': contains the lone surrogate"),
]


@pytest.mark.parametrize("text", ["", "\\n\\t"])
def test_a_passage_may_be_empty_and_a_query_not(tmp_path: Path, text: str) -> None:
    spec = simple(tmp_path)
    line = f'{{"id": "p9", "text": "{text}"}}\n'
    with (tmp_path / "data" / "passages.de.jsonl").open("a") as file:
        file.write(line)
    assert load(spec).passages["de"].texts[-1] == ""
    with (tmp_path / "data" / "queries.de.jsonl").open("a") as file:
        file.write(line)
    with pytest.raises(DataError, match="id 'p9': text is empty"):
        load(spec)


@pytest.mark.parametrize("name", ["queries.de.jsonl", "passages.de.jsonl"])
@pytest.mark.parametrize(("line", "message"), BROKEN_LINES)
def test_a_malformed_line(tmp_path: Path, name: str, line: str, message: str) -> None:
    spec = simple(tmp_path)
    path = tmp_path / "data" / name
    path.write_text(f'{{"id": "q1", "text": "x"}}\n{line}\n{{"id": "q9", "text": "x"}}\n')
    with pytest.raises(DataError, match=message) as caught:
        load(spec)
    assert str(caught.value).startswith(f"{path}: line 2")
    str(caught.value).encode("utf-8")  # the message can be printed, whatever the file held


def test_a_file_that_is_empty_or_not_utf_8(tmp_path: Path) -> None:
    spec = simple(tmp_path)
    path = tmp_path / "data" / "passages.en.jsonl"
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"passages\.en\.jsonl: contains no line"):
        load(spec)
    path.write_bytes('{"id": "p1", "text": "x"}\n{"id": "p2", "text": "ü"}\n'.encode("latin-1"))
    with pytest.raises(DataError, match=r"passages\.en\.jsonl: line 2: not UTF-8 \(byte 0xfc"):
        load(spec)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("q1\tp1\t1\nq7\tp1\t1\n", "line 3: no language has a query 'q7'"),
        ("q1\tp7\t1\n", "line 2: no language has a passage 'p7'"),
        ("q1\tp1\t0.5\n", "line 2: score must be an integer, not '0.5'"),
        ("q1\tp1\t1_0\n", "line 2: score must be an integer, not '1_0'"),
        ("q1\tp1\t\n", "line 2: score must be an integer, not ''"),
        ("q1 0 p1 1\n", "line 2: has 1 tab-separated fields, but the header names 3"),
        ("q1\t\t1\n", "line 2: an id must be a non-empty string"),
        ("q1\tp1\t1\nq1\tp1\t1\n", "line 3: passage 'en:p1' is judged twice for query 'q1'"),
        ("\nq1\tp1\t1\n", "line 2: is empty"),
        ("", "no question in 'en' has a relevant passage"),
    ],
)
def test_a_malformed_judgement(tmp_path: Path, rows: str, message: str) -> None:
    spec = simple(tmp_path)
    (tmp_path / "data" / "qrels.tsv").write_text(QRELS + rows)
    with pytest.raises(DataError, match=message):
        load(spec)


@pytest.mark.parametrize(
    "header",
    ["", "q1\tp1\t1", "query-id\tpassage-id", "query-id\tpassage-id\tscore\tnote",
     "query-id\tpassage-id\tscore\tscore"],
)  # fmt: skip
def test_a_table_of_judgements_needs_its_header(tmp_path: Path, header: str) -> None:
    spec = simple(tmp_path)
    (tmp_path / "data" / "qrels.tsv").write_text(header + "\nq1\tp1\t1\n" if header else "")
    with pytest.raises(DataError, match=r"qrels\.tsv: line 1: must be a header with the columns"):
        load(spec)


def test_a_judgement_in_a_wrong_language(tmp_path: Path) -> None:
    spec = simple(tmp_path)
    path = tmp_path / "data" / "qrels.tsv"
    path.write_text("query-id\tpassage-id\tscore\tlanguage\nq1\tp-en\t1\tde\n")
    with pytest.raises(DataError, match="line 2: language 'de' does not have a passage 'p-en'"):
        load(spec)
    path.write_text("query-id\tpassage-id\tscore\tlanguage\nq1\tp1\t1\tfr\n")
    with pytest.raises(DataError, match=r"line 2: language 'fr' is not one of the task's \(en, de"):
        load(spec)


def test_beir(tmp_path: Path) -> None:
    data = load(beir(tmp_path))
    assert data.queries["en"].ids == ("a", "b")  # "train" is not judged here
    assert data.passages["en"].texts == ("T one", "two", "Three")
    assert data.qrels == {"a": {"en:d1": 2}, "b": {"en:d3": 1, "en:d1": 0}}
    assert data.partial == {}


@pytest.mark.parametrize(
    ("row", "message"),
    [("c\td1\t1\n", "line 5: there is no query 'c'"), ("a\td1\tx\n", "score must be an integer")],
)
def test_a_judgement_of_nothing_in_beir(tmp_path: Path, row: str, message: str) -> None:
    spec = beir(tmp_path)
    with (tmp_path / "data" / "qrels" / "test.tsv").open("a") as file:
        file.write(row)
    with pytest.raises(DataError, match=message):
        load(spec)


def test_the_example_of_the_documentation() -> None:
    data = load(read_task(EXAMPLE))
    assert {x: (len(data.queries[x]), len(data.passages[x])) for x in data.languages} == {
        "en": (4, 6), "de": (4, 6),
    }  # fmt: skip
    assert data.qrels["q1"] == {"en:p1": 1, "de:p1": 1}
    assert data.passages["de"].texts[1].startswith("Schwarzer Tee\nEr verlangt")


def test_the_page_shows_the_example_as_it_is() -> None:
    page = EXAMPLE.parents[2] / "docs" / "own-task.md"
    assert EXAMPLE.read_text(encoding="utf-8") in page.read_text(encoding="utf-8")


def test_the_demo_task_loads_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    spec = find_task("demo")
    data = load(spec, offline=True)
    assert data.languages == spec.languages
    assert data.partial == {}
    # A parallel set: the same questions and passages in every language, a relevant passage in each.
    for language in data.languages:
        assert data.queries[language].ids == data.queries["en"].ids
        assert data.passages[language].ids == data.passages["en"].ids
    for judged in data.qrels.values():
        assert {x.partition(":")[0] for x in judged} == set(data.languages)
