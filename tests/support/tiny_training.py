"""A base model and parallel pairs small enough to train in a second."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WORDS = [f"w{i}" for i in range(40)]
LANGUAGES = ("en", "de", "zh")


def write_base(folder: Path, kind: str = "bert", layers: int = 1) -> Path:
    """A transformers encoder of few layers with dropout, and its word-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    known = [*marks, "Query", "Passage", ":", *LANGUAGES, *WORDS]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(known)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
    )
    torch.manual_seed(7)
    model = AutoModel.from_config(
        AutoConfig.for_model(
            kind,
            vocab_size=len(known),
            hidden_size=16,
            num_hidden_layers=layers,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=32,
            pad_token_id=0,
        )
    )
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def pairs(count: int, languages: Sequence[str] = LANGUAGES) -> list[dict[str, Any]]:
    """Parallel rows; rows 2n and 2n+1 share a passage."""
    return [
        {
            "id": f"q{i}",
            "query": {x: f"{x} {WORDS[i % 40]} {WORDS[(i + 3) % 40]}" for x in languages},
            "passage": {x: f"{x} {WORDS[i // 2 % 40]} {WORDS[i // 80]}" for x in languages},
            "passage_id": f"p{i // 2}",
        }
        for i in range(count)
    ]


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
