"""The batches of an epoch: what holds for any data, and how often each kind is drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from harness.errors import UsageError
from harness.training.batches import HybridBatchSampler
from harness.training.epoch_plan import Plan
from harness.training.pairs import DataSet, Example
from harness.training.settings import Settings
from harness.training.strata import rows_of
from harness.training.training_set import read_data

LANGUAGES = ("en", "de", "zh", "ru")


def data_set(name: str, examples: list[Example]) -> DataSet:
    return DataSet(name, Path(f"{name}.jsonl"), "parallel", "", tuple(examples))


def parallel(name: str, count: int, *, share: int = 1) -> DataSet:
    """Rows in all four languages; ``share`` of them have the same passage."""
    texts = [{x: f"{name}{i // share}{x}" for x in LANGUAGES} for i in range(count)]
    return data_set(
        name, [Example(f"{name}{i}", texts[i], texts[i], f"{i // share}") for i in range(count)]
    )


def monolingual(name: str, language: str, count: int) -> DataSet:
    return data_set(
        name,
        [Example(f"{name}{i}", {language: "q"}, {language: f"{name}{i}"}) for i in range(count)],
    )


SIDES = st.lists(st.sampled_from(LANGUAGES), min_size=1, unique=True)


@st.composite
def any_data(draw: st.DrawFn) -> list[DataSet]:
    """Data sets of rows that lack languages, share ids and passages, as real ones do."""
    sets = []
    for name in draw(st.sampled_from([("a",), ("a", "b")])):
        same = draw(st.booleans())
        both = draw(st.tuples(SIDES, SIDES))
        examples = []
        for i in range(draw(st.integers(4, 40))):
            query, passage = both if same else draw(st.tuples(SIDES, SIDES))
            group = draw(st.integers(0, 60))
            number = draw(st.integers(0, 60)) if draw(st.booleans()) else 1000 + i
            examples.append(
                Example(
                    f"q{number}",
                    dict.fromkeys(query, "q"),
                    dict.fromkeys(passage, f"{name}{i}"),
                    f"p{group}" if draw(st.booleans()) else None,
                )
            )
        sets.append(data_set(name, examples))
    return sets


OPTIONS = st.fixed_dictionaries(
    {
        "recipe": st.sampled_from(["hybrid", "mono", "cross", "mixed", "english"]),
        "cross_batches": st.sampled_from(["mixed", "single"]),
        "language_draw": st.sampled_from(["uniform", "size", "temperature"]),
        "epoch": st.sampled_from(["once", "drawn"]),
        "batch_size": st.integers(2, 9),
        "seed": st.integers(0, 5),
    }
)


@settings(max_examples=250, deadline=None)
@given(any_data(), OPTIONS, st.integers(1, 3))
def test_invariants_for_any_data(
    sets: list[DataSet], options: dict[str, Any], processes: int
) -> None:
    rows, examples = rows_of(sets)
    try:
        plan = Plan(rows, Settings(**options), processes=processes)
        epochs = [plan.epoch(0), plan.epoch(1)]
    except UsageError as refused:
        assert "\n" not in str(refused)
        event(f"refused: {str(refused)[:24]}")
        return
    event("kinds of rows to choose among: " + str(max(len(s.allowed) > 1 for s in plan.strata)))
    usable = np.setdiff1d(np.arange(len(rows)), plan.unusable)
    assert len(plan) % processes == 0
    rng = np.random.default_rng(0)
    for batches in epochs:
        assert len(batches) == len(plan)
        if options["epoch"] == "once":
            seen = np.sort(np.concatenate([b.rows for b in batches]))
            assert seen.tolist() == usable.tolist()
        for batch in batches:
            assert 1 <= len(batch.rows) <= options["batch_size"]
            assert len({int(rows.data_set[r]) for r in batch.rows}) == 1
            ids = [examples[r].id for r in batch.rows]
            named = [examples[r].passage_id for r in batch.rows if examples[r].passage_id]
            assert len(set(ids)) == len(ids) and len(set(named)) == len(named)
            query, passage = plan.languages(batch, rng)
            requested = [rows.languages[i] for i in query]
            told = [rows.languages[i] for i in passage]
            for row, a, b in zip(batch.rows, requested, told, strict=True):
                assert a in examples[row].query and b in examples[row].passage
            name = plan.cells.name(batch.cell)
            if name.startswith("mono"):
                assert set(requested) == set(told) == {name.removeprefix("mono/")}
            elif name == "mixed":
                assert requested == told
            else:
                assert all(a != b for a, b in zip(requested, told, strict=True))
            if name.startswith("cross/"):
                assert set(zip(requested, told, strict=True)) == {tuple(name[6:].split("-"))}
            allowed = {
                "hybrid": ("mono", "cross"),
                "english": ("mono/en",),
            }.get(options["recipe"], (options["recipe"],))
            assert name.startswith(allowed)


@settings(max_examples=40, deadline=None)
@given(any_data(), OPTIONS)
def test_the_same_seed_and_epoch_give_the_same_batches(
    sets: list[DataSet], options: dict[str, Any]
) -> None:
    rows, _ = rows_of(sets)
    drawn = []
    for _ in range(2):
        try:
            sampler = HybridBatchSampler(Plan(rows, Settings(**options)))
            sampler.set_epoch(3)
            drawn.append(list(sampler))
        except UsageError:
            return
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == len(sampler)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.integers(0, 2**31 - 1), st.sampled_from(["once", "drawn"]))
def test_the_share_of_batches_in_one_language_is_alpha(alpha: float, seed: int, epoch: str) -> None:
    rows, _ = rows_of([parallel("a", 3000, share=3)])
    plan = Plan(rows, Settings(alpha=alpha, batch_size=6, seed=seed, epoch=epoch))
    mono = sum(bool(plan.cells.is_mono[b.cell]) for b in plan.epoch(0))
    # Two-sided at one in ten million: 30 draws a run never see it by chance.
    low, high = binom.interval(1 - 1e-7, 500, alpha)
    assert len(plan) == 500
    assert low <= mono <= high


def test_alpha_is_met_over_all_data_where_some_has_no_choice() -> None:
    sets = [parallel("a", 3000), monolingual("b", "en", 1000)]
    plan = Plan(rows_of(sets)[0], Settings(batch_size=10))
    batches = plan.epoch(0)
    mono = sum(bool(plan.cells.is_mono[b.cell]) for b in batches)
    # 400 batches, 100 of them monolingual whatever is drawn: the other 300 are drawn with the
    # probability (0.5 * 400 - 100) / 300 = 1/3.
    low, high = binom.interval(1 - 1e-7, 300, 1 / 3)
    assert len(batches) == 400
    assert 100 + low <= mono <= 100 + high


def test_an_alpha_out_of_the_datas_reach_is_refused_or_drawn() -> None:
    sets = [parallel("a", 100), monolingual("b", "en", 300)]
    rows, _ = rows_of(sets)
    with pytest.raises(UsageError, match=r"--alpha 0.5 is impossible .* allow 0.75 to 1.00"):
        Plan(rows, Settings(batch_size=10))
    drawn = Plan(rows, Settings(batch_size=10, epoch="drawn"))
    mono = [drawn.cells.is_mono[b.cell] for e in range(10) for b in drawn.epoch(e)]
    low, high = binom.interval(1 - 1e-7, 400, 0.5)
    assert low <= sum(mono) <= high


@pytest.mark.parametrize("cross", ["mixed", "single"])
def test_few_rows_in_one_language_among_rows_across_them_do_not_hide_an_alpha_out_of_reach(
    cross: str,
) -> None:
    across = [Example(f"c{i}", {"en": "q"}, {"de": f"{i}", "fr": f"f{i}"}) for i in range(1000)]
    rows, _ = rows_of([data_set("a", [*across, *monolingual("m", "en", 50).examples])])
    with pytest.raises(UsageError, match=r"--alpha 0.5 is impossible with every pair once"):
        Plan(rows, Settings(batch_size=100, cross_batches=cross))
    plan = Plan(rows, Settings(batch_size=100, cross_batches=cross, alpha=0.1))
    assert sum(bool(plan.cells.is_mono[b.cell]) for b in plan.epoch(0)) == 1


def test_pairs_of_one_kind_alone_are_no_hybrid_training() -> None:
    rows, _ = rows_of([monolingual("a", "en", 100)])
    for epoch in ("once", "drawn"):
        with pytest.raises(UsageError, match=r"across languages; set --alpha 1, with which all"):
            Plan(rows, Settings(batch_size=10, epoch=epoch)).check_alpha()
        Plan(rows, Settings(batch_size=10, epoch=epoch, alpha=1.0)).check_alpha()


def test_a_row_without_a_passage_id_never_meets_its_passage() -> None:
    one = [Example(f"n{i}", {"en": "q"}, {"en": f"p{i}"}, f"id{i}") for i in range(20)]
    other = [Example(f"t{i}", {"en": "q"}, {"en": f"p{i}"}) for i in range(20)]
    rows, examples = rows_of([data_set("a", one + other)])
    for batch in Plan(rows, Settings(recipe="mono", batch_size=20)).epoch(0):
        texts = [examples[r].passage["en"] for r in batch.rows]
        assert len(set(texts)) == len(texts)


def test_rows_that_cannot_be_separated_in_a_later_epoch_are_refused_before_the_first_step() -> None:
    draw = np.random.default_rng(7)
    examples = [
        Example(f"q{i}", {"en": "q", side: "q"}, {"en": f"p{i}"}, f"p{draw.integers(9)}")
        for i in range(27)
        for side in [("de", "fr", "en")[i % 3]]
    ]
    sets = data_set("a", examples)
    options = Settings(data=("a",), recipe="hybrid", cross_batches="single", batch_size=6)
    plan = Plan(rows_of([sets])[0], options)
    fails = next(e for e in range(100) if _refused(plan, e))
    assert fails > 0
    within = replace(options, holdout=0.0, steps=fails * len(plan))
    read_data(within, read=lambda _: sets)
    for more in ({"steps": fails * len(plan) + 1}, {"steps": fails * len(plan), "accumulation": 2}):
        with pytest.raises(UsageError, match="too many rows share ids or passages"):
            read_data(replace(within, **more), read=lambda _: sets)


def _refused(plan: Plan, epoch: int) -> bool:
    try:
        plan.epoch(epoch)
    except UsageError:
        return True
    return False


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        ("uniform", {"en": 1 / 2, "de": 1 / 2}),
        ("size", {"en": 3 / 4, "de": 1 / 4}),
        # Sizes 300 and 100 to the power of 1/2: sqrt(3) to 1.
        ("temperature", {"en": 3**0.5 / (3**0.5 + 1), "de": 1 / (3**0.5 + 1)}),
    ],
)
def test_languages_are_drawn_as_set(draw: str, expected: dict[str, float]) -> None:
    sets = [monolingual("a", "en", 300), monolingual("a2", "de", 100)]
    examples = [x for s in sets for x in s.examples]
    rows, _ = rows_of([data_set("both", examples)])
    plan = Plan(
        rows,
        Settings(
            recipe="mono", batch_size=4, epoch="drawn", language_draw=draw, language_temperature=2.0
        ),
    )
    names = [plan.cells.name(b.cell) for e in range(10) for b in plan.epoch(e)]
    for language, share in expected.items():
        low, high = binom.interval(1 - 1e-7, len(names), share)
        assert low <= names.count(f"mono/{language}") <= high


def test_data_sets_are_drawn_by_their_rows_whatever_their_languages() -> None:
    """300 rows in three languages are as many as 300 in one."""
    languages = [monolingual(x, x, 100).examples for x in ("en", "de", "fr")]
    sets = [data_set("three", [y for x in languages for y in x]), monolingual("one", "en", 300)]
    rows, _ = rows_of(sets)
    plan = Plan(rows, Settings(recipe="mono", batch_size=4, epoch="drawn"))
    of_one = [rows.data_set[b.rows[0]] == 1 for e in range(10) for b in plan.epoch(e)]
    low, high = binom.interval(1 - 1e-7, len(of_one), 0.5)
    assert low <= sum(of_one) <= high


def test_a_mixed_cross_batch_has_many_language_pairs_drawn_uniformly() -> None:
    rows, _ = rows_of([parallel("a", 1200)])
    sampler = HybridBatchSampler(Plan(rows, Settings(recipe="cross", batch_size=60)))
    pairs = [divmod(index % 16, 4) for batch in sampler for index in batch]
    counts = np.bincount([a * 4 + b for a, b in pairs], minlength=16).reshape(4, 4)
    low, high = binom.interval(1 - 1e-7, 1200, 1 / 12)
    assert counts.trace() == 0
    off_diagonal = counts[~np.eye(4, dtype=bool)]
    assert (off_diagonal >= low).all() and (off_diagonal <= high).all()
    assert all(len({index % 16 for index in batch}) > 4 for batch in sampler)


def test_data_sets_get_batches_by_their_size() -> None:
    rows, _ = rows_of([parallel("a", 300), parallel("b", 100)])
    plan = Plan(rows, Settings(batch_size=10))
    of = [int(rows.data_set[b.rows[0]]) for b in plan.epoch(0)]
    assert (of.count(0), of.count(1)) == (30, 10)
    # Mixed, not one after the other: the first ten of 40 hold both (all of one: 1 in 850 million).
    assert set(of[:20]) == {0, 1}


def test_batches_are_even_and_as_few_as_shared_passages_allow() -> None:
    rows, _ = rows_of([parallel("a", 205)])
    sizes = [len(b.rows) for b in Plan(rows, Settings(batch_size=20)).epoch(0)]
    assert sorted(sizes) == [18] * 4 + [19] * 7  # 205 rows in 11 batches
    rows, _ = rows_of([parallel("a", 60, share=12)])
    sizes = [len(b.rows) for b in Plan(rows, Settings(batch_size=20)).epoch(0)]
    assert sizes == [5] * 12  # twelve rows of a passage need twelve batches


@pytest.mark.parametrize(
    ("sets", "options", "said"),
    [
        ([parallel("a", 9)], {"batch_size": 10}, "the data have 9 pairs for --recipe hybrid, too"),
        (
            [parallel("a", 20), monolingual("b", "en", 1)],
            {"batch_size": 10},
            "b: has only one pair for batches of the kind mono/en",
        ),
        (
            [data_set("a", [Example(x, dict.fromkeys(x.split(), "q"), dict.fromkeys(x.split(), x))
                            for x in ("en de", "zh ru")])],
            {"batch_size": 2, "recipe": "mono", "epoch": "drawn"},
            "no two pairs of the data fit one batch of --recipe mono",
        ),
        (
            [parallel("a", 9)],
            {"batch_size": 9, "processes": 16},
            "the data's 9 pairs do not make as many batches for each of 16 processes",
        ),
    ],
)  # fmt: skip
def test_data_that_cannot_make_batches_is_refused(
    sets: list[DataSet], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        processes = options.get("processes", 1)
        own = {k: v for k, v in options.items() if k != "processes"}
        Plan(rows_of(sets)[0], Settings(**own), processes=processes)
    assert str(refused.value).startswith(said)
