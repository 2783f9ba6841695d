"""Records, whole and tracked, against published rows of the same models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.analysis.verify import Scored, Verification, verify
from harness.boards.tracked.document import Tracked
from harness.boards.tracked.fields import TrackedContents, TrackedTask
from harness.data.task import Setting
from harness.errors import NotComparableError, RecordError, UsageError, did_you_mean
from harness.evaluation.record import Record
from harness.interop.published import Published
from harness.interop.published_tables import load_all


def read_published(
    leaderboards: Path, against: Path | None = None, named: str | None = None
) -> Sequence[Published]:
    """Imported rows of a leaderboards folder, or of mteb's result files.

    Args:
        leaderboards: folder with ``published/``.
        against: mteb's result files instead; a folder of many models is read for one alone where
            it is laid out as mteb does.
        named: that one.

    Raises:
        RecordError: nothing can be read, or a table of the leaderboards is not valid.
    """
    if against is None:
        rows, refused = load_all(leaderboards)
        if refused:
            raise RecordError("; ".join(refused))
        return rows
    from harness.interop.mteb.import_results import read_results

    own = against / named.replace("/", "__") if named else against
    return read_results([own if own.is_dir() else against]).rows


def verify_record(
    source: Path,
    rows: Sequence[Published],
    *,
    named: str | None = None,
    tasks: Sequence[str] = (),
    measure: str | None = None,
) -> list[Verification]:
    """A record against the published rows of its model, one result per task.

    Args:
        source: a record.json or its folder, or a tracked record.
        rows: published ones.
        named: what the model is called there.
        tasks: those to take; default all of which something is published.
        measure: default each task's first that both have.

    Raises:
        RecordError: the record cannot be read.
        UsageError: it does not have one of ``tasks``.
        NotComparableError: nothing can be compared.
    """
    scored = _scored(source)
    known = [x.task.task for x in scored]
    for name in tasks:
        if name not in known:
            raise UsageError(
                f"the record has no task {name!r}{did_you_mean(name, known)} (it has "
                f"{', '.join(known)})"
            )
    found, problems = [], []
    for one in scored:
        if tasks and one.task.task not in tasks:
            continue
        try:
            found.append(verify(one, rows, named=named, measure=measure))
        except NotComparableError as problem:
            problems.append(problem)
    if problems and (tasks or not found):
        raise NotComparableError("; ".join(dict.fromkeys(map(str, problems))))
    return found


def _scored(source: Path) -> list[Scored]:
    record = Record.load(source)
    return [Scored.of_record(record.contents, task) for task in record.contents.tasks]


def verify_tracked(records: Iterable[Tracked], rows: Sequence[Published]) -> list[Verification]:
    """Every tracked record and task of whose model something is published, by task and model.

    A record of a part of its task, or one that sets a text option, a length or prompts of its own,
    is left out: it is not meant to give the published numbers.
    """
    found = []
    for tracked in records:
        options = tracked.contents.options
        if options.max_length is not None or options.query_prompt or options.passage_prompt:
            continue
        for task in tracked.contents.tasks:
            try:
                found.append(verify(of_tracked(tracked.contents, task), rows))
            except NotComparableError:
                continue
    return sorted(found, key=lambda x: (x.task, x.model.lower(), x.verdict))


def of_tracked(contents: TrackedContents, task: TrackedTask) -> Scored:
    """What a tracked record says of one of its tasks."""
    settings = [Setting(*x[:3]) for x in task.settings]
    return Scored(
        contents,
        task,
        {s: {m: x[i] for m, x in task.scores.items()} for i, s in enumerate(settings)},
        {s: x[3] for s, x in zip(settings, task.settings, strict=True)},
    )
