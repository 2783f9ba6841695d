"""Where the corpora of a large task are, and whether they are complete."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.base.cache import cache_folder
from harness.base.hub import Repository
from harness.data import hub_files
from harness.data.corpus import Corpus, CorpusFile, Passage, first_passages, scan
from harness.data.download import Progress
from harness.data.locations import FileReport, Origin, State, TaskFiles
from harness.data.task import TaskSpec
from harness.errors import DataError

_PEEKED = 4
"""Number of files from which a preview takes passages."""


class CorpusFiles:
    """The corpus files of one task, looked for in the same places as its other files.

    All files of a language are taken from the first place that has any of them: an incomplete local
    copy is a sample, and is never silently filled in from elsewhere.
    """

    def __init__(self, spec: TaskSpec, files: TaskFiles) -> None:
        source = spec.source.corpus
        assert source is not None  # spec.streamed
        self.spec, self.source = spec, source
        self._hub = None
        self._command = files.command
        places: list[tuple[Origin, Path]] = [x for x in files.places if x[0] != "cache"]
        if source.repository is not None:
            repository = Repository(source.repository, source.revision, "dataset")
            folder = cache_folder() / "data" / spec.name
            self._hub = hub_files.Checksums(folder, repository)
            places.append(("cache", repository.cached))
        self.places = tuple(places)

    def names(self, language: str) -> list[str]:
        """Names of the files of the full corpus; empty if their number is unknown."""
        if "{number}" not in self.source.pattern:
            return [self._name(language)]
        count = self.source.files.get(language, 0)
        return [self._name(language, i) for i in range(count)]

    def _name(self, language: str, number: int | str = 0) -> str:
        return self.spec.source.name(self.source.pattern, language, number)

    def found(self, language: str) -> tuple[Origin, Path, list[str]]:
        """The first place with any file of the language, its folder there, and the names found."""
        for origin, folder in self.places:
            present = self._present(folder, language)
            if present:
                return origin, folder, present
        origin, folder = self.places[-1]
        return origin, folder, []

    def reports(self, language: str) -> list[FileReport]:
        """Each file, as ``harness data`` shows it, without opening it."""
        origin, folder, present = self.found(language)
        names = list(dict.fromkeys([*present, *self.names(language)]))
        known = self._known()
        return [self._report(name, origin, folder, name in present, known) for name in names]

    def verified(self, language: str) -> list[FileReport]:
        """Each file, compared with the hub's checksum if that is cached.

        Raises:
            DataError: a file cannot be read.
        """
        return [self._verified(report) for report in self.reports(language)]

    @staticmethod
    def _verified(report: FileReport) -> FileReport:
        if report.state == "missing":
            return report
        expected = report.expected or hub_files.checksum_by_name(report.path)
        state: State
        try:
            found = _checksum(scan(report.path), expected)
            state = "no checksum" if expected is None else "ok" if found == expected else "damaged"
        except DataError:
            found, state = None, "damaged"
        return replace(report, state=state, expected=expected, found=found)

    def fetch(
        self,
        languages: Sequence[str],
        progress: Progress | None = None,
        *,
        damaged: bool = False,
    ) -> None:
        """Download what is missing from the hub, with the checksums to verify it.

        Languages with a local copy are left unchanged.

        Args:
            languages: whose files.
            progress: called while files are downloaded.
            damaged: whether files that are damaged in the cache are replaced.

        Raises:
            DataError: the hub refuses or cannot be reached.
        """
        if self._hub is None:
            return
        needed: list[str] = []
        suspects: list[FileReport] = []
        for language in languages:
            origin, _, present = self.found(language)
            if origin == "cache":
                needed += [name for name in self.names(language) if name not in present]
                if damaged:
                    suspects += [x for x in self.verified(language) if x.state == "damaged"]
        if not needed and not suspects:
            return
        # Again, if they are known: where the revision is a branch, it may have moved.
        known = self._hub.ask([*needed, *(x.name for x in suspects)])
        for report in suspects:
            if self._verified(replace(report, expected=known[report.name])).state == "damaged":
                hub_files.remove(report.path)
                needed.append(report.name)
        self._hub.repository.fetch(needed, progress)

    def peek(self, language: str, count: int) -> list[Passage]:
        """About ``count`` available passages: the first ones of some files, or none.

        Raises:
            DataError: a line is malformed.
        """
        _, folder, present = self.found(language)
        some = present[:: max(1, len(present) // _PEEKED)]
        each = -(-count // max(1, len(some)))
        found = [p for name in some for p in first_passages(folder / name, self.spec.text, each)]
        return found[:count]

    def open(self, language: str) -> Corpus:
        """The available corpus of one language, scanned and verified.

        Raises:
            DataError: no file is available, or one is damaged.
        """
        origin, folder, present = self.found(language)
        lacking = [name for name in self.names(language) if name not in present]
        if not present or (origin == "cache" and lacking):
            raise self._missing(language, lacking or [self._name(language)], folder)
        known = self._known()
        files = tuple(scan(folder / name) for name in present)
        expected = [
            known.get(n) or hub_files.checksum_by_name(f.path)
            for n, f in zip(present, files, strict=True)
        ]
        found = [_checksum(f, e) for e, f in zip(expected, files, strict=True)]
        corpus = Corpus(
            language,
            files,
            self.spec.text,
            self.source.passages.get(language),
            "hub" if found == expected else "not verified",
        )
        if not len(corpus):
            raise DataError(f"{folder / present[0]}: contains no passage")
        self._refuse_damaged(corpus, expected, found, origin)
        return corpus

    def _refuse_damaged(
        self,
        corpus: Corpus,
        expected: Sequence[str | None],
        found: Sequence[str],
        origin: Origin,
    ) -> None:
        """A local sample naturally differs from the hub's files; anything else is damage."""
        if corpus.sampled and origin != "cache":
            return
        for listed, own, file in zip(expected, found, corpus.files, strict=True):
            if listed is not None and listed != own:
                kind = "git's SHA-1" if listed.startswith(hub_files.GIT) else "SHA-256"
                mend = "" if origin == "cache" else "remove it and "
                raise DataError(
                    f"{file.path}: {kind} is {own}, but the hub lists {listed}: the file "
                    f"is damaged; {mend}run `{self._command}`"
                )
        if corpus.whole is not None and len(corpus) > corpus.whole:
            raise DataError(
                f"task {self.spec.name!r}: {len(corpus):,} passages are available in "
                f"{corpus.language}, but the full corpus has {corpus.whole:,}; remove what does "
                f"not belong there from {corpus.files[0].path.parent}"
            )

    def _missing(self, language: str, names: Sequence[str], folder: Path) -> DataError:
        rest = "" if len(names) == 1 else f" and {len(names) - 1} more files of its corpus"
        if self.source.repository is None:
            return DataError(
                f"task {self.spec.name!r} needs {names[0]}{rest}, which are not in {folder}: put "
                f"the data there, or change 'source.folder' in {self.spec.path}"
            )
        return DataError(
            f"task {self.spec.name!r} in {language} needs {names[0]}{rest}, which are missing, "
            f"and --offline forbids downloads: run `{self._command} --languages {language}` where "
            "there is a network, or point --data-dir (or HARNESS_DATA) at a folder with "
            f"{self.spec.source.folder}/{names[0]}"
        )

    def _present(self, folder: Path, language: str) -> list[str]:
        """Names of a language's files in a place, by number."""
        pattern = Path(self._name(language, "{number}"))
        if "{number}" not in self.source.pattern:
            return [str(pattern)] if (folder / pattern).is_file() else []
        form = re.compile(re.escape(pattern.name).replace(r"\{number\}", "([0-9]+)"))
        numbered = [
            (int(match[1]), str(pattern.parent / file.name))
            for file in (folder / pattern.parent).glob("*")
            if (match := form.fullmatch(file.name)) and file.is_file()
        ]
        return [name for _, name in sorted(numbered)]

    def _report(
        self, name: str, origin: Origin, folder: Path, present: bool, known: Mapping[str, str]
    ) -> FileReport:
        url = None if self._hub is None else self._hub.repository.url(name)
        state: State = "present" if present else "missing"
        return FileReport(name, folder / name, origin, state, url, known.get(name), None)

    def _known(self) -> dict[str, str]:
        """The hub's checksums, as far as they are cached."""
        return {} if self._hub is None else self._hub.known()


def _checksum(file: CorpusFile, expected: str | None) -> str:
    """The file's checksum of the kind that is expected: of small files on the hub it is git's."""
    if expected is None or not expected.startswith(hub_files.GIT):
        return file.sha256
    return hub_files.file_digest(file.path, expected)


def refuse_sampled(spec: TaskSpec, corpora: Mapping[str, Corpus]) -> None:
    """Raise :class:`DataError` if a corpus is a sample, in one sentence that says what to do."""
    part = {x: c for x, c in corpora.items() if c.sampled}
    if part:
        language, corpus = next(iter(part.items()))
        more = "" if len(part) == 1 else f" (and in {len(part) - 1} more languages)"
        raise DataError(
            f"task {spec.name!r}: {len(corpus):,} of the {corpus.whole:,} passages in {language} "
            f"are available in {corpus.files[0].path.parent}{more}: a sample, and scores on it are "
            f"not {spec.title} scores; fetch the full corpus, or use --corpus sampled, which the "
            "record and every report will repeat"
        )
