"""Breakdowns: by hand on a few rows, and against the record's own means and intervals."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from contents import record_document, task_entry

import harness
from harness.analysis.breakdown import BY, Breakdown, Slice, break_down
from harness.base.languages import LANGUAGES, UNKNOWN, script_of
from harness.cli import main
from harness.data.task import Setting
from harness.errors import RecordError, UsageError
from harness.evaluation.record import Record
from harness.stats.per_query import PerQuery

# (setting, question, relevant passages, characters, map, rank distance)
HAND = [
    (Setting("mono", "en", "en"), "q1", 1, 10, 0.2, math.nan),
    (Setting("mono", "en", "en"), "q2", 1, 20, 0.4, math.nan),
    (Setting("mono", "ru", "ru"), "q1", 1, 30, 0.6, math.nan),
    (Setting("cross", "en", "ru"), "q1", 1, 10, 0.1, math.nan),
    (Setting("cross", "en", "de"), "q1", 1, 10, 0.5, math.nan),
    (Setting("cross", "en", "de"), "q2", 1, 20, 0.7, math.nan),
    (Setting("cross", "ru", "en"), "q1", 1, 30, 0.3, math.nan),
    (Setting("multi", "en", None), "q1", 3, 10, 0.9, 4.0),
    (Setting("multi", "en", None), "q2", 2, 20, 0.3, 1.0),
    (Setting("multi", "ru", None), "q1", 3, 30, 0.6, 8.0),
]


def by_hand(trained: Sequence[str] | None = ("en",), rows: Sequence[Any] = HAND) -> Record:
    """A record of ``rows``."""
    settings = tuple(dict.fromkeys(row[0] for row in rows))
    questions = tuple(dict.fromkeys(row[1] for row in rows))
    table = PerQuery(
        settings=settings,
        questions=questions,
        setting=np.array([settings.index(row[0]) for row in rows], np.int32),
        question=np.array([questions.index(row[1]) for row in rows], np.int32),
        relevant=np.array([row[2] for row in rows], np.int32),
        query_chars=np.array([row[3] for row in rows], np.int32),
        values={
            "map": np.array([row[4] for row in rows]),
            "rank_distance": np.array([row[5] for row in rows]),
        },
    )
    entry = task_entry(
        "hand",
        measures=["map", "rank_distance"],
        languages=["en", "de", "ru"],
        settings=[
            {
                "setting": s.name,
                "kind": s.kind,
                "query_language": s.query_language,
                "passage_language": s.passage_language,
                "queries": 1,
                "pool": 1,
                "scores": {},
            }
            for s in settings
        ],
    )
    document = record_document(entry, name="by hand")
    document["model"]["languages"] = None if trained is None else list(trained)
    return Record(document, {"hand": table})


def rows_of(found: Breakdown, kind: str, table: int = 0) -> dict[str, Slice]:
    of_kind = [x for x in found.tables if x.kind == kind]
    return {row.name: row for row in of_kind[table].rows}


def means(rows: dict[str, Slice], measure: str = "map") -> dict[str, float]:
    return {name: row.cells[measure].mean for name, row in rows.items()}


def test_by_language_and_pair_by_hand() -> None:
    found = break_down(by_hand(), "language")
    assert means(rows_of(found, "mono")) == pytest.approx({"en": 0.3, "ru": 0.6})
    # English: the mean of en-ru (0.1) and en-de (0.6), whatever their queries; micro is over three.
    assert means(rows_of(found, "cross")) == pytest.approx({"en": 0.35, "ru": 0.3})
    english = rows_of(found, "cross")["en"]
    assert english.cells["map"].micro == pytest.approx((0.1 + 0.5 + 0.7) / 3)
    assert (english.settings, english.queries, english.questions) == (2, 3, 2)
    assert means(rows_of(found, "multi"), "rank_distance") == {"en": 2.5, "ru": 8.0}
    pairs = break_down(by_hand(), "pair")
    assert [x.kind for x in pairs.tables] == ["cross"]
    assert means(rows_of(pairs, "cross")) == pytest.approx(
        {"en-ru": 0.1, "en-de": 0.6, "ru-en": 0.3}
    )


def test_a_measure_that_a_kind_does_not_define_is_not_in_its_table() -> None:
    tables = {x.kind: x.measures for x in break_down(by_hand(), "language").tables}
    assert tables == {"mono": ("map",), "cross": ("map",), "multi": ("map", "rank_distance")}


def test_by_script_by_hand() -> None:
    found = break_down(by_hand(), "script")
    assert means(rows_of(found, "mono")) == pytest.approx({"Cyrillic": 0.6, "Latin": 0.3})
    # en-de is within a script; en-ru (0.1) and ru-en (0.3) are not.
    assert means(rows_of(found, "cross", 1)) == pytest.approx(
        {"same script": 0.6, "other script": 0.2}
    )


def test_by_seen_as_the_record_knows_and_as_stated() -> None:
    found = break_down(by_hand(["en", "de"]), "seen")
    assert (found.seen, found.seen_stated) == (("en", "de"), False)
    assert means(rows_of(found, "mono")) == pytest.approx({"seen": 0.3, "unseen": 0.6})
    assert means(rows_of(found, "cross")) == pytest.approx(
        {"seen-seen": 0.6, "seen-unseen": 0.1, "unseen-seen": 0.3}
    )
    stated = break_down(by_hand(["en", "de"]), "seen", seen=["ru-RU"])
    assert (stated.seen, stated.seen_stated) == (("ru",), True)
    assert means(rows_of(stated, "mono")) == pytest.approx({"seen": 0.6, "unseen": 0.3})
    # English to German is between two unseen languages now: 0.6.
    assert means(rows_of(stated, "cross")) == pytest.approx(
        {"seen-unseen": 0.3, "unseen-seen": 0.1, "unseen-unseen": 0.6}
    )


def test_a_record_without_known_languages_says_so_and_takes_them() -> None:
    with pytest.raises(UsageError, match=r"does not know which .* by hand was trained on.*--seen"):
        break_down(by_hand(None), "seen")
    assert break_down(by_hand(None), "seen", seen=["en"]).seen == ("en",)


def test_by_number_of_relevant_passages_by_hand() -> None:
    found = break_down(by_hand(), "golds")
    assert [x.kind for x in found.tables] == ["multi"]  # one relevant passage everywhere else
    rows = rows_of(found, "multi")
    assert means(rows) == pytest.approx(
        {"2 relevant passages": 0.3, "3 relevant passages": (0.9 + 0.6) / 2}
    )
    assert means(rows, "rank_distance") == {"2 relevant passages": 1.0, "3 relevant passages": 6.0}


def test_by_length_splits_each_language_at_its_own_quartiles() -> None:
    """Lengths 1 to 8 in English and ten times that in Russian: pairs of questions in order."""
    rows = [
        (Setting("mono", x, x), f"q{n}", 1, n * scale, n / 10, math.nan)
        for x, scale in (("en", 1), ("ru", 10))
        for n in range(1, 9)
    ]
    found = rows_of(break_down(by_hand(rows=rows), "length"), "mono")
    assert means(found) == pytest.approx(
        {
            "shortest quarter": 0.15,
            "second quarter": 0.35,
            "third quarter": 0.55,
            "longest quarter": 0.75,
        }
    )
    assert found["shortest quarter"].characters == (1, 20)
    assert {row.queries for row in found.values()} == {4}


def test_a_length_that_equals_a_quartile_belongs_below_it() -> None:
    """Lengths 10 to 50 have their quartiles at 20, 30 and 40, which are lengths themselves."""
    rows = [
        (Setting("mono", "en", "en"), f"q{n}", 1, 10 * n, n / 10, math.nan) for n in range(1, 6)
    ]
    found = rows_of(break_down(by_hand(rows=rows), "length"), "mono")
    assert {name: row.characters for name, row in found.items()} == {
        "shortest quarter": (10, 20),
        "second quarter": (30, 30),
        "third quarter": (40, 40),
        "longest quarter": (50, 50),
    }


def test_a_single_question_has_no_interval() -> None:
    """Drawn again and again it is always itself; no width would look like certainty."""
    rows = rows_of(break_down(by_hand(), "language"), "mono")
    assert math.isnan(rows["ru"].cells["map"].low)
    english = rows["en"].cells["map"]
    assert (english.low, english.high) == pytest.approx((0.2, 0.4))


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Ten questions in en, de and zh; the last has no Chinese relevant passage."""
    task = str(tiny.write_task(tmp_path_factory.mktemp("task")))
    return harness.evaluate(tiny.WordBag(bias=2.0), tasks=[task], store=False)


