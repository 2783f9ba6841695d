"""Hub names: local copies, what is fetched, and messages that say what to do."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import huggingface_hub.constants
import huggingface_hub.errors
import pytest

from harness.errors import ModelError
from harness.models import ModelOptions, load
from harness.models.fingerprint import relevant_files

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "fedcba9876543210fedcba9876543210fedcba98"


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where the library looks for local copies."""
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    return cache


def put(cache: Path, commit: str = COMMIT, weights: bytes = b"w", *, ref: str = "main") -> Path:
    """A model as the library lays it out: blobs, links to them by commit, names of commits."""
    repo = cache / "models--org--tiny"
    snapshot = repo / "snapshots" / commit
    files = {
        "config.json": b'{"model_type": "bert"}',
        "modules.json": b"[]",
        "model.safetensors": weights,
    }
    for name, content in files.items():
        blob = repo / "blobs" / f"{name}-{commit}"
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        snapshot.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(blob)
    (repo / "refs").mkdir(exist_ok=True)
    (repo / "refs" / ref).write_text(commit)
    return snapshot


OFFLINE = ModelOptions(offline=True)


def test_a_local_copy_is_found_and_its_commit_is_a_fact(hub_cache: Path) -> None:
    put(hub_cache)
    model = load("org/tiny", OFFLINE)
    assert model.name == "org/tiny"
    assert model.facts["revision"] == COMMIT
    assert set(model.facts["files"]) == {"config.json", "modules.json", "model.safetensors"}


def test_a_revision_is_its_own_model(hub_cache: Path) -> None:
    put(hub_cache)
    put(hub_cache, OTHER, b"v", ref="v2")
    main, second = load("org/tiny", OFFLINE), load("org/tiny@v2", OFFLINE)
    assert second.facts["revision"] == OTHER
    assert second.fingerprint != main.fingerprint
    assert load(f"org/tiny@{OTHER}", OFFLINE).fingerprint == second.fingerprint


def test_a_local_folder_comes_before_the_hub(
    hub_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(hub_cache)
    folder = tmp_path / "org" / "tiny"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert load("org/tiny", OFFLINE).facts["revision"] is None


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("org/absent", "hf download org/absent"),
        ("org/tiny@v9", "hf download org/tiny --revision v9"),
    ],
)
def test_offline_without_a_copy_names_the_command(hub_cache: Path, name: str, command: str) -> None:
    put(hub_cache)
    with pytest.raises(ModelError, match=f"no local copy, and --offline.*with: {command}$"):
        load(name, OFFLINE)


def test_a_copy_that_is_not_whole_is_refused(hub_cache: Path) -> None:
    snapshot = put(hub_cache)
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"lacks weights .*hf download org/tiny"):
        load("org/tiny", OFFLINE)
    (snapshot / "model-00001-of-00002.safetensors").write_bytes(b"")
    index = {"weight_map": {f"t{i}": f"model-0000{i}-of-00002.safetensors" for i in (1, 2)}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"lacks model-00002-of-00002\.safetensors"):
        load("org/tiny", OFFLINE)


def test_weights_for_other_libraries_are_not_missed(hub_cache: Path) -> None:
    """Large models have lists of TensorFlow's and Flax's weights, which are never fetched."""
    snapshot = put(hub_cache)
    for kind, name in (
        ("tf_model.h5", "tf_model-00001-of-00002.h5"),
        ("flax_model.msgpack", "flax_model-00001-of-00002.msgpack"),
        ("pytorch_model.bin", "pytorch_model-00001-of-00002.bin"),
    ):
        index = {"weight_map": {"t": name}}
        (snapshot / f"{kind}.index.json").write_text(json.dumps(index))
    assert load("org/tiny", OFFLINE).facts["revision"] == COMMIT


