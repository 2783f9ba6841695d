"""Corpora from the hub: pinned, verified by the hub's own checksums, never silently filled up."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from loopback_hub import Hub, hub_on_loopback, point_at
from tiny_miracl import write_miracl

from harness.base.hub import Repository
from harness.cli import main
from harness.data import hub_files
from harness.data import loading as library
from harness.data.task import TaskSpec, read_task
from harness.errors import DataError, TaskError

TOPICS, CORPUS = "a" * 40, "b" * 40
"""Commits of the two data sets."""


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Hub, TaskSpec]]:
    """The tiny task's files on a hub, nothing available, and the task that names the hub."""
    write_miracl(tmp_path / "made", whole={"sw": 60, "yo": 60})
    made = tmp_path / "made"
    topics: dict[str, bytes] = {}
    corpus: dict[str, bytes] = {}
    for p in (made / "data").rglob("*"):
        if p.is_file():
            files = corpus if "corpus" in p.parts[-2] else topics
            files[p.relative_to(made / "data").as_posix()] = p.read_bytes()
    sums = "".join(
        f'"{name}" = "{hashlib.sha256(raw).hexdigest()}"\n' for name, raw in topics.items()
    )
    text = (made / "tiny-miracl.toml").read_text()
    text = text.replace(
        'folder = "data"\n',
        f'folder = "tiny"\nrepository = "org/topics"\nrevision = "{TOPICS}"\n\n'
        f"[source.files]\n{sums}\n[source.corpus]\n"
        f'repository = "org/corpus"\nrevision = "{CORPUS}"\n',
    )
    path = tmp_path / "elsewhere" / "tiny-miracl.toml"
    path.parent.mkdir()
    path.write_text(text)
    with hub_on_loopback() as found:
        found.put("dataset", "org/topics", topics, commit=TOPICS)
        found.put("dataset", "org/corpus", corpus, commit=CORPUS)
        point_at(found, tmp_path, monkeypatch)
        yield found, read_task(path)


def downloaded(found: Hub) -> list[str]:
    """Names of the files that were downloaded, each once."""
    return sorted({x.partition("/")[2].partition("/")[2] for x in found.downloads})


