"""Any object with an encode method: it gets what it takes, and nothing it does not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from harness.errors import ModelError
from harness.models import (
    DenseModel,
    HarnessWarning,
    ModelOptions,
    language_coverage,
    load,
    warn_untrained,
)


@pytest.fixture(autouse=True)
def nothing_reported_yet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(language_coverage, "_reported", set())
    return


def wrap(encoder: object, **options: Any) -> DenseModel:
    model = load(encoder, ModelOptions(**options))
    assert isinstance(model.name, str)
    return model


class Recorder:
    """Notes what it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], dict[str, Any]]] = []

    def encode(self, texts: Any, *, role: str, language: str) -> list[list[float]]:
        return self._note(texts, role=role, language=language)

    def _note(self, texts: list[str], **arguments: Any) -> list[list[float]]:
        self.calls.append((texts, arguments))
        return [[1.0, 2.0]] * len(texts)


class Everything(Recorder):
    def encode(
        self,
        texts: list[str],
        *,
        role: str,
        language: str,
        prompt: str = "own",
        batch_size: int = 0,
        max_length: int = 0,
        dtype: str = "",
        device: str = "",
    ) -> list[list[float]]:
        return self._note(
            texts,
            role=role,
            language=language,
            prompt=prompt,
            batch_size=batch_size,
            max_length=max_length,
            dtype=dtype,
            device=device,
        )


class Bare(Recorder):
    def encode(self, sentences: list[str]) -> list[list[float]]:
        return self._note(sentences)


class Greedy(Recorder):
    def encode(self, sentences: list[str], **kwargs: Any) -> list[list[float]]:
        return self._note(sentences, **kwargs)


def test_the_protocol_alone() -> None:
    encoder = Recorder()
    got = wrap(encoder).encode(("a", "b"), role="query", language="de")
    assert got.dtype == np.float32
    assert got.shape == (2, 2)
    assert encoder.calls == [(["a", "b"], {"role": "query", "language": "de"})]


def test_extras_go_to_those_that_name_them() -> None:
    encoder = Everything()
    model = wrap(
        encoder, query_prompt="q: ", batch_size=7, max_length=64, dtype="bfloat16", device="cpu"
    )
    model.encode(["a"], role="query", language="de")
    texts, arguments = encoder.calls[0]
    assert texts == ["a"]
    assert arguments == {
        "role": "query",
        "language": "de",
        "prompt": "q: ",
        "batch_size": 7,
        "max_length": 64,
        "dtype": "bfloat16",
        "device": "cpu",
    }


def test_what_was_not_set_is_left_to_the_encoder() -> None:
    encoder = Everything()
    wrap(encoder).encode(["a"], role="passage", language="de")
    assert encoder.calls[0][1]["prompt"] == "own"
    assert encoder.calls[0][1]["batch_size"] == 0


def test_prompts_are_put_before_the_text_where_encode_takes_none() -> None:
    for encoder in (Recorder(), Bare(), Greedy()):
        model = wrap(encoder, query_prompt="query: ", passage_prompt="")
        model.encode(["a", "b"], role="query", language="de")
        model.encode(["a"], role="passage", language="de")
        assert [texts for texts, _ in encoder.calls] == [["query: a", "query: b"], ["a"]]
        assert model.prompts == {"query": "query: ", "passage": ""}


def test_an_encode_of_texts_alone_is_enough() -> None:
    encoder = Bare()
    wrap(encoder).encode(["a"], role="query", language="de")
    assert encoder.calls == [(["a"], {})]


def test_keyword_catch_all_gets_role_and_language_only() -> None:
    encoder = Greedy()
    wrap(encoder, batch_size=3).encode(["a"], role="query", language="de")
    assert encoder.calls == [(["a"], {"role": "query", "language": "de"})]


@pytest.mark.parametrize(
    ("options", "flag"),
    [({"max_length": 9}, "--max-length 9"), ({"dtype": "float16"}, "--dtype float16")],
)
def test_an_option_that_would_be_lost_is_refused(options: dict[str, Any], flag: str) -> None:
    with pytest.raises(ModelError, match=flag):
        wrap(Recorder(), **options)


def test_no_fingerprint_means_nothing_is_stored() -> None:
    assert wrap(Recorder()).fingerprint is None


def test_fingerprint_covers_what_the_harness_adds() -> None:
    def of(given: str, **options: Any) -> str:
        encoder = Recorder()
        encoder.fingerprint = given
        found = wrap(encoder, **options).fingerprint
        assert found is not None
        return found

    assert of("one") == of("one")
    prints = {of("one"), of("two"), of("one", query_prompt="q"), of("one", passage_prompt="q")}
    assert len(prints) == 4
    # Which texts share a batch is not a fact of the model.
    assert of("one", batch_size=3) == of("one")


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("fingerprint", 3, "must be a non-empty str"),
        ("fingerprint", "", "must be a non-empty str"),
        ("similarity", "l2", "similarity must be 'cosine' or 'dot', not 'l2'"),
        ("languages", "de", "must be a collection of codes"),
    ],
)
def test_attributes_are_checked(attribute: str, value: object, message: str) -> None:
    encoder = Recorder()
    setattr(encoder, attribute, value)
    with pytest.raises(ModelError, match=message):
        wrap(encoder)


def test_attributes_are_taken() -> None:
    encoder = Recorder()
    encoder.name = "mine"
    encoder.similarity = "dot"
    encoder.languages = ["de", "en"]
    encoder.parameters = 12
    model = wrap(encoder)
    assert (model.name, model.similarity, model.parameters) == ("mine", "dot", 12)
    assert model.languages == {"de", "en"}
    assert wrap(Recorder()).name == "Recorder"


class Returns(Recorder):
    def __init__(self, value: object) -> None:
        self.value = value

    def encode(self, texts: Any, *, role: str, language: str) -> Any:
        return self.value


def test_torch_tensors_and_lists_of_them_come_back_as_float32() -> None:
    import torch

    vectors = torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16, requires_grad=True)
    for value in (vectors, [vectors[0]], np.array([[1.0, 2.0]], np.float64), [[1, 2]]):
        got = wrap(Returns(value)).encode(["a"], role="query", language="de")
        assert got.dtype == np.float32
        assert got.tolist() == [[1.0, 2.0]]


def test_what_is_no_array_of_numbers_is_an_error() -> None:
    for value in ([[1.0], [1.0, 2.0]], None, "vectors", [["a"]]):
        with pytest.raises(ModelError, match="Returns: encode must return a float array"):
            wrap(Returns(value)).encode(["a"], role="query", language="de")


def test_untrained_languages_are_named_once() -> None:
    encoder = Recorder()
    encoder.languages = {"de", "zh"}
    model = wrap(encoder)
    with pytest.warns(HarnessWarning, match="Recorder was not trained on el, hi:") as caught:
        assert warn_untrained(model, ["de", "hi", "el", "zh-Hant"]) == {"el", "hi"}
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.encode(["a"], role="query", language="el")
        warn_untrained(model, ["de", "hi", "el"])
    with pytest.warns(HarnessWarning, match="not trained on vi:"):
        model.encode(["a"], role="query", language="vi")


def test_nothing_is_said_where_languages_are_not_known() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert warn_untrained(wrap(Recorder()), ["el"]) == frozenset()
