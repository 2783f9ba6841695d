"""Among equally good systems the gate rings as seldom as its policy states, however many rules."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from gated import POLICY, policy

from harness.data.task import Setting
from harness.gate import Policy
from harness.gate.differences import checks_of, measured
from harness.gate.verdicts import judge
from harness.stats.per_query import Paired, PerQuery

LANGUAGES = ("de", "en", "es", "ru", "zh")
QUESTIONS = 40


def paired(values: np.ndarray) -> Paired:
    """Monolingual rows of two systems from ``values`` (2, questions, languages)."""
    questions, languages = values.shape[1:]
    size = questions * languages
    first = PerQuery(
        settings=tuple(Setting("mono", x, x) for x in LANGUAGES),
        questions=tuple(map(str, range(questions))),
        setting=np.tile(np.arange(languages, dtype=np.int32), questions),
        question=np.repeat(np.arange(questions, dtype=np.int32), languages),
        relevant=np.ones(size, np.int32),
        query_chars=np.ones(size, np.int32),
        values={},
    )
    tables = tuple(replace(first, values={"map": x.ravel()}) for x in values)
    return Paired("simulated", "mono", tables)


def rings(rules: Policy, values: np.ndarray, seed: int) -> bool:
    held = paired(values)
    requested = [check for n in range(len(rules.rules)) for check in checks_of(rules, n, held, 0)]
    moved = measured(
        [held], requested, rules.rules, resamples=20, permutations=rules.resamples, seed=seed
    )
    cells, comparisons = judge(rules, [held], requested, moved, half=False)
    assert comparisons == len(LANGUAGES) + 1
    return any(cell.verdict == "regression" for cell in cells)


def test_equal_systems_with_answers_shared_across_languages(tmp_path: Path) -> None:
    """Nothing is let through, six values a gate; a question's five queries rise and fall together.

    Without Holm's correction, or with queries instead of questions swapped, far more gates ring.
    """
    bare = POLICY.replace("0.05", "0.0")
    text = bare + bare.replace("language", "mean")
    rules = replace(policy(tmp_path, text), resamples=1999)
    rng = np.random.default_rng(7)
    gates = 400
    hits = 0
    for seed in range(gates):
        difficulty = rng.normal(0, 1, (1, QUESTIONS, 1))
        taste = rng.normal(0, 1, (2, QUESTIONS, 1))
        noise = rng.normal(0, 0.5, (2, QUESTIONS, len(LANGUAGES)))
        values = np.clip(0.5 + 0.3 * (difficulty + taste + noise), 0, 1)
        hits += rings(rules, values, seed)
    level = rules.alpha
    assert 0 < hits / gates <= level + 3 * math.sqrt(level * (1 - level) / gates), hits