def test_a_copy_without_the_files_nobody_needs_is_whole(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The hub library keeps a list of all files of a commit and, offline, calls a copy incomplete
    # that lacks one, such as the README that we never fetch; the error names the copy.
    snapshot = put(hub_cache)

    def incomplete(repo: str, **arguments: Any) -> str:
        error = huggingface_hub.errors.LocalEntryNotFoundError("README.md is missing")
        error.snapshot_path = str(snapshot)
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", incomplete)
    assert load("org/tiny", OFFLINE).facts["revision"] == COMMIT


class FakeHub:
    """Stands in for the hub: knows one repository, and notes what is requested."""

    def __init__(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache = cache
        self.fetched: list[str] = []
        self.failure: Exception | None = None
        self.names = ["README.md", "config.json", "modules.json", "model.safetensors"]
        self.names += ["pytorch_model.bin", "onnx/model.onnx", "2_Dense/pytorch_model.bin"]
        real = huggingface_hub.snapshot_download

        def download(repo: str, **arguments: Any) -> str:
            if arguments.get("local_files_only"):
                return str(real(repo, **arguments))
            self.fetched = arguments["allow_patterns"]
            return str(put(cache))

        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda: self)

    def repo_info(self, repo: str, repo_type: str, revision: str | None = None) -> Any:
        if self.failure is not None:
            raise self.failure
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=x) for x in self.names])


@pytest.fixture
def hub(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    return FakeHub(hub_cache, monkeypatch)


def test_only_files_that_matter_are_fetched(hub: FakeHub) -> None:
    model = load("org/tiny")
    assert hub.fetched == relevant_files(hub.names)
    assert "pytorch_model.bin" not in hub.fetched
    assert "2_Dense/pytorch_model.bin" in hub.fetched
    assert model.facts["revision"] == COMMIT


def test_the_export_that_is_named_is_fetched(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.names += [f"onnx/model_O3.{x}" for x in ("onnx", "onnx_data")] + ["onnx/model_O30.onnx"]
    download = huggingface_hub.snapshot_download

    def with_export(repo: str, **arguments: Any) -> str:
        folder = Path(download(repo, **arguments))
        (folder / "onnx").mkdir()
        (folder / "onnx" / "model_O3.onnx").write_bytes(b"")
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", with_export)
    named = ModelOptions(backend="onnx", backend_file="onnx/model_O3.onnx")
    assert "onnx/model_O3.onnx" in load("org/tiny", named).facts["files"]
    fetched = [x for x in hub.fetched if x.startswith("onnx")]
    assert fetched == ["onnx/model_O3.onnx", "onnx/model_O3.onnx_data"]
    with pytest.raises(ModelError, match=r"--backend-file onnx/x\.onnx: org/tiny has no such file"):
        load("org/tiny", ModelOptions(backend="onnx", backend_file="onnx/x.onnx"))


def test_a_full_disk_is_no_trouble_of_the_network(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError(28, "No space left on device", "/cache/x")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", full)
    with pytest.raises(ModelError, match=r"the hub's cache .* cannot be used .*No space left"):
        load("org/tiny")


def test_without_a_network_a_local_copy_serves(hub: FakeHub, hub_cache: Path) -> None:
    hub.failure = ConnectionError("Name or service not known")
    with pytest.raises(ModelError, match=r"no local copy, and the hub cannot be reached \(Name or"):
        load("org/tiny")
    put(hub_cache)
    assert load("org/tiny").facts["revision"] == COMMIT


def hub_error(kind: str) -> Exception:
    error_class = getattr(huggingface_hub.errors, kind)
    error: Exception = error_class.__new__(error_class)
    error.args = (kind,)
    return error


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("RepositoryNotFoundError", "org/tiny: no folder of that name here, and the hub has no"),
        ("RevisionNotFoundError", "the hub has no revision 'v9' of it"),
        ("GatedRepoError", "accept this model's terms"),
    ],
)
def test_the_hubs_errors_are_reported(hub: FakeHub, kind: str, message: str) -> None:
    hub.failure = hub_error(kind)
    with pytest.raises(ModelError, match=message):
        load("org/tiny@v9")


def test_errors_of_our_own_are_not_taken_for_the_network(hub: FakeHub) -> None:
    hub.failure = KeyError("a mistake")
    with pytest.raises(KeyError):
        load("org/tiny")
