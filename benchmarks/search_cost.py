"""All 132 settings of XQuAD-R from stored vectors, against the bare matrix products over them.

    python benchmarks/search_cost.py --data-dir DIR [--model MODEL | --dimensions 384]

Prints both times, their ratio and the peak memory. The bare side multiplies each query language's
vectors with the pool's and throws the scores away. It is tried with tiles of several heights, of
whole rows or of parts of the pool, each tile in all of torch's threads or one tile per thread. The
first round tries every form on three query languages, the others the best few on all; that with
the least median counts. Beside it stand the best form of whole rows and the plain one, a whole
product per query language. Ours reads the store, normalises, multiplies, counts every relevant
passage's rank, keeps the top passages as deep as the measures look, computes every measure of the
task for every query and writes the per-query table. Then the same with the bias suite, and the
intervals of all means. Beside the search stands the same without certainty, which takes float32
products for what they say (harness/search/exact.py); their ratio is what certain ranks cost. The
first round compiles the inner loops and is not counted. Ratios only: seconds are this machine's,
and where it has other work to do, CPU seconds say more than the clock on the wall.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from harness.base.environment import environment
from harness.base.progress import Silent, Stages
from harness.data.task import find_task
from harness.evaluation.encode_stage import encode_task
from harness.evaluation.intervals import intervals
from harness.evaluation.layout import Prepared, prepare
from harness.evaluation.options import RunOptions
from harness.evaluation.search_stage import search_dense
from harness.evaluation.task_entry import score
from harness.models import load
from harness.models.base import ModelOptions
from harness.search import tiles
from harness.search.exact import Decisions
from harness.stats.per_query import PerQuery
from harness.vectors.encode import EncodingCounts
from harness.vectors.store import Store

HEIGHTS = (64, 128, 256, 512, 1024)
"""Queries multiplied at once on the bare side."""

WIDTHS = (None, 1280)
"""Passages multiplied at once; ``None``: all."""

TRIED = 2
"""Forms of each width, the fastest ones of the first round, that the other rounds measure."""


class Form(NamedTuple):
    """How the bare products are cut into tiles."""

    rows: int
    columns: int | None
    apart: bool
    """A thread for each tile."""

    def __str__(self) -> str:
        how = "a thread each" if self.apart else "all threads at each"
        return f"{self.rows} rows of {self.columns or 'all'} passages, {how}"


class Random:
    """Vectors drawn at random, the same for the same text: search costs the same with any."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self.name = f"random {dimensions}"
        self.fingerprint = f"standard normal, PCG64 seeded by SHA-256, {dimensions}"

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
        """(n, d) float32."""
        out = np.empty((len(texts), self.dimensions), np.float32)
        for row, text in zip(out, texts, strict=True):
            seed = hashlib.sha256(f"{role} {language} {text}".encode()).digest()
            rng = np.random.Generator(np.random.PCG64(int.from_bytes(seed, "little")))
            rng.standard_normal(out=row, dtype=np.float32)
        return out


