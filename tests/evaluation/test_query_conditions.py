"""Robustness conditions: the same changed queries for every model, and what the record says."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

import harness
from harness.errors import DataError, UsageError
from harness.evaluation.query_conditions import with_typos
from harness.evaluation.record import Record


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.write_task(tmp_path_factory.mktemp("task")))


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Into German, one word each: of the query ``en what is salt number 1`` three words."""
    path = tmp_path_factory.mktemp("lexicons") / "en-de.tsv"
    path.write_text("what\twas\t0.9\nis\tist\t0.8\nnumber\tNummer\t0.7\n")
    return path


def run(task: str, model: Any = None, **more: Any) -> tuple[Record, list[str]]:
    """The record, and the distinct queries that the model got."""
    model = model or tiny.WordBag()
    record = harness.evaluate(model, task, resamples=0, store=False, settings="mono", **more)
    texts = getattr(model, "requested", [])
    return record, [x for x in texts if " and " not in x and " told " not in x]


def facts(record: Record) -> Any:
    return record.document["model"]["facts"]["treatments"]


def test_words_of_a_query_are_put_into_the_languages_of_the_lexicon(
    task: str, lexicon: Path
) -> None:
    record, queries = run(task, code_switch=f"{lexicon}@1")
    assert "en was ist salt Nummer 1" in queries
    assert "zh what is salt number 1" in queries  # no lexicon has words of it
    assert record.model == "word-bag + code-switched 1"
    (about,) = facts(record)
    assert (about["code_switch"], about["seed"]) == (1, 0)
    assert [x["name"] for x in about["lexicons"]] == ["en-de.tsv"]
    changed = record.document["tasks"][0]["query_conditions"]["code-switched 1"]
    assert changed["en"] == {
        "drawn": 50, "into de": 30, "not in a lexicon": 20, "queries": 10, "queries changed": 10,
        "words": 50,
    }  # fmt: skip
    assert changed["zh"] == {"queries": 10, "queries changed": 0}
    (lexicon.parent / "README.md").write_text("Where the lexicons come from.")
    folder, _ = run(task, code_switch=f"{lexicon.parent}@1")
    assert folder.document["tasks"][0]["settings"] == record.document["tasks"][0]["settings"]


def test_every_model_gets_the_same_queries_and_every_run(task: str, lexicon: Path) -> None:
    both = {"code_switch": f"{lexicon}@0.5", "noise": "typos@0.2"}
    one, queries = run(task, **both)
    other, again = run(task, tiny.WordBag(dimensions=8, bias=2.0), **both)
    assert queries == again
    # Fewer questions are the first of the same, and another seed draws others.
    _, fewer = run(task, **both, limit=3)
    assert set(fewer) < set(queries)
    seeded, others = run(task, **both, query_seed=1)
    assert others != queries
    assert [x["seed"] for x in facts(seeded)] == [1, 1]
    prints = {x.document["model"]["fingerprint"] for x in (one, seeded)}
    assert len(prints) == 2
    assert one.document["tasks"][0]["data_digest"] == seeded.document["tasks"][0]["data_digest"]
    assert other.model == "word-bag + code-switched 0.5 + typos 0.2"


def test_the_fingerprint_is_that_of_the_condition_alone(task: str) -> None:
    prints = {
        run(task, noise="typos@0.2", **more)[0].document["model"]["fingerprint"]
        for more in ({}, {"limit": 3}, {"languages": ("en",)})
    }
    assert len(prints) == 1


def test_no_noise_changes_no_number(task: str) -> None:
    plain, noiseless = run(task)[0], run(task, noise="typos@0")[0]
    scores = [x.document["tasks"][0]["settings"] for x in (plain, noiseless)]
    assert scores[0] == scores[1]
    assert "query_conditions" not in plain.document["tasks"][0]


