"""What the gate calls a regression, a pass, and too little to tell."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import tiny
from compared import with_values
from gated import LANGUAGES, POLICY, QUESTIONS, base_record, judged, moved, policy

from harness import evaluate
from harness.analysis.compare import compare
from harness.data.task import Setting
from harness.evaluation.record import Record
from harness.gate import Gate, gate
from harness.gate.differences import checks_of
from harness.gate.report.tables import headline
from harness.stats.per_query import Paired, PerQuery

SURE = [-0.2] * 30 + [0.0] * 30
"""Thirty of sixty questions fall by 0.2: a drop of 0.1 that no chance explains."""
UNSURE = [-0.5] * 5 + [0.0] * 54 + [0.1]
"""A drop of 0.04, of which five questions are all: by chance, one in 32 times."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return base_record(tmp_path_factory.mktemp("base"))


def test_a_drop_that_is_large_and_sure_is_a_regression_where_it_is(
    base: Record, tmp_path: Path
) -> None:
    found = gate(moved(base, de=SURE), base, policy(tmp_path))
    cells = {cell.unit: cell for _, cell in found.cells()}
    assert (cells["en"].verdict, cells["de"].verdict) == ("pass", "regression")
    assert cells["de"].difference == pytest.approx(-0.1)
    assert (cells["de"].baseline, cells["de"].candidate) == pytest.approx((0.5, 0.4))
    # All of the thirty changes are of one sign: 2 ** -30, which no 10,000 draws reach; times two.
    assert cells["de"].p_value == 1 / 10_001
    assert cells["de"].adjusted == pytest.approx(2 / 10_001)
    assert cells["de"].reason == "drop of 0.1000, more than 0.0500 (p = 0.0002)"
    assert (found.verdict, found.exit_code, found.languages) == ("regression", 1, ("de",))
    assert found.regressions == (cells["de"],)


def test_a_drop_within_the_limit_passes_though_it_is_sure(base: Record, tmp_path: Path) -> None:
    cell = judged(moved(base, de=[-0.01] * QUESTIONS), base, policy(tmp_path))["de"]
    assert cell.adjusted < 0.05
    assert (cell.verdict, cell.difference) == ("pass", pytest.approx(-0.01))


def test_a_large_drop_that_may_be_chance_is_inconclusive(base: Record, tmp_path: Path) -> None:
    # Two questions of sixty lose 3 and all others gain a little: p one-sided is far above 0.05.
    change = [-3.0, -3.0] + [0.03] * 58
    cell = judged(moved(base, de=change), base, policy(tmp_path))["de"]
    assert cell.difference == pytest.approx((-6 + 1.74) / 60)
    assert cell.verdict == "inconclusive"
    assert "may be chance" in cell.reason


def test_a_small_drop_passes_only_if_a_large_one_is_excluded(base: Record, tmp_path: Path) -> None:
    """UNSURE: the drop is within 0.05, but the interval of it is not."""
    cell = judged(moved(base, de=UNSURE), base, policy(tmp_path))["de"]
    assert -cell.difference < cell.limit < -cell.low
    assert cell.verdict == "inconclusive"
    wider = policy(tmp_path, POLICY + "margin = 0.2\n")
    assert judged(moved(base, de=UNSURE), base, wider)["de"].verdict == "pass"


def test_too_few_questions_are_inconclusive_even_where_nothing_changed(
    base: Record, tmp_path: Path
) -> None:
    many = policy(tmp_path, POLICY + "min_queries = 61\n")
    found = gate(base, base, many)
    assert (found.verdict, found.exit_code) == ("inconclusive", 3)
    assert {c.reason for _, c in found.cells()} == {"60 questions, the rule requires 61"}


def test_one_question_has_no_interval(base: Record, tmp_path: Path) -> None:
    one = with_values(base, {f"mono/{x}": [0.5] + [math.nan] * 59 for x in ("en", "de")})
    found = judged(one, one, policy(tmp_path, POLICY + "min_queries = 1\n"))
    assert found["de"].reason == "drop of 0, but of 1 question there is no interval"


