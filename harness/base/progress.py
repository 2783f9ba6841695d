"""Seconds and peak memory of each stage, and who is told of progress."""

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
    """Told what is going on. The command draws bars from it; the library's default is silent."""

    def start(self, stage: str, total: int, unit: str) -> None:
        """A stage begins: ``total`` units of work named ``unit`` lie ahead."""

    def advance(self, done: int) -> None:
        """``done`` more units are finished."""

    def finish(self) -> None:
        """The stage is over."""


class Silent:
    """Tells nobody."""

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
    """Highest resident memory of this process in bytes (since the last stage began, on Linux)."""
    unit = 1 if sys.platform == "darwin" else 1024
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def resident_memory() -> int:
    """Resident memory of this process now, in bytes (elsewhere than on Linux: its peak so far)."""
    return _status("VmRSS") or peak_memory()


@dataclass
class Stages:
    """What each stage took; stages of the same name add up."""

    seconds: dict[str, float] = field(default_factory=dict)
    peak_bytes: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the block as part of stage ``name``."""
        _reset_peak()
        within = sum(self.seconds.values())
        begun = time.perf_counter()
        try:
            yield
        finally:
            # A stage inside this one has been counted under its own name.
            took = time.perf_counter() - begun - (sum(self.seconds.values()) - within)
            self.seconds[name] = self.seconds.get(name, 0.0) + took
            self.peak_bytes[name] = max(self.peak_bytes.get(name, 0), peak_memory())