def test_conditions_come_before_translation_and_reach_systems_without_vectors(task: str) -> None:
    translated, queries = run(
        task, noise="typos@1", translate_queries="command:sed s/^/translated:/", into="zh"
    )
    assert all("number" not in x for x in queries)
    assert sum(x.startswith("translated:") for x in queries) == 20
    assert translated.model == "word-bag + typos 1 + queries in zh"
    lexical = [run(task, "bm25", **x)[0].document["tasks"][0] for x in ({}, {"noise": "typos@1"})]
    assert lexical[0]["means"]["mono"]["macro"]["map"] > lexical[1]["means"]["mono"]["macro"]["map"]


def test_a_clean_record_and_a_noisy_one_can_be_compared(task: str, tmp_path: Path) -> None:
    from harness.analysis.compare import compare

    records = [
        harness.evaluate(tiny.WordBag(), task, resamples=0, output=tmp_path, noise=noise)
        for noise in (None, "typos@0.3")
    ]
    found = compare(records, measures=["map"])
    assert found is not None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"noise": "typos"}, "write it as typos@0.1"),
        ({"noise": "typos@2"}, "share from 0 to 1"),
        ({"noise": "typos@x"}, "share from 0 to 1"),
        ({"noise": "static@0.1"}, "the only noise is typos"),
        ({"code_switch": "@0.5"}, "en-de.tsv@0.3"),
    ],
)
def test_a_condition_that_is_written_wrong_says_how(
    task: str, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        run(task, **more)


def test_a_folder_without_lexicons_says_so(task: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no lexicon"):
        run(task, code_switch=f"{tmp_path}@0.5")


def test_a_lexicon_that_is_not_there_is_one_sentence(task: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"en-de\.tsv: cannot be read"):
        run(task, code_switch=f"{tmp_path / 'en-de.tsv'}@0.5")


class Drawn(random.Random):
    """Draws given errors, and letters from the front."""

    def __init__(self, *errors: str) -> None:
        super().__init__(0)
        self.errors = iter(errors)

    def random(self) -> float:
        return 0.0

    def choice(self, seq: Any) -> Any:
        return next(self.errors) if "swap" in seq else seq[0]


@pytest.mark.parametrize(
    ("text", "errors", "typed"),
    [
        ("abc", ("drop", "drop", "double"), "cc"),
        ("ab", ("swap", "drop"), "b"),
        ("ab", ("double", "replace"), "aaa"),
        ("a 1", ("swap",), "a 1"),
        ("a", ("drop",), "a"),
        # A letter keeps its vowel sign.
        ("की", ("double",), "कीकी"),
    ],
)
def test_typos_by_hand(text: str, errors: tuple[str, ...], typed: str) -> None:
    counts: Counter[str] = Counter()
    assert with_typos(text, 1, Drawn(*errors), counts) == typed
    assert counts["mistyped"] == counts["letters"] == len(errors)


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=30), st.floats(0, 1), st.integers(0, 9))
def test_typos_leave_what_is_not_a_letter(text: str, rate: float, seed: int) -> None:
    counts: Counter[str] = Counter()
    typed = with_typos(text, rate, random.Random(seed), counts)

    def others(x: str) -> str:
        return re.sub(r"[^\W\d_]", "", x)

    if not any(ord(x) >= 0x300 for x in text):
        assert others(typed) == others(text)
    assert bool(typed.strip()) == bool(text.strip())
    assert counts["mistyped"] <= counts["letters"]
    if counts["mistyped"] == 0:
        assert typed == text


def test_romanised_queries_are_in_latin_letters(tmp_path: Path) -> None:
    task = tiny.write_task(tmp_path)
    for language, word in (("de", "соль"), ("zh", "盐")):
        file = tmp_path / "data" / f"queries.{language}.jsonl"
        file.write_text(file.read_text().replace("salt", word))
    record, queries = run(str(task), romanise=True)
    assert "zh what is yan number 1" in queries
    assert all(x.isascii() for x in queries)
    assert "en what is salt number 1" in queries
    (about,) = facts(record)
    assert about["romanised_by"] == "uroman"
    assert "seed" not in about
    changed = record.document["tasks"][0]["query_conditions"]["romanised"]
    assert [changed[x]["queries changed"] for x in tiny.LANGUAGES] == [0, 1, 1]
