"""``me5-small`` as a ``SentenceTransformer``, and as a folder of one.

The encoding model keeps the word table in 4-bit blocks and cannot be trained. :func:`write_folder`
writes the same model as an ordinary sentence-transformers folder, all weights float32 and
trainable, that loads without the harness and without the package.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Module, Transformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from torch import Tensor

from harness.errors import ModelError
from harness.models.me5_small.network import make_network
from harness.models.me5_small.tokenizer import make_tokenizer
from harness.models.me5_small.weights_file import WeightsFile


class TokenEmbeddings(Module):
    """Texts to token embeddings, (texts, tokens, width): the first module of a model."""

    def __init__(self, network: Any, tokenizer: Any) -> None:
        """Wrap a ``BertModel`` and its tokenizer."""
        super().__init__()
        self.auto_model = network
        self.tokenizer = tokenizer

    @property
    def max_seq_length(self) -> int:
        """Maximum tokens of a text, special tokens included."""
        return int(self.tokenizer.model_max_length)

    @max_seq_length.setter
    def max_seq_length(self, longest: int) -> None:
        self.tokenizer.model_max_length = longest

    def preprocess(
        self, inputs: Sequence[str], prompt: str | None = None, **kwargs: Any
    ) -> dict[str, Tensor]:
        """Padded token ids and the attention mask: int64 (texts, longest)."""
        texts = [prompt + text for text in inputs] if prompt else list(inputs)
        made = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        return dict(made)

    def forward(self, features: dict[str, Tensor], **kwargs: Any) -> dict[str, Tensor]:
        """Add ``token_embeddings``, (texts, longest, width)."""
        given = self.auto_model(
            input_ids=features["input_ids"], attention_mask=features["attention_mask"]
        )
        features["token_embeddings"] = given.last_hidden_state
        return features

    def get_embedding_dimension(self) -> int:
        """Width of a token's embedding."""
        return int(self.auto_model.config.hidden_size)

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        """Always refuse: transformers cannot load a table in blocks.

        Raises:
            ModelError: always.
        """
        raise ModelError(
            "me5-small keeps its word table in blocks, which transformers cannot load; save it "
            "with harness.models.me5_small.module.write_folder"
        )


def make_model(path: Path, device: str | None) -> Any:
    """The ``SentenceTransformer`` of a weights file, for encoding.

    Raises:
        OSError, ValueError: the file cannot be read, or is not such a file.
    """
    file = WeightsFile(path)
    tokenizer = make_tokenizer(file.vocabulary, file.sizes.positions)
    return SentenceTransformer(
        modules=[TokenEmbeddings(make_network(file), tokenizer), *_after(file)],
        device=device,
        similarity_fn_name="cosine",
    )


def write_folder(path: Path, folder: Path, prompts: Mapping[str, str]) -> None:
    """Write the model of the weights file ``path`` as a sentence-transformers folder, in float32.

    Args:
        path: the package's file.
        folder: created if missing.
        prompts: by the names that sentence-transformers gives roles: ``query``, ``document``.

    Raises:
        OSError, ValueError: the file cannot be read, or is not such a file.
    """
    trainable_model(path, prompts, "cpu").save(str(folder), create_model_card=False)


def trainable_model(path: Path, prompts: Mapping[str, str], device: str | None) -> Any:
    """The ``SentenceTransformer`` of the weights file ``path``, all of it float32 and trainable.

    Args:
        path: the package's file.
        prompts: by the names that sentence-transformers gives roles: ``query``, ``document``.
        device: a torch device; ``None``: a GPU if there is one.

    Raises:
        OSError, ValueError: the file cannot be read, or is not such a file.
    """
    file = WeightsFile(path)
    longest = file.sizes.positions
    # The library makes its first module from a folder alone.
    with tempfile.TemporaryDirectory() as parts:
        make_network(file, table=True).save_pretrained(parts)
        make_tokenizer(file.vocabulary, longest).save_pretrained(parts)
        first = Transformer(parts, max_seq_length=longest)
    # The loader adds a pooling layer, drawn at random, that nothing reads.
    first.auto_model.pooler = None
    return SentenceTransformer(
        modules=[first, *_after(file)],
        device=device,
        prompts=dict(prompts),
        similarity_fn_name="cosine",
    )


def _after(file: WeightsFile) -> list[Any]:
    """The mean over tokens, at length 1."""
    return [Pooling(file.sizes.hidden, pooling_mode="mean"), Normalize()]
