"""What the hub answers, as one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from loopback_hub import Hub, hub_on_loopback, point_at, refusal

from harness.base.hub import Repository, UnreachableError
from harness.errors import DataError, HarnessError, ModelError

COMMIT = "c" * 40


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has one file."""
    with hub_on_loopback() as found:
        for kind in ("model", "dataset"):
            found.put(kind, "org/set", {"here.txt": b"content"}, commit=COMMIT)
        point_at(found, tmp_path, monkeypatch)
        yield found


def test_a_file_is_fetched_into_the_hubs_cache(served: Hub) -> None:
    repository = Repository("org/set", COMMIT, "dataset")
    repository.fetch(["here.txt"])
    assert (repository.cached / "here.txt").read_bytes() == b"content"
    assert repository.local_copy() == repository.cached
    assert Repository("org/other", COMMIT, "dataset").local_copy() is None


@pytest.mark.parametrize(("kind", "error"), [("model", ModelError), ("dataset", DataError)])
@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (401, "RepoNotFound", "^org/set: .*hub has no public (model|data set) .* hf auth login$"),
        (403, "GatedRepo", f"^org/set@{COMMIT}: accept this (model|data set)'s terms"),
        (404, "RevisionNotFound", f"^org/set: the hub has no revision '{COMMIT}' of it$"),
        (404, "EntryNotFound", f"^org/set@{COMMIT}: the hub has no file here.txt$"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(
    served: Hub,
    kind: Literal["model", "dataset"],
    error: type[HarnessError],
    status: int,
    code: str,
    message: str,
) -> None:
    served.refuses = refusal(status, code)
    with pytest.raises(error, match=message):
        Repository("org/set", COMMIT, kind).fetch(["here.txt"])


def test_no_access_for_another_reason_is_not_called_an_unreachable_hub(served: Hub) -> None:
    served.refuses = refusal(403, "Other")
    with pytest.raises(UnreachableError, match=r"the hub refuses access \(.*403"):
        Repository("org/set", COMMIT, "dataset").fetch(["here.txt"])


def test_offline_nothing_is_fetched(served: Hub) -> None:
    with pytest.raises(
        UnreachableError, match=f"^org/set@{COMMIT}: nothing is downloaded offline$"
    ):
        Repository("org/set", COMMIT, "dataset").snapshot(["*"], offline=True)
    assert served.requests == []
