"""The encoder as transformers' ``BertModel``, its word table kept in 4-bit blocks.

In float32 the table of 250,037 words is 384 MB, of which a run reads a few thousand rows: rows
become float32 when they are looked up. All other weights are float32 from the start.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from harness.models.me5_small.weights_file import BLOCK_BYTES, ZERO, WeightsFile

_MATRICES = (
    ("q", "attention.self.query"),
    ("k", "attention.self.key"),
    ("v", "attention.self.value"),
    ("ao", "attention.output.dense"),
    ("fi", "intermediate.dense"),
    ("fo", "output.dense"),
)
"""Names of a layer's matrices and their biases: the file's, and transformers'."""
_NORMS = (("aln", "attention.output.LayerNorm"), ("oln", "output.LayerNorm"))


class BlockEmbedding(nn.Module):
    """Rows of a table in 4-bit blocks; as ``nn.Embedding`` with the same numbers, not trainable."""

    def __init__(self, blocks: Tensor) -> None:
        """Look rows up in ``blocks``, uint8 (rows, blocks * 18) as the file has them."""
        super().__init__()
        self.register_buffer("blocks", blocks)
        # Follows the module to its dtype, which bytes do not have.
        self.register_buffer("one", torch.ones(()), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors (..., width) of int64 ids (...)."""
        taken = self.blocks[ids].unflatten(-1, (-1, BLOCK_BYTES))
        scales = taken[..., :2].contiguous().view(torch.float16)
        codes = torch.cat([taken[..., 2:] & 15, taken[..., 2:] >> 4], dim=-1)
        weights = (codes.to(torch.float32) - ZERO) * scales.to(torch.float32)
        return weights.flatten(-2).to(self.one.dtype)


def make_network(file: WeightsFile, *, table: bool = False) -> Any:
    """The ``BertModel`` with the file's weights, without a pooling layer.

    Args:
        file: the weights file.
        table: whether the word table becomes a float32 ``nn.Embedding``, as training needs it.

    Raises:
        ValueError: the file lacks an array, or has one of another shape.
    """
    from transformers import BertConfig, BertModel

    sizes = file.sizes
    config = BertConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.inner,
        max_position_embeddings=sizes.positions,
        type_vocab_size=sizes.types,
        layer_norm_eps=float(f"{file.epsilon:.6g}"),  # 1e-12, not the float32 next to it
        pad_token_id=file.vocabulary.padding,
    )
    # Built without storage, so that no random weights are drawn only to be overwritten.
    with torch.device("meta"):
        network = BertModel(config, add_pooling_layer=False)
    words = network.embeddings.word_embeddings
    state = {k: torch.from_numpy(v) for k, v in _weights(file).items()}
    if table:
        name = "embeddings.word_embeddings.weight"
        state[name] = torch.from_numpy(file.array("emb.word", *words.weight.shape))
    else:
        blocks = torch.from_numpy(file.blocks("emb.word", *words.weight.shape))
        network.embeddings.word_embeddings = BlockEmbedding(blocks)
        state["embeddings.word_embeddings.blocks"] = blocks
    network.load_state_dict(state, assign=True)
    # Buffers that are not weights do not belong in the state.
    places = torch.arange(sizes.positions).expand((1, -1))
    network.embeddings.position_ids = places
    network.embeddings.token_type_ids = torch.zeros_like(places)
    return network.eval()


def _weights(file: WeightsFile) -> dict[str, Any]:
    """All but the word table, by transformers' names."""
    sizes = file.sizes
    hidden, inner = sizes.hidden, sizes.inner
    found = {
        "embeddings.position_embeddings.weight": file.array("emb.pos", sizes.positions, hidden),
        "embeddings.token_type_embeddings.weight": file.array("emb.type", sizes.types, hidden),
        "embeddings.LayerNorm.weight": file.array("emb.ln.w", hidden),
        "embeddings.LayerNorm.bias": file.array("emb.ln.b", hidden),
    }
    shapes = {"fi": (inner, hidden), "fo": (hidden, inner)}
    for i in range(sizes.layers):
        for short, name in _MATRICES:
            shape = shapes.get(short, (hidden, hidden))
            at = f"encoder.layer.{i}.{name}"
            found[f"{at}.weight"] = file.array(f"l{i}.{short}.w", *shape)
            found[f"{at}.bias"] = file.array(f"l{i}.{short}.b", shape[0])
        for short, name in _NORMS:
            at = f"encoder.layer.{i}.{name}"
            found[f"{at}.weight"] = file.array(f"l{i}.{short}.w", hidden)
            found[f"{at}.bias"] = file.array(f"l{i}.{short}.b", hidden)
    return found
