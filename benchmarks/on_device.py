"""Encoding and exact search on one device, a GPU above all, against what its products reach.

    python benchmarks/on_device.py [--device cuda] [--passages 5000000]

Encodes texts of a few to some 400 tokens, the demo task's passages end to end, with `me5-small` (12
layers of 384) and with a model of random weights in the shape of multilingual-e5-base (12 layers of
768), and prints tokens a second and the share of the device's own rate for matrix products of that
type. Searches random unit vectors (float16, in memory) with 500 queries for exact ranks and the
best 1,000, and prints the time against two bare loops on the device: one that copies the same
vectors there, brings them to float32 and multiplies, and one that only multiplies what is there
already. Takes some minutes on a GPU.

On a processor the same runs in a minute with `--device cpu --dtype float32 --texts 200
--passages 100000 --rounds 1`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matrix_rate import flops, matrix_rate
from streamed_search import NOISE, unit

from harness.base.environment import cores
from harness.data.loading import load
from harness.data.task import find_task
from harness.evaluation.corpus_run import HeldShard
from harness.models.base import ModelOptions
from harness.models.me5_small.encoder import weights_path
from harness.models.me5_small.module import write_folder
from harness.models.sentence_transformer import SentenceTransformerEncoder
from harness.models.token_counts import WORKERS
from harness.search.streamed import ShardSearch
from harness.vectors.corpus_store import PASSAGES

_BASE = {
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}
"""What multilingual-e5-base has other than the small one, from its configuration on the hub."""


def texts(number: int) -> list[str]:
    """Texts of one to eight passages of the demo task each."""
    data = load(find_task("demo"), offline=True)
    passages = [text for held in data.passages.values() for text in held.texts]
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(passages, 1 + i % 8)) for i in range(number)]


def base_size(small: Path, folder: Path) -> None:
    """Write a model in the larger shape, with random weights and the tokenizer of ``small``."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    config = BertConfig.from_pretrained(small, **_BASE)
    BertModel(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(small).save_pretrained(folder)


def best(function: Callable[[], Any], rounds: int) -> float:
    """Seconds of the fastest of some calls."""
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        function()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def show_encoding(name: str, folder: Path, some: Sequence[str], args: Any, rate: float) -> None:
    """Encode and print."""
    options = ModelOptions(device=args.device, dtype=args.dtype)
    encoder = SentenceTransformerEncoder(folder, options, name=name)
    encoder.encode(some, role="passage", language="en")  # loaded, and all shapes seen
    seconds = best(lambda: encoder.encode(some, role="passage", language="en"), args.rounds)
    tokenized = encoder.model.tokenizer(list(some), truncation=True)["input_ids"]
    lengths = [len(x) for x in tokenized]
    print(
        f"{name}: {len(some):,} texts, {sum(lengths) / seconds:,.0f} tokens/s, "
        f"{flops(encoder.model, lengths) / seconds / rate:.1%} of the device's rate",
        flush=True,
    )


def shards(passages: int, width: int) -> list[HeldShard]:
    """Random unit vectors, float16."""
    rng, found = np.random.default_rng(1), []
    for start in range(0, passages, PASSAGES):
        stop = min(passages, start + PASSAGES)
        ids = [f"{i:08d}" for i in range(start, stop)]
        found.append(HeldShard("en", ids, unit(rng, stop - start, width).astype(np.float16)))
    return found


def show_search(args: Any) -> None:
    """Search and print."""
    import torch

    held = shards(args.passages, args.dimensions)
    rng = np.random.default_rng(2)
    chosen = rng.integers(0, args.passages, args.queries)
    of = [(held[i // PASSAGES], i % PASSAGES) for i in chosen]
    relevant = np.stack([shard.vectors[i] for shard, i in of]).astype(np.float32)
    queries = relevant + NOISE * unit(rng, args.queries, args.dimensions)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    judged = {f"q{q}": {f"en:{shard.ids[i]}": 1} for q, (shard, i) in enumerate(of)}
    device = torch.device(args.device)
    on_device = torch.from_numpy(queries).to(device)

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    def exact() -> None:
        ShardSearch(
            {"en": held}, {"en": queries}, {"en": judged}, top=1000, device=args.device,
            threads=torch.get_num_threads() if device.type == "cpu" else 1,
        ).run()  # fmt: skip

    def copied() -> None:
        for shard in held:
            vectors = torch.from_numpy(shard.vectors).to(device).float()
            torch.mm(on_device, vectors.T)
        wait()

    there = [torch.from_numpy(shard.vectors).to(device).float() for shard in held]

    def multiplied() -> None:
        for vectors in there:
            torch.mm(on_device, vectors.T)
        wait()

    taken = {}
    for name, function in {"search": exact, "copied": copied, "there": multiplied}.items():
        function()
        taken[name] = best(function, args.rounds)
    print(
        f"{args.passages:,} passages of {args.dimensions} dimensions, {args.queries} queries: "
        f"{taken['search'] / taken['copied']:.2f} times a loop that copies and multiplies, "
        f"{taken['search'] / taken['there']:.2f} times the products of vectors on the device"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bfloat16", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--passages", type=int, default=5_000_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(argv)
    workers = min(cores(), WORKERS) if args.device == "cpu" else 1
    rate = matrix_rate(args.device, args.dtype, workers)
    print(f"products on {args.device} at {args.dtype}: {rate / 1e12:.3g} TFLOP/s", flush=True)
    some = texts(args.texts)
    with tempfile.TemporaryDirectory() as place:
        small, larger = Path(place) / "small", Path(place) / "base"
        write_folder(weights_path(), small, {})
        base_size(small, larger)
        show_encoding("me5-small", small, some, args, rate)
        show_encoding("base size, random weights", larger, some, args, rate)
    show_search(args)


if __name__ == "__main__":
    main()