@pytest.mark.parametrize("by", [x for x in BY if x != "seen"])
def test_rows_weighted_by_their_queries_give_the_kinds_micro_mean(record: Record, by: str) -> None:
    found = break_down(record, by, resamples=50)
    assert found.tables
    for table in found.tables:
        whole = record.task("tiny").means[table.kind].micro
        for measure in table.measures:
            cells = [row.cells[measure] for row in table.rows]
            total = sum(x.micro * x.queries for x in cells if x.queries)
            mean = total / sum(x.queries for x in cells)
            assert mean == pytest.approx(whole[measure], abs=1e-12), (table.kind, measure)


def test_languages_have_the_records_own_means_and_intervals(record: Record) -> None:
    entry = record.task("tiny")
    found = break_down(record, "language")
    assert (found.resamples, found.seed) == (
        entry.intervals.resamples,
        entry.intervals.seed,
    )
    for table in found.tables:
        macro = entry.means[table.kind].macro
        for measure in table.measures:
            mean = np.mean([row.cells[measure].mean for row in table.rows])
            assert mean == pytest.approx(macro[measure], abs=1e-12)
        for row in table.rows:
            recorded = entry.intervals.languages[table.kind][row.name]
            for measure, cell in row.cells.items():
                assert [cell.low, cell.high] == pytest.approx(recorded[measure].bca)


