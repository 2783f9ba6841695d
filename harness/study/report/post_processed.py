"""Post-processing as an axis of the report: every arm, and every untrained model, with each step.

The numbers of a trial's post-processed vectors have the trial's seed and questions, so that all
comparisons of a report apply: a recipe against the baseline with the same post-processing, and a
step against none with the same recipe. An untrained model is an arm whose seeds are all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from harness.evaluation.record import Record
from harness.study.definition import PLAIN, Arm, Axis, Point, Study
from harness.study.results import Results, TrialResult, record_key
from harness.study.trials import Trial

AXIS = "post-processing"
"""The name of the axis."""


def untrained(model: str) -> str:
    """The name of an untrained model's arm; with plain vectors it is the reference itself."""
    return f"untrained {model}"


def with_post_processing(results: Results) -> Results:
    """``results`` with an axis for post-processing; themselves where the study has none.

    Trials become as many as they were scored in ways, and references that return vectors become
    arms as well. The axis is on the x axis unless the study puts another there.
    """
    study = results.study
    if study.post_processing is None:
        return results
    steps = (PLAIN, *study.post_processing.steps)
    models = {
        model: records
        for model, records in results.references.items()
        if len(records) > len(study.scored)
    }
    axis = Axis(AXIS, AXIS, tuple(Point(x) for x in steps))
    arms = [replace(x, axes=(*x.axes, AXIS)) for x in study.arms]
    arms += [Arm(untrained(x), "mono", (), (AXIS,)) for x in models]
    trials = [y for x in results.trials for y in _of_trial(study, x, steps)]
    trials += [y for x, held in models.items() for y in _of_reference(study, x, held, steps)]
    report = replace(study.report, x=study.report.x or AXIS)
    return replace(
        results,
        study=replace(study, axes={**study.axes, AXIS: axis}, arms=tuple(arms), report=report),
        trials=tuple(trials),
    )


def _of_trial(study: Study, found: TrialResult, steps: tuple[str, ...]) -> Iterator[TrialResult]:
    for step in steps:
        records = _records(study, found.records, step)
        if records:
            trial = replace(found.trial, values={**found.trial.values, AXIS: step})
            yield replace(found, trial=trial, records=records)


def _of_reference(
    study: Study, model: str, held: Mapping[str, Record], steps: tuple[str, ...]
) -> Iterator[TrialResult]:
    for step in steps:
        records = _records(study, held, step)
        for seed in study.seeds if records else ():
            name = f"{model}.{AXIS}={step}.seed={seed}"
            trial = Trial(name, untrained(model), {AXIS: step}, seed, {}, ())
            yield TrialResult(trial, {}, records, {})


def _records(study: Study, held: Mapping[str, Record], step: str) -> dict[str, Record]:
    keys = {x.name: record_key(x.name, step) for x in study.scored}
    return {name: held[key] for name, key in keys.items() if key in held}