def test_nothing_changed_is_a_pass(base: Record, tmp_path: Path) -> None:
    none = policy(tmp_path, POLICY.replace("0.05", "0.0"))
    found = gate(base, base, none)
    assert (found.verdict, found.exit_code) == ("pass", 0)
    assert {(c.difference, c.low, c.high) for _, c in found.cells()} == {(0.0, 0.0, 0.0)}


def test_rounding_is_not_a_regression_where_nothing_is_let_through(
    base: Record, tmp_path: Path
) -> None:
    """Sums of the same terms in another order: every question lower in the last digit."""
    none = policy(tmp_path, POLICY.replace("0.05", "0.0"))
    found = gate(moved(base, de=[-(2.0**-52)] * QUESTIONS), base, none)
    assert found.verdict == "pass"
    cell = judged(moved(base, de=[-1e-8] * QUESTIONS), base, none)["de"]
    assert (cell.verdict, cell.limit) == ("pass", 1e-6)


def test_a_better_value_is_an_improvement(base: Record, tmp_path: Path) -> None:
    found = gate(moved(base, de=[-x for x in SURE]), base, policy(tmp_path))
    cells = {cell.unit: cell.verdict for _, cell in found.cells()}
    assert cells == {"en": "pass", "de": "improvement"}
    assert (found.verdict, found.exit_code) == ("improvement", 0)


def test_one_regression_outweighs_all_else(base: Record, tmp_path: Path) -> None:
    rules = policy(
        tmp_path, POLICY + '[[rules]]\nname = "gone"\nmeasure = "recall@7"\nmax_drop = 0'
    )
    found = gate(moved(base, de=SURE, en=[-x for x in SURE]), base, rules)
    assert [x.verdict for x in found.outcomes] == ["regression", "missing"]
    assert found.exit_code == 1


def test_what_neither_record_has_is_missing_unless_it_is_optional(
    base: Record, tmp_path: Path
) -> None:
    gone = '[[rules]]\nname = "gone"\nmeasure = "recall@7"\nmax_drop = 0\n'
    found = gate(base, base, policy(tmp_path, POLICY + gone))
    assert (found.verdict, found.exit_code) == ("missing", 4)
    assert found.outcomes[1].note == "neither record has recall@7 where the rule applies"
    left = gate(base, base, policy(tmp_path, POLICY + gone + "required = false\n"))
    assert (left.verdict, left.outcomes[1].left_out) == ("pass", True)


def test_a_task_of_one_language_passes_the_default_policy(tmp_path: Path) -> None:
    """Its record has rank distance, of one relevant passage, and no question defines that."""
    task = tiny.write_task(tmp_path, questions=40, languages=("de",))
    record = evaluate(tiny.WordBag(), tasks=[str(task)], store=False)
    found = gate(record, record)
    assert (found.verdict, found.exit_code) == ("pass", 0)
    assert [x.left_out for x in found.outcomes] == [False, False, True, True]
    text = '[[rules]]\nmeasure = "rank_distance"\nmax_drop = 0\nrequired = '
    optional = policy(tmp_path, f"{POLICY}{text}false\n")
    assert gate(record, record, optional).verdict == "pass"
    assert gate(record, record, policy(tmp_path, f"{POLICY}{text}true\n")).verdict == "missing"
    # Defined in one of them, it is missing in the other.
    other = with_values(record, {"multi/de": [1.0] * 40}, measure="rank_distance")
    assert gate(other, record, optional).verdict == "missing"


def test_a_language_that_the_records_lack_is_missing(base: Record, tmp_path: Path) -> None:
    found = gate(base, base, policy(tmp_path, POLICY + 'languages = ["de", "fr"]\n'))
    assert (found.verdict, found.outcomes[0].note) == ("missing", "the records have no fr")


