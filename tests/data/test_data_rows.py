"""Rows that hold a question and its passage: Belebele."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from mteb.tasks.retrieval.multilingual import belebele_retrieval
from mteb_published import published
from tiny_tables import write_rows

from harness.base.languages import short_code
from harness.data import loading as library
from harness.data.task import find_task, read_task
from harness.errors import DataError, HarnessWarning


def belebele_rows(language: str) -> list[dict[str, Any]]:
    """Rows in Belebele's form; in Kinyarwanda two questions on two passages read alike."""
    rows = []
    for link, number, question in [("x/a b", 1, "Who?"), ("x/a b", 2, "When?"), ("y", 1, "Where?"),
                                   ("z", 1, "Why?"), ("z", 2, "How?")]:  # fmt: skip
        asked = f"{language} {question}"
        if language == "kin_Latn" and question in ("When?", "Where?"):
            asked = "kin_Latn same?"
        if language == "fra_Latn" and question in ("Why?", "How?"):
            asked = "fra_Latn same?"  # on one passage
        rows.append(
            {"link": f"https://{link}", "question_number": number, "flores_passage":
             f"{language} passage {link}.", "question": asked, "mc_answer1": "1", "mc_answer2": "2",
             "mc_answer3": "3", "mc_answer4": "4", "correct_answer_num": "1", "dialect": language,
             "ds": "2023-05-03"}
        )  # fmt: skip
    # Nothing says that files keep one order.
    return rows[::-1] if language == "fra_Latn" else rows


def test_belebele_is_read_as_mteb_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mteb's own code on the same rows: texts, and which passages answer, in three languages."""
    codes = {"en": "eng_Latn", "fr": "fra_Latn", "rw": "kin_Latn"}
    for code in codes.values():
        write_rows(tmp_path / "belebele" / "data" / f"{code}.jsonl", belebele_rows(code))
    data = library.load(find_task("belebele"), languages=list(codes), data_dir=tmp_path)
    monkeypatch.setattr(
        belebele_retrieval, "load_dataset", lambda name, **_: {"test": belebele_rows(name)}
    )
    theirs = belebele_retrieval.BelebeleRetrieval()
    pairs = {
        (held, asked): f"{codes[held]}-{codes[asked]}"
        for held in codes
        for asked in codes
        if "en" in (held, asked) or held == asked
    }
    theirs.hf_subsets = list(pairs.values())
    theirs.load_data()
    for (held, asked), subset in pairs.items():
        texts = dict(zip(data.passages[held].ids, data.passages[held].texts, strict=True))
        ours = {
            text: {texts[x.partition(":")[2]] for x in data.qrels[q] if x.startswith(f"{held}:")}
            for q, text in zip(data.queries[asked].ids, data.queries[asked].texts, strict=True)
        }
        corpus = theirs.corpus[subset]["test"]
        assert sorted(x["text"] for x in corpus.values()) == sorted(texts.values())
        assert ours == {
            text: {corpus[x]["text"] for x in theirs.relevant_docs[subset]["test"][q]}
            for q, text in theirs.queries[subset]["test"].items()
        }
    assert data.passages["en"].ids == ("https://x/a%20b", "https://y", "https://z")
    assert "https://x/a%20b#2+https://y#1" in data.queries["rw"].ids


def test_the_languages_of_belebele_are_those_of_mteb() -> None:
    """All 122, each under its own code, which our code becomes the short form of."""
    spec = find_task("belebele")
    assert [spec.source.codes[x] for x in spec.languages] == sorted(
        belebele_retrieval._LANGUAGES, key=lambda code: short_code(code)
    )
    assert {short_code(x): x for x in belebele_retrieval._LANGUAGES} == dict(spec.source.codes)
    told = published("BelebeleRetrieval", "test")
    for language in spec.languages:
        code = spec.source.codes[language]
        assert told[f"{code}-{code}"]["documents_text_statistics"]["unique_texts"] == 488


def test_two_texts_under_one_passage_id_are_a_warning(tmp_path: Path) -> None:
    """A passage id that is none: the second text is in no pool, and its question has the first."""
    rows = belebele_rows("eng_Latn")
    shared = [at for at, row in enumerate(rows) if row["link"] == rows[0]["link"]]
    rows[shared[-1]]["flores_passage"] += " And more."
    write_rows(tmp_path / "belebele" / "data" / "eng_Latn.jsonl", rows)
    said = (
        rf"rows with another text .* passage id: 1, from line {shared[-1] + 1}, 'https://x/a%20b' "
    )
    with pytest.warns(HarnessWarning, match=said):
        library.load(find_task("belebele"), languages=["en"], data_dir=tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question": ""}, "line 1: 'question' is empty"),
        ({"link": None}, "line 1: 'link' must be text or a whole number, not None"),
        ({"flores_passage": 7}, "line 1: 'flores_passage' must be a string, not 7"),
        ({"question_number": 2}, "line 2: question 'https://x/a%20b#2' occurs twice in the file"),
    ],
)
def test_what_is_wrong_in_a_row_is_named(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    rows = belebele_rows("eng_Latn")
    rows[0] |= change
    path = tmp_path / "belebele" / "data" / "eng_Latn.jsonl"
    write_rows(path, rows)
    spec = find_task("belebele")
    with pytest.raises(DataError, match=rf"eng_Latn\.jsonl: {re.escape(message)}"):
        library.load(spec, languages=["en"], data_dir=tmp_path)
    rows[0].pop("link")
    write_rows(path, rows)
    with pytest.raises(DataError, match="line 1: key 'link' is missing"):
        library.load(spec, languages=["en"], data_dir=tmp_path)
    path.write_text("")
    with pytest.raises(DataError, match=r"eng_Latn\.jsonl: contains no row"):
        library.load(spec, languages=["en"], data_dir=tmp_path)


def test_a_language_that_is_no_text_is_left_out_like_another(tmp_path: Path) -> None:
    row = {"q_de": "Wo?", "qid": 1, "text": "Hier.", "id": 1, "lang": "de"}
    write_rows(tmp_path / "data" / "rows.jsonl", [row, {**row, "id": 2, "lang": ["de"]}])
    (tmp_path / "task.toml").write_text(
        """name = "mixed"
title = "Mixed"
description = "Passages of all languages in one file."
reader = "rows"
languages = ["de"]
settings = ["mono"]
text = "text"
measures = ["map"]
license = "CC0-1.0"
[source]
folder = "data"
[source.paths]
rows = "rows.jsonl"
[source.rows]
question = "q_{language}"
question_id = ["qid"]
passage = "text"
passage_id = ["id"]
language = "lang"
"""
    )
    with pytest.warns(HarnessWarning, match=r"1 rows are left out: their 'lang' is \"\['de'\]\""):
        data = library.load(read_task(tmp_path / "task.toml"))
    assert data.passages["de"].ids == ("1",)