class Took(NamedTuple):
    """Wall and CPU seconds; the latter of all threads, and hardly touched by other programs."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Took:
        """The clocks."""
        return cls(time.perf_counter(), time.process_time())

    def since(self, begun: Took) -> Took:
        """From ``begun`` to here."""
        return Took(self.wall - begun.wall, self.cpu - begun.cpu)


def bare(queries: dict[str, np.ndarray], passages: np.ndarray, form: Form) -> Took:
    """What the products alone take."""
    pool = torch.split(torch.from_numpy(passages), form.columns or len(passages))
    threads = torch.get_num_threads()
    own = threading.local()

    def multiply(part: torch.Tensor) -> None:
        if not hasattr(own, "buffer"):
            own.buffer = torch.empty(form.rows * max(map(len, pool)))
        for columns in pool:
            out = own.buffer[: len(part) * len(columns)].view(len(part), len(columns))
            torch.mm(part, columns.T, out=out)

    begun = Took.now()
    parts = [x for q in queries.values() for x in torch.split(torch.from_numpy(q), form.rows)]
    if form.apart:
        torch.set_num_threads(1)
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pairs:
            list(pairs.map(multiply, parts))
        torch.set_num_threads(threads)
    else:
        for part in parts:
            multiply(part)
    return Took.now().since(begun)


def one_product_each(queries: dict[str, np.ndarray], passages: np.ndarray) -> Took:
    """What one product per query language takes, as anybody would write it."""
    pool = torch.from_numpy(passages).T
    begun = Took.now()
    for x in queries.values():
        torch.from_numpy(x) @ pool
    return Took.now().since(begun)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--model", default="default", help="encoded once, then read from the store")
    parser.add_argument("--query-prompt")
    parser.add_argument("--passage-prompt")
    parser.add_argument("--dimensions", type=int, help="random vectors of this width, no model")
    parser.add_argument("--task", default="xquad-r")
    parser.add_argument("--languages", help="only these, as in en,de: fewer texts to encode first")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    width = arguments.dimensions
    prompts = ModelOptions(
        query_prompt=arguments.query_prompt, passage_prompt=arguments.passage_prompt
    )
    model: Any = load(arguments.model if width is None else Random(width), prompts)
    spec = find_task(arguments.task)
    languages = arguments.languages and tuple(arguments.languages.split(","))
    plain = RunOptions(data_dir=arguments.data_dir, bias=False, languages=languages)
    alone, suite = prepare(spec, plain), prepare(spec, replace(plain, bias=True))
    vectors = encode_task(model, alone, Store(), EncodingCounts(), Silent())
    queries = {x: vectors["query", x] for x in alone.relevant}
    passages = np.concatenate([vectors["passage", x] for x in alone.data.passages])
    products = sum(len(q) for q in queries.values()) * len(passages) * passages.shape[1]
    print(f"processor: {environment()['processor']}, {torch.get_num_threads()} threads")
    print(
        f"{arguments.task}, {model.name}: {len(alone.settings)} settings, "
        f"{passages.shape[1]} dimensions, {2 * products / 1e9:.0f} GFLOP of products"
    )
    forms = list(itertools.starmap(Form, itertools.product(HEIGHTS, WIDTHS, (False, True))))
    tried: list[Form] = []
    plainly: dict[Form, list[Took]] = {form: [] for form in forms}
    usual: list[Took] = []
    ours, biased, sure, hasty = [], [], [], []
    for round_ in range(arguments.rounds + 1):
        with float32_alone():
            begun = Took.now()
            settings(model, alone, plain)
            once_hasty = Took.now().since(begun)
        begun = Took.now()
        table, stages, decided = settings(model, alone, plain)
        once = Took.now().since(begun)
        begun = Took.now()
        everything, more, _ = settings(model, suite, plain)
        twice = Took.now().since(begun)
        with more.stage("intervals"):
            intervals(everything, suite.measures, resamples=plain.resamples)
        if not round_:
            some = dict(itertools.islice(queries.items(), 3))
            once_each = {form: bare(some, passages, form).wall for form in forms}
            for width in WIDTHS:
                of_width = [form for form in forms if form.columns == width]
                tried += sorted(of_width, key=once_each.__getitem__)[:TRIED]
        else:
            for form in tried:
                plainly[form].append(bare(queries, passages, form))
            usual.append(one_product_each(queries, passages))
            ours.append(once)
            hasty.append(once_hasty)
            biased.append(twice)
            sure.append(more.seconds["intervals"])
    fast, least = fastest(plainly, tried)
    fast_rows, least_rows = fastest(plainly, [form for form in tried if form.columns is None])
    print(f"{arguments.rounds} rounds; medians      wall s   CPU s")
    print(f"bare products        {both(least)}   best of {len(forms)} forms: {fast}")
    print(f"  whole rows         {both(least_rows)}   {fast_rows}")
    print(f"  one a language     {both(usual)}   torch's own way with the whole product")
    measures = ", ".join(m.name for m in alone.measures)
    print(f"all settings         {both(ours)}   {len(table):,} rows of {measures}")
    for name, seconds in stages.seconds.items():
        print(
            f"  {name:<18} {seconds:7.3f}           peak {stages.peak_bytes[name] / 2**20:,.0f} MiB"
        )
    print(f"  without certainty  {both(hasty)}   float32 products alone")
    print(f"  ratio to that      {spread(ours, hasty)}")
    pairs = sum(len(g.columns) for g in alone.relevant.values())
    print(f"  decided by more    {decided and decided.summary()} of {pairs:,} relevant passages")
    print(f"  ratio to bare      {spread(ours, least)}")
    print(f"  to whole rows      {spread(ours, least_rows)}")
    print(f"  to one a language  {spread(ours, usual)}")
    print(f"with the bias suite  {both(biased)}   {len(suite.measures)} measures")
    print(f"  ratio to without   {spread(biased, ours)}")
    print(f"intervals for all    {np.median(sure):7.3f}           {plain.resamples:,} resamples")


def fastest(plainly: dict[Form, list[Took]], forms: list[Form]) -> tuple[Form, list[Took]]:
    """The best of ``forms`` on the clock on the wall, and the rounds of each clock's best."""
    fast, thrifty = (
        min(forms, key=lambda form, i=i: np.median([took[i] for took in plainly[form]]))
        for i in range(2)
    )
    rounds = zip(plainly[fast], plainly[thrifty], strict=True)
    return fast, [Took(a.wall, b.cpu) for a, b in rounds]


@contextlib.contextmanager
def float32_alone() -> Iterator[None]:
    """Searches take products for exact, as they did before ranks were certain."""
    before = tiles.products_are_exact
    tiles.products_are_exact = lambda *_: True
    try:
        yield
    finally:
        tiles.products_are_exact = before


def settings(
    model: Any, prepared: Prepared, options: RunOptions
) -> tuple[PerQuery, Stages, Decisions | None]:
    """Everything from stored vectors to the bytes of the per-query table."""
    stages = Stages()
    with stages.stage("read store"):
        vectors = encode_task(model, prepared, Store(), EncodingCounts(), Silent())
    with stages.stage("search"):
        searched = search_dense(prepared, vectors, options, Silent())
    with stages.stage("measures"):
        table, _ = score(prepared, searched)
    with stages.stage("table"):
        table.to_parquet()
    return table, stages, searched.decisions


def both(runs: list[Took]) -> str:
    """Medians of both clocks."""
    return " ".join(f"{np.median([run[i] for run in runs]):7.3f}" for i in range(2))


def spread(over: list[Took], under: list[Took]) -> str:
    """Median, least and greatest of the rounds' ratios, by both clocks."""
    parts = []
    for i, clock in enumerate(("wall", "CPU")):
        ratios = [a[i] / b[i] for a, b in zip(over, under, strict=True)]
        parts.append(f"{clock} {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return ", ".join(parts)


if __name__ == "__main__":
    main()
