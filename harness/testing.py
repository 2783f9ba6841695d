"""The gate in a test suite of your own: ``assert_no_regression``.

>>> from harness.testing import assert_no_regression
>>> def test_retrieval_did_not_get_worse():
...     assert_no_regression(baseline="use-m3-demo", model="python:my_package:make_encoder")
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.data.task import find_task
from harness.errors import UsageError
from harness.evaluation.options import RunOptions, with_settings
from harness.evaluation.record import Record
from harness.gate import Gate, Policy, baselines, gate, read_policy
from harness.gate.candidate import produce

__all__ = ["assert_no_regression"]


def assert_no_regression(
    candidate: Record | str | Path | None = None,
    baseline: Record | str | Path = "",
    policy: Policy | str | Path | None = None,
    *,
    model: str | object | None = None,
    tasks: Sequence[str] = (),
    folder: str | Path = baselines.FOLDER,
    allow_inconclusive: bool = False,
    **settings: Any,
) -> Gate:
    """Fail the test, with the gate's table, unless the candidate passes the policy.

    Args:
        candidate: a record or the path of one; or omit it and give ``model``.
        baseline: a record, the path of one, or the name of a tracked baseline.
        policy: a policy or the path of one; default: the built-in one.
        model: scored the way the baseline was; anything that :func:`harness.evaluate`
            takes.
        tasks: those to check; default: all of the baseline's.
        folder: the folder of tracked baselines.
        allow_inconclusive: pass checks that the evidence cannot decide.
        **settings: options for running ``model``, as in :func:`harness.evaluate`:
            ``sample=200``.

    Returns:
        The gate's result.

    Raises:
        AssertionError: a regression, something missing, or too little evidence.
        HarnessError: nothing could be compared; :class:`harness.errors.NotComparableError` if the
            baseline is missing or measures something else.
    """
    __tracebackhide__ = True
    if (candidate is None) == (model is None):
        raise UsageError("assert_no_regression needs either a candidate's record or a model")
    if model is None and settings:
        raise UsageError(f"{min(settings)!r} is an option of a run, but no model is given to run")
    policy = policy if isinstance(policy, Policy) else read_policy(policy)
    folder = Path(folder)
    base = baseline if isinstance(baseline, Record) else baselines.load(str(baseline), folder)
    if model is not None:
        options = with_settings(RunOptions(), settings)
        candidate = produce(model, base, policy, tasks=tasks, options=options)
    assert candidate is not None
    names = [find_task(x).name if x.endswith(".toml") else x for x in tasks]
    found = gate(candidate, base, policy, tasks=names)
    allowed = allow_inconclusive and found.verdict == "inconclusive"
    if found.exit_code and not allowed:
        raise AssertionError(_message(found))
    return found


def _message(found: Gate) -> str:
    from rich.console import Console

    from harness.gate.report.tables import print_gate

    out = io.StringIO()
    print_gate(Console(file=out, width=100, highlight=False, markup=False, emoji=False), found)
    return "\n" + out.getvalue()
