"""Does the hybrid recipe do what its paper says? Trained, scored and written down by one command.

    python benchmarks/hybrid_experiment.py --data-dir DIR [--seeds 3] [--steps 240]

DIR holds xquad-r/, mlqa-r/ and train/xnli11.jsonl.gz (XNLI in eleven languages). The built-in
encoder's head is trained on the same pairs with batches in one language (mono), across languages
(cross) and of both kinds (hybrid), with each seed; every model is scored on all of XQuAD-R and
MLQA-R beside the untrained encoder and bm25. Values of a recipe are the mean over its seeds, query
by query; intervals and paired tests are over questions, seeds are shown by their standard
deviation. Run again, it trains and scores only what is missing.

The head's input is the same for all models, so it is computed once for each text: that is what
makes nine trainings and scorings fit a small machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from experiment_page import Kind, page

import harness
from harness.analysis.compare import paired_tables
from harness.evaluation.intervals import SEED
from harness.evaluation.record import Record
from harness.models.use_m3.module import shared_trunk
from harness.stats.pairwise_tests import paired_tests
from harness.stats.per_query import PerQuery
from harness.stats.resampling import cluster_bootstrap
from harness.training.settings import Settings
from harness.training.sources.conversion import make_pairs
from harness.training.train import Overlaps, train

TASKS = ("xquad-r", "mlqa-r")
RECIPES = ("mono", "cross", "hybrid")
SYSTEMS = ("bm25", "use-m3", *RECIPES)
"""In this order on the page; ``use-m3`` is the base, untrained."""
MEASURES = ("map", "recall@1", "recall@10", "rank_distance", "own_language_first")
# All but the feed-forward head.
FROZEN = ("network.embedding", "network.project", "network.views", "network.token_norm",
          "network.pool")  # fmt: skip


RATES = (3e-4, 1e-3, 3e-3)
RATE_SEED = 1000


def settings_of(pairs: Path, recipe: str, seed: int, steps: int, rate: float) -> Settings:
    """What all trainings share, and what they differ in."""
    return Settings(
        recipe=recipe,
        base="use-m3",
        data=(str(pairs),),
        steps=steps,
        learning_rate=rate,
        batch_size=100,
        max_length=64,
        freeze=FROZEN,
        evaluate_every=max(1, steps // 3),
        patience=3,
        seed=seed,
    )


def rates_tried(args: argparse.Namespace, pairs: Path) -> dict[float, float]:
    """Learning rate -> lowest validation loss of short hybrid trainings of a seed of their own."""
    found = {}
    for rate in RATES:
        settings = settings_of(pairs, "hybrid", RATE_SEED, max(6, args.steps // 4), rate)
        folder = args.output / "rates" / f"{rate:g}"
        done = train(settings, folder, device="cpu", offline=True, overlaps=Overlaps(()))
        curve = done.manifest["outcome"]["curve"]
        found[rate] = min(p["validation_loss"] for p in curve if "validation_loss" in p)
        tell(f"learning rate {rate:g}: validation loss {found[rate]:.4f}")
    return found


def trained(args: argparse.Namespace, pairs: Path, recipe: str, seed: int, rate: float) -> Path:
    """The folder of one training."""
    settings = settings_of(pairs, recipe, seed, args.steps, rate)
    folder = args.output / "models" / f"{recipe}-{seed}"
    tell(f"train {recipe}, seed {seed}")
    overlaps = Overlaps(TASKS, data_dir=args.data_dir) if seed == 0 else Overlaps(())
    done = train(settings, folder, device="cpu", offline=True, overlaps=overlaps)
    tell(f"  {done.manifest['outcome']['said']}")
    return folder


def scored(args: argparse.Namespace, name: str, model: str) -> Record:
    """The record of one system, made if it is not there."""
    folder = args.output / "records" / name
    for path in folder.glob("*/record.json"):
        return Record.load(path)
    tell(f"score {name}")
    return harness.evaluate(
        model,
        TASKS,
        output=folder,
        data_dir=args.data_dir,
        offline=True,
        store=False,
        resamples=0,  # intervals are of means over seeds, and made here
        command=["python", "benchmarks/hybrid_experiment.py"],
    )


def kinds_of(systems: Sequence[Sequence[Record]], task: str) -> list[Kind]:
    """Means over seeds, intervals over questions and paired tests of all systems on one task."""
    flat = [record for records in systems for record in records]
    sizes = np.cumsum([len(records) for records in systems])
    averaged, parts = [], []
    for one in paired_tables(flat, task, MEASURES, whole=True):
        seeds = np.split(one.values, sizes[:-1])
        parts.append(seeds)
        tables = [
            replace(one.rows, values=dict(zip(one.measures, x.mean(0).T, strict=True)))
            for x in seeds
        ]
        averaged.append(replace(one, tables=tuple(tables)))
    tests = paired_tests(averaged, 10_000, SEED)
    found = []
    for number, one in enumerate(averaged):
        k, m = len(systems), len(one.measures)
        differences, adjusted = np.zeros((k, k, m)), np.ones((k, k, m))
        for p, (i, j) in enumerate(tests.pairs):
            differences[i, j] = tests.differences[number][p]
            differences[j, i] = -differences[i, j]
            adjusted[i, j] = adjusted[j, i] = tests.adjusted[number][p]
        whole = [_bootstrap(one.rows, values) for values in one.values]
        deviations = [
            np.std([_bootstrap(one.rows, x, 1).value for x in seeds], axis=0, ddof=1)
            if len(seeds) > 1
            else np.full(m, np.nan)
            for seeds in parts[number]
        ]
        found.append(
            Kind(
                task=task,
                kind=one.kind,
                measures=one.measures,
                means=np.stack([x.value for x in whole]),
                intervals=np.stack([x.bca for x in whole]),
                deviations=np.stack(deviations),
                differences=differences,
                adjusted=adjusted,
            )
        )
    return found


def _bootstrap(rows: PerQuery, values: np.ndarray, resamples: int = 10_000) -> Any:
    return cluster_bootstrap(values, **rows.levels, seed=SEED, resamples=max(resamples, 2)).macro


def tell(text: str) -> None:
    """One line of what goes on."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("results/hybrid-experiment"))
    parser.add_argument("--page", type=Path, help="write the page here")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=240)
    args = parser.parse_args()
    source = args.data_dir / "train" / "xnli11.jsonl.gz"
    pairs = args.output / "xnli11-pairs.jsonl.gz"
    if not pairs.is_file():
        pairs.parent.mkdir(parents=True, exist_ok=True)
        make_pairs("xnli", [source], pairs)
    systems: dict[str, list[Record]] = {}
    manifests = []
    with shared_trunk():
        rates = rates_tried(args, pairs)
        rate = min(rates, key=lambda x: rates[x])
        systems["bm25"] = [scored(args, "bm25", "bm25")]
        systems["use-m3"] = [scored(args, "use-m3", "use-m3")]
        # Seed by seed, with a page after each: a run that is cut short has whole seeds to show.
        for seed in range(args.seeds):
            for recipe in RECIPES:
                folder = trained(args, pairs, recipe, seed, rate)
                manifests.append(folder / "training.json")
                record = scored(args, folder.name, str(folder))
                systems.setdefault(recipe, []).append(record)
            target = args.page or args.output / "page.md"
            if seed < args.seeds - 1 and target.is_file():
                continue  # an earlier run has written it
            tell(f"compare after {seed + 1} seeds")
            kinds = [x for task in TASKS for x in kinds_of([systems[s] for s in SYSTEMS], task)]
            text = page(kinds, SYSTEMS, manifests, rates)
            target.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
