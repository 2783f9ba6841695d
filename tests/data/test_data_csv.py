"""Comma-separated values, and passages of all languages in one table of them: Multi-EuP v2."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
from tiny import WordBag
from tiny_tables import debates, write_rows

import harness
from harness.data import loading as library
from harness.data.documents import Document, rows
from harness.data.task import find_task, read_task
from harness.data.trec import read_qrels, read_run
from harness.errors import DataError, HarnessWarning, TaskError

LANGUAGES = ("de", "en", "mt")
FILE = "clean_all_with_did_qid.MEP.csv"


def write(folder: Path, found: list[dict[str, str]]) -> Path:
    write_rows(folder / "multi-eup-v2" / FILE, found)
    return folder


def test_speeches_answer_the_title_of_their_debate_in_every_language(tmp_path: Path) -> None:
    found = debates(("en", *LANGUAGES[::2]))
    # A debate without a title in Maltese, a speech of no debate, and the same debate named anew.
    for row in found[:9]:
        row["title_MT"] = " "
    found[-1] |= {"qid_EN": "", "did": "of no debate"}
    found[8]["title_EN"] = "another title"
    data = library.load(
        find_task("multi-eup-v2"), languages=LANGUAGES, data_dir=write(tmp_path, found)
    )
    assert data.languages == LANGUAGES
    assert data.queries["en"].ids == data.queries["de"].ids == ("0#EN", "1#EN", "2#EN")
    assert data.queries["en"].texts == ("river, en river", "salt, en salt", "bridge, en bridge")
    assert data.queries["mt"].texts == ("salt, mt salt", "bridge, mt bridge")
    assert data.passages["mt"].texts[0] == 'river river river, "mt":\nspeech, 0'
    assert set(data.qrels["0#EN"]) == {f"{x}:{x}0-{n}" for x in LANGUAGES for n in range(3)}
    assert len(data.qrels["2#EN"]) == 8 and len(data.passages["mt"]) == 9


def test_one_pool_of_speeches_is_scored_as_trec_eval_scores_it(tmp_path: Path) -> None:
    folder = write(tmp_path, debates(LANGUAGES, speeches=7))
    record = harness.evaluate(
        WordBag(),
        tasks=["multi-eup-v2"],
        languages=LANGUAGES,
        settings=("multi",),
        data_dir=folder,
        trec=tmp_path / "trec",
        store=False,
        resamples=0,
    )
    table = record.table("multi-eup-v2")
    assert table.relevant.tolist() == [21] * 9
    for at, setting in enumerate(table.settings):
        file = tmp_path / "trec" / "multi-eup-v2" / setting.name.replace("/", ".")
        judged, run = read_qrels(f"{file}.qrels"), read_run(f"{file}.run")
        theirs = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut.20"}).evaluate(run)
        for row in np.flatnonzero(table.setting == at):
            question = f"{setting.query_language}:{table.questions[table.question[row]]}"
            expected = theirs[question]["ndcg_cut_20"]
            assert table.values["ndcg@20"][row] == pytest.approx(expected, abs=1e-12)


def test_rows_in_languages_the_task_lacks_are_counted(tmp_path: Path) -> None:
    found = debates(LANGUAGES)
    found[0]["LANGUAGE"] = "NO"
    with pytest.warns(HarnessWarning, match=r"1 rows are left out: their 'LANGUAGE' is 'NO'"):
        data = library.load(
            find_task("multi-eup-v2"), languages=["de", "en"], data_dir=write(tmp_path, found)
        )
    assert data.passage_counts == {"de": 8, "en": 9}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "line 3: has 1 fields, but the header names 2"),
        ('a,b\n1,"x\ny"\n3,4,5\n', "line 4: has 3 fields, but the header names 2"),
        (
            'a,b\n1,"never closed\n3,4\n',
            "line 2: not comma-separated values: unexpected end of data",
        ),
        ('a,b\n1,"x" y\n', "line 2: not comma-separated values: ',' expected after '\"'"),
        ("a,b\n\n1,2\n", "line 2: is empty"),
        ("a,a\n1,2\n", "line 1: must be a header with a different name for each column"),
        ("a,\n1,2\n", "line 1: must be a header with a different name for each column"),
    ],
)
def test_a_table_that_is_wrong_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"x.csv: {message}")):
        list(rows(Document(Path("x.csv"), text)))


def test_the_limit_on_fields_that_others_rely_on_stays() -> None:
    """It is one for the whole process: a small file once made the next reader's fields too long."""
    limit = csv.field_size_limit()
    long = "x" * (limit + 1)
    for text, fields in (("id\n1\n", ["1"]), (f"id\n{long}\n2\n", [long, "2"])):
        found = rows(Document(Path("x.csv"), text))
        assert [next(found).fields["id"]] == fields[:1]
        assert csv.field_size_limit() == limit, "while rows are read"
        assert [x.fields["id"] for x in found] == fields[1:]
        assert csv.field_size_limit() == limit
    with pytest.raises(DataError):
        list(rows(Document(Path("x.csv"), "id\n1,2\n")))
    assert csv.field_size_limit() == limit


