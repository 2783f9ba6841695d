"""Whoever shows a macro mean of a table shows the same one."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.noise import drifts
from harness.data.task import KINDS, Kind, Setting
from harness.gate.differences import checks_of, measured
from harness.gate.policy import read_policy
from harness.interop.published import Published
from harness.interop.trec_runs import Scored
from harness.interop.trec_runs import kind_means as means_of_runs
from harness.stats.means import kind_means, kind_medians, question_shares, setting_means
from harness.stats.pairwise_tests import paired_tests
from harness.stats.per_query import Paired, PerQuery
from harness.stats.resampling import cluster_bootstrap, leave_one_out, paired_permutation_test

MEASURE = "map"
RULE = """\
[[rules]]
measure = "map"
settings = ["mono", "cross", "multi"]
by = "{by}"
max_drop = 0.05
"""


@st.composite
def tables(draw: st.DrawFn) -> PerQuery:
    """Up to 12 languages in any order, some settings, few of their queries, some undefined."""
    languages = draw(
        st.lists(st.sampled_from("ar de el en es fr hi it ru th tr zh".split()), min_size=1,
                 max_size=12, unique=True)
    )  # fmt: skip
    mono = [Setting("mono", x, x) for x in languages]
    cross = [Setting("cross", x, y) for x in languages for y in languages if x != y]
    multi = [Setting("multi", x, None) for x in languages]
    chosen = [x for x in (*mono, *cross, *multi) if draw(st.integers(0, 4))] or mono
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    questions = draw(st.integers(1, 9))
    requested = rng.random((len(chosen), questions)) < 0.8
    requested[0, 0] = True
    setting, question = np.nonzero(requested)
    values = rng.integers(0, 9, len(setting)) / 8
    values[rng.random(len(setting)) < draw(st.sampled_from((0.0, 0.3, 0.9)))] = np.nan
    return PerQuery(
        settings=tuple(chosen),
        questions=tuple(f"q{i}" for i in range(questions)),
        setting=setting.astype(np.int32),
        question=question.astype(np.int32),
        relevant=np.ones(len(setting), np.int32),
        query_chars=np.ones(len(setting), np.int32),
        values={MEASURE: values},
    )


def by_hand(table: PerQuery, kind: Kind) -> dict[str, dict[Setting, list[float]]]:
    """Query language -> setting -> its defined values."""
    found: dict[str, dict[Setting, list[float]]] = {}
    for number, value in zip(table.setting, table.values[MEASURE], strict=True):
        setting = table.settings[number]
        if setting.kind == kind and not math.isnan(value):
            of_language = found.setdefault(setting.query_language, {})
            of_language.setdefault(setting, []).append(float(value))
    return found


@settings(max_examples=60, deadline=None)
@given(table=tables())
def test_every_mean_of_a_table_is_the_same(
    table: PerQuery, tmp_path_factory: pytest.TempPathFactory
) -> None:
    by_setting = setting_means(table)
    recorded, medians = kind_means(table, by_setting), kind_medians(table, by_setting)
    scores = dict(zip(table.settings, by_setting[MEASURE].tolist(), strict=True))
    defined = {s: {MEASURE: x} for s, x in scores.items() if not math.isnan(x)}
    imported = Published("task", "model", "imported", "elsewhere", defined)
    runs = means_of_runs([Scored(Path(), s, 1, 0, 0, 1, x) for s, x in defined.items()])
    folder = tmp_path_factory.getbasetemp()
    for kind in KINDS:
        languages = by_hand(table, kind)
        if not languages:
            assert kind not in imported.means() and kind not in runs
            assert math.isnan(recorded.get(kind, {}).get("macro", {}).get(MEASURE, math.nan))
            continue
        of_language = {x: fmean(map(fmean, parts.values())) for x, parts in languages.items()}
        over_languages = fmean(of_language.values())
        macro = pytest.approx(over_languages, abs=1e-12)
        every = [x for parts in languages.values() for values in parts.values() for x in values]

        # What a run records, what a board takes from elsewhere, what `harness score` shows.
        assert recorded[kind]["macro"][MEASURE] == macro
        assert recorded[kind]["micro"][MEASURE] == pytest.approx(fmean(every), abs=1e-12)
        assert medians[kind][MEASURE] == pytest.approx(median(of_language.values()), abs=1e-12)
        assert imported.means()[kind][MEASURE] == macro
        for language, value in of_language.items():
            assert imported.values[kind, MEASURE, language] == pytest.approx(value, abs=1e-12)
        assert runs[kind][MEASURE] == macro

        # What intervals and tests are about, with and without the settings that have no row.
        zeros = replace(table, values={MEASURE: table.values[MEASURE] * 0})
        for part in (table.of_kind(kind), table.by_kind()[kind]):
            values = part.matrix()
            drawn = cluster_bootstrap(values, **part.levels, seed=1, resamples=2)
            swapped = paired_permutation_test(
                values, values * 0, **part.levels, seed=1, resamples=2
            )
            left = leave_one_out(values, part.question, part.setting, part.language_of)
            for found, parents in (
                (drawn.macro.value, drawn.parents.value),
                (swapped.macro.value, swapped.parents.value),
                (left.macro, left.parents),
            ):
                assert found[0] == macro
                for language, value in of_language.items():
                    at = part.languages.index(language)
                    assert parents[at, 0] == pytest.approx(value, abs=1e-12)
            # What is tracked of each question, and what a study's report tests.
            assert question_shares(part, values).sum() == macro

        # Comparisons, the gate and noise: a system against one that finds nothing.
        pair = Paired("task", kind, tuple(x.by_kind()[kind] for x in (zeros, table)))
        assert paired_tests([pair], 2, 1).differences[0][0, 0] == macro
        (drift,) = [x for x in drifts(zeros, table)[0] if x.kind == kind]
        assert drift.mean == macro
        assert drift.language_mean == pytest.approx(max(of_language.values()), abs=1e-12)
        for by, expected in (("mean", {"all": over_languages}), ("language", of_language)):
            path = folder / f"{by}.toml"
            path.write_text(RULE.format(by=by))
            policy = read_policy(path)
            checks = [x for x in checks_of(policy, 0, pair, 0) if x.side != "passage"]
            changes = measured([pair], checks, policy.rules, resamples=2, permutations=2, seed=1)
            found_by_unit = {
                check.unit: change
                for check, change in zip(checks, changes, strict=True)
                if check.unit in expected
            }
            assert {x: c.candidate for x, c in found_by_unit.items()} == pytest.approx(expected)
            assert {x: c.difference for x, c in found_by_unit.items()} == pytest.approx(expected)
