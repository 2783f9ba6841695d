"""Records side by side: the numbers, and what is refused."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import tiny
from compared import changed, mono, only, part_of, printed, with_values
from scipy.stats import permutation_test

from harness import evaluate
from harness.analysis.compare import Comparison, compare, verdict
from harness.analysis.mismatches import letters
from harness.cli.views.comparison import to_markdown
from harness.errors import RecordError, UsageError
from harness.evaluation.record import Record
from harness.stats.multiple_tests import holm_levels

# Three questions, two languages: what each number must be, by hand.
BEFORE = {"mono/en": [1.0, 0.5, 0.0], "mono/de": [0.5, 0.5, 0.5]}
AFTER = {"mono/en": [1.0, 1.0, 0.5], "mono/de": [0.5, 0.0, 0.5]}


@pytest.fixture
def by_hand(tmp_path: Path) -> Comparison:
    base = mono(tmp_path, 3)
    records = [with_values(base, BEFORE), with_values(base, AFTER)]
    return compare(records, measures=["map"], flips=5)


def test_means_and_difference_by_hand(by_hand: Comparison) -> None:
    found = only(by_hand)
    # en: 1.5 / 3 and 2.5 / 3; de: 1.5 / 3 and 1 / 3; then the mean of the two languages.
    assert [x.mean for x in found.values] == pytest.approx([0.5, (2.5 / 3 + 1 / 3) / 2])
    (against,) = found.against
    assert against.difference == pytest.approx(1 / 12)
    # Only q02 adds to the difference (q01 gains in en what it loses in de): all 8 sign assignments
    # give plus or minus 1/12.
    assert against.p_value == 1.0
    assert against.verdict == "no difference shown"
    assert found.ranks == ((1, 2), (1, 2))
    assert found.ties == ((1, 0),)
    assert by_hand.comparisons == 1
    # Of 8 assignments the two extremes are the least that can be: 2 / 8.
    assert by_hand.tasks[0].kinds[0].smallest_p_value == 0.25


def test_wins_and_losses_by_hand(by_hand: Comparison) -> None:
    en, de = only(by_hand).against[0].languages
    assert (en.query_language, en.queries) == ("en", 3)
    assert (en.higher, en.equal, en.lower) == pytest.approx((2 / 3, 1 / 3, 0))
    assert (de.higher, de.equal, de.lower) == pytest.approx((0, 2 / 3, 1 / 3))
    assert (en.difference, de.difference) == pytest.approx((1 / 3, -1 / 6))
    # en: two questions of +0.5 and one of 0; of 8 assignments 4 leave their signs alike.
    assert (en.p_value, de.p_value) == (0.5, 1.0)
    assert (en.adjusted, de.adjusted) == (1.0, 1.0)  # 2 * 0.5 and then not less


def test_largest_changes_by_hand(by_hand: Comparison) -> None:
    flips = by_hand.tasks[0].kinds[0].flips
    # Each changed by 0.5; q01 in two of its settings, so it comes first. q00 did not change.
    assert [(x.question, x.setting, x.baseline, x.value) for x in flips] == [
        ("q01", "mono/en", 0.5, 1.0),
        ("q02", "mono/en", 0.0, 0.5),
    ]
    assert [(x.changed, x.settings) for x in flips] == [(2, 2), (1, 2)]
    # The task is a file of the test, which no name finds.
    assert flips[0].text is None
    assert "unknown task 'tiny'" in str(by_hand.tasks[0].texts_note)


def test_p_value_equals_scipys_where_clusters_swap(tmp_path: Path) -> None:
    base = mono(tmp_path, 8)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(2, 2, 8))  # record, language, question
    y[0] += 0.25
    pair = [with_values(base, {"mono/en": v[0], "mono/de": v[1]}) for v in (x, y)]
    found = only(compare(pair, measures=["map"]))
    # A question's two queries swap together: its sample is their mean.
    theirs = permutation_test(
        (y.mean(axis=0), x.mean(axis=0)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
        alternative="two-sided",
    )
    assert found.against[0].difference == pytest.approx(theirs.statistic)
    assert found.against[0].p_value == pytest.approx(theirs.pvalue, abs=1e-12)
    assert 0 < theirs.pvalue < 1


def macro(values: np.ndarray, groups: np.ndarray, parents: Sequence[str]) -> float:
    """The published protocol, one group at a time."""
    by_parent: dict[str, list[float]] = {}
    for group, parent in enumerate(parents):
        here = values[groups == group]
        if not np.isnan(here).all():
            by_parent.setdefault(parent, []).append(float(np.nanmean(here)))
    return float(np.mean([np.mean(x) for x in by_parent.values()]))


@pytest.mark.parametrize("kind", ["mono", "cross", "multi"])
def test_p_value_is_that_of_all_swaps_where_languages_lack_relevant_passages(
    first: Record, second: Record, kind: str
) -> None:
    """The last question has no relevant passage in zh, and one value is undefined."""
    first, second = (Record(copy.deepcopy(x.document), dict(x.tables)) for x in (first, second))
    table = first.tables["tiny"]
    hole = table.values["map"].copy()
    hole[::17] = math.nan
    first.tables["tiny"] = replace(table, values={**table.values, "map": hole})
    found = only(compare([first, second], measures=["map"]), kind).against[0]

    settings = [i for i, s in enumerate(table.settings) if s.kind == kind]
    rows = np.isin(table.setting, settings)
    groups = np.searchsorted(settings, table.setting[rows])
    parents = [table.settings[i].query_language for i in settings]
    change = second.tables["tiny"].values["map"][rows] - hole[rows]
    observed = macro(change, groups, parents)
    swapped = [
        macro(change * np.array(signs)[table.question[rows]], groups, parents)
        for signs in itertools.product((1.0, -1.0), repeat=10)
    ]
    reached = np.mean(np.abs(swapped) >= abs(observed) - 1e-12)
    assert found.difference == pytest.approx(observed, abs=1e-12)
    assert found.p_value == pytest.approx(reached, abs=1e-12)
    assert 0 < reached < 1


def test_a_record_against_itself(first: Record) -> None:
    found = compare([first, first], flips=3)
    for kind in found.tasks[0].kinds:
        assert kind.flips == ()
        for one in kind.measures:
            (against,) = one.against
            assert against.difference == against.low == against.high == 0.0
            assert against.p_value == against.adjusted == 1.0
            assert against.verdict == "no difference shown"
            assert all(x.equal == 1.0 and x.difference == 0.0 for x in against.languages)
    assert found.differing == ()
    text = printed(found)
    assert "tie: A = B" in text and "better" not in text.split("by query language")[0]


def test_intervals_are_the_record_s_own_and_drawn_where_it_has_none(
    first: Record, second: Record
) -> None:
    recorded = first.document["tasks"][0]["intervals"]["means"]
    bare = Record(copy.deepcopy(first.document), first.tables)
    bare.document["tasks"][0]["intervals"] = None
    for record in (first, bare):
        for kind in compare([record, second]).tasks[0].kinds:
            for one in kind.measures:
                held = recorded[kind.kind][one.measure]["bca"]
                assert [one.values[0].low, one.values[0].high] == pytest.approx(held)
                mean = first.document["tasks"][0]["means"][kind.kind]["macro"][one.measure]
                assert one.values[0].mean == pytest.approx(mean)


def test_default_measures_and_the_number_of_comparisons(first: Record, second: Record) -> None:
    found = compare([first, second])
    measures = {k.kind: [m.measure for m in k.measures] for k in found.tasks[0].kinds}
    shown = ["map", "recall@1", "recall@10", "mrr@10", "ndcg@10"]
    bias = ["rank_distance", "own_language_first", "other_language_recall@10"]
    assert measures == {"mono": shown, "cross": shown, "multi": shown + bias}
    assert found.comparisons == 5 + 5 + 8
    assert compare([first, second, first]).comparisons == 3 * (5 + 5 + 8)


def test_detectable_difference_is_of_the_corrected_test(first: Record, second: Record) -> None:
    normal = NormalDist()
    # Two-sided 0.05 / 18, power 0.8.
    factor = normal.inv_cdf(1 - 0.05 / 18 / 2) + normal.inv_cdf(0.8)
    x = only(compare([first, second]), "cross").against[0]
    assert x.standard_error > 0
    assert x.detectable == pytest.approx(factor * x.standard_error)


def test_corrected_intervals_have_the_level_of_holm_s_test(first: Record, second: Record) -> None:
    found = compare([first, second])
    every = [one.against[0] for k in found.tasks[0].kinds for one in k.measures]
    levels = sorted(1 - x.corrected_level for x in every)
    assert levels[0] == pytest.approx(0.05 / found.comparisons)
    for x in every:
        if x.corrected_low == x.corrected_low:
            assert x.corrected_low <= x.low and x.high <= x.corrected_high
    significant = sum(x.adjusted <= 0.05 for x in every)
    assert levels[-1] <= 0.05 / (found.comparisons - significant) + 1e-12


def test_holm_s_levels_by_hand() -> None:
    # Four comparisons: .001 at .05/4 and .01 at .05/3 are significant, .03 at .05/2 is not, and
    # what follows is tested at the level at which the procedure stopped.
    levels = holm_levels([0.03, 0.001, 0.4, 0.01, np.nan])
    assert levels == pytest.approx([0.025, 0.0125, 0.025, 0.05 / 3, np.nan], nan_ok=True)


def test_three_records_have_ranks_and_tie_groups(tmp_path: Path) -> None:
    base = mono(tmp_path, 12)
    rng = np.random.default_rng(1)
    level = rng.uniform(0.1, 0.4, (2, 12))
    wobble = rng.choice([-0.01, 0.01], (2, 12))
    values = (level, level + wobble, level + 0.5)
    records = [with_values(base, {"mono/en": v[0], "mono/de": v[1]}) for v in values]
    found = compare(records, measures=["map"])
    one = only(found)
    assert found.comparisons == 3
    assert [tuple(x) for x in one.ranks] == [(2, 3), (2, 3), (1, 1)]
    assert [set(x) for x in one.ties] == [{0, 1}]
    assert [x.verdict for x in one.against] == ["no difference shown", "better"]
    # 2 / 2**12 in all three ways that tell C apart; Holm over 3, and not less than the one before.
    p = {(x.first, x.second): (x.p_value, x.adjusted) for x in one.pairs}
    assert p[0, 2] == p[1, 2] == (pytest.approx(2 / 4096), pytest.approx(6 / 4096))
    assert "tie: " in printed(found) and " 2-3" in printed(found)
    strong = [x for x in to_markdown(found).splitlines() if "**C**" in x]
    assert len(strong) == 1 and "**A**" not in to_markdown(found)


def test_with_lower_better_the_lower_is_the_best(tmp_path: Path) -> None:
    """Rank distance: 20 questions, each nearer by 5 in the second record."""
    path = tiny.write_task(tmp_path, questions=20, languages=("en", "de"))
    base = evaluate(tiny.WordBag(), tasks=[str(path)], settings=("multi",), store=False)
    far = {"multi/en": [30.0 + i for i in range(20)], "multi/de": [40.0] * 20}
    near = {name: [x - 5 for x in values] for name, values in far.items()}
    records = [with_values(base, v, measure="rank_distance") for v in (far, near)]
    found = compare(records, measures=["rank_distance"])
    one = only(found, "multi", "rank_distance")
    assert one.against[0].difference == pytest.approx(-5)
    assert one.against[0].verdict == "better"
    assert [tuple(x) for x in one.ranks] == [(2, 2), (1, 1)]
    # "better" and "worse" are what they mean, though the values went down.
    row = next(x for x in printed(found).splitlines() if x.startswith("en "))
    assert row.split()[:6] == ["en", "20", "100.0%", "0.0%", "0.0%", "-5.0"]


@pytest.mark.parametrize(
    ("difference", "adjusted", "better", "word"),
    [
        (0.1, 0.05, "higher", "better"),
        (0.1, 0.01, "lower", "worse"),
        (-0.1, 0.01, "higher", "worse"),
        (0.1, 0.01, None, "higher"),
        (-0.1, 0.01, None, "lower"),
        (0.1, 0.051, "higher", "no difference shown"),
        (math.nan, math.nan, "higher", "undefined"),
    ],
)
def test_verdicts(difference: float, adjusted: float, better: Any, word: str) -> None:
    assert verdict(difference, adjusted, better) == word


def test_more_permutations_if_the_correction_needs_them(tmp_path: Path) -> None:
    base = mono(tmp_path, 20)
    found = compare([base, base], measures=["map"], resamples=50)
    # One comparison at alpha 0.05: a p-value of 1 / 201 is a tenth of it.
    assert found.permutations == 200
    assert found.tasks[0].kinds[0].smallest_p_value == pytest.approx(1 / 201)


def test_too_few_questions_for_any_finding_are_said_to_be(by_hand: Comparison) -> None:
    text = " ".join(printed(by_hand).split())
    assert "tiny mono has 3 questions: p cannot fall below 0.25 after the correction" in text


def test_one_question_has_no_interval(tmp_path: Path) -> None:
    base = mono(tmp_path, 1)
    found = only(compare([with_values(base, {"mono/en": [0], "mono/de": [0]}), base]))
    (x,) = found.against
    assert math.isnan(x.low) and math.isnan(x.detectable) and x.p_value == 1.0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"data_digest": "1" * 64}, "tiny data digest: A has {digest}, B has 111111111111"),
        ({"text": "title"}, "tiny text: A has text, B has title"),
        (
            {"partial": {"limit": 4}},
            "tiny partial: A has the whole task, B has part of it: limit 4",
        ),
        ({"languages": ["en", "de"]}, "tiny languages: A has en de zh, B has en de"),
        ({"kinds": ["mono"]}, "tiny kinds: A has mono cross multi, B has mono"),
    ],
)
def test_what_measures_another_thing_is_refused(
    first: Record, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(RecordError) as refused:
        compare([first, changed(first, **fields)])
    digest = first.document["tasks"][0]["data_digest"][:12]
    assert said.format(digest=digest) in str(refused.value)
    assert "--force" in str(refused.value)


def test_a_refusal_lists_everything(first: Record) -> None:
    other = changed(first, text="title", partial={"limit": 4})
    with pytest.raises(RecordError) as refused:
        compare([first, first, other])
    assert "text: A has text, B has text, C has title" in str(refused.value)
    assert "partial: A has the whole task, B has the whole task, C has" in str(refused.value)


def test_a_measure_of_another_definition_is_another_measure(first: Record) -> None:
    known = first.document["tasks"][0]["definitions"]
    other = changed(first, definitions=known | {"map": "0" * 12})
    with pytest.raises(RecordError, match=f"definition of map: A has {known['map']}, B has 0000"):
        compare([first, other])
    assert "FORCED" in str(compare([first, other], force=True).note)
    # Other measures compare, and a record of a version that did not write digests.
    assert not compare([first, other], measures=["recall@1"]).mismatches
    assert not compare([first, changed(first, definitions={})]).mismatches


def test_models_own_differences_are_listed_and_not_refused(first: Record, second: Record) -> None:
    other = Record(copy.deepcopy(second.document), second.tables)
    other.document["options"] = {"batch_size": 8}
    other.document["model"]["prompts"] = {"query": "query: ", "passage": ""}
    other.document["environment"]["packages"]["numpy"] = "0.1"
    listed = [str(x) for x in compare([first, other]).differing]
    assert "name: A has word-bag, B has leaning" in listed
    assert "option batch size: A has nothing, B has 8" in listed
    assert "prompts: A has nothing, B has query 'query: '" in listed
    assert any(x.startswith("numpy: A has ") and x.endswith(", B has 0.1") for x in listed)


def test_no_task_in_common_is_refused_even_by_force(first: Record) -> None:
    other = changed(first, task="huge")
    with pytest.raises(RecordError, match="no task in common: A has tiny, B has huge"):
        compare([first, other], force=True)


def test_tables_of_other_queries_are_refused(first: Record) -> None:
    table = first.tables["tiny"]
    cut = {n: getattr(table, n)[:-1] for n in ("setting", "question", "relevant", "query_chars")}
    values = {m: v[:-1] for m, v in table.values.items()}
    short = Record(first.document, {"tiny": replace(table, **cut, values=values)})
    with pytest.raises(RecordError, match=r"record A .word-bag. has 117 queries of tiny, of which"):
        compare([first, short])


def test_usage(first: Record, second: Record) -> None:
    with pytest.raises(UsageError, match="at least two records"):
        compare([first])
    with pytest.raises(UsageError, match="'tyny' is not in all of these records; did you mean"):
        compare([first, second], tasks=["tyny"])
    with pytest.raises(UsageError, match=r"record A .* has no measure 'mapp' on tiny; did you"):
        compare([first, second], measures=["mapp"])
    with pytest.raises(RecordError, match="nowhere"):
        compare([first, "nowhere"])


def test_force_compares_what_is_shared(task: str, first: Record) -> None:
    part = part_of(task)
    with pytest.raises(RecordError):
        compare([first, part])
    forced = compare([first, part], force=True)
    kinds = {k.kind: k for k in forced.tasks[0].kinds}
    sizes = {k: (x.settings, x.queries, x.questions) for k, x in kinds.items()}
    # en and de; en-de and de-en; four questions in each.
    assert sizes == {"mono": (2, 8, 4), "cross": (2, 8, 4), "multi": (2, 8, 4)}
    table = first.per_query("tiny")
    chosen = table[table.setting.isin(["mono/en", "mono/de"]) & table.question.isin(
        ["q00", "q01", "q02", "q03"])]  # fmt: skip
    assert len(chosen) == 8
    mean = chosen.groupby("setting", observed=True)["ndcg@10"].mean().mean()
    values = only(forced, "mono", "ndcg@10").values
    assert values[0].mean == pytest.approx(mean)
    # The second record is wholly shared, so its interval is its own; the first one's is not.
    whole, own = (
        x.document["tasks"][0]["intervals"]["means"]["mono"]["ndcg@10"]["bca"]
        for x in (first, part)
    )
    assert [values[1].low, values[1].high] == pytest.approx(own)
    assert [values[0].low, values[0].high] != pytest.approx(whole)


def test_force_cannot_compare_what_is_not_there(tmp_path: Path, first: Record) -> None:
    other = tiny.write_task(tmp_path, languages=("fr", "es"))
    record = evaluate(tiny.WordBag(), tasks=[str(other)], store=False)
    with pytest.raises(RecordError, match="share no query of any setting"):
        compare([first, record], force=True)


def test_a_measure_that_nothing_defines_is_undefined(tmp_path: Path) -> None:
    """Rank distance needs two relevant passages, and no comparison is left to correct for."""
    task = str(tiny.write_task(tmp_path, languages=("en",)))
    records = [
        evaluate(tiny.WordBag(bias=x), task, measures=["map", "rank_distance"], resamples=0)
        for x in (0.1, 2.0)
    ]
    found = compare(records, measures=["rank_distance"], resamples=50)
    assert found.comparisons == 0
    assert {x.verdict for k in found.tasks[0].kinds for m in k.measures for x in m.against} == {
        "undefined"
    }
    assert "rank distance" in printed(found).lower()


def test_letters() -> None:
    assert letters(2) == ["A", "B"]
    assert letters(53)[25:28] == ["Z", "AA", "AB"] and letters(53)[-1] == "BA"
