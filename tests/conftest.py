"""Fixtures shared by all tests: real data where it is available, and no network ever."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from compared import two_records

from harness.evaluation.record import Record

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
    # Processes side by side leave no core to a second thread.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

_real_connect = socket.socket.connect


def _refuse(self: socket.socket, address: object) -> None:
    if self.family == socket.AF_UNIX:
        return _real_connect(self, address)
    host = address[0] if isinstance(address, tuple) else address
    if host in ("127.0.0.1", "::1", "localhost"):
        return _real_connect(self, address)
    raise RuntimeError(f"a test tried to reach the network: {address}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the most slow tests come first: processes side by side then end together."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests reach loopback servers of their own and nothing else."""
    monkeypatch.setattr(socket.socket, "connect", _refuse)


@pytest.fixture(scope="session", autouse=True)
def cache_of_wider_fixtures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fixtures of a file or more do not see a test's own cache: theirs is not the user's either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def own_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Every test has a cache folder of its own, so that no run leans on an earlier one."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("HARNESS_CACHE", str(cache))
    yield cache


def find_real_data() -> Path | None:
    """The real data sets: HARNESS_DATA, else ``shared/data`` beside the checkout."""
    named = os.environ.get("HARNESS_DATA")
    if named:
        return Path(named)
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return beside if beside.is_dir() else None


@pytest.fixture
def real_data() -> Path:
    """Folder with ``xquad-r/`` and ``mlqa-r/``, or a skip that says what to set."""
    found = find_real_data()
    if found is None:
        pytest.skip("real data not at hand: set HARNESS_DATA to a folder with xquad-r/ and mlqa-r/")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless browser; closed with the file, as its event loop keeps others from starting."""
    from browsing import running_browser

    with running_browser() as found:
        yield found


@pytest.fixture(scope="module")
def served() -> Iterator[Any]:
    """A stand-in for the hub, empty, for all tests of a file."""
    from loopback_hub import hub_on_loopback

    with hub_on_loopback() as found:
        yield found


@pytest.fixture(scope="module")
def tiny_records(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Record, Record]:
    """A task's file and two records of it to compare: ``task``, ``first`` and ``second``."""
    return two_records(tmp_path_factory.mktemp("records"))


@pytest.fixture
def task(tiny_records: tuple[str, Record, Record]) -> str:
    """The task's file."""
    return tiny_records[0]


@pytest.fixture
def first(tiny_records: tuple[str, Record, Record]) -> Record:
    """An encoder's record."""
    return tiny_records[1]


@pytest.fixture
def second(tiny_records: tuple[str, Record, Record]) -> Record:
    """The record of one that leans to the query's language."""
    return tiny_records[2]
