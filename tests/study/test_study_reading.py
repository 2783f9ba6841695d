"""Every rule of the reading: a study in which it must speak, and one in which it must not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import planted
import pytest

from harness.study.report import headline, sentences
from harness.study.report.answer import answer
from harness.study.report.findings import Findings, find

Said = Callable[..., str]
AMOUNTS = {"amount": {"label": "rows", "values": [0, 1000, 2000, 4000, 8000], "data": "rows"}}
NAMES = {"domain": {"label": "domain", "points": [{"name": "home"}, {"name": "away"}]}}


def found(content: Mapping[str, Any], mean: planted.Mean, **more: Any) -> Findings:
    if "amount" in content["axes"]:
        content["data"]["fixed"] = {"format": "pairs", "files": ["fixed.jsonl"]}
        for arm in content["arms"]:
            arm["data"] = ["fixed", "rows"]
    return find(planted.results(content, mean, **more))


def said(rule: sentences.Rule, findings: Findings, measure: str = "map") -> str:
    score_table = findings.all_tables[0]
    return "\n".join(rule(findings, score_table, measure))


def joined(lines: Iterator[str]) -> str:
    return "\n".join(lines)


def plain(text: str) -> str:
    """Without quotation marks."""
    return text.replace("\u201c", "").replace("\u201d", "")


def by_arm(**means: float) -> planted.Mean:
    return lambda arm, values, kind, language: means.get(arm, 0.4)


def test_an_arm_above_the_baseline_is_called_so_and_an_equal_one_is_not() -> None:
    findings = found(planted.document(), by_arm(hybrid=0.45))
    text = said(sentences.against_baseline, findings).split("\n")
    assert text[0].startswith("cross and mono are not significantly different:")
    assert text[1].startswith("hybrid is above mono: +")
    counted = joined(headline.headline(findings)).split("\n")
    assert (
        "better in 0, worse in 0 and not significantly different in 1 of 1 comparison" in counted[0]
    )
    assert "better in 1, worse in 0" in counted[1]


def test_where_less_is_better_the_sentence_says_which_way_that_is() -> None:
    content = planted.document(measures=["rank_distance"], kinds=["multi"])
    findings = found(content, by_arm(mono=900, cross=900, hybrid=700))
    text = said(sentences.against_baseline, findings, "rank_distance")
    assert "hybrid is below mono: \u2212200 ranks" in text and "which is better" in text
    assert [
        x.verdict for x in findings.of("arm", findings.all_tables[0], "rank_distance", "all")
    ] == [
        "no difference shown",
        "better",
    ]


def test_seeds_that_scatter_take_a_claim_back() -> None:
    """The questions alone would claim it; three seeds as far apart as this cannot."""
    findings = found(planted.document(), by_arm(hybrid=0.43), seeds_spread=0.03)
    effects = findings.of("arm", findings.all_tables[0], "map", "all")
    assert min(x.effect.p_value for x in effects) < 0.001
    assert "is above" not in said(sentences.against_baseline, findings)
    assert "the seeds add more to the uncertainty" in joined(headline.cautions(findings))


def test_the_best_value_is_named_with_those_that_tie_with_it() -> None:
    axes = {"alpha": {"label": "alpha", "values": [0.0, 0.25, 0.5, 0.75, 1.0]}}
    content = planted.document(("hybrid",), axes=axes, x="alpha", baseline="hybrid")
    peak = found(content, lambda arm, values, *_: 0.5 - 0.4 * (values["alpha"] - 0.5) ** 2)
    text = said(sentences.best_value, peak)
    assert text.startswith("The best mean of hybrid is at alpha 0.5")
    assert "0 and 1 are worse" in text or "significantly different from all others" in text
    head = joined(headline.headline(peak))
    assert head.startswith(
        "hybrid, values of alpha that are the best or not significantly different from it, of 1"
    )
    assert "0 in 0" in head and "0.5 in 1" in head
    # A value without a finished trial is not called the best.
    rest = found(content, by_arm(), missing=[f"hybrid.alpha=1.seed={x}" for x in range(3)])
    head = joined(headline.headline(rest)).split("\n")[0]
    assert "0.75 in 1." in head and "1 in 1" not in head
    level = found(content, by_arm())
    assert said(sentences.best_value, level).endswith(
        "but no other value is significantly different from it."
    )


def test_with_two_axes_each_series_is_against_the_baseline_at_its_own_value() -> None:
    axes = {x: {"values": y} for x, y in (("temperature", [0.1, 0.5]), ("max_length", [32, 64]))}
    content = planted.document(
        ("mono", "hybrid"), axes=axes, x="temperature", groups={"low": ["de"]}
    )
    text = said(sentences.against_baseline_by_group, found(content, by_arm(hybrid=0.45)))
    for line, length in zip(text.split("\n"), (32, 64), strict=True):
        of = f"max_length {length}"
        assert line.startswith(f"(low) Against mono, {of}: hybrid, {of} +")


def test_numbers_are_in_their_own_order_whatever_that_of_the_file() -> None:
    axes = {"alpha": {"label": "alpha", "values": [1.0, 0.0, 0.5]}}
    content = planted.document(("hybrid",), axes=axes, x="alpha", baseline="hybrid")
    rising = found(content, lambda arm, values, *_: 0.4 + 0.1 * values["alpha"])
    assert said(sentences.from_end_to_end, rising).startswith("From alpha 0 to 1: hybrid +")
    assert rising.layout.points == (0.0, 0.5, 1.0)


@pytest.fixture(scope="module")
def amounts() -> Findings:
    """Mono levels off, cross stays, hybrid rises straight; more so for one language."""

    def mean(arm: str, values: Mapping[str, Any], kind: str, language: str) -> float:
        x = values.get("amount", 0) / 8000
        strength = 1.5 if language == "sw" else 0.5
        return 0.4 + {"mono": 0.1 * (1 - 2 ** (-8 * x)), "hybrid": 0.1 * x}.get(arm, 0) * strength

    content = planted.document(
        axes=AMOUNTS,
        x="amount",
        fit="saturation",
        groups={"low": ["sw"], "high": ["en"], "none": ["fi"]},
        references=["use-m3"],
    )
    return found(
        content, mean, languages=("sw", "en"), sampled=True, missing=["cross.amount=0.seed=2"]
    )


def test_a_change_from_end_to_end_is_reported_only_if_significant(
    amounts: Findings,
) -> None:
    text = said(sentences.from_end_to_end, amounts).split("\n")
    assert text[2].startswith("(low) From amount 0") and text[4].startswith("(high) ")
    assert text[0].startswith("From amount 0 to 8,000: mono +") and "hybrid +" in text[0]
    assert "cross" not in text[0]
    assert text[1] == "Between amount 0 and 8,000 no change is shown for cross."


def test_levelling_off_is_said_of_the_arm_that_does_and_of_no_other(amounts: Findings) -> None:
    text = said(sentences.saturation, amounts)
    level, rest = text.split("\n")[:2]
    assert level.startswith("Levelling off: mono at 0.") and "half of the change by" in level
    assert "hybrid" not in level and "cross" not in level
    assert rest.startswith("No curve that levels off fits clearly better")
    assert "cross" in rest and "hybrid" in rest
    assert said(sentences.best_value, amounts) == ""


def test_a_gap_between_groups_of_languages_is_reported_only_if_significant(
    amounts: Findings,
) -> None:
    text = said(sentences.low_and_high, amounts)
    assert text.startswith("Effects that differ, low less high:")
    assert "mono from 0 to 8,000 +" in text and "cross from 0" not in text
    assert amounts.all_tables[0].groups == ("all", "low", "high", "sw", "en")
    content = planted.document(groups={"low": ["de"], "high": ["en"]})
    same = said(sentences.low_and_high, found(content, by_arm(hybrid=0.45)))
    assert same == "No effect is shown to differ between low and high."


def test_samples_and_unfinished_trials_are_named_and_nothing_if_all_is_complete(
    amounts: Findings,
) -> None:
    text = joined(headline.cautions(amounts))
    assert "A SAMPLE OF THE CORPUS (10 of 1,800 passages), so no official score" in text
    assert "1 trial of 45 is not finished: cross.amount=0.seed=2." in text
    assert joined(headline.cautions(found(planted.document(), by_arm()))) == ""


def test_one_seed_is_said_to_say_nothing_of_others() -> None:
    text = joined(headline.cautions(found(planted.document(seeds=(0,)), by_arm())))
    assert text.startswith("With one seed per trial, an interval is over questions alone")
    some = found(planted.document(), by_arm(), missing=["hybrid.seed=1", "hybrid.seed=2"])
    assert joined(headline.cautions(some)).startswith("Where one seed is finished, an interval")


def test_two_values_are_both_or_neither() -> None:
    axes = {"temperature": {"label": "temperature", "values": [0.1, 0.5]}}
    content = planted.document(("mono", "hybrid", "cross"), axes=axes, x="temperature")
    text = said(sentences.against_baseline, found(content, by_arm(hybrid=0.45))).split("\n")
    assert text[0].startswith("hybrid is above mono over both values of temperature: +")
    assert text[0].endswith("taken singly it is significantly different at both.")
    assert text[1].endswith("taken singly it is significantly different at neither.")
    three = {"label": "domain", "points": [{"name": x} for x in ("home", "away", "abroad")]}
    alike = found(
        planted.document(("hybrid",), axes={"domain": three}, x="domain", baseline="hybrid"),
        by_arm(),
    )
    assert said(sentences.against_first, alike).endswith(
        "neither of the others is significantly different from it."
    )


def test_an_unfinished_study_says_at_which_values_it_compares() -> None:
    axes = {"temperature": {"label": "temperature", "values": [0.1, 0.5]}}
    content = planted.document(("mono", "hybrid"), axes=axes, x="temperature")
    names = [f"{a}.temperature={x}.seed={s}" for a in ("mono", "hybrid") for x in (0.1, 0.5)
             for s in range(3)]  # fmt: skip
    one = found(content, by_arm(hybrid=0.45), missing=[x for x in names if "=0.1" in x])
    assert said(sentences.against_baseline, one).startswith(
        "hybrid is above mono at temperature 0.5: +"
    )
    assert joined(headline.headline(one)).endswith("of 1 comparison, each at temperature 0.5.")
    kept = {
        f"{a}.temperature={x}" for a in ("mono", "hybrid") for x in ("0.1.seed=0", "0.5.seed=1")
    }
    apart = found(content, by_arm(hybrid=0.45), missing=[x for x in names if x not in kept])
    assert said(sentences.against_baseline, apart).count("hybrid is above mono at temperature") == 2
    assert answer(apart) == (
        "No answer yet: no seed is finished at both the first and the last value of temperature."
    )


def test_values_that_are_each_best_somewhere_are_not_said_to_be_alike() -> None:
    axes = {"temperature": {"label": "temperature", "values": [0.1, 0.5, 1.0]}}
    content = planted.document(
        ("hybrid",), axes=axes, x="temperature", baseline="hybrid", kinds=["mono", "cross", "multi"]
    )
    peaks = {"mono": 0.1, "cross": 0.5, "multi": 1.0}
    findings = found(content, lambda _, at, kind, __: 0.5 - abs(at["temperature"] - peaks[kind]))
    assert str(answer(findings)).startswith(
        "Every value of temperature is shown to be worse than the best value in 2 of 3 comparisons"
    )


def test_values_of_an_axis_of_names_are_compared_with_the_first() -> None:
    content = planted.document(("hybrid",), axes=NAMES, x="domain", baseline="hybrid")
    worse = found(content, lambda arm, values, *_: 0.4 if values["domain"] == "home" else 0.35)
    text = said(sentences.against_first, worse)
    assert text.startswith("hybrid, domain, against \u201chome\u201d: \u201caway\u201d \u2212")
    assert "worse in 1" in joined(headline.headline(worse))
    same = found(content, by_arm())
    assert said(sentences.against_first, same).endswith(
        "the other value is not significantly different from it."
    )


def test_the_answer_names_every_arm() -> None:
    findings = found(planted.document(), by_arm(hybrid=0.45, cross=0.3))
    assert answer(findings) == (
        "Of 1 comparison with mono, hybrid is better in 1, and cross is worse in 1 (Planted, mono "
        "mAP: cross \u22129.49 and hybrid +4.76 points)."
    )


def test_an_arm_that_alone_differs_both_ways_is_named_once() -> None:
    tasks = [{"task": "planted"}, {"task": "xquad", "name": "other"}]
    content = planted.document(kinds=["mono", "multi"], tasks=tasks)

    def mean(arm: str, values: Mapping[str, Any], kind: str, language: str) -> float:
        return 0.4 if arm != "cross" else {"mono": 0.3, "multi": 0.5}[kind]

    assert str(answer(found(content, mean))).startswith(
        "Of 4 comparisons with mono, cross is better in 2 and worse in 2 (Planted, multi mAP: "
    )
    assert answer(found(content, by_arm())) == (
        "Of 4 comparisons with mono, none is better or worse."
    )


def test_the_answer_of_several_lines_says_what_each_changes() -> None:
    content = planted.document(("mono", "hybrid"), axes=AMOUNTS, x="amount")
    findings = found(
        content, lambda arm, values, *_: 0.4 + 1e-5 * values["amount"] * (arm == "hybrid")
    )
    text = str(answer(findings))
    assert text.startswith(
        "From amount 0 to 8,000, with mono no change is shown; with hybrid Planted changes by "
        "+7.06 points of mono mAP; of 1 comparison with mono over all values of amount, hybrid is "
        "better"
    )


def test_many_changes_are_counted_and_the_largest_is_named() -> None:
    """Of two tasks and three kinds of setting; alpha 0 is the best for two kinds of the three."""
    axes = {"alpha": {"label": "alpha", "values": [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]}}
    content = planted.document(
        ["hybrid"],
        axes=axes,
        x="alpha",
        baseline="hybrid",
        kinds=["mono", "cross", "multi"],
        tasks=[{"task": "planted"}, {"task": "xquad", "name": "other"}],
    )
    slope = {"mono": -0.1, "cross": 0.2, "multi": -0.3}
    text = str(
        answer(found(content, lambda _, at, kind, __: 0.4 + slope[kind] * (at["alpha"] - 0.5)))
    )
    assert text.startswith(
        "Alpha 0 is shown to be worse than the best value in 2 of 6 comparisons, the others in 4 "
        "to 6; from alpha 0 to 1, 4 of 6 comparisons are worse and 2 are better; Planted changes "
        "most, by \u2212"
    )
    assert text.endswith("points of multi mAP.")


def test_an_arm_without_the_axis_is_compared_where_its_recipe_stands() -> None:
    """Alpha is 0.5 by default: hybrid batches with another freeze stand there, mono ones nowhere.

    What is planted falls with alpha, so that any other comparison has another difference.
    """
    alphas = {"alpha": {"label": "alpha", "values": [0.0, 0.5, 1.0]}}
    content = planted.document(
        ("hybrid", "thawed", "mono"),
        axes=alphas,
        level=("thawed", "mono"),
        x="alpha",
        baseline="hybrid",
    )
    findings = found(
        content,
        lambda arm, values, *_: {"thawed": 0.6, "mono": 0.3}.get(
            arm, 0.5 - 0.2 * values.get("alpha", 0) ** 2
        ),
    )
    text = said(sentences.against_baseline, findings).split("\n")
    assert text[0].startswith("thawed is above hybrid at alpha 0.5: +14.") or text[0].startswith(
        "thawed is above hybrid at alpha 0.5: +15."
    )
    assert text[1].startswith("mono is below hybrid over all 3 values of alpha:")
    assert "thawed against hybrid: better in 1" in joined(headline.headline(findings))
    # What the study varies is alpha: its first sentence is about that alone.
    assert str(answer(findings)).startswith(
        "Alpha 0 is never shown to be worse than the best value"
    )
    assert "thawed" not in str(answer(findings))
    # At another value than those of the axis it is compared with them all.
    content["arms"][1]["train"] = {"alpha": 0.7}
    elsewhere = found(content, by_arm(thawed=0.6))
    assert "thawed is above hybrid over all 3" in said(sentences.against_baseline, elsewhere)


@pytest.mark.parametrize(
    ("kept", "verdict"), [(0.95, "more than"), (0.8, "not significantly different from")]
)
def test_what_is_kept_away_from_home_is_more_only_where_it_is(kept: float, verdict: str) -> None:
    content = planted.document(
        ("mono", "hybrid"),
        axes=NAMES,
        x="domain",
        tasks=[{"task": "planted", "domain": "home"}],
        retention={"axis": "domain"},
    )
    share = {"mono": 0.8, "hybrid": kept}
    findings = found(
        content,
        lambda arm, values, *_: 0.5 * (1 if values["domain"] == "home" else share[arm]),
    )
    text = said(sentences.away_from_home, findings)
    assert plain(text).startswith("Share of the score at domain home that is left at away: mono 0.")
    assert text.endswith(f", {verdict} mono.") and "; hybrid 0." in text
    more = 1 if kept > 0.8 else 0
    assert f"than mono in {more}, less in 0" in joined(headline.headline(findings))
    assert answer(findings) == (
        "Away from home (domain) mono keeps 80.4 % of its score; of 1 comparison with mono, hybrid "
        f"keeps more in {more} and less in 0."
    )
    assert said(sentences.against_first, findings) == ""
    assert said(sentences.away_from_home, found(planted.document(), by_arm())) == ""


def test_languages_left_out_have_their_home_where_none_is() -> None:
    """The group "el" falls where a training leaves it out, less so for hybrid; no other does."""
    axes = {"left-out": {"label": "left out", "points": [{"name": "none"}, {"name": "el"}]}}

    def mean(arm: str, values: Mapping[str, Any], kind: str, language: str) -> float:
        lost = {"mono": 0.15, "hybrid": 0.05}[arm]
        return 0.5 - (lost if (values["left-out"], language) == ("el", "el") else 0)

    groups = {"el": ["el"], "others": ["de", "en"]}
    content = planted.document(("mono", "hybrid"), axes=axes, x="left-out", groups=groups)
    findings = found(content, mean, languages=("de", "el", "en"))
    kept = said(sentences.away_from_home, findings)
    assert plain(kept).startswith(
        "(el) Share of the score at left-out none that is left at el: mono 0."
    )
    assert kept.endswith(", more than mono.") and kept.count("\n") == 0
    assert str(answer(findings)).startswith("Away from home (left-out) mono keeps 70.1 % of its")
    fell = said(sentences.against_first_by_group, findings)
    assert plain(fell).startswith("(el) left-out, against none: mono at el \u2212")
    assert "(others)" not in fell
    against = said(sentences.against_baseline_by_group, findings).split("\n")
    assert against[0].startswith("(el) Against mono: hybrid +")
    assert against[1] == "(others) No arm is significantly different from mono."


def test_trained_settings_are_counted_against_untrained_models() -> None:
    content = planted.document(references=["use-m3", "bm25"])
    findings = found(content, by_arm(hybrid=0.5, bm25=0.3))
    assert said(sentences.against_references, findings) == (
        "Of 3 trained settings: 1 above untrained use-m3, 0 below, 2 not significantly different; "
        "3 above untrained bm25, 0 below, 0 not significantly different."
    )
    assert said(sentences.against_references, found(planted.document(), by_arm())) == ""
    # An untrained model with its own vectors post-processed is one combination less with itself.
    content = planted.document(["mono"], kinds=["multi"], references=["use-m3", "bm25"])
    content["score"]["post_processing"] = {"steps": ["center"], "texts": "x"}
    results = planted.results(content, by_arm(), questions=40)
    plain = {"planted": results.references["bm25"]["planted"]}
    results = replace(results, references={**results.references, "bm25": plain})
    assert said(sentences.against_references, find(results)) == (
        "Of combinations: of 3, 0 above untrained use-m3, 0 below, 3 not significantly different; "
        "of 4, 0 above untrained bm25, 0 below, 4 not significantly different."
    )
