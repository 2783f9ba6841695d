"""Transformers too small to know anything, with weights from a seed, saved as model folders."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import tiny

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *tiny.LANGUAGES, *tiny.WORDS]
VOCABULARY += ["what", "is", "number", "told", "of", "in", "passage", "and", *map(str, range(10))]
VOCABULARY += [f"##{x}" for x in "abcdefghijklmnopqrstuvwxyz0123456789"]
VOCABULARY += list("abcdefghijklmnopqrstuvwxyz")


def bert(folder: Path, architecture: str, **configured: Any) -> Path:
    """A BERT of two small layers, of one of transformers' classes, and its tokenizer."""
    import torch
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY))
    tokenizer = transformers.BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(7)
    config = transformers.BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        **configured,
    )
    getattr(transformers, architecture)(config).eval().save_pretrained(folder)
    return folder


def adapter(folder: Path, base: Path, name: str) -> Any:
    """A LoRA adapter of random weights for a model folder, which it calls ``name``; as loaded."""
    import torch
    from peft import LoraConfig
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(base), device="cpu")
    torch.manual_seed(1)
    drawn = LoraConfig(r=2, target_modules=["query", "value"], init_lora_weights=False)
    model[0].auto_model.add_adapter(drawn)
    model.save(str(folder))
    config = folder / "adapter_config.json"
    stated = json.loads(config.read_text()) | {"base_model_name_or_path": name}
    config.write_text(json.dumps(stated))
    return model


def sparse(folder: Path) -> Path:
    """A SPLADE of random weights."""
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import SpladePooling, Transformer

    with contextlib.redirect_stderr(io.StringIO()):
        base = bert(folder / "base", "BertForMaskedLM")
        body = Transformer(str(base), transformer_task="fill-mask")
        SparseEncoder(modules=[body, SpladePooling("max")]).save(str(folder / "model"))
    return folder / "model"


def multi_vector(folder: Path) -> Path:
    """A ColBERT of random weights."""
    from sentence_transformers import MultiVectorEncoder

    with contextlib.redirect_stderr(io.StringIO()):
        MultiVectorEncoder(str(bert(folder / "base", "BertModel"))).save(str(folder / "model"))
    return folder / "model"


def cross_encoder(folder: Path) -> Path:
    """A cross-encoder of random weights with one output."""
    return bert(folder, "BertForSequenceClassification", num_labels=1)


def clip(folder: Path) -> Path:
    """A CLIP of random weights: one tower for texts, one for images of 32 x 32 pixels."""
    import torch
    import transformers

    base = folder / "base"
    bert(base, "BertModel")
    tower = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "projection_dim": 16,
    }
    text = {
        **tower,
        "vocab_size": len(VOCABULARY),
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }
    vision = {**tower, "image_size": 32, "patch_size": 8}
    torch.manual_seed(7)
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    with contextlib.redirect_stderr(io.StringIO()):
        transformers.CLIPModel(config).eval().save_pretrained(base)
        pictures = transformers.CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        )
        tokenizer = transformers.BertTokenizerFast(str(base / "vocab.txt"), model_max_length=64)
        transformers.CLIPProcessor(image_processor=pictures, tokenizer=tokenizer).save_pretrained(
            base
        )
    return base


def stated_type(folder: Path) -> str | None:
    """What a saved folder says it is."""
    config = json.loads((folder / "config_sentence_transformers.json").read_text("utf-8"))
    found: str | None = config.get("model_type")
    return found


def marian(folder: Path) -> Path:
    """A Marian model of random weights and a vocabulary of its own."""
    import sentencepiece
    import torch
    from transformers import MarianConfig, MarianMTModel

    folder.mkdir(parents=True, exist_ok=True)
    words = "river salt bridge moon bread clock stone wind glass copper near far old new".split()
    corpus = [f"the {a} of the {b} is {c}." for a in words for b in words[:5] for c in words[-4:]]
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=written, vocab_size=80,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    for side in ("source", "target"):
        (folder / f"{side}.spm").write_bytes(written.getvalue())
    pieces = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    names = [pieces.id_to_piece(x) for x in range(pieces.get_piece_size())]
    vocabulary = ["</s>", "<unk>", *(x for x in names if x[0] != "<"), "<pad>"]
    numbers = {x: n for n, x in enumerate(vocabulary)}
    (folder / "vocab.json").write_text(json.dumps(numbers))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "MarianTokenizer"})
    )
    torch.manual_seed(0)
    last = len(vocabulary) - 1
    config = MarianConfig(
        vocab_size=len(vocabulary), d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_ffn_dim=16, max_position_embeddings=64, pad_token_id=last, eos_token_id=0,
        decoder_start_token_id=last, forced_eos_token_id=None,
    )  # fmt: skip
    MarianMTModel(config).save_pretrained(folder)
    return folder
