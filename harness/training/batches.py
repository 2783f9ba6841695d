"""From the plan of an epoch to the tensors of a batch: sampler, data set, collator.

A row is drawn with its languages, so an index encodes all three:
``(row * L + query language) * L + passage language``; for LaKDA, which has every question in two
languages, times L plus the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import BatchSampler, Dataset

from harness.training.epoch_plan import Plan
from harness.training.pairs import Example
from harness.training.settings import Settings
from harness.training.teacher import ENGLISH, Teacher


class Pair(NamedTuple):
    """A query and its passage, each in one language."""

    query: str
    passage: str
    negatives: tuple[str, ...]
    second: str | None = None
    """The query in a second language."""
    english: tuple[str, str] | None = None
    """Both in English, where the row has them."""


class HybridBatchSampler(BatchSampler):
    """The batches of :class:`harness.training.epoch_plan.Plan` for a torch ``DataLoader``.

    The order depends on seed and epoch alone, so that a resumed training and every process of
    several draw the same batches.
    """

    # Batches differ in size; without a stated size accelerate accepts any.
    batch_size: int | None = None
    drop_last = False

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw epoch number ``epoch`` from the next :func:`iter` on."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.plan)

    def __iter__(self) -> Iterator[list[int]]:
        n = len(self.plan.rows.languages)
        # Apart from the draw of batches, so that either can change without the other.
        rng = np.random.default_rng([self.plan.settings.seed, self.epoch, 1])
        for batch in self.plan.epoch(self.epoch):
            query, passage = self.plan.languages(batch, rng)
            index = (batch.rows * n + query) * n + passage
            if self.plan.settings.recipe == "lakda":
                index = index * n + self.plan.second_languages(batch, query, rng)
            yield index.tolist()


class PairDataset(Dataset):
    """Pairs by the indices of :class:`HybridBatchSampler`."""

    column_names = ("query", "passage")

    def __init__(
        self, examples: Sequence[Example], languages: Sequence[str], *, second: bool = False
    ) -> None:
        self.examples, self.languages, self.second = examples, tuple(languages), second

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Pair:
        n = len(self.languages)
        index, other = divmod(index, n) if self.second else (index, -1)
        row, pair = divmod(index, n * n)
        query, passage = (self.languages[i] for i in divmod(pair, n))
        example = self.examples[row]
        english = ENGLISH in example.query and ENGLISH in example.passage
        return Pair(
            example.query[query],
            example.passage[passage],
            example.negatives.get(passage, ()),
            example.query[self.languages[other]] if self.second else None,
            (example.query[ENGLISH], example.passage[ENGLISH]) if english else None,
        )


class PairCollator:
    """Pairs to features: ``query_*`` of queries, ``passage_*`` of positives and hard negatives.

    For LaKDA also ``second_*`` of the queries in a second language; with a teacher its vectors are
    the ``label``.
    """

    # Read by the trainer of sentence-transformers.
    valid_label_columns: Sequence[str] = ()

    def __init__(
        self,
        preprocess: Callable[..., dict[str, Any]],
        settings: Settings,
        teacher: Teacher | None = None,
    ) -> None:
        self._preprocess, self._settings, self._teacher = preprocess, settings, teacher

    def __call__(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        """The features of one batch."""
        relevant = [x.passage for x in pairs]
        # A pair's hard negative can be relevant to another pair in the batch: not a negative there.
        taken = set(relevant)
        hard: list[str] = []
        for pair in pairs:
            new = [x for x in dict.fromkeys(pair.negatives) if x not in taken]
            hard += new[: self._settings.hard_negatives]
            taken.update(hard)
        sides = [
            ("query", [x.query for x in pairs], self._settings.query_prompt),
            ("passage", relevant + hard, self._settings.passage_prompt),
        ]
        second = [x.second for x in pairs if x.second is not None]
        if second:
            sides.append(("second", second, self._settings.query_prompt))
        features = {
            f"{side}_{name}": value
            for side, texts, prompt in sides
            for name, value in self._preprocess(texts, prompt=prompt).items()
        }
        english = [x.english for x in pairs if x.english is not None]
        if self._teacher is not None and len(english) == len(pairs):
            features["label"] = torch.from_numpy(self._teacher.of(english))
        return features
