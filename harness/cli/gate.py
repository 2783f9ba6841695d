"""``harness gate``."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.help_sections import SectionedCommand
from harness.cli.options import (
    PATH,
    POSITIVE,
    baselines_option,
    data_dir_option,
    file_option,
    offline_option,
    quiet_option,
    records_option,
    refuse_alone,
    sample_option,
    tasks_option,
    verbose_option,
)
from harness.errors import HarnessError, NotComparableError

if TYPE_CHECKING:
    from harness.evaluation.record import Record
    from harness.gate import Gate, Policy

_STDOUT = Path("-")
_BUG = 70
"""Exit code of a bug (EX_SOFTWARE): 1 means a regression, never a traceback."""


_SECTIONS = {
    "What is compared": "baseline policy tasks",
    "Instead of a record: a model to score": "model sample query_prompt passage_prompt batch_size "
    "dtype device max_length data_dir offline no_store output",
    "Baselines": "update_baseline folder",
    "Output": "json_file markdown_file junit_file details_url github verbose quiet",
}


@click.command(
    cls=SectionedCommand,
    sections=_SECTIONS,
    short_help="Fail if a candidate is worse than a baseline.",
)
@click.argument("candidate", required=False, type=PATH, metavar="[CANDIDATE]")
@click.option(
    "--baseline",
    required=True,
    metavar="NAME|RECORD",
    help="A tracked baseline's name, or a record.json or its folder.",
)
@click.option("--policy", type=PATH, metavar="FILE", help="gate.toml; default: a built-in one.")
@click.option(
    "--model", metavar="NAME", help="Instead of CANDIDATE: a model, scored as the baseline was."
)
@tasks_option("A task of the baseline; can be repeated. Default: all of them.")
@sample_option("Only a fixed sample of N questions, with all passages.")
@click.option("--query-prompt", metavar="TEXT", help="Text put before each query.")
@click.option("--passage-prompt", metavar="TEXT", help="Text put before each passage.")
@click.option("--batch-size", type=POSITIVE, metavar="N", help="Texts per batch.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Number format the model computes with.",
)
@click.option("--device", metavar="NAME", help="Device to compute on: cpu, cuda, cuda:1 or mps.")
@click.option("--max-length", type=POSITIVE, metavar="N", help="Maximum tokens of a text.")
@data_dir_option
@offline_option
@click.option("--no-store", is_flag=True, help="Neither read nor keep vectors.")
@records_option("Folder for the candidate's record.")
@click.option(
    "--update-baseline",
    is_flag=True,
    help="Make the candidate the baseline, whatever the verdict, and exit with 0.",
)
@baselines_option()
@file_option("json", "Write JSON; - for stdout.")
@file_option("markdown", "Write Markdown for a pull request's comment; - for stdout.")
@file_option("junit", "Write JUnit XML; - for stdout.")
@click.option(
    "--details-url", metavar="URL", help="URL of the whole report, if the Markdown has to be cut."
)
@click.option(
    "--github/--no-github",
    default=None,
    help="Annotations and job summary; default: in a GitHub workflow.",
)
@verbose_option("Also print the values that passed.")
@quiet_option("Print only the verdict.")
@click.pass_context
def gate(ctx: click.Context, /, **given: Any) -> None:
    """Check CANDIDATE, a record.json or its folder, against a baseline.

    A drop is a regression if it is larger than the policy allows and a paired test over questions
    is significant. Too little evidence is inconclusive, not a pass.

    Exit codes: 0 pass, 1 regression, 2 wrong usage or bad input, 3 inconclusive, 4 not comparable
    or missing, 70 a bug in the harness or in the model's own code.
    """
    try:
        code = _gate(command=ctx.obj, **given)
    except (HarnessError, click.ClickException, click.exceptions.Exit, OSError, MemoryError):
        raise
    except Exception:
        traceback.print_exc()
        code = _BUG
    ctx.exit(code)


@dataclass(frozen=True)
class _Reports:
    """The outputs of a verdict."""

    json_file: Path | None
    markdown_file: Path | None
    junit_file: Path | None
    details_url: str | None
    github: bool | None
    verbose: bool
    quiet: bool

    def __post_init__(self) -> None:
        if len(set(self.files)) < len(self.files):
            raise click.UsageError("--json, --markdown and --junit need different files")

    @property
    def files(self) -> list[Path]:
        """The files to write."""
        return [x for x in (self.json_file, self.markdown_file, self.junit_file) if x is not None]

    def give(self, found: Gate, policy: Path | None) -> None:
        """Write the files, print to the remaining consoles, annotate on GitHub."""
        from harness.console import consoles
        from harness.gate.report import github as on_github
        from harness.gate.report.tables import headline, print_gate

        self._write(found)
        free = _STDOUT not in self.files
        if free and self.quiet:
            click.echo(headline(found))
        elif free:
            print_gate(consoles.console(), found, verbose=self.verbose)
        if self.github if self.github is not None else on_github.on_github(os.environ):
            for line in on_github.annotate(found, None if policy is None else str(policy)):
                click.echo(line, err=not free)
            on_github.write_summary(found, os.environ)

    def _write(self, found: Gate) -> None:
        from harness.base.files import write_atomically
        from harness.gate.report import github
        from harness.gate.report.junit import to_junit
        from harness.gate.report.tables import to_markdown

        texts = []
        if self.json_file is not None:
            document = json.dumps(found.document(), indent=1, ensure_ascii=False, allow_nan=False)
            texts.append((self.json_file, document + "\n"))
        if self.markdown_file is not None:
            rest = self.details_url or github.run_url(os.environ)
            texts.append((self.markdown_file, to_markdown(found, rest=rest)))
        if self.junit_file is not None:
            texts.append((self.junit_file, to_junit(found)))
        for file, text in texts:
            if file == _STDOUT:
                click.echo(text, nl=False)
            else:
                write_atomically(file, text.encode("utf-8", "backslashreplace"))


def _gate(
    *,
    command: list[str] | None,
    candidate: Path | None,
    baseline: str,
    policy: Path | None,
    model: str | None,
    tasks: tuple[str, ...],
    update_baseline: bool,
    folder: Path,
    **given: Any,
) -> int:
    if (candidate is None) == (model is None):
        raise click.UsageError("give either the candidate's record or a --model to score")
    refuse_alone({"details_url": ("markdown_file",)})
    reports = _Reports(**{name: given.pop(name) for name in _Reports.__dataclass_fields__})
    if candidate is not None:
        _refuse_run_options(given)
    from harness.console.progress_bars import show_progress
    from harness.evaluation.record import Record
    from harness.gate import baselines, measures_of, read_policy
    from harness.gate import gate as gate_records

    rules = read_policy(policy)
    names = [_named(x) for x in tasks]
    target = baselines.replaceable(baseline, folder) if update_baseline else None
    try:
        base: Record | None = baselines.load(baseline, folder)
    except NotComparableError:
        if target is None or model is not None:
            raise
        base = None
    with show_progress(quiet=reports.quiet or candidate is not None) as progress:
        if candidate is not None:
            new = Record.load(candidate)
        else:
            assert base is not None and model is not None
            if target is not None:
                _refuse_to_shrink(base, given["sample"], names)
            new = _produced(model, base, rules, tasks, progress, command, given)
    try:
        found = None if base is None else gate_records(new, base, rules, tasks=names)
    except NotComparableError as problem:
        if target is None:
            raise
        click.echo(f"Not compared: {problem}", err=True)
        found = None
    if found is not None:
        reports.give(found, policy)
    if target is None:
        assert found is not None
        return found.exit_code
    for path in baselines.write(new, target, measures_of(rules, new)):
        click.echo(f"wrote {path}", err=True)
    return 0


def _refuse_run_options(given: dict[str, Any]) -> None:
    for name, value in given.items():
        if name != "output" and value not in (None, False):
            raise click.UsageError(
                f"--{name.replace('_', '-')} only applies to --model; the candidate is a "
                "record already"
            )


def _refuse_to_shrink(base: Record, sample: int | None, names: Sequence[str]) -> None:
    """Refuse to make less of the tasks the baseline than it is now."""
    if sample is not None and not any(x.partial.sample for x in base.tasks):
        raise click.UsageError(
            f"--update-baseline with --sample {sample} would leave {sample} questions in the "
            "baseline: leave --sample out"
        )
    lost = [x.task for x in base.tasks if names and x.task not in names]
    if lost:
        raise click.UsageError(
            f"--update-baseline with --task would remove {', '.join(lost)} from the baseline: "
            "leave --task out"
        )


def _named(task: str) -> str:
    """A task's name, from a name or its file's path."""
    from harness.data.task import find_task

    return find_task(task).name if task.endswith(".toml") else task


def _produced(
    model: str,
    base: Record,
    policy: Policy,
    tasks: tuple[str, ...],
    progress: Any,
    command: list[str] | None,
    given: dict[str, Any],
) -> Record:
    from harness.evaluation.options import RunOptions
    from harness.gate.candidate import produce
    from harness.models.base import ModelOptions

    of_model = ("query_prompt", "passage_prompt", "batch_size", "device", "max_length", "offline")
    options = RunOptions(
        sample=given["sample"],
        data_dir=given["data_dir"],
        offline=given["offline"],
        store=not given["no_store"],
        model=ModelOptions(
            dtype=given["dtype"] or "float32", **{name: given[name] for name in of_model}
        ),
    )
    return produce(
        model,
        base,
        policy,
        tasks=tasks,
        options=options,
        output=given["output"],
        progress=progress,
        command=command,
    )
