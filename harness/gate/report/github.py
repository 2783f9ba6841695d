"""A gate on GitHub: annotations in the log, and the job's summary.

Workflow commands and their limits: docs.github.com, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.console import numbers
from harness.errors import StoreError
from harness.gate import CheckResult, Gate
from harness.gate.report.tables import SUMMARY_LIMIT, headline, place, to_markdown, verdict_of

LEAST_ROOM = 1000
"""Bytes; GitHub drops a larger summary entirely."""
MOST = 10
"""Annotations of one level that GitHub shows per step."""


def on_github(environment: Mapping[str, str]) -> bool:
    """Whether this runs in a GitHub workflow."""
    return environment.get("GITHUB_ACTIONS") == "true"


def run_url(environment: Mapping[str, str]) -> str | None:
    """URL of this workflow run, with its summary and artifacts; ``None`` outside GitHub."""
    parts = [environment.get(f"GITHUB_{x}") for x in ("SERVER_URL", "REPOSITORY", "RUN_ID")]
    if not on_github(environment) or not all(parts):
        return None
    server, repository, run = parts
    return f"{server}/{repository}/actions/runs/{run}"


def annotate(found: Gate, file: str | None = None) -> Iterator[str]:
    """Workflow commands: an error per regression, missing value or rule; warnings where unsure.

    GitHub shows ten of each level; the tenth then says how many more there are.

    Args:
        found: the gate.
        file: the policy's path, where the annotations are shown.
    """
    errors = [_of(c, x.rule.name) for x, c in found.cells("regression", "missing") if c.counts]
    errors += [
        (f"Gate: {x.rule.name}", f"missing: {x.note}")
        for x in found.outcomes
        if x.verdict == "missing" and x.note
    ]
    unsure = [
        _of(c, x.rule.name)
        for x, c in found.cells("inconclusive")
        if c.counts and x.rule.inconclusive == "fail"
    ]
    unsure += [_of(c, x.rule.name) for x, c in found.cells("regression") if not c.counts]
    for level, listed in (("error", errors), ("warning", unsure)):
        shown = listed if len(listed) <= MOST else listed[: MOST - 1]
        for title, message in shown:
            yield command(level, message, title=title, file=file)
        if len(listed) > len(shown):
            more = f"{len(listed) - len(shown)} more; the job's summary has them all"
            yield command(level, more, title=f"Gate: {headline(found)}", file=file)
    if not errors and not unsure:
        yield command("notice", headline(found), title="Gate", file=file)


def _of(check: CheckResult, rule: str) -> tuple[str, str]:
    values = (numbers.value(check.measure, x) for x in (check.baseline, check.candidate))
    return (
        f"Gate: {verdict_of(check)}, {check.task} {place(check)}",
        f"{numbers.label(check.measure)} {' -> '.join(values)}: {check.reason} (rule: {rule})",
    )


def command(level: str, message: str, **properties: str | None) -> str:
    """One workflow command: ``::error title=T,file=F::message``, escaped as the runner reads it."""
    given = ",".join(f"{k}={_property(v)}" for k, v in properties.items() if v)
    return f"::{level}{' ' if given else ''}{given}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def write_summary(found: Gate, environment: Mapping[str, str]) -> bool:
    """Append ``found`` to the job's summary, if there is one and it is not full.

    Raises:
        StoreError: the file cannot be written.
    """
    named = environment.get("GITHUB_STEP_SUMMARY")
    if not named:
        return False
    path = Path(named)
    try:
        room = SUMMARY_LIMIT - (path.stat().st_size if path.exists() else 0)
        if room < LEAST_ROOM:
            return False
        with path.open("a", encoding="utf-8") as handle:
            handle.write(to_markdown(found, limit=room, rest=run_url(environment)))
    except OSError as problem:
        raise StoreError(f"{path} could not be written: {problem.strerror}") from problem
    return True
