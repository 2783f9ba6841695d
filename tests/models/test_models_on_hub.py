"""`harness run` with models of the hub, through the real client, from a hub on loopback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
import random_models
import tiny
from click.testing import CliRunner, Result
from loopback_hub import Hub, point_at, refusal

from harness.cli import main
from harness.evaluation.record import load_record
from harness.models import ModelOptions, load

E5 = "intfloat/multilingual-e5-small"
TEXTS = ["en what is river number 1", "de salt"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with prompts of its own, as sentence-transformers saves it."""
    from sentence_transformers import SentenceTransformer

    made = tmp_path_factory.mktemp("models")
    base = random_models.bert(made / "base", "BertModel")
    prompts = {"query": "what is ", "document": "passage "}
    SentenceTransformer(str(base), prompts=prompts).save(str(made / "model"))
    return made / "model"


@pytest.fixture(scope="module")
def files(folder: Path) -> dict[str, bytes]:
    """What is in it, README apart."""
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name != "README.md"}


@pytest.fixture
def hub(
    served: Hub, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Hub:
    """A hub with the model ``org/tiny`` and nothing else; nothing is fetched yet."""
    served.clear()
    served.put("model", "org/tiny", files)
    point_at(served, tmp_path, monkeypatch)
    return served


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_task(tmp_path_factory.mktemp("task"), languages=("en", "de"), questions=4)


@pytest.fixture
def run(task: Path, tmp_path: Path) -> Any:
    """`harness run --model NAME` on the tiny task."""

    def call(model: str, *more: str, **environment: str) -> Result:
        command = ["run", "--model", model, "--task", str(task), "--settings", "mono", *more]
        command += [
            "--output",
            str(tmp_path / "record"),
        ]
        return CliRunner().invoke(main, command, env=environment)

    return call


def facts(done: Result) -> dict[str, Any]:
    """What a run's record says of its model."""
    assert done.exit_code == 0, done.output
    return dict(load_record(done.output.split()[-1]).document["model"])


def moved(files: dict[str, bytes]) -> dict[str, bytes]:
    """Another version of the model: its queries get another prompt."""
    name = "config_sentence_transformers.json"
    config = json.loads(files[name])
    config["prompts"]["query"] = "is what "
    return {**files, name: json.dumps(config).encode()}


def commits_of(hub: Hub) -> set[str]:
    """Of the files that were requested."""
    files = [x.partition("/resolve/")[2] for x in hub.requests if "/resolve/" in x]
    return {x.partition("/")[0] for x in files}


def test_a_name_gets_mtebs_revision_and_prompts_and_hub_the_models_own(
    hub: Hub, files: dict[str, bytes], run: Any
) -> None:
    """The registry pins a commit that the main branch has left behind."""
    from mteb.models.get_model_meta import MODEL_REGISTRY

    pinned = MODEL_REGISTRY[E5].revision
    hub.put("model", E5, files, commit=pinned)
    newest = hub.put("model", E5, moved(files))
    found = facts(run(E5))
    assert found["prompts"] == {"query": "query: ", "passage": "passage: "}
    assert found["facts"]["revision"] == pinned
    # The files are that commit's, too, not only what the record says of them.
    assert commits_of(hub) == {pinned}
    found = facts(run(f"hub:{E5}"))
    assert found["prompts"] == {"query": "is what ", "passage": "passage "}
    assert found["facts"]["revision"] == newest
    assert facts(run(f"{E5}@{newest}"))["facts"]["revision"] == newest
    hub.requests.clear()
    assert facts(run(E5, "--offline"))["facts"]["revision"] == pinned
    assert hub.requests == []


def test_a_process_of_its_own_finds_the_hub_and_prints_the_records_path_alone(
    hub: Hub, task: Path, tmp_path: Path
) -> None:
    """By the environment, as users name a mirror; the hub's library draws no bars of its own."""
    command = [sys.executable, "-m", "harness", "run", "--model", "org/tiny", "--task", str(task)]
    command += ["--settings", "mono", "--output", str(tmp_path / "record"), "--quiet"]
    environment = {x: y for x, y in os.environ.items() if not x.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert load_record(done.stdout.strip()).document["model"]["name"] == "org/tiny"
    assert "org/tiny/model.safetensors" in hub.downloads


def test_a_branch_that_moved_is_another_model_and_offline_the_last_one_serves(
    hub: Hub, files: dict[str, bytes], run: Any
) -> None:
    first = hub.repositories["models", "org/tiny"].names["main"]
    before = facts(run("org/tiny"))
    second = hub.put("model", "org/tiny", moved(files))
    hub.repositories["models", "org/tiny"].names["v1"] = first
    after = facts(run("org/tiny"))
    assert (before["facts"]["revision"], after["facts"]["revision"]) == (first, second)
    assert before["fingerprint"] != after["fingerprint"]
    # The weights did not change, and were not fetched again.
    assert hub.downloads.count("org/tiny/model.safetensors") == 1
    # What the branch has now is no matter to those that name a commit.
    hub.put("model", "org/tiny", {"README.md": b"Moved to org/other"})
    for name in ("org/tiny@v1", f"org/tiny@{first}"):
        assert facts(run(name))["fingerprint"] == before["fingerprint"]
    hub.requests.clear()
    assert facts(run("org/tiny", HF_HUB_OFFLINE="1"))["fingerprint"] == after["fingerprint"]
    assert hub.requests == []


def test_an_adapter_is_scored_with_its_base(
    hub: Hub, folder: Path, files: dict[str, bytes], run: Any, tmp_path: Path
) -> None:
    """Vectors are those of sentence-transformers, and a new base makes another model."""
    model = random_models.adapter(tmp_path / "adapter", folder, "org/tiny")
    hub.put("model", "org/adapter", tmp_path / "adapter")
    assert facts(run("org/adapter"))["facts"]["base"]["name"] == "org/tiny"
    loaded = load("org/adapter", ModelOptions(offline=True))
    ours = loaded.encode(TEXTS, role="query", language="en")
    np.testing.assert_allclose(ours, model.encode(TEXTS, prompt="what is "), atol=1e-5)
    plain = load("org/tiny").encode(TEXTS, role="query", language="en")
    assert abs(ours - plain).max() > 0.01
    hub.put("model", "org/tiny", moved(files))
    assert load("org/adapter").fingerprint != loaded.fingerprint
    del hub.repositories["models", "org/tiny"]
    done = run("org/adapter")
    assert done.exit_code == 2
    assert "org/adapter is an adapter for org/tiny: " in done.output


def test_a_matryoshka_model_is_scored_at_the_width_it_is_cut_to(
    hub: Hub, files: dict[str, bytes], run: Any, tmp_path: Path
) -> None:
    """By its caller, by its own configuration, or by the user, who may cut several times."""
    from sentence_transformers import SentenceTransformer

    narrow = load(SentenceTransformer("org/tiny", truncate_dim=8, device="cpu"))
    whole = load("org/tiny")
    ours = narrow.encode(TEXTS, role="query", language="en")
    assert ours.shape == (2, 8)
    wide = whole.encode(TEXTS, role="query", language="en")
    np.testing.assert_allclose(ours, wide[:, :8], atol=1e-5)
    assert narrow.facts["truncate_dim"] == 8
    config = json.loads(files["config_sentence_transformers.json"]) | {"truncate_dim": 16}
    cut = {**files, "config_sentence_transformers.json": json.dumps(config).encode()}
    hub.put("model", "org/cut", cut)
    ours = load("org/cut").encode(TEXTS, role="query", language="en")
    np.testing.assert_allclose(ours, wide[:, :16], atol=1e-5)
    for arguments in (("org/cut",), ("org/tiny", "--dimensions", "8,4")):
        assert run(*arguments).exit_code == 0
    records = [json.loads(x.read_text()) for x in tmp_path.rglob("record.json")]
    assert sorted(x["tasks"][0]["dimensions"] for x in records) == [4, 8, 16, 32]


@pytest.mark.parametrize(
    ("model", "token", "message"),
    [
        ("org/none", None, "org/none: .*the hub has no public model of that name; .*hf auth login"),
        ("org/none", Hub.token, "org/none: .*the hub has no public model of that name"),
        ("org/private", None, "org/private: .*no public model .* a login: hf auth login"),
        ("org/private", "hf_revoked", "org/private: the hub does not accept the token .*HF_TOKEN"),
        ("org/gated", None, "org/gated: accept this model's terms on its page"),
        ("org/tiny@v9", None, "org/tiny: the hub has no revision 'v9' of it"),
        ("org/weightless", None, "org/weightless: not a model .*: the repository has no weights"),
        ("org/wordless", None, "org/wordless: .* contains no tokenizer"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(
    hub: Hub, files: dict[str, bytes], run: Any, model: str, token: str | None, message: str
) -> None:
    hub.put("model", "org/private", files, access="private")
    hub.put("model", "org/gated", files, access="gated")
    lacking = {"weightless": ("model.safetensors",)}
    lacking["wordless"] = ("tokenizer.json", "tokenizer_config.json")
    for name, without in lacking.items():
        kept = {x: raw for x, raw in files.items() if x not in without}
        hub.put("model", f"org/{name}", kept)
    done = run(model, **({} if token is None else {"HF_TOKEN": token}))
    assert_one_sentence(done, message)


def assert_one_sentence(done: Result, message: str) -> None:
    assert done.exit_code == 2, done.output
    (line,) = [x for x in done.output.splitlines() if x.startswith("Error: ")]
    assert re.search(message, line), line


@pytest.mark.parametrize("access", ["private", "gated"])
def test_a_login_opens_what_is_private_or_gated(
    hub: Hub, files: dict[str, bytes], run: Any, access: Any
) -> None:
    hub.put("model", "org/closed", files, access=access)
    assert run("org/closed", HF_TOKEN=hub.token).exit_code == 0


@pytest.mark.parametrize(
    ("status", "said", "message"),
    [
        (500, "Internal Error", r"no local copy, and the hub answered with an error \(.*500"),
        (429, "", r"no local copy, and the hub answered with an error \(.*429"),
        (403, "Access to this resource is disabled.", r"refuses access \(Access to this resource"),
    ],
)
def test_a_hub_in_trouble_is_one_sentence_and_a_local_copy_serves(
    hub: Hub, run: Any, status: int, said: str, message: str
) -> None:
    hub.refuses = refusal(status, message=said)
    assert_one_sentence(run("org/tiny"), message)
    hub.refuses = None
    assert run("org/tiny").exit_code == 0
    hub.refuses = refusal(status, message=said)
    assert run("org/tiny").exit_code == 0


def test_a_download_that_breaks_off_or_stalls_goes_on_where_it_stopped(
    hub: Hub, files: dict[str, bytes], run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 2)
    # What comes in parts of less than that, 10 MB else, is not kept.
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    monkeypatch.setattr("time.sleep", lambda _: None)
    size = len(files["model.safetensors"])
    hub.breaks["model.safetensors"], hub.stalls["model.safetensors"] = [5000], [3000]
    done = run("org/tiny")
    assert done.exit_code == 0, done.output
    assert hub.downloads.count("org/tiny/model.safetensors") == 3
    assert hub.sent["org/tiny/model.safetensors"] == [5000, 3000, size - 8000]


def test_a_download_that_never_ends_says_so_and_the_same_command_goes_on(
    hub: Hub, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    hub.breaks["model.safetensors"] = [0] * 6
    assert_one_sentence(
        run("org/tiny"), "lacks weights .*, and the hub cannot be reached .*hf download org/tiny"
    )
    assert run("org/tiny").exit_code == 0
