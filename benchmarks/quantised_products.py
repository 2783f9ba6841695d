"""Products of int8 codes and of signs, and whole searches with them, against those of float32.

    python benchmarks/quantised_products.py                                       # products alone
    python benchmarks/quantised_products.py --model me5-small --data-dir DIR      # searches, too

Products are those of 1,024 queries with 16,384 passages in tiles, as a search computes them, in one
thread; codes are drawn at random. A search is that of all settings of the task from stored vectors,
exact ranks of float32 vectors included, in torch's threads; of codes it is the same from codes that
are there. Every round takes each form once, one right after the other; the first is not counted.
Ratios are of CPU seconds and of the wall's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from harness.base.environment import environment
from harness.base.progress import Silent
from harness.data.task import find_task
from harness.evaluation.encode_stage import encode_task
from harness.evaluation.layout import prepare
from harness.evaluation.options import RunOptions
from harness.evaluation.postprocessing.compress import LEVELS, Codes, Signs
from harness.evaluation.search_stage import search_dense
from harness.models import load
from harness.search.in_memory import DenseScores
from harness.search.tiles import ROWS
from harness.vectors.encode import EncodingCounts
from harness.vectors.store import Store

QUERIES, PASSAGES = 1024, 16384


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dimensions", type=int, nargs="+", default=[384, 512])
    parser.add_argument("--model", help="search with its vectors, too: encoded once, then stored")
    parser.add_argument("--task", default="xquad-r")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    print(f"processor: {environment()['processor']}; medians of {given.rounds} rounds")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for width in given.dimensions:
        print(f"products, {width} dimensions, one thread")
        show(products(width), given.rounds)
    torch.set_num_threads(threads)
    if given.model:
        print(f"search of {given.task}, {given.model}, {threads} threads")
        show(searches(given.model, given.task, given.data_dir), given.rounds)


def compressed(vectors: NDArray[np.float32], passages: NDArray[np.float32]) -> dict[str, NDArray]:
    """``vectors`` and their codes by the ranges of ``passages``."""
    low, high = passages.min(0), passages.max(0)
    found = {"float32": vectors, "binary": Signs()(vectors)}
    for kind in ("int8", "int4"):
        steps = (high - low) / np.float32(LEVELS[kind] - 1)
        found[kind] = Codes(low, steps, LEVELS[kind])(vectors)
    return found


def products(width: int) -> dict[str, Callable[[], object]]:
    """What computes the products, by kind of vectors."""
    rng = np.random.default_rng(0)
    passages = rng.standard_normal((PASSAGES, width), np.float32)
    queries = compressed(rng.standard_normal((QUERIES, width), np.float32), passages)

    def form(kind: str, vectors: NDArray[np.float32]) -> Callable[[], object]:
        tile = DenseScores(vectors).of(queries[kind])

        def once() -> None:
            for start in range(0, QUERIES, ROWS):
                tile(start, min(start + ROWS, QUERIES))

        return once

    return {kind: form(kind, x) for kind, x in compressed(passages, passages).items()}


def searches(name: str, task: str, data_dir: Path | None) -> dict[str, Callable[[], object]]:
    """What searches all settings, by kind of vectors."""
    options = RunOptions(data_dir=data_dir, bias=False)
    prepared = prepare(find_task(task), options)
    vectors = encode_task(load(name), prepared, Store(), EncodingCounts(), Silent())
    passages = np.concatenate([x for (role, _), x in vectors.items() if role == "passage"])
    coded = {place: compressed(x, passages) for place, x in vectors.items()}

    def form(kind: str) -> Callable[[], object]:
        of_kind = {place: x[kind] for place, x in coded.items()}

        def once() -> None:
            search_dense(prepared, of_kind, options, Silent())

        return once

    return {kind: form(kind) for kind in next(iter(coded.values()))}


def show(forms: Mapping[str, Callable[[], object]], rounds: int) -> None:
    """Print seconds of each form and how many times as fast as float32 it is."""
    took: dict[str, list[tuple[float, float]]] = {kind: [] for kind in forms}
    for counted in [False] + [True] * rounds:
        for kind, once in forms.items():
            wall, cpu = time.perf_counter(), time.process_time()
            once()
            if counted:
                took[kind].append((time.process_time() - cpu, time.perf_counter() - wall))
    for kind, seconds in took.items():
        print(f"  {kind:<8} CPU {np.median([x for x, _ in seconds]):7.3f} s", end="")
        if kind != "float32":
            ratios = np.array(took["float32"]) / np.array(seconds)
            print("".join(map(ratio, (" CPU", " wall"), ratios.T)), end="")
        print()


def ratio(clock: str, values: Sequence[float]) -> str:
    """Median, least and greatest."""
    return (
        f",{clock} {np.median(values):.1f} times as fast ({min(values):.1f} to {max(values):.1f})"
    )


if __name__ == "__main__":
    main()
