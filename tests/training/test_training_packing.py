"""Packed rows: the vectors and gradients of padded batches, or else the padded batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tiny_training import WORDS, write_base

from harness.training.losses.info_nce import InfoNCE, info_nce
from harness.training.packing import Packing

QUERIES = ["w1", "Query: w2 w3 w4", "w5 w6", "w9 w9 w9 w9 w9 w9", "w7 w8"]
PASSAGES = ["w2", "w3 w3", " ".join(WORDS[:20]), "w4 w1", "w1 w2 w3", "w6"]


@pytest.fixture(scope="module", params=["bert", "xlm-roberta"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of a kind whose positions count from 0, and of one whose positions do not; no dropout."""
    folder = write_base(tmp_path_factory.mktemp("base") / request.param, request.param)
    return SentenceTransformer(str(folder), device="cpu").eval()


def columns(model: Any) -> list[dict[str, Any]]:
    return [model.preprocess(x) for x in (QUERIES, PASSAGES)]


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {k: x.grad.clone() for k, x in model.named_parameters() if x.grad is not None}


def padded(model: Any) -> torch.Tensor:
    vectors = [model(x)["sentence_embedding"] for x in columns(model)]
    return info_nce(vectors[0], vectors[1], 0.05)


@pytest.mark.parametrize("cache_batch", [0, 11, 4])
def test_loss_and_gradients_are_those_of_the_padded_batch(model: Any, cache_batch: int) -> None:
    expected = padded(model)
    of_padded = gradients(model, expected)
    loss = InfoNCE(model, 0.05, cache_batch)(columns(model), None)
    of_packed = gradients(model, loss)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert of_packed.keys() == of_padded.keys()
    for name, theirs in of_padded.items():
        torch.testing.assert_close(of_packed[name], theirs, rtol=1e-5, atol=1e-5, msg=name)
    assert max(float(x.abs().max()) for x in of_padded.values()) > 0.01


def test_one_pass_holds_the_tokens_of_both_columns_and_no_padding(model: Any) -> None:
    shapes = []
    hook = model[0].auto_model.embeddings.register_forward_hook(
        lambda _, __, output: shapes.append(tuple(output.shape[:2]))
    )
    packing = Packing(model)
    packing.vectors(columns(model))
    shapes.clear()
    packing.vectors(columns(model))
    hook.remove()
    words = sum(len(x.replace(":", " :").split()) for x in (*QUERIES, *PASSAGES))
    assert shapes == [(1, words)]
    assert model[0].auto_model.config._attn_implementation == "sdpa"


def test_a_batch_that_fits_the_cache_is_encoded_once(model: Any) -> None:
    passes = []
    hook = model[0].register_forward_hook(lambda *_: passes.append(1))
    found = []
    for cache_batch in (11, 10):
        loss = InfoNCE(model, 0.05, cache_batch)
        loss(columns(model), None)
        passes.clear()
        loss(columns(model), None).backward()
        found.append(len(passes))
    hook.remove()
    assert found == [1, 4]  # with caching each column without gradients, then with them


@pytest.mark.parametrize("why", ["left", "attention", "module", "other vectors"])
def test_what_cannot_be_packed_stays_padded(
    model: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = columns(model)
    if why == "left":
        monkeypatch.setattr(model.tokenizer, "padding_side", "left")
        given = columns(model)
    elif why == "attention":
        monkeypatch.setattr(model[0].auto_model.config, "_attn_implementation", "eager")
    elif why == "module":
        monkeypatch.setattr(model[0], "modality_config", {})
    else:
        monkeypatch.setattr(Pooling, "_forward_flattened", lambda *_, **__: [torch.ones(11, 16)])
    assert Packing(model).vectors(given) is None


def test_what_lies_below_the_lowest_trained_weight_keeps_nothing_for_a_backward_pass(
    model: Any,
) -> None:
    embeddings = model[0].auto_model.embeddings
    kept = []
    hook = embeddings.register_forward_hook(lambda _, __, output: kept.append(output.requires_grad))
    loss = InfoNCE(model, 0.05)
    loss(columns(model), None)
    kept.clear()
    for frozen in (False, True):
        embeddings.requires_grad_(not frozen)
        loss(columns(model), None).backward()
    hook.remove()
    embeddings.requires_grad_(True)
    assert kept == [True, False]
