"""Encoding: once per text, through the store, and nothing unusable gets through."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import ModelError
from harness.search.exact import normalised
from harness.vectors import encode as encoding
from harness.vectors.store import Space, Store


class Letters:
    """A deterministic dense model that counts requested texts."""

    name = "letters"
    similarity = "cosine"
    languages = None
    parameters = None

    def __init__(self, fingerprint: str | None = "letters-1", prompt: str = "") -> None:
        self.fingerprint = fingerprint
        self.facts: dict[str, Any] = {"name": "letters"}
        self.prompts = {"query": prompt, "passage": ""}
        self.facts["prompts"] = dict(self.prompts)
        self.requested: list[str] = []

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
        """Four numbers from the letters of each text."""
        self.requested += texts
        return np.array([[len(t), sum(map(ord, t)) % 97, ord(t[0]), 1] for t in texts], np.float32)


def run(model: Any, texts: list[str], store: Store | None, **more: Any) -> tuple[Any, Any]:
    """Encode ``texts`` as English queries; returns vectors and counts."""
    counts = encoding.EncodingCounts()
    vectors = encoding.encode(model, "query", "en", texts, store=store, counts=counts, **more)
    return vectors, counts


def test_each_text_is_encoded_once_ever(tmp_path: Path) -> None:
    """Copies share a vector, a second run asks the model for nothing, a third for what is new."""
    model = Letters()
    vectors, counts = run(model, ["one", "two", "one"], Store(tmp_path))
    assert sorted(model.requested) == ["one", "two"]
    assert (counts.texts, counts.distinct, counts.encoded) == (3, 2, 2)
    np.testing.assert_array_equal(vectors[0], vectors[2])
    again, counts = run(model, ["two", "one"], Store(tmp_path))
    assert len(model.requested) == 2
    assert (counts.from_store, counts.encoded) == (2, 0)
    np.testing.assert_array_equal(again, vectors[[1, 0]])
    _, counts = run(model, ["one", "three"], Store(tmp_path))
    assert model.requested[2:] == ["three"]


@pytest.mark.parametrize("stored", [[], ["two"], ["two", "one"], ["two", "one", "four", "three"]])
def test_copies_get_their_rows_whatever_is_stored(stored: list[str], tmp_path: Path) -> None:
    """None, some or all of the texts, with copies among either, and from shards in any order."""
    texts = ["one", "two", "one", "three", "two", "two", "four"]
    for text in stored:
        run(Letters(), [text], Store(tmp_path))
    model = Letters()
    vectors, counts = run(model, texts, Store(tmp_path))
    np.testing.assert_array_equal(vectors, Letters().encode(texts, role="query", language="en"))
    assert sorted(model.requested) == sorted(set(texts) - set(stored))
    assert (counts.texts, counts.distinct) == (7, 4)
    assert (counts.from_store, counts.encoded) == (len(stored), 4 - len(stored))


def test_order_is_that_of_the_texts_not_of_the_batches(tmp_path: Path) -> None:
    """Texts are encoded by length over several windows and come back in their places."""
    texts = [f"{'x' * (i * 7 % 50)}{i}" for i in range(encoding.WINDOW + 300)]
    vectors, counts = run(Letters(), texts, Store(tmp_path))
    assert counts.encoded == len(set(texts))
    np.testing.assert_array_equal(vectors, Letters().encode(texts, role="query", language="en"))


def test_without_a_fingerprint_nothing_is_stored(tmp_path: Path) -> None:
    """Vectors that nothing vouches for are made afresh each time."""
    model = Letters(fingerprint=None)
    run(model, ["one"], Store(tmp_path))
    run(model, ["one"], Store(tmp_path))
    assert model.requested == ["one", "one"]
    assert not list(tmp_path.rglob("*.npy"))


@pytest.mark.parametrize("other", [Letters("letters-2"), Letters(prompt="Query: ")])
def test_models_and_prompts_never_share_vectors(tmp_path: Path, other: Letters) -> None:
    """Another fingerprint or prompt is another space, though the texts are equal."""
    run(Letters(), ["one"], Store(tmp_path))
    run(other, ["one"], Store(tmp_path))
    assert other.requested == ["one"]


def test_a_query_prompt_leaves_the_passages_stored(tmp_path: Path) -> None:
    """Only the role whose prompt changed is encoded again."""
    store = Store(tmp_path)
    for model in (Letters(), Letters(prompt="Query: ")):
        counts = encoding.EncodingCounts()
        encoding.encode(model, "passage", "en", ["one"], store=store, counts=counts)
    assert (counts.from_store, counts.encoded) == (1, 0)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda v: v * np.nan, "NaN vector for the text 'three'"),
        (lambda v: v / 0.0 * 1.0, "infinite|NaN"),
        (lambda v: v * 0, "zero vector for the text 'three'"),
        (lambda v: v[:1], "shape"),
        (lambda v: v[:, 0], "shape"),
        (lambda v: v[:, :0], "0 dimensions"),
        (lambda v: v[:, :3], "3 dimensions where 4 were expected"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_unusable_vectors_are_an_error_that_names_the_text(
    tmp_path: Path, spoil: Any, message: str
) -> None:
    """What cannot be ranked by is refused before it is stored."""
    model = Letters()
    right = model.encode
    model.encode = lambda *a, **k: spoil(right(*a, **k))
    with pytest.raises(ModelError, match=message):
        run(model, ["three", "one"], Store(tmp_path), width=4)
    assert not list(tmp_path.rglob("*.npy"))


def test_an_error_keeps_the_steps_that_were_done(tmp_path: Path) -> None:
    """Of three windows two are stored when the third fails; the next run encodes only that."""
    texts = [f"text {i:05d}" for i in range(3 * encoding.WINDOW)]
    model = Letters()
    right = model.encode
    done = 2 * encoding.WINDOW // encoding.STEP + 1
    calls = iter([1] * done + [0])

    def failing(batch: Sequence[str], **more: Any) -> np.ndarray:
        if not next(calls):
            raise KeyboardInterrupt
        return right(batch, **more)

    model.encode = failing
    with pytest.raises(KeyboardInterrupt):
        run(model, texts, Store(tmp_path))
    _, counts = run(Letters(), texts, Store(tmp_path))
    kept = done * encoding.STEP  # whole steps: what is left is cut into the same batches as before
    assert (counts.from_store, counts.encoded) == (kept, len(texts) - kept)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_one_vector_that_cannot_be_used_costs_no_other(tmp_path: Path, bad: float) -> None:
    """An endpoint's other answers were paid for; the next run requests what failed alone."""
    texts = [f"text {i}" for i in range(9)]
    model = Letters()
    right = model.encode

    def spoilt(batch: Sequence[str], **more: Any) -> np.ndarray:
        made = right(batch, **more)
        made[[x == "text 4" for x in batch]] = bad
        return made

    model.encode = spoilt
    for requested in (texts, ["text 4"]):
        model.requested.clear()
        with pytest.raises(ModelError, match="vector for the text 'text 4'"):
            run(model, texts, Store(tmp_path))
        assert sorted(model.requested) == requested
    assert run(Letters(), texts, Store(tmp_path))[1].from_store == 8


def test_an_interrupt_while_writing_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"text {i:05d}" for i in range(encoding.WINDOW)]
    put, interrupted = Space.put, []

    def stopped(space: Space, *what: Any) -> None:
        if not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        put(space, *what)

    monkeypatch.setattr(Space, "put", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(Letters(), texts, Store(tmp_path))
    assert run(Letters(), texts, Store(tmp_path))[1].encoded == 0


@pytest.mark.parametrize("more", [[], ["three"], ["one"]])
def test_stored_vectors_of_another_width_are_an_error(tmp_path: Path, more: list[str]) -> None:
    """An endpoint that has another model behind it now, say."""
    run(Letters(), ["one", "two"], Store(tmp_path))
    with pytest.raises(ModelError, match="in the store have 4 dimensions, the others 5"):
        run(Letters(), ["one", "two", *more], Store(tmp_path), width=5)


def test_normalised_rows_have_length_one() -> None:
    """Length 1 to float32's accuracy, also where squares would overflow float32."""
    rows = np.array([[3, 4], [1e30, 1e30], [1e-30, 0]], np.float32)
    np.testing.assert_allclose(np.linalg.norm(normalised(rows), axis=1), 1, rtol=1e-6)
