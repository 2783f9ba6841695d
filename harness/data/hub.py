"""Files of a data set on the Hugging Face hub, pinned by commit, through the hub's own cache."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.data.download import Progress
from harness.errors import DataError


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
    """SHA-256 of each file as the hub gives it for this commit (its large-file storage's ids).

    Raises:
        DataError: no access, no network, or the hub knows no checksum of a file.
    """
    import huggingface_hub

    with _explained(repository, revision):
        found: list[Any] = huggingface_hub.HfApi().get_paths_info(
            repository, list(names), repo_type="dataset", revision=revision
        )
    known = {x.path: x.lfs.sha256 for x in found if getattr(x, "lfs", None) is not None}
    missing = [name for name in names if name not in known]
    if missing:
        raise DataError(
            f"{repository}@{revision}: the hub gives no SHA-256 of {missing[0]}, so it cannot be "
            "verified"
        )
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
