"""What the hybrid sampler adds to a training, against the trainer's own batch sampler.

    python benchmarks/sampler_cost.py [--steps 1000] [--rounds 3]

The same trainer, model, pairs, batch size and number of steps; only the batch sampler differs:
ours (hybrid, eleven languages, cross-lingual batches of many pairs, groups held apart) or the
library's default (a shuffle of all rows). The model is as small as one can be, so that the sampler
weighs as much as it ever will. Rounds alternate; the ratio of each round is printed, and their
median.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.sampler import DefaultBatchSampler
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.utils.data import RandomSampler

from harness.training.batches import HybridBatchSampler, PairCollator, PairDataset
from harness.training.epoch_plan import Plan
from harness.training.losses.info_nce import InfoNCE
from harness.training.pairs import DataSet, Example
from harness.training.settings import Settings
from harness.training.strata import rows_of
from harness.training.trainer import RecipeTrainer
from harness.training.trainer_arguments import arguments, quiet_libraries

LANGUAGES = "ar de el en es hi ru th tr vi zh".split()


def pairs(count: int) -> DataSet:
    """Parallel rows of texts of a dozen words; three rows have the same passage."""
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(5000)]

    def text() -> str:
        return " ".join(words[i] for i in rng.integers(0, len(words), 12))

    examples = []
    for i in range(count):
        if i % 3 == 0:
            passage = {x: text() for x in LANGUAGES}
        examples.append(Example(f"q{i}", {x: text() for x in LANGUAGES}, passage, f"p{i // 3}"))
    return DataSet("made", Path("made.jsonl"), "parallel", "", tuple(examples))


class TheirSampler(DefaultBatchSampler):
    """The library's default over the same rows; each is given two languages beforehand.

    The languages keep the texts that are read as scattered as ours are: what is left to differ is
    the sampler.
    """

    def __init__(self, rows: int, languages: int, batch_size: int, seed: int) -> None:
        generator = torch.Generator()
        super().__init__(
            RandomSampler(range(rows), generator=generator),
            batch_size=batch_size,
            drop_last=False,
            generator=generator,
            seed=seed,
        )
        each = languages * languages
        pairs = np.random.default_rng(seed).integers(0, each, rows)
        self._index = (np.arange(rows) * each + pairs).tolist()

    def __iter__(self) -> Iterator[list[int]]:
        self.generator.manual_seed(self.seed + self.epoch)
        for batch in super().__iter__():
            yield [self._index[row] for row in batch]


def model() -> Any:
    """Word vectors of 16 dimensions, their mean."""
    known = {f"w{i}": i for i in range(5000)} | {"[UNK]": 5000}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    torch.manual_seed(0)
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=16)], device="cpu")


def seconds(sampler: Any, data: PairDataset, settings: Settings) -> float:
    """CPU seconds of a training, from its first step to its last."""
    encoder = model()
    with tempfile.TemporaryDirectory() as folder, quiet_libraries():
        made = arguments(
            settings,
            encoder,
            Path(folder),
            settings.steps,
            validated=False,
            processes=1,
            device="cpu",
        )
        made.save_strategy = "no"
        trainer = RecipeTrainer(
            model=encoder,
            args=made,
            train_dataset=data,
            train_sampler=sampler,
            eval_sampler=None,
            loss=InfoNCE(encoder, settings.temperature),
            data_collator=PairCollator(encoder.preprocess, settings),
        )
        started = time.process_time()
        trainer.train()
        return time.process_time() - started


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=20_000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings = Settings(steps=args.steps, batch_size=100, log_every=100)
    made = pairs(args.rows)
    rows, examples = rows_of([made])
    data = PairDataset(examples, rows.languages)
    ratios = []
    for number in range(args.rounds + 1):
        ours = seconds(HybridBatchSampler(Plan(rows, settings)), data, settings)
        theirs = seconds(
            TheirSampler(len(rows), len(rows.languages), settings.batch_size, 0), data, settings
        )
        if number == 0:
            continue  # the first round loads libraries
        ratios.append(ours / theirs)
        print(
            f"round {number}: {args.steps:,} steps, hybrid {ours:.2f} s, the trainer's own "
            f"{theirs:.2f} s, ratio {ours / theirs:.3f}",
            flush=True,
        )
    started = time.process_time()
    plan = Plan(rows_of([made])[0], settings)
    before = time.process_time() - started
    started = time.process_time()
    drawn = sum(1 for _ in HybridBatchSampler(plan))
    alone = time.process_time() - started
    print(f"median ratio {statistics.median(ratios):.3f}")
    print(
        f"the sampler alone: {1e3 * alone / drawn:.3f} ms a batch, {before:.2f} s before the first"
    )


if __name__ == "__main__":
    main()
