"""``harness.evaluate``: a run with options named like the flags of ``harness run``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from harness.evaluation.options import RunOptions, Settings, with_settings
from harness.evaluation.run import run

if TYPE_CHECKING:
    from harness.base.progress import Progress
    from harness.data.task import TaskSpec
    from harness.evaluation.record import Record


def evaluate(
    model: str | object,
    tasks: str | TaskSpec | Sequence[str | TaskSpec] | None = None,
    *,
    options: RunOptions | None = None,
    output: str | Path | None = None,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
    **settings: Unpack[Settings],
) -> Record:
    """Score a model on tasks; each text is encoded once, whatever number of settings uses it.

    >>> record = evaluate("bm25", "demo", languages="en,de", settings="mono,multi", limit=20)

    Args:
        model: a name as ``harness run --model`` takes it, or any object with
            ``encode(texts, *, role, language) -> (n, d) array``
            (:class:`harness.models.base.Encoder`).
        tasks: names, paths of task files or specs; default: the small tasks, except those with
            ``default = false`` (:func:`harness.data.task.default_tasks`).
        options: how to run; ``settings`` replace its fields.
        output: folder for the record and its tables; ``None`` writes nothing. With ``rerank`` the
            record is that of both stages together, and its ``before`` that of the first.
        progress: notified of each stage; default silent.
        command: the command line, for the record.
        **settings: options of the run and of the model by name, as :class:`Settings` lists them:
            ``languages``, ``settings``, ``measures``, ``limit``, ``batch_size``, ``dtype``, ...

    Raises:
        HarnessError: anything the caller can correct, in one sentence.
    """
    if tasks is not None and (isinstance(tasks, str) or not isinstance(tasks, Sequence)):
        tasks = [tasks]
    options = with_settings(options or RunOptions(), settings)
    return run(model, tasks, options, output, progress, command)
