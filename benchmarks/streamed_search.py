"""Exact search of a corpus larger than the memory budget, against only reading and multiplying it.

    python benchmarks/streamed_search.py --folder DIR

Writes a corpus of random unit vectors under ``--folder`` as shards of the embedding store (float16:
5 million passages of 384 dimensions are 3.8 GB), puts 500 queries to it under ``--memory`` and
removes it. Each query is the vector of its relevant passage with noise, so that ranks spread.

Ours computes the exact rank of each relevant passage and the best 1,000 passages of each query, in
the total order. The bare loop reads the same shards through the same memory maps, brings them to
float32, multiplies them with the queries in torch and throws the scores away. It is tried in
several forms, and the fastest counts: torch's own threads over whole shards, and one thread for
each core over tiles of several sizes. Each run is a fresh process; reading back what was just
written comes out of the page cache for both sides where memory allows. Peak memory is that of the
whole process.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.base.progress import peak_memory
from harness.vectors.corpus_store import PASSAGES, CorpusSpace, Shard
from harness.vectors.store import Store

NOISE = 4.0
"""Length of the noise in a query, its relevant passage's vector being 1."""


class Corpus(NamedTuple):
    """What both sides search."""

    space: CorpusSpace
    queries: np.ndarray
    relevant: list[str]
    """Local id of each query's relevant passage."""


class Run(NamedTuple):
    """What one run took."""

    seconds: float
    cpu: float
    """CPU seconds of all threads: hardly touched by what else the machine does."""
    peak: int


def unit(rng: np.random.Generator, n: int, width: int) -> np.ndarray:
    """(n, width) random vectors of length 1, float32."""
    drawn = rng.standard_normal((n, width), dtype=np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def make(folder: Path, passages: int, width: int, queries: int, size: int, seed: int) -> Corpus:
    """Write the corpus."""
    facts = {"benchmark": "streamed_search", "seed": seed, "passages": passages, "width": width}
    space = CorpusSpace.of(
        Store(folder), facts, language="en", passages=passages, size=size, dtype="float16"
    )
    rng = np.random.default_rng(seed)
    chosen = set(rng.choice(passages, queries, replace=False).tolist())
    noisy, relevant = [], []
    for number in range(len(space)):
        start, stop = space.bounds(number)
        vectors = unit(rng, stop - start, width)
        space.put(number, [f"{i // 20}#{i % 20}" for i in range(start, stop)], vectors)
        for i in sorted(chosen.intersection(range(start, stop))):
            noisy.append(vectors[i - start] + NOISE * unit(rng, 1, width)[0])
            relevant.append(f"{i // 20}#{i % 20}")
    vectors = np.stack(noisy)
    return Corpus(space, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), relevant)


def opened(space: CorpusSpace) -> list[Shard]:
    """All shards."""
    return [shard for shard in space.open_all(verify=False) if shard is not None]


def ours(corpus: Corpus, top: int, memory: int, device: str) -> tuple[Run, dict[str, Any]]:
    """Search; the loops are compiled before the clock starts."""
    import torch

    from harness.search.streamed import ShardSearch

    def search(queries: np.ndarray, relevant: list[str], shards: list[Shard]) -> Any:
        judged = {f"q{i}": {f"en:{name}": 1} for i, name in enumerate(relevant)}
        return ShardSearch(
            {"en": shards},
            {"en": queries},
            {"en": judged},
            top=top,
            memory=memory,
            device=device,
            threads=torch.get_num_threads(),
        ).run()

    shards = opened(corpus.space)
    search(corpus.queries[:1], [shards[0].ids[0].decode()], shards[:1])
    begun, used = time.perf_counter(), time.process_time()
    streamed = search(corpus.queries, corpus.relevant, shards)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    found = streamed.found["en"]
    return Run(seconds, cpu, peak_memory()), {
        "median rank": float(np.median(found.pool_rank)),
        "top k": found.top_k.shape,
    }


