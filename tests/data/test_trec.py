"""The total order against trec_eval, and strict reading and writing of TREC files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from harness.data.trec import (
    Ranking,
    rank_order,
    read_qrels,
    read_run,
    tie_order,
    write_qrels,
    write_run,
)
from harness.errors import RunFileError

ID = st.text(
    st.characters(exclude_characters=" \t\n\v\f\r\0", exclude_categories=("Cs",)),
    min_size=1,
    max_size=6,
)


def test_tie_order_is_descending_by_utf8_bytes() -> None:
    # By UTF-16 U+FF21 (fullwidth A) would come before the emoji, by bytes it comes after.
    ids = ["a", "z", "é", "😀", "\uff21", "z1"]
    assert [ids[i] for i in tie_order(ids)] == ["😀", "\uff21", "é", "z1", "z", "a"]


@given(st.lists(ID, min_size=1, max_size=8, unique=True))
def test_tie_order_sorts_the_bytes(ids: list[str]) -> None:
    expected = sorted((x.encode() for x in ids), reverse=True)
    assert [ids[i].encode() for i in tie_order(ids)] == expected


@given(
    st.dictionaries(
        ID,
        # 1e-9 apart: equal as float32, as trec_eval compares them.
        st.sampled_from([0.5, 0.5 + 1e-9, 0.25, -1.0, 3.0]),
        min_size=1,
        max_size=8,
    )
)
def test_rank_order_is_trec_evals(scores: dict[str, float]) -> None:
    ids = list(scores)
    order = rank_order(ids, np.array(list(scores.values())))
    for rank, i in enumerate(order, 1):
        evaluator = pytrec_eval.RelevanceEvaluator({"q": {ids[i]: 1}}, {"recip_rank"})
        assert evaluator.evaluate({"q": scores})["q"]["recip_rank"] == pytest.approx(1 / rank)


def test_written_run_reads_back_bit_for_bit_and_in_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    ids = [f"de:{i}" for i in range(500)]
    scores = rng.standard_normal(500).astype(np.float32)
    scores[10:20] = scores[0]
    path = tmp_path / "deep" / "run.txt"
    write_run(path, [Ranking("q1", ids, scores)], tag="t")
    read = read_run(path)
    assert list(read) == ["q1"]
    assert np.array_equal(np.float32([read["q1"][x] for x in ids]), scores)
    rows = [line.split() for line in path.read_text().splitlines()]
    assert [int(row[3]) for row in rows] == list(range(1, 501))
    assert [row[2] for row in rows] == [ids[i] for i in rank_order(ids, scores)]
    assert {(row[1], row[5]) for row in rows} == {("Q0", "t")}
    assert list(path.parent.iterdir()) == [path]  # no temporary file stays


def test_gzip_is_written_the_same_each_time_and_read_under_any_name(tmp_path: Path) -> None:
    ranking = Ranking("q", ["a", "b"], [0.1, 0.2])
    write_run(tmp_path / "one.gz", [ranking])
    write_run(tmp_path / "two.gz", [ranking])
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()
    (tmp_path / "plain").write_bytes((tmp_path / "one.gz").read_bytes())
    assert read_run(tmp_path / "plain")["q"] == pytest.approx({"a": 0.1, "b": 0.2}, rel=1e-7)


def test_rank_column_is_ignored_and_queries_may_be_interleaved(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_bytes(b"\xef\xbb\xbfq Q0 a 9 1.5 t\np Q0 a 1 -2e-3 t\n\nq Q0 b x 2 t\r\n")
    assert read_run(path) == {"q": {"a": 1.5, "b": 2.0}, "p": {"a": -0.002}}


def test_ids_may_hold_unicode_spaces(tmp_path: Path) -> None:
    # A no-break space, an ideographic space and a line separator: no separators for trec_eval.
    path = tmp_path / "run"
    ids = ["a\u00a0b", "c\u3000d", "e\u2028f"]
    write_run(path, [Ranking("q", ids, [3.0, 2.0, 1.0])])
    assert list(read_run(path)["q"]) == ids


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", r"run is empty; expected lines of 'query Q0"),
        (b"\n \n", r"run is empty"),
        (b"q Q0 a 1 0.5 t\nq Q0 b 2 0.5\n", r"run, line 2: expected 6 columns .* found 5"),
        (b"q Q0 a 1 0.5 t x\n", r"run, line 1: expected 6 columns .* found 7"),
        (b"q Q0 a 1 high t\n", r"run, line 1: the score must be a finite number, not 'high'"),
        (b"q Q0 a 1 nan t\n", r"run, line 1: the score must be a finite number"),
        (b"q Q0 a 1 1_0 t\n", r"run, line 1: the score must be a finite number"),
        (b"q Q0 a 1 1 t\nq Q0 b 1 -inf t\n", r"run, line 2: the score must be a finite number"),
        (b"q Q0 a 1 1 t\np Q0 a 1 1 t\nq Q0 a 2 0 t\n", r"run, line 3: passage 'a' is listed twi"),
        (b"q Q0 a 1 1 t\nq Q0 \xff 2 1 t\n", r"run, line 2: not UTF-8"),
        # For trec_eval, which knows C's strings, the two would be one passage.
        (b"q Q0 a\0b 1 2 t\nq Q0 a\0c 2 1 t\n", r"run, line 1: contains a zero byte"),
        ("q Q0 a 1 1 t\n".encode("utf-16-le"), r"run, line 1: .*if the file is UTF-16, save it as"),
        (gzip.compress(b"q Q0 a 1 1 t\n" * 50, mtime=0)[:-9], r"run is an incomplete gzip file"),
    ],
)
def test_bad_run_files_are_named_with_their_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "run"
    path.write_bytes(content)
    with pytest.raises(RunFileError, match=says):
        read_run(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", r"qrels is empty"),
        (b"q 0\n", r"qrels, line 1: expected 4 columns .* found 2"),
        (b"q a 1\nq 0 b 1\n", r"qrels, line 2: expected 3 columns, as in the first line, found 4"),
        (b"q 0 a 1\nq 0 b 0.5\n", r"qrels, line 2: the grade must be a whole number, not '0.5'"),
        (b"q 0 a %s\n" % (b"9" * 400), r"qrels, line 1: the grade must be a whole number, not '99"),
        (b"q 0 a 1\nq 0 a 1\n", r"qrels, line 2: passage 'a' is judged twice for query 'q'"),
    ],
)
def test_bad_qrels_files_are_named_with_their_line(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "qrels"
    path.write_bytes(content)
    with pytest.raises(RunFileError, match=says):
        read_qrels(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="No such file"):
        read_run(tmp_path / "nowhere")


def test_qrels_round_trip_with_grades_below_one(tmp_path: Path) -> None:
    qrels = {"q2": {"en:1-0": 3, "de:1-0": 0}, "q1": {"en:1-0": -1}}
    write_qrels(tmp_path / "qrels.gz", qrels)
    assert read_qrels(tmp_path / "qrels.gz") == qrels


@pytest.mark.parametrize(
    ("ranking", "says"),
    [
        (
            Ranking("q", ["a b"], [1.0]),
            r"passage id of query 'q' 'a b' is empty or contains whitespace",
        ),
        (Ranking("", ["a"], [1.0]), r"query id '' is empty"),
        (Ranking("q", ["a", "a"], [1.0, 2.0]), r"'a' is listed twice"),
        (Ranking("q", ["a"], [np.nan]), r"query 'q' has a score that is not finite"),
        (Ranking("q", ["a", "b"], [1.0]), r"has 2 passages but scores of shape \(1,\)"),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file_alone(
    tmp_path: Path, ranking: Ranking, says: str
) -> None:
    path = tmp_path / "run"
    path.write_text("old")
    with pytest.raises(RunFileError, match=says):
        write_run(path, [Ranking("first", ["x"], [0.0]), ranking])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_query_is_written_once(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="'q' is written twice"):
        write_run(tmp_path / "run", [Ranking("q", ["a"], [1.0])] * 2)


@pytest.mark.parametrize(
    "header", [b"", b"query-id\tcorpus-id\tscore\n", b"query-id passage-id score\n"]
)
def test_qrels_of_three_columns(tmp_path: Path, header: bytes) -> None:
    """BEIR's, with and without their header."""
    path = tmp_path / "qrels"
    path.write_bytes(header + b"q1\td1\t1\nq2\td2\t0\n")
    assert read_qrels(path) == {"q1": {"d1": 1}, "q2": {"d2": 0}}


def test_runs_of_three_columns_are_ranks(tmp_path: Path) -> None:
    """MS MARCO's; scores in their place are refused, not read as ranks."""
    path = tmp_path / "run"
    path.write_bytes(b"q1\td1\t1\nq2\td1\t1\nq1\td2\t2\n")
    run = read_run(path)
    assert run["q1"]["d1"] > run["q1"]["d2"] and set(run["q2"]) == {"d1"}
    for third in (b"0.9", b"2", b"3"):
        path.write_bytes(b"q1\td1\t%s\n" % third)
        with pytest.raises(RunFileError, match="line 1: of three columns the third must be the ra"):
            read_run(path)
