"""`--sample N`: the same questions always, of every stratum its share, and their scores unmoved."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from harness import evaluate
from harness.analysis.compare import compare
from harness.data.loading import load
from harness.data.sampling import draw_questions
from harness.data.task import find_task
from harness.data.task_data import Texts
from harness.errors import DataError, RecordError, UsageError


def queries(strata: dict[str, tuple[str, ...]]) -> dict[str, Texts]:
    """Question id -> languages it is asked in, as texts by language."""
    languages = sorted({x for requested in strata.values() for x in requested})
    ids = {x: tuple(q for q, requested in strata.items() if x in requested) for x in languages}
    return {x: Texts(found, found) for x, found in ids.items()}


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5),
        st.tuples(st.sampled_from([("de",), ("en",), ("de", "en")]), st.integers(1, 3)),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 70),
    st.randoms(use_true_random=False),
)
def test_every_stratum_gives_its_share_whatever_the_order(
    strata: dict[str, tuple[tuple[str, ...], int]], number: int, shuffler: random.Random
) -> None:
    requested = {q: languages for q, (languages, _) in strata.items()}
    relevant = {q: n for q, (_, n) in strata.items()}
    drawn = draw_questions(queries(requested), relevant, number)
    assert len(drawn) == min(number, len(strata))
    whole, part = (Counter(strata[q] for q in ids) for ids in (strata, drawn))
    share = min(number / len(strata), 1)
    assert all(abs(part[key] - whole[key] * share) < 1 for key in whole)
    order = list(strata)
    shuffler.shuffle(order)
    again = draw_questions(queries({q: requested[q] for q in order}), relevant, number)
    assert again == drawn


def test_the_sample_never_changes() -> None:
    """Worked with sha256sum: the three of q0 to q9 whose hashes are least."""
    ids = [f"q{n}" for n in range(10)]
    found = draw_questions(queries(dict.fromkeys(ids, ("en",))), dict.fromkeys(ids, 1), 3)
    assert found == {"q2", "q5", "q9"}


def test_mlqa_r_keeps_its_numbers_of_relevant_passages_and_languages(real_data: Path) -> None:
    whole = load(find_task("mlqa-r"), data_dir=real_data)
    part = load(find_task("mlqa-r"), data_dir=real_data, sample=200)
    counts = [Counter(map(len, x.qrels.values())) for x in (whole, part)]
    # 65, 263 and 820 ids of 1,148 have 2, 3 and 4 relevant passages; 200 of them, in shares: 11,
    # 46, 143.
    assert counts[0] == {2: 65, 3: 263, 4: 820}
    assert counts[1] == pytest.approx({2: 11, 3: 46, 4: 143}, abs=1.5)
    assert part.passages == whole.passages
    assert part.partial["sample"] == {"drawn": 200, "of": 1148, "whole": whole.digest}


def test_a_sampled_query_scores_as_it_does_among_all(tmp_path: Path) -> None:
    task = str(tiny.write_task(tmp_path))
    whole = evaluate(tiny.WordBag(), tasks=[task], store=False).per_query()
    record = evaluate(tiny.WordBag(), tasks=[task], store=False, sample=4)
    part = record.per_query()
    assert part.question.nunique() == 4
    both = part.merge(whole, on=["setting", "question"], suffixes=("", "_whole"))
    assert len(both) == len(part)
    # Ranks are the whole pool's; mean rank correlation is over the same question alone.
    measures = [x for x in whole.columns if whole[x].dtype == np.float64]
    assert len(measures) > 15
    for measure in measures:
        np.testing.assert_array_equal(both[measure], both[f"{measure}_whole"])
    assert record.task("tiny").partial.sample.drawn == 4


def test_a_sample_of_everything_is_the_whole(tmp_path: Path) -> None:
    spec = find_task(str(tiny.write_task(tmp_path)))
    assert load(spec, sample=10).partial == {}
    assert load(spec, sample=10).digest == load(spec).digest


def test_compare_refuses_a_sample_against_the_whole(tmp_path: Path) -> None:
    task = str(tiny.write_task(tmp_path))
    records = [evaluate(tiny.WordBag(), tasks=[task], store=False, sample=n) for n in (None, 4)]
    with pytest.raises(RecordError, match="B has part of it: sample drawn 4 and of 10 and whole"):
        compare(records)


@pytest.mark.parametrize(
    ("options", "told"),
    [({"sample": 0}, "sample must be 1 or more"), ({"sample": 2, "limit": 2}, "not both")],
)
def test_wrong_samples(tmp_path: Path, options: dict[str, int], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        load(find_task(str(tiny.write_task(tmp_path))), **options)


def test_a_sample_without_a_question_of_some_language(tmp_path: Path) -> None:
    ids = [f"q{n}" for n in range(9)]
    requested = {**dict.fromkeys(ids, ("en",)), "rare": ("en", "de")}
    drawn = draw_questions(queries(requested), dict.fromkeys(requested, 1), 1)
    assert "rare" not in drawn
    task = tiny.write_task(tmp_path, languages=("en", "de"))
    for name in ("queries.de.jsonl",):
        path = tmp_path / "data" / name
        path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(DataError, match="a sample of 1 has no question in 'de'; draw more"):
        load(find_task(str(task)), sample=1)