def bare(corpus: Corpus, form: str) -> Run:
    """Read, convert, multiply; ``form`` is ``torch`` or a tile's passages."""
    import torch

    shards = opened(corpus.space)
    queries = torch.from_numpy(corpus.queries)
    threads = 1 if form == "torch" else torch.get_num_threads()
    tile = corpus.space.size if form == "torch" else int(form)
    if form != "torch":
        torch.set_num_threads(1)
    turn, lock = iter(shards), threading.Lock()

    def work(_: int) -> None:
        raw = torch.empty((tile, queries.shape[1]), dtype=torch.float16)
        passages = torch.empty((tile, queries.shape[1]))
        scores = torch.empty(len(queries) * tile)
        while True:
            with lock:
                shard = next(turn, None)
            if shard is None:
                return
            vectors = shard.vectors
            for start in range(0, len(vectors), tile):
                part = vectors[start : start + tile]
                n = len(part)
                np.copyto(raw.numpy()[:n], part)
                passages[:n].copy_(raw[:n])
                out = scores[: len(queries) * n].view(len(queries), n)
                torch.mm(queries, passages[:n].T, out=out)

    begun, used = time.perf_counter(), time.process_time()
    if threads == 1:
        work(0)
    else:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(work, range(threads)))
    return Run(time.perf_counter() - begun, time.process_time() - used, peak_memory())


def alone(function: Any, *arguments: Any) -> Any:
    """Call in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main() -> None:
    """Write, measure, print, remove."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the corpus is written")
    parser.add_argument("--passages", type=int, default=5_000_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--top", type=int, default=1000)
    parser.add_argument("--shard", type=int, default=PASSAGES, help="passages per shard")
    parser.add_argument("--memory", type=float, default=1.0, help="budget of our side, GiB")
    parser.add_argument("--device", default="cpu", help="of our side; the bare loop takes the CPU")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()

    a.folder.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="streamed-search-", dir=a.folder))
    try:
        corpus = make(place, a.passages, a.dimensions, a.queries, a.shard, a.seed)
        flop = 2 * a.passages * a.dimensions * a.queries
        print(
            f"{a.passages:,} passages of {a.dimensions} dimensions in float16, "
            f"{a.passages * a.dimensions * 2 / 2**30:.1f} GiB in {len(corpus.space):,} shards; "
            f"{a.queries} queries, {flop / 1e12:.1f} TFLOP"
        )
        forms = ["torch", "1024", "4096"]
        taken: dict[str, list[Run]] = {form: [] for form in forms}
        searched: list[Run] = []
        facts: dict[str, Any] = {}
        for _ in range(a.rounds):
            run, facts = alone(ours, corpus, a.top, int(a.memory * 2**30), a.device)
            searched.append(run)
            for form in forms:
                taken[form].append(alone(bare, corpus, form))
        for form in forms:
            show(f"bare, {form}", taken[form], a.passages)
        show("exact search", searched, a.passages)
        for clock in ("seconds", "cpu"):
            least = [min(getattr(taken[form][i], clock) for form in forms) for i in range(a.rounds)]
            ratios = [getattr(run, clock) / x for run, x in zip(searched, least, strict=True)]
            print(
                f"{'wall' if clock == 'seconds' else 'CPU'} seconds to the best bare loop of each "
                f"round: {np.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})"
            )
        print(
            f"peak memory under --memory {a.memory:g}: "
            f"{max(run.peak for run in searched) / 2**20:,.0f} MiB"
        )
        print(f"median rank of relevant passages {facts['median rank']:,.0f}")
        print(f"top k {facts['top k']}")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def show(name: str, runs: list[Run], passages: int) -> None:
    """Medians, and the highest peak."""
    wall, cpu = (float(np.median([run[i] for run in runs])) for i in range(2))
    peak = max(run.peak for run in runs) / 2**20
    print(
        f"{name:<14}{wall:7.2f} s wall {cpu:7.2f} s CPU   {passages / wall / 1e3:6.0f} k "
        f"passages/s   peak {peak:,.0f} MiB"
    )


if __name__ == "__main__":
    main()
