"""How fast a training is on a processor, against plain torch without padding and against padding.

    python benchmarks/training_speed.py PAIRS.jsonl.gz [--steps 3] [--batch-size 64]

The same batches three times, with me5-small (word table frozen, dropout on):

- `bare`: forward and backward pass of the same tokens in plain torch without padding, texts of one
  length at a time through transformers' own model; no loss, no optimiser, no tokenising;
- `packed`: a whole step of `harness train`;
- `padded`: the same with queries and passages padded to their longest, as it was before.

`--against unfused` trains the word table too: seconds of gradients, and of both forms of AdamW, in
one pass over memory as such trainings have it and in a dozen passes, as they had it before.

Prints the seconds of each step, both ratios of whole trainings, and the greatest difference between
gradients of packed and padded rows (without dropout, whose random numbers would differ).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from harness.training.base_model import load_base
from harness.training.batches import HybridBatchSampler, PairCollator
from harness.training.losses.info_nce import InfoNCE
from harness.training.packing import Packing
from harness.training.settings import NOTHING, Settings, made
from harness.training.train import Overlaps, train
from harness.training.training_set import TrainingData, read_data

Columns = Sequence[Mapping[str, Any]]


class Clock:
    """Notes when steps end, as a training's progress."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def start(self, stage: str, total: int, unit: str) -> None:
        """The first step begins."""
        self.times.append(time.perf_counter())

    def advance(self, done: int) -> None:
        """A step has ended; 0 of them when a training begins."""
        if done:
            self.times.append(time.perf_counter())

    def finish(self) -> None:
        """Ignored."""

    @property
    def seconds(self) -> list[float]:
        """Of each step but the first, which warms caches up."""
        return [b - a for a, b in zip(self.times[1:-1], self.times[2:], strict=True)]


def batches(model: Any, settings: Settings, data: TrainingData) -> Iterator[Columns]:
    """The batches of the training, as the model is given them: queries, then passages."""
    collate = PairCollator(model.preprocess, settings)
    for indices in HybridBatchSampler(data.train.plan):
        found = collate([data.train.pairs[i] for i in indices])
        yield [
            {k.removeprefix(f"{side}_"): v for k, v in found.items() if k.startswith(f"{side}_")}
            for side in ("query", "passage")
        ]


def bare(transformer: Any, columns: Columns) -> float:
    """Seconds of forward and backward pass of the batch's tokens, texts of one length at a time."""
    by_length: dict[int, list[torch.Tensor]] = defaultdict(list)
    for x in columns:
        for ids, length in zip(x["input_ids"], x["attention_mask"].sum(1).tolist(), strict=True):
            by_length[length].append(ids[:length])
    begun = time.perf_counter()
    found = [
        transformer(input_ids=torch.stack(texts)).last_hidden_state.mean(1)
        for texts in by_length.values()
    ]
    torch.cat(found).sum().backward()
    return time.perf_counter() - begun


def whole_steps(settings: Settings) -> list[float]:
    """Seconds of each step of a training."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        train(settings, Path(folder) / "model", device="cpu", overlaps=Overlaps(()), progress=clock)
    return clock.seconds


def gradients(model: Any, columns: Columns, *, packed: bool) -> list[torch.Tensor]:
    """Of every trained weight."""
    model.zero_grad()
    with patch.object(Packing, "vectors", Packing.vectors if packed else lambda *_: None):
        InfoNCE(model, 0.05)([dict(x) for x in columns], None).backward()
    return [x.grad.clone() for x in model.parameters() if x.grad is not None]


def print_optimisers(settings: Settings, steps: int) -> None:
    """Seconds of a step with the word table trained, by form of AdamW."""
    model = load_base(settings, device="cpu", offline=True).model.train()
    weights, loss = list(model.parameters()), InfoNCE(model, settings.temperature)
    rate = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    forms = {"fused": True, "unfused": False}
    optimisers = {k: torch.optim.AdamW(weights, fused=x, **rate) for k, x in forms.items()}
    seconds: dict[str, list[float]] = defaultdict(list)
    given = batches(model, settings, read_data(settings))
    for columns, _ in zip(given, range(steps), strict=False):
        begun = time.perf_counter()
        loss([dict(x) for x in columns], None).backward()
        torch.nn.utils.clip_grad_norm_(weights, settings.max_grad_norm)
        seconds["gradients"].append(time.perf_counter() - begun)
        for name, optimiser in optimisers.items():
            begun = time.perf_counter()
            optimiser.step()
            seconds[name].append(time.perf_counter() - begun)
        model.zero_grad()
    for name, found in seconds.items():
        print(f"{name:9} {' '.join(f'{x:.3f}' for x in found[1:])} s")
    gradients, fused, unfused = (sum(seconds[x][1:]) for x in ("gradients", *forms))
    print(f"a step, unfused to fused: {(gradients + unfused) / (gradients + fused):.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", help="as `harness pairs make xnli` writes them")
    parser.add_argument("--steps", type=int, default=3, help="the first one is not counted")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument(
        "--against", choices=("bare", "padded", "unfused"), help="one of them alone"
    )
    args = parser.parse_args()
    settings = made(
        {
            "base": "me5-small",
            "data": (args.pairs,),
            "batch_size": args.batch_size,
            "steps": args.steps,
            "evaluate_every": args.steps,
            "max_length": args.max_length,
            "precision": args.precision,
            "epoch": "drawn",
            "holdout": 0.0,
            "patience": 0,
            **({"freeze": NOTHING} if args.against == "unfused" else {}),
        }
    )
    if args.against == "unfused":
        print_optimisers(settings, args.steps)
        return
    base = load_base(settings, device="cpu", offline=True)
    given = batches(base.model, settings, read_data(settings))
    columns = [x for x, _ in zip(given, range(args.steps), strict=False)]
    tokens = [sum(int(x["attention_mask"].sum()) for x in c) for c in columns[1:]]
    base.model.train()
    seconds = {}
    if args.against != "padded":
        seconds["bare"] = [bare(base.model[0].auto_model, x) for x in columns][1:]
    seconds["packed"] = whole_steps(settings)
    if args.against != "bare":
        with patch.object(Packing, "vectors", lambda *_: None):
            seconds["padded"] = whole_steps(settings)
    for name, found in seconds.items():
        rate = sum(tokens) / sum(found)
        print(
            f"{name:7} {' '.join(f'{x:.2f}' for x in found)} s a step, {rate:,.0f} tokens/s, "
            f"{3600 / statistics.mean(found):,.0f} steps an hour"
        )
    for name in seconds.keys() - {"packed"}:
        ratio = sum(seconds[name]) / sum(seconds["packed"])
        print(f"tokens a second, packed to {name}: {ratio:.2f}")
    if args.against == "bare":
        return
    base.model.eval()
    one, other = (gradients(base.model, columns[0], packed=x) for x in (True, False))
    apart = max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))
    print(f"greatest difference between two gradients: {apart:.1e}")


if __name__ == "__main__":
    main()
