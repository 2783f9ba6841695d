"""Results of studies that never ran: per-query values with an effect planted, or none.

Every model's value on a query is a mean that the test chooses, plus what the question adds (shared
by all models), what the question adds for this place of the study (shared by its seeds), what the
seed adds, and a rest; numpy's PCG64 draws them, so a planted study is the same every time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from contents import record_document, task_entry

from harness.data.task import Setting
from harness.evaluation.record import Record
from harness.stats.means import kind_means, setting_means
from harness.stats.per_query import PerQuery
from harness.study.definition import PLAIN
from harness.study.file import study_from
from harness.study.report.post_processed import AXIS
from harness.study.results import Results, TrialResult, record_key
from harness.study.trials import Trial, trials_of

Mean = Callable[[str, Mapping[str, Any], str, str], float]
"""Arm (or reference), its values of the axes, kind of setting, query language -> planted mean."""
QUESTION, AT_PLACE, SEED, REST = 0.15, 0.02, 0.004, 0.02
"""Standard deviations of what is added."""


def document(
    arms: Sequence[str] = ("mono", "cross", "hybrid"),
    *,
    axes: Mapping[str, Any] | None = None,
    level: Sequence[str] = (),
    seeds: Sequence[int] = (0, 1, 2),
    tasks: Sequence[Mapping[str, Any]] = ({"task": "planted"},),
    references: Sequence[str] = (),
    **report: Any,
) -> dict[str, Any]:
    """A study file's content; ``level`` are arms without an axis."""
    axes = axes or {}
    return {
        "name": "planted",
        "title": "A planted study",
        "question": "Is what was planted found?",
        "about": "Made by a test.",
        "seeds": list(seeds),
        "train": {"base": "use-m3", "steps": 7},
        "data": {"rows": {"format": "pairs", "files": ["rows.jsonl"]}},
        "axes": axes,
        "arms": [
            {
                "name": x,
                "recipe": x if x in ("mono", "cross", "hybrid") else "hybrid",
                "data": ["rows"],
                "axes": [] if x in level else list(axes),
            }
            for x in arms
        ],
        "score": {"tasks": list(tasks), "references": list(references)},
        "report": {"measures": ["map"], "kinds": ["mono"], "baseline": "mono", **report},
    }


def results(
    content: Mapping[str, Any],
    mean: Mean,
    *,
    questions: int = 120,
    languages: Sequence[str] = ("de", "en"),
    sampled: bool = False,
    missing: Sequence[str] = (),
    seed: int = 1,
    seeds_spread: float = SEED,
    stages: Mapping[str, Mapping[str, float]] | None = None,
) -> Results:
    """Results of the study of ``content`` with ``mean`` planted; cells ``missing`` are left out.

    ``stages``: post-processing -> what its records say each stage took.
    """
    study = study_from(content, "planted.toml", Path())
    rng = np.random.Generator(np.random.PCG64(seed))
    shape = (questions, len(languages))
    shared = {x.name: rng.normal(0, QUESTION, shape) for x in study.scored}
    at_place: dict[tuple[object, ...], Any] = {}

    def record(name: str, values: Mapping[str, Any], task: str) -> Record:
        place = (name, task, *values.items())
        if place not in at_place:
            at_place[place] = rng.normal(0, AT_PLACE, shape)
        noise = shared[task] + at_place[place] + rng.normal(0, REST, shape)
        table = {}
        for measure in study.report.measures:
            shift = rng.normal(0, seeds_spread)
            table[measure] = {
                kind: noise
                + shift
                + np.array([mean(name, values, kind, x) for x in languages])[None]
                for kind in study.report.kinds
            }
        took = (stages or {}).get(values.get(AXIS, PLAIN), {})
        return _record(task, table, languages, questions, sampled, took)

    def scored(name: str, values: Mapping[str, Any]) -> dict[str, Record]:
        found = {x.name: record(name, values, x.name) for x in study.scored}
        for step in study.post_processing.steps if study.post_processing else ():
            own = {**values, AXIS: step}
            found |= {record_key(x.name, step): record(name, own, x.name) for x in study.scored}
        return found

    def result(cell: Trial) -> TrialResult:
        training = {"steps": 7, "said": "Trained by a test."}
        processor = {"train": 9.0, "planted": 3.0} if stages else {}
        return TrialResult(cell, training, scored(cell.arm, cell.values), {}, processor)

    cells = trials_of(study)
    return Results(
        study=study,
        trials=tuple(result(x) for x in cells if x.name not in missing),
        references={x: scored(x, {}) for x in study.references},
        missing=tuple(x for x in cells if x.name in missing),
        failed={},
        data={"rows": {"rows": 100}},
        folder=Path("planted"),
        harness="test",
    )


def _record(
    task: str,
    values: Mapping[str, Mapping[str, Any]],
    languages: Sequence[str],
    questions: int,
    sampled: bool,
    took: Mapping[str, float],
) -> Record:
    """``values``: measure -> kind -> (questions, languages)."""
    kinds = list(next(iter(values.values())))
    settings = [
        Setting(kind, x, {"mono": x, "multi": None}.get(kind, languages[i - 1]))
        for kind in kinds
        for i, x in enumerate(languages)
    ]
    rows = questions * len(settings)
    table = PerQuery(
        settings=tuple(settings),
        questions=tuple(f"q{n:04d}" for n in range(questions)),
        setting=np.repeat(np.arange(len(settings), dtype=np.int32), questions),
        question=np.tile(np.arange(questions, dtype=np.int32), len(settings)),
        relevant=np.ones(rows, np.int32),
        query_chars=np.ones(rows, np.int32),
        values={
            m: np.concatenate([by_kind[kind].T.ravel() for kind in kinds])
            for m, by_kind in values.items()
        },
    )
    partial = {"sampled_corpus": {x: {"passages": 5, "whole": 900} for x in languages}}
    entry = task_entry(
        task,
        languages=list(languages),
        partial=partial if sampled else {},
        measures=list(values),
        seconds=dict(took),
        means=kind_means(table, setting_means(table)),
        settings=[
            {
                "setting": s.name,
                "kind": s.kind,
                "query_language": s.query_language,
                "passage_language": s.passage_language,
                "queries": questions,
                "pool": questions,
                "scores": {},
            }
            for s in settings
        ],
    )
    return Record(record_document(entry, name="planted"), {task: table})
