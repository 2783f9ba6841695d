"""Treatments of vectors and rankings: what they change, and what they must leave alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError, UsageError
from harness.search.balanced import balanced
from harness.treatments import Offset, parse_treatment


def places(row: list[float], starts: list[int]) -> list[int]:
    tile = balanced(lambda a, b: np.array([row], np.float32)[a:b], np.array(starts))
    return [int(-x) for x in tile(0, 1)[0]]


def test_rounds_by_hand() -> None:
    """Two of one language and three of another: A1 .9, A2 .8; B1 .5, B2 .7, B3 .7.

    First round: A1 (.9), B2 (.7, before B3 by column); second: A2 (.8), B3 (.7); third: B1.
    """
    assert places([0.9, 0.8, 0.5, 0.7, 0.7], [0, 2, 5]) == [0, 2, 4, 1, 3]


def test_equal_scores_in_a_round_go_by_column() -> None:
    assert places([0.5, 0.5, 0.5, 0.5], [0, 2, 4]) == [0, 2, 1, 3]


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    data=st.data(),
)
def test_every_language_keeps_its_order_and_gets_its_share(
    sizes: list[int], data: st.DataObject
) -> None:
    starts = np.concatenate([[0], np.cumsum(sizes)])
    score = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0])
    row = data.draw(st.lists(score, min_size=sum(sizes), max_size=sum(sizes)))
    found = places(row, starts.tolist())
    assert sorted(found) == list(range(len(row)))
    language = np.repeat(np.arange(len(sizes)), sizes)
    order = np.argsort(found)
    for i, size in enumerate(sizes):
        block = range(starts[i], starts[i + 1])
        by_score = sorted(block, key=lambda c: (-row[c], c))
        assert sorted(block, key=lambda c: found[c]) == by_score
        # Wherever a ranking is cut, no language has more than one passage more than another that
        # has some left.
        taken = np.cumsum(language[order] == i)
        for j, other in enumerate(sizes):
            theirs = np.cumsum(language[order] == j)
            assert (taken - np.where(theirs < other, theirs, taken) <= 1).all(), (i, j, size)


def parallel(path: Path, rows: int = 100, **change: object) -> Path:
    lines = [
        {"src": "test", "id": i, "en": f"en {i}", "de": f"de {i}", "fr": f"fr {i}"}
        for i in range(rows)
    ]
    for number, value in change.items():
        lines[int(number.removeprefix("line"))] = value  # type: ignore[assignment]
    path.write_text("\n".join(json.dumps(x) for x in lines))
    return path


def test_offsets_bring_the_languages_means_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    shift = {"en": rng.normal(size=8), "de": rng.normal(size=8)}

    def encode(role: str, language: str, texts: object) -> np.ndarray:
        # Parallel texts are equal but for their language's shift.
        meaning = np.random.default_rng(5).normal(size=(len(texts), 8))  # type: ignore[arg-type]
        return (meaning + shift[language]).astype(np.float32)

    offset = parse_treatment(f"offset:{parallel(tmp_path / 'p.jsonl')}", ("en", "de"))
    assert isinstance(offset, Offset) and set(offset.texts) == {"en", "de"}
    texts = ["a"] * 40
    before = {(r, x): encode(r, x, texts) for r in ("query", "passage") for x in shift}
    after = offset.vectors(before, encode, cosine=False)  # type: ignore[arg-type]
    for role in ("query", "passage"):
        np.testing.assert_allclose(after[role, "en"], after[role, "de"], atol=1e-5)
        # The middle of the languages stays where it was.
        middle = [sum(v[role, x].mean(0) for x in shift) / 2 for v in (before, after)]
        np.testing.assert_allclose(*middle, atol=1e-5)
    unit = offset.vectors(before, encode, cosine=True)  # type: ignore[arg-type]
    np.testing.assert_allclose(np.linalg.norm(unit["query", "en"], axis=1), 1, atol=1e-6)


def test_a_language_that_the_file_lacks_is_not_moved(tmp_path: Path) -> None:
    offset = parse_treatment(f"offset:{parallel(tmp_path / 'p.jsonl')}", ("en", "de", "th"))
    vectors = {("query", x): np.ones((2, 3), np.float32) for x in ("en", "de", "th")}
    moved = offset.vectors(
        vectors, lambda r, x, t: np.full((len(t), 3), len(x + t[0]), np.float32), cosine=False
    )
    assert np.array_equal(moved["query", "th"], vectors["query", "th"])


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("balance", "did you mean 'balanced'"),
        ("offset", "write balanced or offset:FILE"),
        ("x", "not known"),
    ],
)
def test_what_is_no_treatment_is_refused(spec: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_treatment(spec, ("en", "de"))


@pytest.mark.parametrize(
    ("rows", "change", "said"),
    [
        (99, {}, "holds 99 parallel texts; offsets are taken from 100"),
        (100, {"line7": {"en": "a"}}, "line 8: its languages differ from line 1's by 'de'"),
        (100, {"line3": {"en": "a", "de": " "}}, "line 4: the text in 'de' is empty"),
        (100, {"line0": ["no"], "line1": 3}, "line 1"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    tmp_path: Path, rows: int, change: dict[str, object], said: str
) -> None:
    path = parallel(tmp_path / "p.jsonl", rows, **change)
    with pytest.raises(DataError, match=said):
        parse_treatment(f"offset:{path}", ("en", "de"))


def test_a_file_without_two_of_the_tasks_languages_is_refused(tmp_path: Path) -> None:
    path = parallel(tmp_path / "p.jsonl")
    with pytest.raises(DataError, match="holds en of the task's languages"):
        parse_treatment(f"offset:{path}", ("en", "th"))
    with pytest.raises(DataError, match="cannot be read"):
        parse_treatment(f"offset:{tmp_path}/none.jsonl", ("en", "th"))
