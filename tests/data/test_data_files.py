from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from far_files import content, far

from harness.data.loading import fetch, load, verify, where
from harness.data.task import find_task, read_task
from harness.errors import DataError, UsageError


def put(folder: Path, word: str = "Tea") -> Path:
    folder.mkdir(parents=True)
    for language in ("en", "de"):
        (folder / f"{language}.json").write_bytes(content(language, word))
    return folder


@pytest.fixture(autouse=True)
def no_data_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_DATA", raising=False)


def test_the_order_in_which_places_are_searched(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "task").mkdir()
    spec = far(tmp_path / "task")

    def origins(data_dir: Path | None = None) -> list[tuple[str, str, Path]]:
        return [(x.origin, x.state, x.path.parent) for x in where(spec, data_dir=data_dir)]

    cache = own_cache / "data" / "far" / "v1"
    assert origins() == [("cache", "missing", cache)] * 2
    put(cache)
    assert origins() == [("cache", "present", cache)] * 2
    beside = put(tmp_path / "task" / "far-r")
    assert origins() == [("task file", "present", beside)] * 2
    env = put(tmp_path / "env" / "far-r")
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "env"))
    assert origins() == [("HARNESS_DATA", "present", env)] * 2
    given = put(tmp_path / "given" / "far-r")
    assert origins(tmp_path / "given") == [("--data-dir", "present", given)] * 2
    # File by file: what one place lacks, the next may have; the checksums make that safe.
    (given / "de.json").unlink()
    assert [x[0] for x in origins(tmp_path / "given")] == ["--data-dir", "HARNESS_DATA"]
    assert load(spec, data_dir=tmp_path / "given", offline=True).partial == {}


def test_a_file_without_checksum_never_comes_from_two_places(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'name = "own"\ntitle = "Own"\ndescription = "Own."\nreader = "lareqa"\n'
        'languages = ["en", "de"]\nsettings = ["mono"]\ntext = "sentence"\nmeasures = ["map"]\n'
        'license = "CC0-1.0"\n[source]\nfolder = "./files"\n'
    )
    spec = read_task(tmp_path / "own.toml")
    put(tmp_path / "files")
    assert {x.state for x in verify(spec)} == {"no checksum"}
    copy = put(tmp_path / "copies" / "own", "Coffee")
    assert load(spec, data_dir=tmp_path / "copies").passages["en"].texts == ("Coffee.",)
    (copy / "de.json").unlink()
    with pytest.raises(DataError, match=r"'own' needs de\.json, which is not in .*copies/own: put"):
        load(spec, data_dir=tmp_path / "copies")
    # A data directory for other tasks is not in the way.
    (tmp_path / "others").mkdir()
    assert load(spec, data_dir=tmp_path / "others").passages["en"].texts == ("Tea.",)


def test_a_pinned_file_without_an_address_lies_under_the_task_or_its_folder(
    tmp_path: Path,
) -> None:
    """A data directory's folder named like the source counts only where checksums tell files."""
    (tmp_path / "task").mkdir()
    path = far(tmp_path / "task").path
    text = path.read_text().replace('url = "http://127.0.0.1:9/"\nrevision = "v1"\n', "")
    path.write_text(text)
    held = put(tmp_path / "data" / "far-r")
    found = verify(read_task(path), data_dir=tmp_path / "data")
    assert [(x.state, x.path.parent) for x in found] == [("ok", held)] * 2
    path.write_text(text[: text.index("[source.files]")])
    assert {x.state for x in where(read_task(path), data_dir=tmp_path / "data")} == {"missing"}


