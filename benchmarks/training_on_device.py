"""A study's trainings at the paper's scale on one device: time, rate, and what came out.

    python benchmarks/training_on_device.py PAIRS.jsonl.gz --data-dir DATA [--minutes 12]

Trains mono, cross and hybrid batches from one base with the paper's batches of 100 in bfloat16 on a
GPU, all layers, as many steps as the minutes allow, and scores each model and the base on XQuAD-R.
Ten steps of a first training say how long a step takes; the steps are then shared out so that
scoring still fits. Prints, for each training, seconds, tokens a second, and the share that this is
of the device's own rate for matrix products: three times a forward pass, 2 operations for each
multiply-add.

On a processor the same runs in a minute or two with `--base me5-small --steps 3 --batch-size 8
--limit 40 --task demo --device cpu --precision float32`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from matrix_rate import flops, matrix_rate
from training_speed import Clock

import harness
from harness.training.base_model import load_base
from harness.training.batches import HybridBatchSampler, PairCollator
from harness.training.settings import Settings, made
from harness.training.train import Overlaps, train
from harness.training.training_set import read_data

RECIPES = ("mono", "cross", "hybrid")
_TRIAL = 10
"""Steps that are timed before the rest is planned."""
_FOR_SCORING = 0.25
"""Share of the minutes that scoring may take."""


def step_seconds(clock: Clock) -> float:
    """Mean seconds of a step but the first few, which warm the device up."""
    seconds = clock.seconds
    return float(np.mean(seconds[min(2, len(seconds) - 1) :]))


def lengths_of(model: Any, settings: Settings) -> list[list[int]]:
    """Tokens of each text, for the first batches of a training."""
    data = read_data(settings)
    collate = PairCollator(model.preprocess, settings)
    found = []
    for batch in islice(HybridBatchSampler(data.train.plan), _TRIAL):
        columns = collate([data.train.pairs[i] for i in batch])
        masks = [columns[f"{side}_attention_mask"] for side in ("query", "passage")]
        found.append([n for mask in masks for n in mask.sum(1).tolist()])
    return found


def trained(settings: Settings, folder: Path, device: str) -> Clock:
    """One training."""
    clock = Clock()
    train(settings, folder, device=device, overlaps=Overlaps(()), progress=clock)
    return clock


def scores(model: str, args: argparse.Namespace) -> str:
    """MAP by kind of setting, and the rank distance of the pool."""
    record = harness.evaluate(
        model, args.task, data_dir=args.data_dir, device=args.device, limit=args.limit,
        store=False, resamples=0,
    )  # fmt: skip
    means = record.contents.tasks[0].means
    said = [f"{kind} mAP {means[kind].macro['map']:.4f}" for kind in means]
    if "rank_distance" in means["multi"].macro:
        said.append(f"rank distance {means['multi'].macro['rank_distance']:,.0f}")
    return ", ".join(said)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", help="as `harness pairs make` writes them")
    parser.add_argument("--data-dir", help="where the task's data are")
    parser.add_argument("--task", default="xquad-r")
    parser.add_argument("--limit", type=int, help="questions of the task")
    parser.add_argument("--base", default="me5-small", help="as for `harness train`")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="bfloat16", choices=("float32", "bfloat16"))
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--minutes", type=float, default=12.0, help="for all of it")
    parser.add_argument("--steps", type=int, default=0, help="of each training, whatever it takes")
    args = parser.parse_args(argv)
    begun = time.perf_counter()
    settings = made(
        {
            "recipe": "hybrid",
            "base": args.base,
            "data": (args.pairs,),
            "batch_size": args.batch_size,
            "steps": args.steps or _TRIAL,
            "evaluate_every": 1_000_000,
            "max_length": args.max_length,
            "precision": args.precision,
            "freeze": ("none",),
            "epoch": "drawn",
            "holdout": 0.0,
            "patience": 0,
        }
    )
    base = load_base(settings, device="cpu", offline=False)
    per_batch = lengths_of(base.model, settings)
    tokens = sum(map(sum, per_batch)) / len(per_batch)
    work = 3 * sum(flops(base.model, x) for x in per_batch) / len(per_batch)
    rate = matrix_rate(args.device, args.precision, 1)
    print(f"{tokens:,.0f} tokens a step; products on {args.device}: {rate / 1e12:.3g} TFLOP/s")
    print(f"{args.base}, as it is: {scores(args.base, args)}", flush=True)
    with tempfile.TemporaryDirectory() as work_folder:
        steps = args.steps
        if not steps:
            step = step_seconds(trained(settings, Path(work_folder) / "trial", args.device))
            left = 60 * args.minutes * (1 - _FOR_SCORING) - (time.perf_counter() - begun)
            steps = max(_TRIAL, int(left / len(RECIPES) / step))
            print(f"{step:.3f} s a step, so {steps:,} steps of each recipe", flush=True)
        for recipe in RECIPES:
            own = replace(settings, recipe=recipe, steps=steps)
            folder = Path(work_folder) / recipe
            step = step_seconds(trained(own, folder, args.device))
            print(
                f"{recipe}: {steps:,} steps, {step:.3f} s each, {tokens / step:,.0f} tokens/s, "
                f"{work / step / rate:.1%} of the device's rate; {scores(str(folder), args)}",
                flush=True,
            )
    print(f"{(time.perf_counter() - begun) / 60:.1f} minutes in all")


if __name__ == "__main__":
    main()
