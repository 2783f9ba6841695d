"""The network and its tokenizer, in the form that the encoding pipeline runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from harness.models.me5_small.network import Network, make_network
from harness.models.me5_small.tokenizer import TextTokenizer
from harness.models.me5_small.weights_file import WeightsFile


class EncodingModel(nn.Module):
    """Token ids to vectors, with those members of a ``SentenceTransformer`` that encoding uses."""

    truncate_dim = None

    def __init__(self, network: Network, tokenizer: TextTokenizer) -> None:
        """Join a network and its tokenizer."""
        super().__init__()
        self.network = network
        self.tokenizer = tokenizer

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.network.embeddings.LayerNorm.weight.device

    @property
    def max_seq_length(self) -> int:
        """Maximum tokens of a text, special tokens included."""
        return self.tokenizer.model_max_length

    @max_seq_length.setter
    def max_seq_length(self, longest: int) -> None:
        self.tokenizer.model_max_length = longest

    def get_backend(self) -> str:
        """What it computes with."""
        return "torch"

    def preprocess(self, texts: Sequence[str], prompt: str = "", **_: Any) -> dict[str, Tensor]:
        """``input_ids`` and ``attention_mask``, int64 (texts, longest)."""
        tokens = self.tokenizer([prompt + text for text in texts], truncation=True)["input_ids"]
        ids = [torch.tensor(x) for x in tokens]
        mask = [torch.ones_like(x) for x in ids]
        return {
            "input_ids": pad_sequence(ids, True, self.tokenizer.pad_token_id),
            "attention_mask": pad_sequence(mask, True),
        }

    def forward(self, features: dict[str, Tensor], **_: Any) -> dict[str, Tensor]:
        """``sentence_embedding``: (texts, width), of length 1."""
        ids, mask = features["input_ids"], features["attention_mask"]
        return {"sentence_embedding": self.network(ids, mask)}


def make_model(path: Path, device: str | None) -> EncodingModel:
    """The model of a weights file; ``device`` ``None``: a GPU if there is one.

    Raises:
        OSError, ValueError: the file cannot be read, or is not such a file.
        RuntimeError, AssertionError: no such device.
    """
    file = WeightsFile(path)
    tokenizer = TextTokenizer(file.vocabulary, file.sizes.positions)
    model = EncodingModel(make_network(file), tokenizer)
    if device is None:
        # The first says what torch was built for, not what the machine has.
        accelerated = torch.accelerator.is_available()
        device = str(torch.accelerator.current_accelerator()) if accelerated else "cpu"
    model.to(device)
    return model
