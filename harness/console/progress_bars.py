"""Progress bars and warnings on stderr, so that stdout has only results."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from harness.base.hub import draw_no_bars
from harness.base.progress import Silent
from harness.console import consoles
from harness.errors import DamagedShardWarning, HarnessWarning


class _Count(ProgressColumn):
    """``1,234/26,104 texts``."""

    def render(self, task: Task) -> Text:
        if not task.total:
            return Text("")
        unit = task.fields.get("unit", "")
        return Text(f"{task.completed:,.0f}/{task.total:,.0f} {unit}", "cyan")


class _Rate(ProgressColumn):
    """``412 texts/s``."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed or not task.total:
            return Text("")
        return Text(f"{speed:,.0f} {task.fields.get('unit', '')}/s", "magenta")


_FINISHED = 6
"""Bars of finished stages that stay in sight."""
_UNFINISHED = 6
"""Lines of a terminal for other bars and the prompt."""


class Bars:
    """A :class:`harness.base.progress.Progress` that draws one bar for each stage."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),  # names of files may have brackets
            BarColumn(bar_width=20),
            _Count(),
            _Rate(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            # What matters is in the summary; bars of finished work would only push it up.
            transient=True,
        )
        self._stage: TaskID | None = None
        self._total = 0
        self._files: dict[str, TaskID] = {}

    def start(self, stage: str, total: int, unit: str) -> None:
        """A stage begins; with a total of 0 the bar shows activity, not the amount."""
        self._total = total
        self._forget()
        self._stage = self._bars.add_task(stage, total=total or None, unit=unit)

    def _forget(self) -> None:
        """Take the oldest finished bars away, so that a study of many trials fits a terminal."""
        finished = [x for x in self._bars.tasks if x.finished]
        keep = min(_FINISHED, max(0, self._bars.console.height - _UNFINISHED))
        for task in finished[: max(0, len(finished) - keep)]:
            self._bars.remove_task(task.id)
            self._files = {name: at for name, at in self._files.items() if at != task.id}

    def advance(self, done: int) -> None:
        """``done`` more units are finished."""
        if self._stage is not None:
            self._bars.advance(self._stage, done)

    def finish(self) -> None:
        """The stage is over."""
        if self._stage is not None:
            total = self._total or 1
            self._bars.update(self._stage, total=total, completed=total)
            self._stage = None

    def download(self, name: str, done: int, total: int | None) -> None:
        """Bytes of one file, as reported by :func:`harness.data.loading.fetch`."""
        if name not in self._files:
            self._files[name] = self._bars.add_task(name, total=total, unit="bytes")
        self._bars.update(self._files[name], completed=done, total=total)

    def note(self, line: str) -> None:
        """Print a permanent line above the bars."""
        self._bars.console.print(Text(line), soft_wrap=True)

    @contextmanager
    def drawn(self) -> Iterator[Bars]:
        """Draw while the block runs."""
        with self._bars:
            yield self


class Quiet(Silent):
    """Draws nothing: stderr is not a terminal, or progress bars are switched off."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console

    def note(self, line: str) -> None:
        """Print a permanent line, unless output is switched off."""
        if self._console is not None:
            self._console.print(Text(line), soft_wrap=True)

    def download(self, name: str, done: int, total: int | None) -> None:
        """Ignored."""


@contextmanager
def show_progress(*, quiet: bool) -> Iterator[Bars | Quiet]:
    """Show progress and warnings on stderr while the block runs.

    Bars are drawn if stderr is a terminal and ``quiet`` is not set. A warning of the harness is one
    line; those of libraries are for their developers and shown only with HARNESS_DEBUG set.
    """
    console = consoles.console(stderr=True)
    debug = os.environ.get("HARNESS_DEBUG", "") not in ("", "0")

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, HarnessWarning | DamagedShardWarning):
            text = " ".join(str(message).split())
            console.print(Text("Warning: ", "yellow").append(text, "default"), soft_wrap=True)
        elif debug:
            console.print(f"{filename}:{lineno}: {category.__name__}: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        if quiet or not console.is_terminal:
            draw_no_bars()
            yield Quiet(None if quiet else console)
        else:
            with Bars(console).drawn() as bars:
                yield bars