def test_fields_of_a_table_can_hold_lines_and_be_long() -> None:
    text = 'a,b\r\n"1, one","x ""y""\nz"\r\n2,' + "long " * 50_000 + "\n\r\n\n"
    first, second = rows(Document(Path("x.csv"), text))
    assert first == (2, {"a": "1, one", "b": 'x "y"\nz'})
    assert second.line == 4 and len(second.fields["b"]) == 250_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"did": "en0-1"}, "line 4: passage 'en0-1' occurs twice in 'en'"),
        ({"did": ""}, "line 2: 'did' must be text or a whole number, not ''"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, change: dict[str, str], message: str) -> None:
    found = debates(("en", "de"))
    found[0] |= change
    with pytest.raises(DataError, match=re.escape(f"{FILE}: {message}")):
        library.load(
            find_task("multi-eup-v2"), languages=["de", "en"], data_dir=write(tmp_path, found)
        )


def test_tables_of_queries_and_judgements_can_be_csv(tmp_path: Path) -> None:
    task = (
        'name = "t"\ntitle = "T"\ndescription = "Of a test."\nreader = "tables"\n'
        'languages = ["en"]\n'
        'settings = ["mono"]\ntext = "title-space-text"\nmeasures = ["map"]\nlicense = "CC0-1.0"\n'
        '[source]\nfolder = "data"\n[source.paths]\nqueries = "q.csv"\npassages = "p.csv"\n'
        'qrels = "r.csv"\n'
    )
    (tmp_path / "task.toml").write_text(task)
    write_rows(tmp_path / "data" / "q.csv", [{"id": "1", "text": "river, salt"}])
    write_rows(tmp_path / "data" / "p.csv", [{"_id": "7", "title": "A", "text": "b\nc"}])
    write_rows(tmp_path / "data" / "r.csv", [{"query-id": "1", "corpus-id": "7", "score": "2"}])
    data = library.load(read_task(tmp_path / "task.toml"))
    assert data.passages["en"].texts == ("A b\nc",) and data.qrels == {"1": {"en:7": 2}}
    (tmp_path / "task.toml").write_text(f"{task}[source.corpus.passages]\nen = 1\n")
    with pytest.raises(
        TaskError, match=r"paths\.passages' is a CSV file, which cannot be streamed"
    ):
        read_task(tmp_path / "task.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title_{code}", "title", "'source.rows.question' must contain {language} or {code} where"),
        ("title_{code}", "{code}_{x}", "'source.rows.question' can contain only {language} and"),
        (FILE, "{code}.csv", "'source.paths.rows' must name one file where"),
    ],
)
def test_a_task_file_of_such_a_table_names_the_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = find_task("multi-eup-v2").path.read_text()
    (tmp_path / "task.toml").write_text(text.replace(old, new))
    with pytest.raises(TaskError, match=re.escape(message)):
        read_task(tmp_path / "task.toml")
