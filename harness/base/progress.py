"""Seconds and peak memory of each stage, and the interface for progress reports."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class Progress(Protocol):
    """Is notified of progress: the command line draws bars, the library by default does nothing."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """A stage begins, with ``total`` units of work called ``unit``."""

    def advance(self, done: int) -> None:
        """``done`` more units are finished."""

    def finish(self) -> None:
        """The stage is over."""


class Silent:
    """Ignores progress."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """Ignored."""

    def advance(self, done: int) -> None:
        """Ignored."""

    def finish(self) -> None:
        """Ignored."""


def _reset_peak() -> None:
    try:
        # Linux: 5 resets the process's high-water mark, so that each stage has its own.
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _status(field: str) -> int | None:
    """A field of Linux's ``/proc/self/status`` in bytes."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def peak_memory() -> int:
    """Peak resident memory of this process in bytes (on Linux, since the last stage began)."""
    unit = 1 if sys.platform == "darwin" else 1024
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def resident_memory() -> int:
    """Current resident memory of this process in bytes (outside Linux: its peak so far)."""
    return _status("VmRSS") or peak_memory()


@dataclass
class Stages:
    """Time and memory of each stage; stages of the same name add up."""

    seconds: dict[str, float] = field(default_factory=dict)
    peak_bytes: dict[str, int] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list, repr=False)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the block as part of stage ``name``."""
        self._keep_peak()  # of the stage that this one is within
        _reset_peak()
        self._open.append(name)
        within = sum(self.seconds.values())
        begun = time.perf_counter()
        try:
            yield
        finally:
            # A stage within this one has been counted under its own name.
            took = time.perf_counter() - begun - (sum(self.seconds.values()) - within)
            self.seconds[name] = self.seconds.get(name, 0.0) + took
            self._keep_peak()
            self._open.pop()

    def _keep_peak(self) -> None:
        for name in self._open:
            self.peak_bytes[name] = max(self.peak_bytes.get(name, 0), peak_memory())
