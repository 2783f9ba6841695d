"""What all losses share: texts to vectors, at once or by gradient caching."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from sentence_transformers.base.losses.gradcache import CachedLossMixin
from torch import Tensor, nn

from harness.training.packing import Packing


class BatchLoss(CachedLossMixin, nn.Module, ABC):
    """A loss of a batch's texts, as the trainer of sentence-transformers calls it."""

    def __init__(self, model: Any, cache_batch: int = 0) -> None:
        """Take ``model`` for the texts.

        Args:
            model: gives ``sentence_embedding`` for the features of a batch of texts.
            cache_batch: texts encoded at once under gradient caching (Gao et al. 2021, arXiv
                2101.06983); 0, or no fewer than a batch's: all at once, without caching.
        """
        super().__init__()
        self.model = model
        self.mini_batch_size = cache_batch
        self.uses_gradient_cache = cache_batch > 0
        self._packing: Packing | None = None

    @abstractmethod
    def of(self, vectors: Sequence[Tensor], labels: Tensor | None) -> Tensor:
        """The loss, a scalar, from the vectors of each group of texts."""

    def forward(self, features: Iterable[dict[str, Tensor]], labels: Tensor | None) -> Tensor:
        """The loss of one batch: ``features`` of the queries, of the passages, and of others."""
        columns = list(features)
        if self.uses_gradient_cache and sum(map(_texts, columns)) > self.mini_batch_size:
            loss: Tensor = self.forward_cached(columns, labels)
            return loss
        # Made here because the trainer puts another model, a wrapper, in place of ours.
        if self._packing is None or self._packing.model is not self.model:
            self._packing = Packing(self.model)
        vectors = self._packing.vectors(columns)
        if vectors is None:
            vectors = [self.model(x)["sentence_embedding"] for x in columns]
        return self.of(vectors, labels)

    def calculate_loss(
        self, reps: Sequence[Sequence[Tensor]], labels: Any = None, *, with_backward: bool = False
    ) -> Tensor:
        """The loss from the vectors of the parts, optionally with gradients."""
        loss = self.of([torch.cat(list(parts)) for parts in reps], labels)
        if with_backward:
            loss.backward()
            loss = loss.detach()
        return loss


def _texts(column: dict[str, Tensor]) -> int:
    return next(len(x) for x in column.values() if isinstance(x, Tensor))