@pytest.mark.parametrize("scope", ['languages = ["fr"]', 'tasks = ["other"]'])
def test_a_language_or_task_that_the_records_lack_may_be_optional(
    base: Record, tmp_path: Path, scope: str
) -> None:
    rule = f'[[rules]]\nname = "more"\nmeasure = "map"\nmax_drop = 0\n{scope}\n'
    assert gate(base, base, policy(tmp_path, POLICY + rule)).verdict == "missing"
    found = gate(base, base, policy(tmp_path, POLICY + rule + "required = false\n"))
    assert (found.verdict, found.outcomes[1].left_out) == ("pass", True)


def test_a_relative_limit_is_a_share_of_the_baseline_and_the_smaller_one_counts(
    base: Record, tmp_path: Path
) -> None:
    cells = judged(base, base, policy(tmp_path, POLICY + "max_relative_drop = 0.02\n"))
    assert cells["de"].limit == pytest.approx(0.01)
    cells = judged(base, base, policy(tmp_path, POLICY + "max_relative_drop = 0.5\n"))
    assert cells["de"].limit == 0.05


def test_the_mean_is_the_records_macro_mean(base: Record, tmp_path: Path) -> None:
    cells = judged(moved(base, de=SURE), base, policy(tmp_path, POLICY.replace("language", "mean")))
    assert list(cells) == ["all"]
    assert cells["all"].difference == pytest.approx(-0.05)


def test_direction_same_fails_both_ways(base: Record, tmp_path: Path) -> None:
    same = policy(tmp_path, POLICY + 'direction = "same"\n')
    cells = judged(moved(base, de=SURE, en=[-x for x in SURE]), base, same)
    assert {x: c.verdict for x, c in cells.items()} == {"en": "regression", "de": "regression"}
    # Two-sided: twice as many swaps are at least as far from 0.
    assert cells["de"].p_value == pytest.approx(1 / 10_001)


def test_direction_lower_takes_a_rise_for_a_drop(base: Record, tmp_path: Path) -> None:
    lower = policy(tmp_path, POLICY + 'direction = "lower"\n')
    cells = judged(moved(base, de=SURE, en=[-x for x in SURE]), base, lower)
    assert {x: c.verdict for x, c in cells.items()} == {"en": "regression", "de": "improvement"}


TIERS = '[tiers]\ncritical = ["en"]\nwatched = ["de"]\n'


def test_watched_languages_are_reported_and_never_fail(base: Record, tmp_path: Path) -> None:
    found = gate(moved(base, de=SURE), base, policy(tmp_path, TIERS + POLICY))
    cells = {cell.unit: cell for _, cell in found.cells()}
    assert (cells["de"].verdict, cells["de"].counts) == ("regression", False)
    assert (found.verdict, found.exit_code, found.languages) == ("pass", 0, ())
    # They cost the others nothing in Holm's correction.
    assert found.comparisons == 1


def test_a_tier_has_rules_of_its_own(base: Record, tmp_path: Path) -> None:
    text = TIERS + POLICY + 'tier = "critical"\n'
    assert list(judged(base, base, policy(tmp_path, text))) == ["en"]
    # What no tier names is supporting.
    text = '[tiers]\ncritical = ["en"]\n' + POLICY + 'tier = "supporting"\n'
    assert list(judged(base, base, policy(tmp_path, text))) == ["de"]


def test_inconclusive_can_be_allowed_but_stays_inconclusive(base: Record, tmp_path: Path) -> None:
    text = 'inconclusive = "allow"\n' + POLICY
    found = gate(moved(base, de=UNSURE), base, policy(tmp_path, text))
    assert (found.outcomes[0].verdict, found.verdict, found.exit_code) == (
        "inconclusive",
        "pass",
        0,
    )


def test_the_noise_of_a_model_is_let_through(base: Record, tmp_path: Path) -> None:
    """Tolerances as `harness noise` prints them."""
    tolerances = '[tolerances.float32]\n"map" = { mean = 0.001, language = 0.3 }\n'
    rules = policy(tmp_path, POLICY.replace("0.05", "0.0") + tolerances)
    cell = judged(moved(base, de=SURE), base, rules)["de"]
    assert (cell.limit, cell.verdict) == (0.3, "pass")


