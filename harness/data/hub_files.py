"""Files of a data set on the Hugging Face hub, pinned by commit, through the hub's own cache."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.base.files import write_atomically
from harness.data.download import Progress
from harness.errors import DataError

GIT = "git:"
"""Before checksums that are git's, of files that are stored in the commit itself."""
_PATHS = 500
"""Files that the hub is asked about at a time."""


def snapshot_folder(repository: str, revision: str) -> Path:
    """Where the hub's cache keeps, or would keep, the files of one commit."""
    from huggingface_hub import constants

    owned = f"datasets--{repository.replace('/', '--')}"
    return Path(constants.HF_HUB_CACHE) / owned / "snapshots" / revision


def url(repository: str, revision: str, name: str) -> str:
    """Where a file is on the hub (HF_ENDPOINT names another one)."""
    import huggingface_hub

    return str(huggingface_hub.hf_hub_url(repository, name, repo_type="dataset", revision=revision))


def offline_by_environment() -> bool:
    """Whether HF_HUB_OFFLINE keeps the hub's library off the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def fetch(
    repository: str, revision: str, names: Sequence[str], progress: Progress | None = None
) -> None:
    """Bring files into the hub's cache; those that are there stay as they are.

    Raises:
        DataError: no access, no such file, no network.
    """
    import huggingface_hub

    def one(name: str) -> None:
        with _explained(repository, revision):
            huggingface_hub.hf_hub_download(
                repository, name, repo_type="dataset", revision=revision, tqdm_class=_bar(progress)
            )

    for name in names:
        one(name)


def checksums(repository: str, revision: str, names: Sequence[str]) -> dict[str, str]:
    """The checksum of each file as the hub gives it for this commit.

    Of large files the SHA-256 by which they are stored; of small ones, which lie in the commit
    itself, ``git:`` and their object id, a SHA-1 (:func:`git_object`).

    Raises:
        DataError: no access, no network, or the hub has no such file.
    """
    import huggingface_hub

    found: list[Any] = []
    for start in range(0, len(names), _PATHS):
        with _explained(repository, revision):
            found += huggingface_hub.HfApi().get_paths_info(
                repository,
                list(names[start : start + _PATHS]),
                repo_type="dataset",
                revision=revision,
            )
    known = {}
    for file in found:
        lfs, blob = getattr(file, "lfs", None), getattr(file, "blob_id", None)
        if lfs is not None or blob is not None:
            known[file.path] = f"{GIT}{blob}" if lfs is None else lfs.sha256
    missing = [name for name in names if name not in known]
    if missing:
        raise DataError(f"{repository}@{revision}: the hub has no file {missing[0]}")
    return known


def git_object(raw: bytes) -> str:
    """``git:`` and the id that git gives to a file of these bytes."""
    return GIT + hashlib.sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest()


def digest(raw: bytes, expected: str | None) -> str:
    """The checksum of ``raw``, of the kind of ``expected``: SHA-256 where nothing is expected."""
    if expected is not None and expected.startswith(GIT):
        return git_object(raw)
    return hashlib.sha256(raw).hexdigest()


def checksum_by_name(path: Path) -> str | None:
    """The checksum by which the hub's cache names a file's content, where it lies there."""
    name = path.resolve().name
    if not path.is_symlink() or re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{40}", name) is None:
        return None
    return name if len(name) == 64 else GIT + name


class Checksums:
    """What the hub said of the files of one commit, kept in the harness's cache once asked for."""

    def __init__(self, folder: Path, repository: str, revision: str) -> None:
        self.repository, self.revision = repository, revision
        self._ledger = folder / revision / "hub-sha256.json"

    def known(self) -> dict[str, str]:
        """File name -> checksum, as :func:`checksums` gives it."""
        try:
            found = json.loads(self._ledger.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def ask(self, names: Sequence[str]) -> dict[str, str]:
        """All that is known, once the hub was asked for ``names``.

        Raises:
            DataError: as :func:`checksums`.
        """
        known = self.known()
        known |= checksums(self.repository, self.revision, names)
        write_atomically(self._ledger, json.dumps(known, indent=1).encode())
        return known


def _bar(progress: Progress | None) -> Any:
    """A class that draws nothing and hands the hub's counts of bytes on to ``progress``."""
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[misc]
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


@contextmanager
def _explained(repository: str, revision: str) -> Iterator[None]:
    """The hub's errors as one sentence that says what to do."""
    from huggingface_hub import errors

    shown = f"{repository}@{revision}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise DataError(
            f"{shown}: accept this data set's terms on its page on the hub, then: hf auth login"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise DataError(f"{repository}: the hub has no revision {revision!r} of it") from error
    except errors.EntryNotFoundError as error:
        raise DataError(f"{shown}: {first_line(error)}") from error
    except errors.RepositoryNotFoundError as error:
        raise DataError(
            f"{repository}: the hub has no public data set of that name; if it needs a login: "
            "hf auth login"
        ) from error
    except DataError:
        raise
    except Exception as error:  # the HTTP library's errors differ between hub versions
        if not isinstance(error, OSError) and "http" not in type(error).__module__:
            raise
        raise DataError(f"{shown}: the hub cannot be reached ({first_line(error)})") from error


def first_line(error: Exception) -> str:
    """The first line of an error's message, with its type where the message says nothing."""
    return str(error).strip().split("\n")[0] or type(error).__name__
