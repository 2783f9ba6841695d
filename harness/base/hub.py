"""The Hugging Face hub: files of a repository at a revision, fetched into the hub's own cache.

HF_ENDPOINT names a mirror, HF_HUB_OFFLINE keeps off the network. What the hub refuses is one
sentence: a :class:`ModelError` for models, a :class:`DataError` for data sets.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from harness.errors import DataError, HarnessError, ModelError, first_line

Progress = Callable[[str, int, int | None], None]
"""Called with file name, bytes so far, and bytes in all where they are known."""

_LOCAL = frozenset(
    getattr(errno, x)
    for x in ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EMFILE", "ENAMETOOLONG", "EIO")
    if hasattr(errno, x)
)
"""Errors of files on this machine: a full disk, a folder that must not be written."""

_PATHS = 500
"""Files that the hub is queried for at a time."""


class UnreachableError(DataError):
    """The hub cannot be reached, or must not be; ``why`` is the reason without the repository."""

    why = ""


def is_offline(requested: bool = False) -> bool:
    """Whether the network must not be used: by request, or by HF_HUB_OFFLINE.

    The variable is read at each call; the hub's library reads it once, at its import.
    """
    return requested or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def draw_no_bars() -> None:
    """Keep the hub's library from drawing bars, unless the user's environment says otherwise.

    The variable is read at the library's import, which comes later.
    """
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


class Repository(NamedTuple):
    """A model or data set of the hub at a revision."""

    name: str
    """``ORG/NAME``."""
    revision: str | None
    """Commit, branch or tag; ``None``: the main branch."""
    kind: Literal["model", "dataset"]

    def __str__(self) -> str:
        """``ORG/NAME@REVISION``, as messages name it."""
        return self.name if self.revision is None else f"{self.name}@{self.revision}"

    @property
    def command(self) -> str:
        """The command that fetches it without the harness."""
        kind = " --repo-type dataset" if self.kind == "dataset" else ""
        revision = f" --revision {self.revision}" if self.revision else ""
        return f"hf download {self.name}{kind}{revision}"

    @property
    def cached(self) -> Path:
        """Where the hub's cache keeps, or would keep, the files.

        A branch or tag is what it was when a file of it was last fetched.
        """
        from huggingface_hub import constants

        owned = Path(constants.HF_HUB_CACHE) / f"{self.kind}s--{self.name.replace('/', '--')}"
        named = owned / "refs" / str(self.revision)
        commit = named.read_text().strip() if named.is_file() else str(self.revision)
        return owned / "snapshots" / commit

    def url(self, name: str) -> str:
        """Where a file is on the hub."""
        import huggingface_hub

        found = huggingface_hub.hf_hub_url(
            self.name, name, repo_type=self.kind, revision=self.revision
        )
        return str(found)

    def fetch(self, names: Sequence[str], progress: Progress | None = None) -> None:
        """Download files into the hub's cache; existing ones stay unchanged.

        Raises:
            HarnessError: no access, or no such repository, revision or file.
            UnreachableError: no network.
        """
        import huggingface_hub

        for name in names:
            with self._explained(file=name):
                huggingface_hub.hf_hub_download(
                    self.name,
                    name,
                    repo_type=self.kind,
                    revision=self.revision,
                    tqdm_class=_bar(progress),
                )

    def snapshot(self, patterns: Sequence[str], *, offline: bool = False) -> Path:
        """The folder of the files that match, named by the commit; fetched unless ``offline``.

        Raises:
            HarnessError: no access, or no such repository or revision.
            UnreachableError: no network, or ``offline`` and they are not in the hub's cache.
        """
        import huggingface_hub

        with self._explained(offline):
            folder = huggingface_hub.snapshot_download(
                self.name,
                repo_type=self.kind,
                revision=self.revision,
                allow_patterns=list(patterns),
                local_files_only=offline,
            )
        return Path(folder)

    def local_copy(self) -> Path | None:
        """The folder of its files in the hub's cache, complete or not, if any."""
        import huggingface_hub
        from huggingface_hub import errors

        try:
            folder = huggingface_hub.snapshot_download(
                self.name, repo_type=self.kind, revision=self.revision, local_files_only=True
            )
        except (errors.LocalEntryNotFoundError, errors.HFValidationError) as error:
            # Newer hub versions call a copy incomplete if it lacks files that are not needed.
            folder = getattr(error, "snapshot_path", None)
        return None if folder is None else Path(folder)

    def push(self, files: Mapping[str, Path], message: str, *, pull_request: bool = False) -> str:
        """Commit ``files`` (name there -> file here), all or none; the commit's address.

        Raises:
            HarnessError: no access, no such repository or revision, or a file that the hub refuses.
            UnreachableError: no network.
        """
        import huggingface_hub

        with self._explained():
            made = huggingface_hub.HfApi().create_commit(
                self.name,
                [
                    huggingface_hub.CommitOperationAdd(name, str(path))
                    for name, path in files.items()
                ],
                commit_message=message,
                repo_type=self.kind,
                revision=self.revision,
                create_pr=pull_request,
            )
        return str(made.pr_url or made.commit_url)

    def file_names(self) -> list[str]:
        """Names of its files.

        Raises:
            HarnessError: no access, or no such repository or revision.
            UnreachableError: no network.
        """
        import huggingface_hub

        with self._explained():
            found = huggingface_hub.HfApi().repo_info(
                self.name, repo_type=self.kind, revision=self.revision
            )
        return [x.rfilename for x in found.siblings or ()]

    def paths_info(self, names: Sequence[str]) -> list[Any]:
        """The hub's metadata of each of these files that exists, in the hub library's own type.

        Raises:
            HarnessError: no access, or no such repository or revision.
            UnreachableError: no network.
        """
        import huggingface_hub

        found: list[Any] = []
        for start in range(0, len(names), _PATHS):
            with self._explained():
                found += huggingface_hub.HfApi().get_paths_info(
                    self.name,
                    list(names[start : start + _PATHS]),
                    repo_type=self.kind,
                    revision=self.revision,
                )
        return found

    @contextmanager
    def _explained(self, offline: bool = False, file: str | None = None) -> Iterator[None]:
        """The hub's errors as one sentence that says what to do; ``file`` is what is fetched."""
        from huggingface_hub import errors

        try:
            yield
        except Exception as error:
            found = self._sentence(error, errors, offline, file)
            if found is None:
                raise
            raise found from error

    def _sentence(
        self, error: Exception, errors: Any, offline: bool, file: str | None
    ) -> HarnessError | None:
        complaint = ModelError if self.kind == "model" else DataError
        called = "model" if self.kind == "model" else "data set"
        if isinstance(error, errors.GatedRepoError):
            return complaint(
                f"{self}: accept this {called}'s terms on its page on the hub, then: hf auth login"
            )
        if isinstance(error, errors.RevisionNotFoundError):
            return complaint(f"{self.name}: the hub has no revision {self.revision!r} of it")
        if isinstance(error, errors.RepositoryNotFoundError):
            here = "no folder of that name here, and " if self.kind == "model" else ""
            return complaint(
                f"{self.name}: {here}the hub has no public {called} of that name; if it needs a "
                "login: hf auth login"
            )
        if isinstance(error, errors.HFValidationError):
            return complaint(f"{self.name}: not a valid hub name ({error})")
        absent = isinstance(error, errors.EntryNotFoundError)
        if absent and not isinstance(error, errors.LocalEntryNotFoundError):
            return complaint(f"{self}: the hub has no file {file or first_line(error)}")
        # The HTTP library's errors differ between hub versions.
        if not isinstance(error, OSError) and "http" not in type(error).__module__:
            return None
        if isinstance(error, OSError) and error.errno in _LOCAL:
            return complaint(f"{self}: the hub's cache on this machine cannot be used ({error})")
        if isinstance(error, errors.LocalEntryNotFoundError):  # says nothing of what went wrong
            error = error.__cause__ if isinstance(error.__cause__, Exception) else error
        response = getattr(error, "response", None)
        status = getattr(response, "status_code", None)
        if status == 401:
            return complaint(
                f"{self}: the hub does not accept the token that you log in with: set another in "
                "HF_TOKEN, or run hf auth login"
            )
        what = "cannot be reached" if status is None else "answered with an error"
        reason = first_line(error)
        if response is not None and status == 403:
            what, reason = "refuses access", response.headers.get("X-Error-Message") or reason
        why = "nothing is downloaded offline" if offline else f"the hub {what} ({reason})"
        found = UnreachableError(f"{self}: {why}")
        found.why = why
        return found


def _bar(progress: Progress | None) -> Any:
    """A progress bar class that draws nothing and passes the hub's byte counts to ``progress``."""
    from tqdm.auto import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            options["disable"] = True
            self._file = str(options.get("desc") or "download")
            self._bytes = options.get("initial") or 0
            self._whole = options.get("total")
            super().__init__(*args, **options)

        def update(self, n: float | None = 1) -> bool | None:
            self._bytes += int(n or 0)
            if progress is not None:
                progress(self._file, self._bytes, self._whole)
            return None

    return Bar
