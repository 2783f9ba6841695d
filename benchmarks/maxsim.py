"""Exact search of token vectors (ColBERT's MaxSim), against the bare scores in plain torch.

    python benchmarks/maxsim.py [--passages 4000] [--queries 64]

Passages of 40 to 180 token vectors of 128 dimensions in memory, made of random words, and queries
of 32, of words of one passage. Ours computes the exact rank of each query's passage and the best
1,000 passages of each query, in the total order. The bare loops compute all scores, no more:

- `padded`: passages padded to the longest of a batch, one product, the largest, the sum;
- `by passage`: a product, the largest and the sum for each passage, nothing padded.

The faster one counts. All take turns in one process. Prints seconds, products of token vectors as
GFLOP/s, and the ratio; the ranks are compared with those of the bare scores.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from harness.models.sparse_late_interaction import tokens_of
from harness.search.parts import PartTexts, texts_of_parts
from harness.search.streamed import ShardSearch

TOKENS = 32
"""Of a query."""


@dataclass(frozen=True)
class Held:
    """A shard in memory."""

    language: str
    ids: list[bytes]
    vectors: PartTexts

    def __len__(self) -> int:
        return len(self.ids)


def make(passages: int, queries: int, width: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Token vectors of passages and queries, of length 1; query i is of passage i.

    A token is the vector of a word, frequent ones more often, and as much again of its own.
    """
    rng = np.random.default_rng(1)
    words = rng.standard_normal((5000, width), dtype=np.float32)

    def unit(drawn: np.ndarray) -> np.ndarray:
        return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)

    def varied(vectors: np.ndarray) -> np.ndarray:
        return unit(vectors + rng.standard_normal(vectors.shape, dtype=np.float32))

    sizes = rng.integers(40, 181, passages)
    drawn = np.minimum(rng.zipf(1.3, (int(sizes.sum()))), len(words)) - 1
    numbers = np.split(drawn, np.cumsum(sizes)[:-1])
    return (
        [varied(words[x]) for x in numbers],
        [varied(words[rng.permutation(x)[:TOKENS]]) for x in numbers[:queries]],
    )


def ours(shards: list[Held], queries: PartTexts, top: int) -> Any:
    """Ranks of each query's passage (Q,)."""
    judged = {f"q{i}": {f"en:{i:06d}": 1} for i in range(len(queries))}
    search = ShardSearch(
        {"en": shards}, {"en": queries}, {"en": judged}, top=top, threads=torch.get_num_threads()
    )
    return search.run().found["en"].pool_rank


def padded(passages: list[torch.Tensor], queries: torch.Tensor, batch: int) -> torch.Tensor:
    """(P, Q) scores; ``queries`` (Q * TOKENS, d)."""
    found = []
    for start in range(0, len(passages), batch):
        some = passages[start : start + batch]
        rows = torch.nn.utils.rnn.pad_sequence(some, batch_first=True)
        products = (rows.flatten(0, 1) @ queries.T).view(*rows.shape[:2], -1)
        for i, x in enumerate(some):
            products[i, len(x) :] = -torch.inf
        found.append(products.amax(1).view(len(some), -1, TOKENS).sum(2))
    return torch.cat(found)


def by_passage(passages: list[torch.Tensor], queries: torch.Tensor) -> torch.Tensor:
    """(P, Q) scores; ``queries`` (Q * TOKENS, d)."""
    return torch.stack([(queries @ x.T).amax(1).view(-1, TOKENS).sum(1) for x in passages])


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=4000)
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--top", type=int, default=1000)
    parser.add_argument("--shard", type=int, default=1024, help="passages per shard")
    parser.add_argument("--rounds", type=int, default=3)
    a = parser.parse_args()
    passages, queries = make(a.passages, a.queries, a.dimensions)
    texts, asked = (texts_of_parts(tokens_of(x)) for x in (passages, queries))
    shards = [
        Held("en", [f"{i:06d}".encode() for i in range(len(texts))][s : s + a.shard], part)
        for s in range(0, len(texts), a.shard)
        for part in [texts[s : s + a.shard]]
    ]
    rows, flat = [torch.from_numpy(x) for x in passages], torch.from_numpy(np.concatenate(queries))
    ours(shards[:1], asked[:1], a.top)  # compiles
    forms: dict[str, Callable[[], Any]] = {
        "exact search": lambda: ours(shards, asked, a.top),
        "padded": lambda: padded(rows, flat, 16),
        "by passage": lambda: by_passage(rows, flat),
    }
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    found: dict[str, Any] = {}
    for _ in range(a.rounds):
        for name, form in forms.items():
            begun = time.perf_counter()
            found[name] = form()
            seconds[name].append(time.perf_counter() - begun)
    flop = 2 * len(flat) * sum(map(len, passages)) * a.dimensions
    for name, taken in seconds.items():
        least = statistics.median(taken)
        print(f"{name:<13}{least:6.2f} s   {flop / least / 1e9:5.0f} GFLOP/s")
    bare = [min(x) for x in zip(seconds["padded"], seconds["by passage"], strict=True)]
    ratios = [x / y for x, y in zip(seconds["exact search"], bare, strict=True)]
    print(f"to the faster bare loop of each round: {statistics.median(ratios):.2f} times")
    scores = found["by passage"].T
    ranks = 1 + (scores > scores.diag()[:, None]).sum(1).numpy()
    differ = int((ranks != found["exact search"]).sum())
    print(f"ranks 1 to {ranks.max()}, {differ} of {len(ranks)} other than by the bare scores")


if __name__ == "__main__":
    main()