def test_scripts_weighted_by_their_languages_give_the_macro_mean(record: Record) -> None:
    """Latin twice, Han once."""
    macro = record.task("tiny").means
    for kind in ("mono", "cross", "multi"):
        rows = rows_of(break_down(record, "script", resamples=50), kind)
        assert {name: row.languages for name, row in rows.items()} == {"Han": 1, "Latin": 2}
        mean = sum(row.cells["map"].mean * row.languages for row in rows.values()) / 3
        assert mean == pytest.approx(macro[kind].macro["map"], abs=1e-12)


def test_any_measure_of_the_record_and_no_other(record: Record) -> None:
    found = break_down(record, "language", measures=["own_language_first"], resamples=50)
    assert [(x.kind, x.measures) for x in found.tables] == [("multi", ("own_language_first",))]
    with pytest.raises(UsageError, match="no measure 'own_language_frist'; did you mean 'own_lang"):
        break_down(record, "language", measures=["own_language_frist"])


def test_what_cannot_be_broken_down_is_refused() -> None:
    record = by_hand()
    with pytest.raises(
        UsageError, match=r"--by must be one of language, .*; did you mean 'script'"
    ):
        break_down(record, "scripts")
    with pytest.raises(UsageError, match=r"--seen states .* not for --by language"):
        break_down(record, "language", seen=["en"])
    with pytest.raises(UsageError, match="--by pair needs cross settings that define map"):
        break_down(by_hand(rows=HAND[:3]), "pair")
    with pytest.raises(UsageError, match="--by golds needs queries with several relevant passages"):
        break_down(by_hand(rows=HAND[:3]), "golds")
    with pytest.raises(RecordError, match="no task 'other'"):
        break_down(record, "language", task="other")
    record = by_hand()
    record.document["tasks"].append(task_entry("second"))
    with pytest.raises(UsageError, match="name one of hand, second"):
        break_down(record, "language")