def test_what_is_missing_comes_from_the_hub_and_is_verified(
    remote: tuple[Hub, TaskSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One language: its topics, judgements and both corpus files; then offline, from the cache."""
    found, task = remote
    told: list[str] = []
    data = library.load(task, languages=("sw",), progress=lambda name, *_: told.append(name))
    assert data.passage_counts == {"sw": 60}
    assert data.corpora["sw"].verified == "hub"
    assert len(downloaded(found)) == 4 and all("sw" in x for x in downloaded(found))
    assert told
    found.requests.clear()
    again = library.load(task, languages=("sw",), offline=True)
    assert again.digest == data.digest
    assert again.corpora["sw"].verified == "hub"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert library.load(task, languages=("sw",)).digest == data.digest
    assert found.requests == []


def test_offline_what_is_missing_names_the_command(remote: tuple[Hub, TaskSpec]) -> None:
    """First the topics, then the corpus."""
    task = remote[1]
    with pytest.raises(DataError, match=r"topics.*offline forbids downloads.*harness data fetch"):
        library.load(task, offline=True)
    library.load(task, languages=("sw",))
    for language in ("sw", "yo"):
        for name in (x.format(language=language) for x in _topics()):
            Repository("org/topics", TOPICS, "dataset").fetch([name])
    with pytest.raises(
        DataError, match=r"in yo needs .*docs-0.jsonl.gz and 1 more .*--languages y"
    ):
        library.load(task, offline=True)


def _topics() -> Sequence[str]:
    from harness.data.task_source import LAYOUTS

    return LAYOUTS["miracl"].per_language


def test_a_file_that_is_not_what_the_hub_says_is_refused(remote: tuple[Hub, TaskSpec]) -> None:
    """Damaged in the cache after it came: found by the checksum that was kept."""
    task = remote[1]
    corpus = library.load(task, languages=("sw",)).corpora["sw"]
    path = corpus.files[0].path
    lines = gzip.decompress(path.read_bytes()).replace(b"river", b"RIVER")
    path.resolve().write_bytes(gzip.compress(lines))
    with pytest.raises(DataError, match=r"docs-0.jsonl.gz: SHA-256 is .*but the hub lists"):
        library.load(task, languages=("sw",), offline=True)
    reports = library.verify(task, languages=("sw",))
    assert [r.state for r in reports] == ["ok", "ok", "damaged", "ok"]
    # Only the command that the message names replaces it, its content in the hub's cache too.
    with pytest.raises(DataError, match=r"is damaged; run `harness data fetch [^ ]*`$"):
        library.load(task, languages=("sw",))
    for raw in (None, gzip.compress(lines)[:-20], b"no gzip"):
        if raw is not None:
            path.resolve().write_bytes(raw)
        reports = library.fetch(task, languages=("sw",))
        assert [r.state for r in reports] == ["ok"] * 4
        assert library.load(task, languages=("sw",)).corpora["sw"].digest == corpus.digest


def test_another_file_than_the_task_file_names_is_no_damage(remote: tuple[Hub, TaskSpec]) -> None:
    """Fetching it again, as for a damaged one, would change nothing."""
    task = remote[1]
    name = next(x for x in task.source.files if "topics" in x and "-sw-" in x)
    task.path.write_text(task.path.read_text().replace(task.source.files[name], "0" * 64))
    for use in (library.load, library.fetch):
        with pytest.raises(DataError, match=r"just now .* another file; correct 'source\.files'"):
            use(read_task(task.path), languages=("sw",))
        Repository("org/topics", TOPICS, "dataset").cached.joinpath(name).unlink()


def test_a_copy_of_ones_own_comes_first_and_is_never_filled_up(
    remote: tuple[Hub, TaskSpec], tmp_path: Path
) -> None:
    """One of two files: a sample, refused or accepted; the other is not requested."""
    found, task = remote
    folder = tmp_path / "mirror" / "tiny" / "miracl-corpus-v1.0-sw"
    folder.mkdir(parents=True)
    made = tmp_path / "made" / "data" / "miracl-corpus-v1.0-sw" / "docs-0.jsonl.gz"
    (folder / "docs-0.jsonl.gz").write_bytes(made.read_bytes())
    with pytest.raises(DataError, match="30 of the 60 passages in sw"):
        library.load(task, languages=("sw",), data_dir=tmp_path / "mirror")
    with pytest.raises(DataError, match=r"docs-1.jsonl.gz .*missing from a copy of your own"):
        library.fetch(task, languages=("sw",), data_dir=tmp_path / "mirror")
    data = library.load(task, languages=("sw",), data_dir=tmp_path / "mirror", sampled=True)
    assert data.passage_counts == {"sw": 30}
    assert not any("corpus" in name for name in downloaded(found))


def test_fetch_where_and_verify_know_the_corpus(
    remote: tuple[Hub, TaskSpec], tmp_path: Path
) -> None:
    """The command that messages name, and where each file will be."""
    _, task = remote

    def harness_data(command: str) -> list[str]:
        arguments = ["data", command, str(task.path), "--languages", "yo"]
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        return [line.split()[1] for line in done.output.splitlines()]

    assert harness_data("where") == ["missing"] * 4
    assert harness_data("fetch") == ["ok"] * 4
    assert harness_data("where") == ["present"] * 4
    assert harness_data("verify") == ["ok"] * 4


def test_an_unknown_file_or_a_silent_hub_is_one_sentence(
    remote: tuple[Hub, TaskSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the hub's library raises never reaches the user as it is."""
    found = remote[0]
    corpus = Repository("org/corpus", CORPUS, "dataset")
    with pytest.raises(DataError, match="the hub has no file nowhere"):
        hub_files.checksums(corpus, ["nowhere.gz"])
    with pytest.raises(DataError, match="org/corpus@"):
        corpus.fetch(["nowhere.gz"])
    found.close()
    with pytest.raises(DataError, match="cannot be reached"):
        hub_files.checksums(corpus, ["docs-0.jsonl.gz"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('repository = "org/corpus"\n', 'repository = "corpus"\n', "must be ORG/NAME"),
        (f'revision = "{CORPUS}"\n', "", "'source.corpus.revision' is missing"),
        ("yo = 60\n", "", "'source.corpus.passages.yo' is missing"),
        ("yo = 60\n", "yo = 0\n", "must be at least 1, not 0"),
        ('optional = ["multi"]', 'optional = ["cross"]', "must be one of mono, multi"),
        ('optional = ["multi"]', 'optional = ["mono", "multi"]', "leaves nothing to run"),
        ('reader = "miracl"', 'reader = "simple"', "'source.corpus' is not for reader 'simple'"),
    ],
)
def test_a_task_file_that_is_wrong_names_the_key(
    remote: tuple[Hub, TaskSpec], old: str, new: str, message: str
) -> None:
    path = remote[1].path
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(TaskError, match=message):
        read_task(path)
