"""Paragraphs of SQuAD's JSON, and questions that stand next to their passages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mteb_published import published

from harness.base.languages import short_code
from harness.data.loading import load
from harness.data.readers.question_rows import Pair, reading_of
from harness.data.task import TaskSpec, find_task, read_task
from harness.errors import DataError

TASK = """\
name = "paragraphs"
title = "Paragraphs"
description = "Paragraphs."
reader = "squad"
languages = ["en", "de"]
settings = ["mono", "cross", "multi"]
text = "text"
measures = ["ndcg@10"]
license = "CC0-1.0"

[source]
folder = "./data"
"""


def test_xquad_has_the_texts_of_mteb(real_data: Path) -> None:
    """Number, distinct texts and characters of both sides, in each language that both have."""
    data = load(find_task("xquad"), data_dir=real_data, offline=True)
    told = published("XQuADRetrieval", "validation")
    assert set(told) - set(data.languages) == {"ro"}
    for language in data.languages:
        requested, held = data.queries[language], data.passages[language]
        expected = told[language]
        assert (len(requested), len(held)) == (
            expected["queries_text_statistics"]["unique_texts"],
            expected["documents_text_statistics"]["unique_texts"],
        )
        assert (
            len(set(requested.texts)) == len(requested) and len(set(held.texts)) == len(held) == 240
        )
        counted = [sum(map(len, side.texts)) for side in (requested, held)]
        assert counted[0] == expected["queries_text_statistics"]["total_text_length"]
        assert sum(counted) == expected["number_of_characters"]
        ids = {f"{language}:{x}" for x in held.ids}
        relevant = [[x for x in data.qrels[q] if x in ids] for q in requested.ids]
        assert all(len(x) == 1 for x in relevant)
        assert expected["relevant_docs_statistics"]["average_relevant_docs_per_query"] == 1.0
    assert data.partial == {}
    # Every paragraph is there in all languages.
    assert all(len(judged) == 11 for judged in data.qrels.values())


def test_mlqa_dev_has_the_texts_of_mteb(real_data: Path) -> None:
    """In Chinese, of which alone mteb publishes counts, and in Chinese paragraphs asked elsewhere.

    mteb keeps the spaces around MLQA's texts, which XQuAD's own loader drops: two of them here.
    """
    data = load(find_task("mlqa-dev"), data_dir=real_data, offline=True)
    told = published("MLQARetrieval", "validation")
    requested, held = data.queries["zh"], data.passages["zh"]
    expected = told["zho-zho"]
    assert len(requested) == expected["queries_text_statistics"]["unique_texts"] == 504
    assert len(held) == expected["documents_text_statistics"]["unique_texts"] == 443
    characters = sum(len(x) for side in (requested, held) for x in side.texts)
    assert characters + 2 == expected["number_of_characters"]
    for subset, counts in told.items():
        language = short_code(subset.partition("-")[2])
        relevant = [
            {x for x in data.qrels[question] if x.startswith("zh:")}
            for question in data.queries[language].ids
        ]
        assert sum(map(bool, relevant)) == counts["queries_text_statistics"]["unique_texts"]
        assert len(set().union(*relevant)) == counts["documents_text_statistics"]["unique_texts"]


def paragraph(context: str, **questions: str) -> dict[str, Any]:
    return {
        "context": context,
        "qas": [
            {"id": x, "question": text, "answers": [{"text": "?", "answer_start": 0}]}
            for x, text in questions.items()
        ],
    }


def task(folder: Path, **languages: list[dict[str, Any]]) -> TaskSpec:
    (folder / "data").mkdir(exist_ok=True)
    for language, held in languages.items():
        # Two articles, as SQuAD has them.
        articles = [{"title": "A", "paragraphs": held[:1]}, {"title": "B", "paragraphs": held[1:]}]
        (folder / "data" / f"{language}.json").write_text(json.dumps({"data": articles}))
    (folder / "task.toml").write_text(TASK)
    return read_task(folder / "task.toml")


def test_equal_paragraphs_are_one_and_spaces_around_them_do_not_count(tmp_path: Path) -> None:
    spec = task(
        tmp_path,
        en=[paragraph("Tea. ", q1="Which drink?"), paragraph("Tea.", q2=" What is it?\n"),
            paragraph("Bread.", q3="And to eat?")],
        de=[paragraph("Brot.", q3="Und zu essen?"), paragraph("Tee.", q1="Welches?", q2="Was?")],
    )  # fmt: skip
    data = load(spec)
    assert data.passages["en"].ids == ("0", "2") and data.passages["en"].texts == ("Tea.", "Bread.")
    assert data.queries["en"].texts == ("Which drink?", "What is it?", "And to eat?")
    # The order of paragraphs may differ: a question's paragraphs are one set by its id.
    assert data.qrels == {
        "q1": {"en:0": 1, "de:1": 1},
        "q2": {"en:0": 1, "de:1": 1},
        "q3": {"en:2": 1, "de:0": 1},
    }


def test_equal_questions_are_one() -> None:
    reading = reading_of(
        {
            "en": [
                Pair("1", "Who?", "a", "Ann."),
                Pair("2", "Who?", "a", "Ann."),
                Pair("3", "When?", "a", "Ann."),
                Pair("4", "When?", "b", "Bob."),
            ],
            "de": [
                Pair("1", "Wer?", "a", "Anna."),
                Pair("2", "Wer denn?", "a", "Anna."),
                Pair("3", "Wann?", "a", "Anna."),
                Pair("4", "Wann denn?", "b", "Bert."),
            ],
        }
    )
    # With one passage the first stands for both; with two, both passages answer.
    assert reading.queries["en"].ids == ("1", "3+4")
    assert reading.queries["de"].ids == ("1", "2", "3", "4")
    assert reading.qrels["1"] == reading.qrels["2"] == {"en:a": 1, "de:a": 1}
    assert reading.qrels["3"] == {"en:a": 1, "de:a": 1}
    assert reading.qrels["3+4"] == {"en:a": 1, "de:a": 1, "en:b": 1, "de:b": 1}


def test_unanswerable_questions_are_left_out_and_counted(tmp_path: Path) -> None:
    """As SQuAD 2.0 marks them; one that another language answers is not counted."""
    spec = task(
        tmp_path,
        en=[
            {
                "context": "Tea.",
                "qas": [
                    {"id": "a", "question": "A?", "answers": [{"text": "Tea", "answer_start": 0}]},
                    {"id": "b", "question": "B?", "is_impossible": True, "answers": []},
                    {"id": "c", "question": "C?", "answers": []},
                    {"id": "d", "question": "D?", "is_impossible": True},
                ],
            }
        ],
        de=[paragraph("Tee.", a="A?", d="D?"), paragraph("", e="E?")],
    )
    data = load(spec)
    assert data.partial == {"questions_without_gold": 2}
    assert (data.queries["en"].ids, data.queries["de"].ids) == (("a",), ("a", "d", "e"))
    assert data.passages["de"].texts == ("Tee.", "")


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ([{"context": 7, "qas": []}], "paragraph 0: 'context' must be a string, not 7"),
        ([paragraph("C.", q="")], "paragraph 0, question 'q': 'question' is empty"),
        (
            [paragraph("C.", q="Q?"), paragraph("D.", q="R?")],
            "'q': this id occurs twice in the file",
        ),
        ([paragraph("C.")], "contains no question"),
        ([{"context": "C."}], "paragraph 0: key 'qas' is missing"),
        ([{"context": "C.", "qas": [7]}], "paragraph 0: a question must be a JSON object"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, held: list[dict[str, Any]], message: str) -> None:
    spec = task(tmp_path, en=held, de=[paragraph("C.", x="X?")])
    with pytest.raises(DataError, match=rf"en\.json: .*{message.replace('?', '.')}"):
        load(spec)
