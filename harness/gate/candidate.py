"""Score a model the way its baseline was scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.base.progress import Progress
from harness.data.task import TaskSpec, find_task
from harness.errors import UsageError
from harness.evaluation.evaluate import evaluate
from harness.evaluation.options import RunOptions
from harness.evaluation.record import Record
from harness.evaluation.record_fields import Partial, Task
from harness.gate.policy import Policy
from harness.metrics import BIAS_SUITE

# Fields of a task's entry that a run has in common for all its tasks.
_ALIKE = ("partial", "kinds")
_CONDITIONS = ("code_switch", "noise", "romanise", "query_seed")


def produce(
    model: str | object,
    baseline: Record,
    policy: Policy,
    *,
    tasks: Sequence[str] = (),
    options: RunOptions | None = None,
    output: str | Path | None = None,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
) -> Record:
    """Score ``model`` on the baseline's tasks: their text option, languages, settings and part.

    Args:
        model: as :func:`harness.evaluate` takes it.
        baseline: what the record will be compared with.
        policy: whose measures are needed.
        tasks: names, or paths of task files; default: all of the baseline's.
        options: of the model and the machine; the baseline's own options replace the rest, except
            ``sample``, which takes a sample of a complete baseline's questions.
        output: folder for the record; ``None`` writes nothing.
        progress: notified of each stage.
        command: the command line, for the record.

    Raises:
        UsageError: the baseline has no such task, or its tasks were run in different ways.
        HarnessError: as :func:`harness.evaluate`.
    """
    options = options or RunOptions()
    scored = {t.task: t for t in baseline.tasks}
    specs = [find_task(x) for x in tasks or scored]
    for spec in specs:
        if spec.name not in scored:
            raise UsageError(
                f"the baseline has no task {spec.name!r} (it has {', '.join(scored)}); score it "
                "with `harness run` and make that the baseline, or name another --task"
            )
    entries = [scored[spec.name] for spec in specs]
    for entry in entries[1:]:
        for field in _ALIKE:
            if _way(entry, field) != _way(entries[0], field):
                raise UsageError(
                    f"the baseline's tasks were run in different ways ({field} of "
                    f"{entry.task}); gate them one at a time with --task"
                )
    part = entries[0].partial
    drawn = part.sample.drawn if part.sample else None
    if options.sample and (what := _no_sample_of(part, options.sample)):
        raise UsageError(
            f"--sample {options.sample}: the baseline {what}; gate against a baseline of the whole "
            "task, or drop the flag"
        )
    # Measures shown first stay first; the bias suite is computed anyway.
    shown = dict.fromkeys(m for e in entries for m in e.measures)
    shown |= dict.fromkeys(r.measure for r in policy.rules if r.measure not in BIAS_SUITE)
    return evaluate(
        model,
        [_with_text(spec, entry) for spec, entry in zip(specs, entries, strict=True)],
        options=replace(
            options,
            languages=part.languages,
            settings=entries[0].kinds,
            corpus="whole" if part.sampled_corpus is None else "sampled",
            limit=part.limit,
            sample=options.sample or drawn,
            **_passages_of(part),
            **_conditions_of(baseline, entries),
            measures=tuple(shown),
            resamples=0,  # the gate resamples by itself
        ),
        output=output,
        progress=progress,
        command=command,
    )


def _no_sample_of(part: Partial, sample: int) -> str | None:
    """Why a baseline that is ``part`` of a task cannot be sampled; ``None`` if it can."""
    drawn = part.sample.drawn if part.sample else None
    if drawn == sample:
        return None
    if drawn:
        return f"is itself a sample of {drawn} questions"
    if part.limit:
        return f"has the first {part.limit} questions alone"
    if part.sample_passages:
        return (
            "has the passages that are hard for its own questions, and others for fewer questions"
        )
    return None


def _way(entry: Task, field: str) -> Any:
    """The options a task was run with, apart from those its data determines."""
    if field == "kinds":
        return entry.kinds
    part = entry.partial
    drawn = part.sample.drawn if part.sample else None
    passages = tuple(_passages_of(part).values())
    return part.languages, part.limit, drawn, part.sampled_corpus is not None, passages


def _passages_of(part: Partial) -> dict[str, Any]:
    """The options that take the passages a baseline had, if it had a sample of them."""
    taken = part.sample_passages
    return {} if taken is None else {"sample_passages": taken.passages, "sample_by": taken.by}


def _conditions_of(baseline: Record, entries: Sequence[Task]) -> dict[str, Any]:
    """The options that change queries as the baseline's were changed.

    Raises:
        UsageError: its record is of a version that did not write its options.
    """
    named = dict.fromkeys(x for e in entries for x in e.query_conditions or ())
    if not named:
        return {}
    run = baseline.contents.run
    if run is None:
        raise UsageError(
            f"the baseline's queries are changed ({', '.join(named)}), and its record does not say "
            "by which options; score the candidate with `harness run` and gate its record"
        )
    return {x: getattr(run.options, x) for x in _CONDITIONS}


def _with_text(spec: TaskSpec, entry: Task) -> TaskSpec:
    """The task with the baseline's text option, if it still offers it."""
    return replace(spec, text=entry.text) if entry.text in spec.texts else spec
