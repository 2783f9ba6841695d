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

``--stages`` searches once more and prints where the processor time goes, and how long the threads
waited in each stage (for another's Python, for the disk, for a core). Time in a stage that another
one calls counts there alone.

``--keep`` leaves the corpus in its folder; a later run with the same sizes and seed takes it from
there.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.base.progress import peak_memory
from harness.vectors.corpus_store import PASSAGES, CorpusSpace, Shard
from harness.vectors.store import Store

FORMS = "torch,1024,4096"
"""Forms of the bare loop: torch's own threads, or passages in the tiles of one thread each."""

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
    """Write the corpus, unless it is there."""
    facts = {"benchmark": "streamed_search", "seed": seed, "passages": passages, "width": width}
    space = CorpusSpace.of(
        Store(folder), facts, language="en", passages=passages, size=size, dtype="float16"
    )
    saved = space.folder / f"{queries}-queries.npz"
    if saved.exists():
        with np.load(saved) as kept:
            return Corpus(space, kept["queries"], kept["relevant"].tolist())
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
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.savez(saved, queries=vectors, relevant=np.array(relevant))
    return Corpus(space, vectors, relevant)


def opened(space: CorpusSpace) -> list[Shard]:
    """All shards."""
    return [shard for shard in space.open_all(verify=False) if shard is not None]


class Stages:
    """Wall and CPU seconds by stage, of all threads; a stage is a function that is watched."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._lock, self._local = threading.Lock(), threading.local()

    def watch(self, stage: str, owner: Any, *names: str) -> None:
        """Count the time of functions of a class or module; what they call counts where it is."""
        for name in names:
            setattr(owner, name, self._watched(stage, getattr(owner, name)))

    def _watched(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def watched(*args: Any, **options: Any) -> Any:
            inner = self._local.__dict__.setdefault("inner", [])
            inner.append([0.0, 0.0])
            begun = time.perf_counter(), time.thread_time()
            try:
                return function(*args, **options)
            finally:
                taken = time.perf_counter() - begun[0], time.thread_time() - begun[1]
                elsewhere = inner.pop()
                with self._lock:
                    for i, seconds in enumerate(taken):
                        self.seconds[stage][i] += seconds - elsewhere[i]
                        if inner:
                            inner[-1][i] += seconds

        return watched

    def show(self) -> None:
        """A line for each, the longest first."""
        print("where the time of the search goes, all threads: CPU seconds, and seconds of waiting")
        for stage, (wall, cpu) in sorted(self.seconds.items(), key=lambda x: -x[1][1]):
            print(f"  {stage:<44}{cpu:7.2f} {max(0.0, wall - cpu):7.2f}")


def watch_search(stages: Stages) -> None:
    """Watch the stages of a streamed search on a CPU."""
    import torch

    from harness.search import corpus_rows, cpu_worker, one_language, streamed

    stages.watch("opening shards", one_language, "vectors_of", "release")
    stages.watch("reading and widening", cpu_worker, "widen")
    stages.watch("products", torch, "mm")
    worker = cpu_worker.CpuWorker
    stages.watch("candidates for the top k, and counting", worker, "_look", "_finish_query")
    stages.watch("deciding close counts", worker, "_decide")
    stages.watch("the rest of a tile: Python between stages", worker, "search")
    stages.watch("top k in exact order: float64 scores", corpus_rows.PassageRows, "inner")
    stages.watch("top k in exact order: sorting", one_language, "_together")
    stages.watch(
        "finding relevant passages, their scores", streamed.ShardSearch, "_locate", "_score"
    )
    stages.watch("laying out the results", streamed.ShardSearch, "_keep", "_laid_out")


def ours(
    corpus: Corpus, top: int, memory: int, device: str, staged: bool = False
) -> tuple[Run, dict[str, Any]]:
    """Search; the loops are compiled before the clock starts. ``staged``: print its stages."""
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
    stages = Stages()
    if staged:
        watch_search(stages)
    begun, used = time.perf_counter(), time.process_time()
    streamed = search(corpus.queries, corpus.relevant, shards)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    found = streamed.found["en"]
    if staged:
        stages.show()
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
    parser.add_argument("--forms", default=FORMS, help=f"of the bare loop (default {FORMS})")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stages", action="store_true", help="also print where the time goes")
    parser.add_argument("--keep", action="store_true", help="do not remove the corpus")
    a = parser.parse_args()

    sizes = f"{a.passages}x{a.dimensions}-{a.queries}-{a.seed}"
    place = a.folder / f"streamed-search-{sizes}"
    place.mkdir(parents=True, exist_ok=True)
    try:
        corpus = make(place, a.passages, a.dimensions, a.queries, a.shard, a.seed)
        flop = 2 * a.passages * a.dimensions * a.queries
        print(
            f"{a.passages:,} passages of {a.dimensions} dimensions in float16, "
            f"{a.passages * a.dimensions * 2 / 2**30:.1f} GiB in {len(corpus.space):,} shards; "
            f"{a.queries} queries, {flop / 1e12:.1f} TFLOP"
        )
        forms = a.forms.split(",")
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
        if a.stages:
            alone(ours, corpus, a.top, int(a.memory * 2**30), a.device, True)
    finally:
        if not a.keep:
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