def test_a_missing_local_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'name = "own"\ntitle = "Own"\ndescription = "Own."\nreader = "simple"\n'
        'languages = ["en", "de"]\nsettings = ["mono"]\ntext = "text"\nmeasures = ["map"]\n'
        'license = "CC0-1.0"\n[source]\nfolder = "./files"\n'
    )
    with pytest.raises(DataError) as caught:
        load(read_task(tmp_path / "own.toml"))
    assert str(caught.value) == (
        "task 'own' needs queries.en.jsonl, passages.en.jsonl, queries.de.jsonl, "
        f"passages.de.jsonl, qrels.tsv, which are not in {tmp_path / 'files'}: put the data there, "
        f"or change 'source.folder' in {tmp_path / 'own.toml'}"
    )


def test_a_data_directory_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = far(tmp_path)
    with pytest.raises(UsageError, match=r"^--data-dir: .*gone is not a folder"):
        load(spec, data_dir=tmp_path / "gone")
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match=r"^HARNESS_DATA: .*gone is not a folder"):
        where(spec)


def test_offline_says_what_is_missing_and_how_to_get_it(tmp_path: Path, own_cache: Path) -> None:
    spec = far(tmp_path)
    for action in (load, fetch):
        with pytest.raises(DataError) as caught:
            action(spec, offline=True)
        message = str(caught.value)
        assert "needs en.json, de.json" in message
        assert f"`harness data fetch {tmp_path / 'far.toml'}`" in message
        place = own_cache / "data" / "far" / "v1" / "en.json"
        assert f"download http://127.0.0.1:9/en.json to {place}" in message
        assert "a folder with far-r/en.json" in message
    # What the message says works.
    put(own_cache / "data" / "far" / "v1")
    assert load(spec, offline=True).languages == ("en", "de")


def test_a_wrong_checksum_says_how_to_mend_it(tmp_path: Path, own_cache: Path) -> None:
    spec = far(tmp_path)
    expected = hashlib.sha256(content("en")).hexdigest()
    found = hashlib.sha256(content("en", "Mud")).hexdigest()
    cache = put(own_cache / "data" / "far" / "v1", "Mud")
    with pytest.raises(DataError) as caught:
        load(spec)
    assert str(caught.value) == (
        f"{cache / 'en.json'}: SHA-256 is {found}, expected {expected}: the file is damaged or "
        f"from another version; run `harness data fetch {tmp_path / 'far.toml'}` to fetch it again"
    )
    put(tmp_path / "given" / "far-r", "Mud")
    for action in (load, fetch):
        with pytest.raises(DataError, match=r"replace it by http://127.0.0.1:9/en.json, or remove"):
            action(spec, data_dir=tmp_path / "given")


def test_verify_reports_instead_of_raising(tmp_path: Path, own_cache: Path) -> None:
    spec = far(tmp_path)
    cache = put(own_cache / "data" / "far" / "v1")
    assert [x.state for x in verify(spec)] == ["ok", "ok"]
    (cache / "en.json").write_bytes(b"cut")
    (cache / "de.json").unlink()
    en, de = verify(spec)
    assert (en.state, en.found) == ("damaged", hashlib.sha256(b"cut").hexdigest())
    assert (de.state, de.found) == ("missing", None)
    assert [x.name for x in verify(spec, languages=["de"])] == ["de.json"]


def test_the_bytes_that_are_read_are_the_bytes_that_are_verified(
    tmp_path: Path, own_cache: Path
) -> None:
    spec = far(tmp_path)
    cache = put(own_cache / "data" / "far" / "v1")
    load(spec)
    (cache / "de.json").write_bytes(content("de", "Mud"))  # after a first good read
    with pytest.raises(DataError, match=r"de\.json: SHA-256 is"):
        load(spec)


def test_of_many_missing_files_the_first_are_named(tmp_path: Path) -> None:
    """And where a copy of one's own would be put: never inside the hub's own cache."""
    with pytest.raises(DataError) as caught:
        load(find_task("belebele"), data_dir=tmp_path, offline=True)
    said = str(caught.value)
    assert "data/arb_Latn.jsonl and 116 more files, which are missing" in said
    assert "a folder with belebele/data/acm_Arab.jsonl, from https://" in said
    assert said.endswith("and the other 121 next to it") and "snapshots" not in said
