"""Records to gate, with values set by hand, and policies for them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tiny
from click.testing import CliRunner, Result
from compared import mono, with_values

from harness.cli import main
from harness.evaluation.record import Record
from harness.gate import CheckResult, Gate, Policy, gate, read_policy

Values = Mapping[str, Sequence[float]]
LANGUAGES = ("en", "de")
QUESTIONS = 60
POLICY = """\
[[rules]]
measure = "map"
settings = ["mono"]
by = "language"
max_drop = 0.05
"""


def base_record(folder: Path, languages: Sequence[str] = LANGUAGES) -> Record:
    """Monolingual settings, each question with one relevant passage per language; mAP 0.5."""
    record = mono(folder, QUESTIONS, languages)
    return with_values(record, {f"mono/{x}": [0.5] * QUESTIONS for x in languages})


def moved(record: Record, **by_language: Sequence[float]) -> Record:
    """``record`` with mAP moved from 0.5 in some languages, question by question."""
    values = {f"mono/{x}": [0.5] * QUESTIONS for x in record.task("tiny").languages}
    for language, change in by_language.items():
        values[f"mono/{language}"] = [0.5 + x for x in change]
    return with_values(record, values)


def policy(folder: Path, text: str = POLICY) -> Policy:
    return read_policy(written(folder, text))


def written(folder: Path, text: str) -> Path:
    path = folder / "gate.toml"
    path.write_text(text, encoding="utf-8")
    return path


def judged(candidate: Record, baseline: Record, rules: Policy) -> dict[str, CheckResult]:
    """The cells of a gate by unit."""
    found: Gate = gate(candidate, baseline, rules)
    return {cell.unit: cell for _, cell in found.cells()}


def saved(record: Record, folder: Path, **facts: Any) -> Path:
    """A copy of ``record`` on disk, with other facts about its task."""
    document = copy.deepcopy(record.document)
    document["tasks"][0] |= facts
    Record(document, dict(record.tables)).save(folder)
    return folder


def harness(*arguments: object, **environment: str) -> Result:
    """The command, as in an 80-column terminal outside of any workflow."""
    outside = {"COLUMNS": "80", "GITHUB_ACTIONS": "", "GITHUB_STEP_SUMMARY": ""}
    return CliRunner().invoke(main, [str(x) for x in arguments], env=outside | environment)


def word_bag() -> tiny.WordBag:
    return tiny.WordBag()
