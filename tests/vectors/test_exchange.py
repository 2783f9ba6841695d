"""``harness store push`` and ``pull``: whole, resumable, by language and model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from loopback_hub import Hub, hub_on_loopback, point_at

from harness.base.digests import text_keys
from harness.cli import main
from harness.vectors import exchange
from harness.vectors.corpus_store import CorpusSpace
from harness.vectors.store import Store


def fill(root: Path) -> None:
    """Texts of two languages by one model, and a corpus of three shards by another."""
    for x in ("de", "sw"):
        space = Store(root).space({"model": "one", "role": "query", "language": x})
        space.put(text_keys(["a", "b"]), np.eye(2, dtype=np.float32))
    facts = {"model": "two", "role": "passage", "language": "sw", "corpus": "0"}
    corpus = CorpusSpace.of(Store(root), facts, language="sw", passages=5, size=2)
    for number in range(3):
        start, stop = corpus.bounds(number)
        vectors = np.full((stop - start, 2), number, np.float32)
        corpus.put(number, [str(i) for i in range(start, stop)], vectors, distinct=stop - start)


def contents(root: Path) -> dict[str, bytes]:
    return {x.relative_to(root).as_posix(): x.read_bytes() for x in root.glob("vectors/*/*")}


def store(root: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """Run ``harness store`` with the store in ``root``."""
    monkeypatch.setenv("HARNESS_CACHE", str(root))
    return CliRunner().invoke(main, ["store", *arguments, "-q"])


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    with hub_on_loopback() as found:
        point_at(found, tmp_path / "home", monkeypatch)
        monkeypatch.setenv("HF_TOKEN", Hub.token)
        found.put("dataset", "o/vectors", {"README.md": b"# Vectors\n"})
        yield found


@pytest.fixture(params=["folder", "hub"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "shared")
    request.getfixturevalue("hub")
    return "hub:o/vectors"


def test_what_was_pushed_is_pulled_in_parts_and_once(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    fill(ours)
    monkeypatch.setattr(exchange, "_BATCH", 2)
    done = store(ours, monkeypatch, "push", place, "--model", "two")
    assert done.exit_code == 0, done.output
    assert done.output == f"3 shards sent to {place}, 0 already there\n"
    done = store(ours, monkeypatch, "push", place)
    assert "2 shards sent" in done.output and "3 already there" in done.output

    done = store(theirs, monkeypatch, "pull", place, "--languages", "de")
    assert "1 shard received" in done.output
    done = store(theirs, monkeypatch, "pull", place)
    assert "4 shards received" in done.output and "1 already there" in done.output
    assert contents(theirs) == contents(ours)
    assert store(theirs, monkeypatch, "verify").exit_code == 0
    done = store(theirs, monkeypatch, "pull", place, "--model", "tow")
    assert done.exit_code == 2 and "no vectors of 'tow'; did you mean 'two'?" in done.output


def test_a_push_that_broke_off_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, shared = tmp_path / "ours", exchange.Folder(tmp_path / "shared")
    fill(ours)
    copied = []

    def breaks(source: Path, target: Path) -> None:
        if len(copied) == 7:
            raise KeyboardInterrupt
        copied.append(target)
        real(source, target)

    real = exchange._copy
    monkeypatch.setattr(exchange, "_BATCH", 1)
    monkeypatch.setattr(exchange, "_copy", breaks)
    with pytest.raises(KeyboardInterrupt):
        exchange.push(ours, shared)
    monkeypatch.setattr(exchange, "_copy", real)
    # What has a manifest there is whole, and is not sent again.
    whole = [x for x in copied if x.suffix == ".json" and x.name != "space.json"]
    assert exchange.push(ours, shared).there == len(whole) > 0
    assert contents(shared.root) == contents(ours)


def test_damage_stops_on_either_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, shared, theirs = tmp_path / "ours", tmp_path / "shared", tmp_path / "theirs"
    fill(ours)
    assert store(ours, monkeypatch, "push", str(shared)).exit_code == 0
    for root, words in ((shared, ("pull", theirs)), (ours, ("push", tmp_path / "other"))):
        path = next(root.glob("vectors/*/00000001.npy"))
        path.write_bytes(path.read_bytes()[:-1] + b"!")
        what, other = words
        where, named = (theirs, str(shared)) if what == "pull" else (ours, str(other))
        done = store(where, monkeypatch, what, named, "--model", "two")
        assert done.exit_code == 2, done.output
        assert "00000001.npy does not match its checksum" in " ".join(done.output.split())
        assert not list(other.glob("vectors/*/00000001.json"))
    described = next(shared.glob("vectors/*/space.json"))
    described.write_text(described.read_text().replace("one", "two").replace("passage", "query"))
    done = store(theirs, monkeypatch, "pull", str(shared))
    assert done.exit_code == 2 and "does not describe the vectors" in done.output
    next(ours.glob("vectors/*/space.json")).unlink()
    done = store(ours, monkeypatch, "push", str(tmp_path / "other"))
    assert done.exit_code == 2 and "is missing or damaged" in done.output
    done = store(tmp_path / "empty", monkeypatch, "push", str(shared))
    assert done.exit_code == 2 and "has no vectors" in done.output