def test_a_stricter_level_is_a_rules_own(base: Record, tmp_path: Path) -> None:
    """Six questions fall: 2 ** -6 one-sided, times two rules' languages, is not below 0.001."""
    change = [-0.6] * 6 + [0.0] * 54
    text = POLICY + "max_relative_drop = 0.05\n"
    loose = judged(moved(base, de=change), base, policy(tmp_path, text))["de"]
    strict = judged(moved(base, de=change), base, policy(tmp_path, text + "alpha = 0.001\n"))["de"]
    assert loose.adjusted == pytest.approx(2 / 64, rel=0.2)
    assert (loose.verdict, strict.verdict) == ("regression", "inconclusive")


@pytest.mark.parametrize("seed", range(3))
def test_differences_and_p_values_are_those_of_compare(
    base: Record, tmp_path: Path, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    other = moved(base, **{x: rng.normal(-0.02, 0.2, QUESTIONS).tolist() for x in LANGUAGES})
    cells = judged(other, base, policy(tmp_path))
    (against,) = compare([base, other], measures=["map"]).tasks[0].kinds[0].measures[0].against
    for part in against.languages:
        cell = cells[part.query_language]
        assert cell.difference == pytest.approx(part.difference)
        half = part.p_value / 2 if cell.difference < 0 else 1 - part.p_value / 2
        assert cell.p_value == pytest.approx(half, abs=0.03)


def test_the_documents_numbers_are_those_of_the_checks(base: Record, tmp_path: Path) -> None:
    found: Gate = gate(moved(base, de=SURE), base, policy(tmp_path))
    document = found.document()
    assert (document["schema_version"], document["exit_code"]) == (1, 1)
    cell = document["outcomes"][0]["cells"][1]
    assert (cell["unit"], cell["verdict"]) == ("de", "regression")
    assert document["baseline"]["fingerprint"] == base.document["model"]["fingerprint"]


CROSS = """\
[[rules]]
measure = "map"
settings = ["cross"]
by = "{by}"
max_drop = 0.02
"""


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Every ordered pair of three languages, mAP 0.5 in all."""
    folder = tmp_path_factory.mktemp("crossed")
    path = tiny.write_task(folder, questions=QUESTIONS, languages=("en", "de", "es"))
    record = evaluate(tiny.WordBag(), tasks=[str(path)], settings=("cross",), store=False)
    return with_values(record, dict.fromkeys(PAIRS, [0.5] * QUESTIONS))


PAIRS = tuple(f"cross/{x}-{y}" for x in ("en", "de", "es") for y in ("en", "de", "es") if x != y)


def fallen(record: Record, *pairs: str) -> Record:
    values = {p: [0.5 + (x if p in pairs else 0.0) for x in SURE] for p in PAIRS}
    return with_values(record, values)


def test_a_language_of_passages_alone_has_its_value_too(tmp_path: Path) -> None:
    """As where queries in de and es search English passages."""
    settings = (Setting("cross", "de", "en"), Setting("cross", "es", "en"))
    nothing = np.zeros(2, np.int32)
    table = PerQuery(
        settings,
        ("q",),
        np.arange(2, dtype=np.int32),
        nothing,
        nothing + 1,
        nothing,
        {"map": np.ones(2)},
    )
    rules = policy(tmp_path, '[[rules]]\nmeasure = "map"\nby = "language"\nmax_drop = 0.1\n')
    found = checks_of(rules, 0, Paired("tiny", "cross", (table, table)), 0)
    assert [(x.side, x.unit, x.settings) for x in found] == [
        ("query", "de", (0,)), ("query", "es", (1,)), ("passage", "en", (0, 1)),
    ]  # fmt: skip


def test_a_language_whose_passages_got_worse_is_named_and_not_the_query_languages(
    crossed: Record, tmp_path: Path
) -> None:
    """Pairs into de fall by 0.1: half of what is asked from en, and from es, falls."""
    found = gate(
        fallen(crossed, "cross/en-de", "cross/es-de"),
        crossed,
        policy(tmp_path, CROSS.format(by="language")),
    )
    cells = {(c.side, c.unit): c for _, c in found.cells("regression")}
    told = {at: (round(c.difference, 6), c.through) for at, c in cells.items()}
    assert told == {
        ("passage", "de"): (-0.1, ()),
        ("query", "en"): (-0.05, ("de",)),
        ("query", "es"): (-0.05, ("de",)),
    }
    assert found.languages == ("de",)


def test_a_pair_alone_is_named_as_a_pair(crossed: Record, tmp_path: Path) -> None:
    rules = policy(tmp_path, CROSS.format(by="pair"))
    found = gate(fallen(crossed, "cross/en-de"), crossed, rules)
    assert [(c.unit, c.through) for c in found.regressions] == [("en-de", ())]
    assert len(list(found.cells())) == 6 and set(found.languages) == {"en", "de"}


def test_a_pair_of_languages_with_scripts_is_named_by_its_languages(tmp_path: Path) -> None:
    """The pair's name alone does not say where its first code ends."""
    path = tiny.write_task(tmp_path, questions=QUESTIONS, languages=("en", "zh-Hant", "es"))
    record = evaluate(tiny.WordBag(), tasks=[str(path)], settings=("cross",), store=False)
    pairs = [x.replace("de", "zh-Hant") for x in PAIRS]
    level = with_values(record, dict.fromkeys(pairs, [0.5] * QUESTIONS))
    fall = [0.5 + x for x in SURE]
    lower = with_values(
        level, {x: fall if x == "cross/zh-Hant-en" else [0.5] * QUESTIONS for x in pairs}
    )
    found = gate(lower, level, policy(tmp_path, CROSS.format(by="pair")))
    assert set(found.languages) == {"zh-Hant", "en"}


def test_a_mean_says_which_languages_it_fell_with(crossed: Record, tmp_path: Path) -> None:
    mean = CROSS.format(by="mean")
    rules = policy(tmp_path, mean + CROSS.format(by="language"))
    found = gate(fallen(crossed, "cross/en-de", "cross/es-de"), crossed, rules)
    (cell,) = found.outcomes[0].cells
    # Two of six pairs fall by 0.1.
    assert (cell.difference, cell.through) == (pytest.approx(-0.2 / 6), ("de",))
    # With no rule about languages nobody can say.
    found = gate(fallen(crossed, *PAIRS), crossed, policy(tmp_path, mean))
    assert (found.regressions[0].through, found.languages) == ((), ())
    assert headline(found) == "REGRESSION across languages (cross): 1 of 1 value"


def test_of_two_languages_the_monolingual_settings_tell_which(tmp_path: Path) -> None:
    """The one pair from en is the one pair into de: both fall alike, and mono de falls too."""
    path = tiny.write_task(tmp_path, questions=QUESTIONS, languages=("de", "en"))
    record = evaluate(tiny.WordBag(), tasks=[str(path)], settings=("mono", "cross"), store=False)
    level, fall = [0.5] * QUESTIONS, [0.5 + x for x in SURE]
    settings = ("mono/de", "mono/en", "cross/de-en", "cross/en-de")
    base = with_values(record, dict.fromkeys(settings, level))
    fallen = dict(zip(settings, (fall, level, level, fall), strict=True))
    text = CROSS.format(by="language").replace('["cross"]', '["cross", "mono"]')
    found = gate(with_values(record, fallen), base, policy(tmp_path, text))
    through = {(c.kind, c.side, c.unit): c.through for c in found.regressions}
    assert through == {
        ("mono", "query", "de"): (),
        ("cross", "passage", "de"): (),
        ("cross", "query", "en"): ("de",),
    }
    assert found.languages == ("de",)
