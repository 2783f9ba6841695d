"""Where a task's files are (a local copy, next to the task file, the cache), verified when read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from harness.base.cache import cache_folder
from harness.base.files import home_expanded
from harness.base.hub import Repository
from harness.data import hub_files
from harness.data.documents import Document, decode, unpacked
from harness.data.download import Progress, download
from harness.data.file_memo import memoized
from harness.data.task import TaskSpec, task_folder
from harness.errors import DataError, UsageError

Origin = Literal["--data-dir", "HARNESS_DATA", "task file", "cache"]
State = Literal["present", "missing", "ok", "damaged", "no checksum"]

_NAMED = 6
"""Number of missing files that a message names."""


@dataclass(frozen=True)
class FileReport:
    """One file of a task, for ``harness data``."""

    name: str
    path: Path
    """Where it is or, if missing, where it would be downloaded to or belongs."""
    origin: Origin
    """``task file``: in the folder next to it."""
    state: State
    """``present`` or ``missing`` if not opened; otherwise the result of verifying it."""
    url: str | None
    expected: str | None
    """SHA-256 hex from the task file, or from the hub
    (:func:`harness.data.hub_files.checksums`)."""
    found: str | None
    """The actual one, if the file was verified."""


class TaskFiles:
    """The files of one task.

    They are looked for in this order: ``data_dir``, the environment variable ``HARNESS_DATA``, the
    folder next to the task file, the cache folder. Under a data directory a task's files are in a
    folder with its source's name (``DATA/xquad-r/en.json``). Files without a URL are never in the
    cache; as they may lack checksums, all are taken from the first place that has any, which under
    a data directory is named like the task; if they have checksums, so that no other file can be
    mistaken for them, it may also be named like the source's folder. Queries from a repository of
    their own are looked for in the same folders, and in the cache of that one.

    Raises:
        UsageError: ``data_dir`` or ``HARNESS_DATA`` is not a folder.
    """

    def __init__(self, spec: TaskSpec, data_dir: str | Path | None = None) -> None:
        self.spec = spec
        source = spec.source
        named = [spec.name] if source.url is None else [source.folder]
        if source.url is None and source.files and Path(source.folder).name == source.folder:
            named.append(source.folder)
        places: list[tuple[Origin, Path]] = []
        for origin, root in data_directories(data_dir):
            places += [(origin, root / name) for name in named]
        places.append(("task file", spec.path.parent / home_expanded(source.folder)))
        if source.repository is not None:
            pass  # the hub's cache: see places
        elif source.url is not None:
            revision = source.revision or ""
            places.append(("cache", cache_folder() / "data" / spec.name / revision))
        else:
            needed = spec.needed_files()
            complete = [x for x in places if any((x[1] / name).is_file() for name in needed)]
            places = complete[:1] or places[-1:]
        self._places = tuple(places)
        self._hub = self._repository = None
        if source.repository is not None:
            self._repository = Repository(source.repository, source.revision, "dataset")
            if source.checksums == "hub":
                folder = cache_folder() / "data" / spec.name
                self._hub = hub_files.Checksums(folder, self._repository)
        self._others: dict[str, TaskFiles] = {}
        if source.queries is not None:
            from_there = replace(source, **source.queries._asdict(), queries=None)
            files = TaskFiles(replace(spec, source=from_there), data_dir)
            self._others = {source.file("queries", x): files for x in spec.with_queries()}

    @property
    def places(self) -> tuple[tuple[Origin, Path], ...]:
        """Where files are looked for, in order."""
        if self._repository is None:
            return self._places
        # What a branch of the hub is in its cache changes with a download.
        return (*self._places, ("cache", self._repository.cached))

    def report(self, name: str) -> FileReport:
        """Where ``name`` is, without opening it."""
        if name in self._others:
            return self._others[name].report(name)
        origin, folder = self.places[-1]
        state: State = "missing"
        for place in self.places:
            if (place[1] / name).is_file():
                (origin, folder), state = place, "present"
                break
        source = self.spec.source
        url = None if source.url is None else source.url + name
        expected = source.files.get(name)
        if self._hub is not None:
            expected = self._hub.known().get(name) or hub_files.checksum_by_name(folder / name)
        return FileReport(name, folder / name, origin, state, url, expected, None)

    def verify(self, name: str) -> FileReport:
        """Where ``name`` is, and whether its checksum is that of the task file.

        Raises:
            DataError: the file cannot be read.
        """
        if name in self._others:
            return self._others[name].verify(name)
        report = self.report(name)
        if report.state == "missing":
            return report
        try:
            found = hub_files.file_digest(report.path, report.expected)
        except OSError as error:
            raise DataError(f"{report.path}: cannot be read: {error.strerror}") from error
        state: State = "ok" if found == report.expected else "damaged"
        if report.expected is None:
            state = "no checksum"
        return FileReport(
            name, report.path, report.origin, state, report.url, report.expected, found
        )

    def fetch(self, name: str, progress: Progress | None = None) -> FileReport:
        """Download ``name`` into the cache if it is missing, or damaged there.

        Raises:
            DataError: it cannot be downloaded, or is damaged in a folder that is not ours to
                change.
        """
        if name in self._others:
            return self._others[name].fetch(name, progress)
        report = self.verify(name)
        if report.state in ("missing", "damaged") and report.origin == "cache":
            if self._hub is not None:
                # Again, if they are known: where the revision is a branch, it may have moved.
                self._hub.ask([name])
                report = self.verify(name)
            return self._download(report, progress)
        if report.state == "damaged":
            raise self._damaged(report)
        if report.state == "missing":
            raise self._missing([report])
        return report

    def _download(self, report: FileReport, progress: Progress | None) -> FileReport:
        """Download a file into the cache unless it is there as it should be."""
        name = report.name
        if report.state in ("missing", "damaged"):
            if self._repository is None:
                assert report.url is not None and report.expected is not None
                # read_task has checked both
                download(report.url, report.path, sha256=report.expected, progress=progress)
            else:
                if report.state == "damaged":
                    hub_files.remove(report.path)
                self._repository.fetch([name], progress)
            report = self.verify(name)
        if report.state == "damaged":
            raise DataError(
                f"{report.path}: fetched just now from {report.url}, with the checksum "
                f"{report.found}, not {report.expected}: another file; correct 'source.files' or "
                f"'source.revision' in {self.spec.path}"
            )
        return report

    def prepare(
        self, names: Sequence[str], *, offline: bool = False, progress: Progress | None = None
    ) -> None:
        """Make sure that all of ``names`` exist, damaged or not.

        Raises:
            DataError: some are missing and cannot be downloaded, or must not be (``offline``).
        """
        for files in dict.fromkeys(self._others.values()):
            own = [name for name in names if name in self._others]
            files.prepare(own, offline=offline, progress=progress)
        names = [name for name in names if name not in self._others]
        missing = [report for name in names if (report := self.report(name)).state == "missing"]
        if missing and (offline or missing[0].url is None):
            raise self._missing(missing)
        if missing and self._hub is not None:
            self._hub.ask([x.name for x in missing])
        for report in missing:
            self._download(report, progress)

    def open(self, name: str) -> Document:
        """Read ``name`` after verifying the bytes read.

        Raises:
            DataError: missing, damaged, not UTF-8.
        """
        if name in self._others:
            return self._others[name].open(name)
        report = self.report(name)
        if report.state == "missing":
            raise self._missing([report])
        raw = _bytes(report.path)
        if report.expected is not None:
            found = hub_files.digest(raw, report.expected)
            if found != report.expected:
                raise self._damaged(
                    FileReport(
                        name, report.path, report.origin, "damaged", report.url, report.expected,
                        found,
                    )
                )  # fmt: skip
        return decode(report.path, unpacked(report.path, raw))

    def verified(self, name: str) -> Path:
        """Where ``name`` is, for files that are too large for :meth:`open`.

        Raises:
            DataError: missing or damaged.
        """
        report = self.report(name)
        if report.state == "missing":
            raise self._missing([report])
        if report.expected is not None:
            expected = report.expected
            kind = "git-objects" if expected.startswith(hub_files.GIT) else "digests"
            read = memoized(
                report.path, kind, lambda x: {"sha256": hub_files.file_digest(x, expected)}
            )
            if (found := str(read["sha256"])) != expected:
                raise self._damaged(replace(report, state="damaged", found=found))
        return report.path

    def folder(self, name: str) -> Path:
        """Where a folder of the task's files is: the first place that has it.

        Raises:
            DataError: none has.
        """
        for _, place in self.places:
            if (place / name).is_dir():
                return place / name
        raise DataError(
            f"task {self.spec.name!r} needs the folder {name}, which is not in "
            f"{self.places[-1][1]}: put it there, or change 'source.folder' in {self.spec.path}"
        )

    def _missing(self, reports: Sequence[FileReport]) -> DataError:
        names = ", ".join(report.name for report in reports[:_NAMED])
        if len(reports) > _NAMED:
            names += f" and {len(reports) - _NAMED} more files"
        first, task, source = reports[0], self.spec.name, self.spec.source
        is_are = "is" if len(reports) == 1 else "are"
        if first.url is None:
            return DataError(
                f"task {task!r} needs {names}, which {is_are} not in {first.path.parent}: put the "
                f"data there, or change 'source.folder' in {self.spec.path}"
            )
        rest = "" if len(reports) == 1 else f" and the other {len(reports) - 1} next to it"
        # Files in the hub's own cache are put there by its library.
        by_hand = f"or download {first.url} to {first.path}{rest}, "
        if source.repository is not None:
            by_hand, rest = "", f", from {first.url}{rest}"
        else:
            rest = ""
        return DataError(
            f"task {task!r} needs {names}, which {is_are} missing, and --offline forbids "
            f"downloads: run `{self.command}` where there is a network, {by_hand}or point "
            "--data-dir "
            f"(or HARNESS_DATA) at a folder with {source.folder}/{first.name}{rest}"
        )

    def _damaged(self, report: FileReport) -> DataError:
        kind = "SHA-256" if hub_files.GIT not in (report.expected or "") else "git's SHA-1"
        mend = f"put the right file there, or correct 'source.files' in {self.spec.path}"
        if report.origin == "cache":
            mend = f"run `{self.command}` to fetch it again"
        elif report.url is not None:
            mend = f"replace it by {report.url}, or remove it to download it again"
        return DataError(
            f"{report.path}: {kind} is {report.found}, expected {report.expected}: the file is "
            f"damaged or from another version; {mend}"
        )

    @property
    def command(self) -> str:
        """The command that downloads this task."""
        own = self.spec.path.parent.resolve() != task_folder().resolve()
        return f"harness data fetch {self.spec.path if own else self.spec.name}"


def data_directories(data_dir: str | Path | None) -> list[tuple[Origin, Path]]:
    """Folders of local copies, in the order they are looked at.

    Raises:
        UsageError: ``data_dir`` or HARNESS_DATA is not a folder.
    """
    named: list[tuple[Origin, str | Path | None]] = [
        ("--data-dir", data_dir),
        ("HARNESS_DATA", os.environ.get("HARNESS_DATA")),
    ]
    found: list[tuple[Origin, Path]] = []
    for origin, value in named:
        if value is None or value == "":
            continue
        root = home_expanded(value)
        if not root.is_dir():
            raise UsageError(
                f"{origin}: {root} is not a folder; it must contain one folder per task"
            )
        found.append((origin, root))
    return found


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
