"""The encoder in plain torch, from token ids to unit vectors, its word table in 4-bit blocks.

BERT (Devlin et al. 2019, arXiv 1810.04805) with the operations of transformers' ``BertModel`` in
the same order, so that the vectors have the same bits, and the names of its weights. transformers
and sentence-transformers take seconds and some 300 MB to import; a run does without them.

In float32 the table of 250,037 words is 384 MB, of which a run reads a few thousand rows: rows
become float32 when they are looked up. All other weights are float32 from the start.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.models.me5_small.weights_file import BLOCK_BYTES, ZERO, Sizes, WeightsFile

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


class _Embeddings(nn.Module):
    def __init__(self, sizes: Sizes, epsilon: float, blocks: Tensor) -> None:
        super().__init__()
        self.word_embeddings = BlockEmbedding(blocks)
        self.position_embeddings = nn.Embedding(sizes.positions, sizes.hidden)
        self.token_type_embeddings = nn.Embedding(sizes.types, sizes.hidden)
        self.LayerNorm = nn.LayerNorm(sizes.hidden, eps=epsilon)

    def forward(self, ids: Tensor) -> Tensor:
        embedded = self.word_embeddings(ids) + self.token_type_embeddings.weight[0]
        embedded = embedded + self.position_embeddings.weight[: ids.shape[1]]
        return self.LayerNorm(embedded)


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.heads = heads

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return mixed.transpose(1, 2).flatten(-2)


class _Output(nn.Module):
    def __init__(self, inputs: int, width: int, epsilon: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, width)
        self.LayerNorm = nn.LayerNorm(width, eps=epsilon)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(x) + before)


class _Intermediate(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, inner)
        self.intermediate_act_fn = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        return self.intermediate_act_fn(self.dense(x))


class _Layer(nn.Module):
    def __init__(self, sizes: Sizes, epsilon: float) -> None:
        super().__init__()
        self.attention = nn.ModuleDict(
            {
                "self": _Attention(sizes.hidden, sizes.heads),
                "output": _Output(sizes.hidden, sizes.hidden, epsilon),
            }
        )
        self.intermediate = _Intermediate(sizes.hidden, sizes.inner)
        self.output = _Output(sizes.inner, sizes.hidden, epsilon)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.attention["output"](self.attention["self"](x, mask), x)
        return self.output(self.intermediate(x), x)


class Network(nn.Module):
    """Token ids to unit vectors: the mean over the tokens of the last layer, at length 1."""

    def __init__(self, sizes: Sizes, epsilon: float, blocks: Tensor) -> None:
        """A network of ``sizes`` over a word table in ``blocks``; its other weights are not set."""
        super().__init__()
        self.embeddings = _Embeddings(sizes, epsilon, blocks)
        self.encoder = nn.ModuleDict(
            {"layer": nn.ModuleList(_Layer(sizes, epsilon) for _ in range(sizes.layers))}
        )

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Vectors (texts, width) of int64 ids and their mask, 0 for padding, (texts, longest)."""
        x = self.embeddings(ids)
        seen = None
        if not mask.all():  # without padding, attention takes its faster form
            seen = mask.bool()[:, None, None, :].expand(-1, -1, ids.shape[1], -1)
        for layer in self.encoder["layer"]:
            x = layer(x, seen)
        # Sums in float32 whatever the dtype, as sentence-transformers forms them.
        counted = mask[..., None].to(x.dtype)
        total = (x * counted).sum(dim=1, dtype=torch.float32)
        mean = total / counted.sum(dim=1, dtype=torch.float32).clamp(min=1e-9)
        return functional.normalize(mean.to(x.dtype), p=2, dim=1)


def make_network(file: WeightsFile) -> Network:
    """The network with the file's weights.

    Raises:
        ValueError: the file lacks an array, or has one of another shape.
    """
    sizes = file.sizes
    blocks = torch.from_numpy(file.blocks("emb.word", sizes.vocabulary, sizes.hidden))
    # Drawing weights only to overwrite them takes 0.1 s. On the device "meta" nothing is drawn, but
    # torch then imports its compiler: seconds and 100 MB.
    with torch.random.fork_rng(devices=[]):
        network = Network(sizes, epsilon_of(file), blocks)
    state = {k: torch.from_numpy(v) for k, v in layer_weights(file).items()}
    state["embeddings.word_embeddings.blocks"] = blocks
    network.load_state_dict(state, assign=True)
    network.eval()
    return network


def epsilon_of(file: WeightsFile) -> float:
    """The layer normalisations' epsilon: 1e-12, not the float32 next to it."""
    return float(f"{file.epsilon:.6g}")


def layer_weights(file: WeightsFile) -> dict[str, Any]:
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
