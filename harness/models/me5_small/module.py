"""``me5-small`` as a ``SentenceTransformer``, and as a folder of one: float32 and trainable.

The network that encodes keeps its word table in 4-bit blocks and cannot be trained.
:func:`write_folder` writes the same model as an ordinary sentence-transformers folder, which loads
without the harness and without the package.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from transformers import BertConfig, BertModel

from harness.models.me5_small.network import epsilon_of, layer_weights
from harness.models.me5_small.tokenizer import make_tokenizer
from harness.models.me5_small.weights_file import WeightsFile


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
        _bert(file).save_pretrained(parts)
        make_tokenizer(file.vocabulary, longest).save_pretrained(parts)
        first = Transformer(parts, max_seq_length=longest)
    # The loader adds a pooling layer, drawn at random, that nothing reads.
    first.auto_model.pooler = None
    return SentenceTransformer(
        modules=[first, Pooling(file.sizes.hidden, pooling_mode="mean"), Normalize()],
        device=device,
        prompts=dict(prompts),
        similarity_fn_name="cosine",
    )


def _bert(file: WeightsFile) -> Any:
    """The ``BertModel`` with the file's weights, without a pooling layer."""
    sizes = file.sizes
    config = BertConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.inner,
        max_position_embeddings=sizes.positions,
        type_vocab_size=sizes.types,
        layer_norm_eps=epsilon_of(file),
        pad_token_id=file.vocabulary.padding,
    )
    # Built without storage, so that no random weights are drawn only to be overwritten.
    with torch.device("meta"):
        network = BertModel(config, add_pooling_layer=False)
    words = file.array("emb.word", sizes.vocabulary, sizes.hidden)
    state = {"embeddings.word_embeddings.weight": words, **layer_weights(file)}
    network.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, assign=True)
    # Buffers that are not weights do not belong in the state.
    places = torch.arange(sizes.positions).expand((1, -1))
    network.embeddings.position_ids = places
    network.embeddings.token_type_ids = torch.zeros_like(places)
    return network.eval()