def test_frame_and_document_have_every_value() -> None:
    found = break_down(by_hand(), "language", resamples=50)
    frame = found.to_frame().set_index(["kind", "part", "measure"])
    assert len(frame) == 2 + 2 + 4
    assert frame.loc[("multi", "ru", "rank_distance"), "mean"] == 8.0
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    multi = document["tables"][2]
    assert multi["rows"][1]["cells"]["rank_distance"]["mean"] == 8.0
    assert multi["rows"][1]["cells"]["rank_distance"]["low"] is None  # one question


@pytest.fixture
def saved(record: Record, tmp_path: Path) -> str:
    record.save(tmp_path / "record")
    return str(tmp_path / "record")


def test_the_command_prints_tables_and_json(saved: str) -> None:
    def run(*arguments: str) -> Any:
        return CliRunner().invoke(main, ["breakdown", saved, *arguments])

    result = run("--by", "script", "--measure", "map")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("word-bag on tiny, by script\n")
    assert "cross, by scripts of query and passage" in result.stdout
    (line,) = [x for x in result.stdout.splitlines() if x.startswith("same script")]
    # de-en and en-de, ten questions each; then the mean and its interval.
    name, queries, mean, low, high = line.rsplit(maxsplit=4)
    assert (name, queries) == ("same script", "20")
    assert float(low.strip("[,")) <= float(mean) <= float(high.strip("]"))
    assert "characters" in run("--by", "length").stdout
    document = json.loads(run("--by", "golds", "--json").stdout)
    assert [x["name"] for x in document[0]["tables"][0]["rows"]] == [
        "2 relevant passages",
        "3 relevant passages",
    ]


def test_the_command_refuses_in_one_sentence(saved: str) -> None:
    def fails(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["breakdown", saved, *arguments])
        assert result.exit_code == 2 and result.stdout == "", result.output
        return result.stderr.splitlines()[-1]

    assert "'colour' is not one of 'language'" in fails("--by", "colour")
    assert "does not know which languages word-bag was trained on" in fails("--by", "seen")
    assert "'english' is not a language code" in fails("--by", "seen", "--seen", "english")
    assert "no task 'xquad-r'" in fails("--by", "pair", "--task", "xquad-r")
    stated = CliRunner().invoke(main, ["breakdown", saved, "--by", "seen", "--seen", "en"])
    assert "Seen in training, as stated: en" in stated.stdout


def test_the_commands_choices_are_those_of_the_library() -> None:
    option = next(x for x in main.commands["breakdown"].params if x.name == "by")
    assert tuple(option.type.choices) == BY


def test_every_language_that_a_task_can_name_has_a_script() -> None:
    assert {x for x in LANGUAGES if script_of(x) == UNKNOWN} == set()


@pytest.mark.parametrize(
    ("language", "script"),
    [
        # The languages of XQuAD-R.
        *(("ar", "Arabic"), ("de", "Latin"), ("el", "Greek"), ("en", "Latin"), ("es", "Latin")),
        *(("hi", "Devanagari"), ("ru", "Cyrillic"), ("th", "Thai"), ("tr", "Latin")),
        *(("vi", "Latin"), ("zh", "Han")),
        ("zh-Hant-TW", "Han"),
        ("sr-Latn", "Latin"),
        ("en-US", "Latin"),
        ("ku-Arab", "Arabic"),
        ("jav-Java", "Java"),  # Javanese script, under its ISO 15924 code
        ("qaa", UNKNOWN),
    ],
)
def test_scripts(language: str, script: str) -> None:
    assert script_of(language) == script


def test_a_language_of_unknown_script_is_a_part_of_its_own() -> None:
    rows = [
        (Setting("cross", "en", "qaa"), "q1", 1, 5, 0.2, math.nan),
        (Setting("cross", "en", "de"), "q1", 1, 5, 0.4, math.nan),
    ]
    found = break_down(by_hand(rows=rows), "script")
    assert means(rows_of(found, "cross", 1)) == {"same script": 0.4, UNKNOWN: 0.2}
