"""Check a candidate against a baseline: two records in, one verdict out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.analysis.compare import paired_tables
from harness.analysis.mismatches import mismatches, other_differences
from harness.errors import NotComparableError
from harness.evaluation.intervals import SEED
from harness.evaluation.record import Record
from harness.evaluation.record_fields import Contents, Partial
from harness.gate import baselines
from harness.gate.attribution import attributed
from harness.gate.differences import Check, checks_of, has_values, measured
from harness.gate.policy import Policy, read_policy
from harness.gate.result import Gate, Outcome, Party
from harness.gate.verdicts import judge, outcomes, overall

_HALVES = ("float16", "bfloat16")


def gate(
    candidate: Record | str | Path,
    baseline: Record | str | Path,
    policy: Policy | str | Path | None = None,
    *,
    tasks: Sequence[str] = (),
    folder: Path = baselines.FOLDER,
    seed: int = SEED,
) -> Gate:
    """Check ``candidate`` against ``baseline``.

    Args:
        candidate: a record, or the path of one.
        baseline: a record, the path of one, or the name of a tracked baseline.
        policy: a policy, or the path of one; default: the one that comes with the harness.
        tasks: those to check; default: all of the baseline's.
        folder: of tracked baselines.
        seed: of the bootstrap and of the permutations.

    Raises:
        NotComparableError: no such baseline, or the records do not measure the same thing.
        RecordError: a record cannot be read.
        PolicyError: the policy is wrong.
    """
    policy = policy if isinstance(policy, Policy) else read_policy(policy)
    base = baseline if isinstance(baseline, Record) else baselines.load(str(baseline), folder)
    new = candidate if isinstance(candidate, Record) else Record.load(candidate)
    names = comparable(base, new, policy, tasks)
    kinds = [
        rows
        for task in names
        if (shared := _measures(base, new, policy, task))
        for rows in paired_tables([base, new], task, shared, whole=_alike(base, new, task))
    ]
    checks = [
        check
        for number, rule in enumerate(policy.rules)
        for at, rows in enumerate(kinds)
        if rule.measure in rows.measures
        for check in checks_of(policy, number, rows, at)
        if rule.required or has_values(rows, check, rule.measure)
    ]
    if not checks:
        raise NotComparableError(
            f"no rule of {policy.name} applies to these records; their measures "
            f"are {', '.join(base.task(names[0]).measures)}"
        )
    permutations = _permutations(policy, checks)
    moved = measured(
        kinds,
        checks,
        policy.rules,
        resamples=policy.resamples,
        permutations=permutations,
        seed=seed,
    )
    half = any(x.contents.options.dtype in _HALVES for x in (base, new))
    results, comparisons = judge(policy, kinds, checks, moved, half=half)
    results, languages = attributed(policy, kinds, checks, results)
    found = [_checked(outcome, base, new, names) for outcome in outcomes(policy, checks, results)]
    return Gate(
        verdict=overall(found),
        candidate=_party(new),
        baseline=_party(base),
        policy=policy.name,
        tasks={task: new.task(task).partial.to_dict() for task in names},
        outcomes=tuple(found),
        languages=languages,
        differing=tuple(other_differences([base.contents, new.contents], names)),
        comparisons=comparisons,
        alpha=policy.alpha,
        resamples=policy.resamples,
        permutations=permutations,
        seed=seed,
    )


def comparable(base: Record, new: Record, policy: Policy, tasks: Sequence[str] = ()) -> list[str]:
    """The tasks to check, after verifying that both records measured the same thing on them.

    Raises:
        NotComparableError: a task is missing, or its data, text option or measures changed.
    """
    in_baseline = [t.task for t in base.tasks]
    got = [t.task for t in new.tasks]
    for task in tasks or in_baseline:
        for party, names in (("baseline", in_baseline), ("candidate", got)):
            if task not in names:
                raise NotComparableError(
                    f"the {party} has no task {task!r} (it has {', '.join(names)}); score it "
                    "there too, or choose the tasks to check with --task"
                )
    names = [task for task in in_baseline if not tasks or task in tasks]
    documents = [_contents(x, other, names) for x, other in ((base, new), (new, base))]
    found = [
        f"{x.task + ' ' if x.task else ''}{x.field}: baseline {x.values[0]}, candidate "
        f"{x.values[1]}"
        for x in mismatches(documents, names)
    ]
    measures = dict.fromkeys(rule.measure for rule in policy.rules)
    for task in names:
        both = [x.task(task).definitions or {} for x in (base, new)]
        for measure in measures:
            of = [d.get(measure) for d in both]
            if measure in _measures(base, new, policy, task) and (of[0] != of[1] or not of[0]):
                digests = [x or "not recorded" for x in of]
                found.append(
                    f"{task} definition of {measure}: baseline {digests[0]}, candidate {digests[1]}"
                )
    if found:
        raise NotComparableError(
            f"the baseline does not measure what the candidate does: {'; '.join(found)}. Score the "
            "baseline's model again with this harness and data, or accept the candidate as the new "
            "baseline with --update-baseline"
        )
    return names


def _contents(record: Record, other: Record, tasks: Sequence[str]) -> Contents:
    """A record's contents; if only this record is a sample, those of the task it was drawn from.

    A sample keeps all passages, so its queries score as they do in the whole task.
    """
    entries = []
    for task in tasks:
        entry, beside = record.task(task), other.task(task)
        drawn = entry.partial.sample
        if drawn is not None and beside.partial.sample is None:
            rest = Partial.model_validate_json(
                entry.partial.model_dump_json(exclude_unset=True, exclude={"sample"})
            )
            entry = entry.model_copy(update={"partial": rest, "data_digest": drawn.whole})
        entries.append(entry)
    return record.contents.model_copy(update={"tasks": tuple(entries)})


def _alike(base: Record, new: Record, task: str) -> bool:
    """Whether both have the same queries, which they do not if only one is a sample."""
    drawn = [x.task(task).partial.sample for x in (base, new)]
    return bool(drawn[0] == drawn[1])


def _measures(base: Record, new: Record, policy: Policy, task: str) -> list[str]:
    """The measures of the policy that both records have for a task."""
    names = dict.fromkeys(rule.measure for rule in policy.rules)
    return [m for m in names if all(_holds(x, task, m) for x in (base, new))]


def _holds(record: Record, task: str, measure: str, kinds: Sequence[str] | None = None) -> bool:
    means = record.task(task).means
    return any(
        measure in both.macro for kind, both in means.items() if kinds is None or kind in kinds
    )


def _permutations(policy: Policy, checks: Sequence[Check]) -> int:
    """Number of permutations that makes the smallest corrected p-value a tenth of alpha."""
    counted = sum(check.tier != "watched" for check in checks)
    strictest = min(rule.alpha for rule in policy.rules)
    return max(policy.resamples, round(10 * max(counted, 1) / strictest))


def _checked(outcome: Outcome, base: Record, new: Record, tasks: Sequence[str]) -> Outcome:
    """The outcome, marked missing if the rule names something that a record lacks."""
    rule = outcome.rule
    mine = [task for task in tasks if not rule.tasks or task in rule.tasks]
    if rule.required:
        for task in rule.tasks:
            if task not in tasks:
                return _missing(outcome, f"the rule names task {task!r}, which was not compared")
        known = {x for task in mine for x in base.task(task).languages}
        absent = [x for x in rule.languages if x not in known]
        if absent:
            return _missing(outcome, f"the records have no {' or '.join(absent)}")
    for task in mine:
        holds = [_holds(x, task, rule.measure, rule.settings) for x in (base, new)]
        if holds[0] != holds[1]:
            name = "candidate" if holds[0] else "baseline"
            note = f"the {name} has no {rule.measure} of {task}"
            if holds[0] or rule.required:
                return _missing(outcome, note)
            if outcome.left_out:
                outcome = replace(outcome, note=note)
    return outcome


def _missing(outcome: Outcome, note: str) -> Outcome:
    return replace(outcome, verdict="missing", note=note, left_out=False)


def _party(record: Record) -> Party:
    contents = record.contents
    return Party(
        model=record.model,
        # A name that is not UTF-8 is written with escapes: reports are.
        where=None
        if record.folder is None
        else str(record.folder).encode("utf-8", "backslashreplace").decode(),
        created=contents.created,
        fingerprint=contents.model.fingerprint,
        harness=contents.environment.packages.get("polyglot-harness"),
    )
