"""InfoNCE over in-batch and hard negatives, with gradient caching for large batches.

For a batch of n pairs and k hard negatives, with s(q, p) the cosine of the two vectors and t the
temperature (arXiv 2408.10536; van den Oord et al. 2018, arXiv 1807.03748):

    L = -1/n * sum_i log( exp(s(q_i, p_i)/t) / sum_j exp(s(q_i, p_j)/t) ),  j over all n + k

Without hard negatives, or with as many for every pair, this is sentence-transformers'
MultipleNegativesRankingLoss at scale 1/t; here a batch may have any number of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from sentence_transformers.base.losses.gradcache import CachedLossMixin
from torch import Tensor, nn
from torch.nn import functional

from harness.training.packing import Packing


def info_nce(queries: Tensor, passages: Tensor, temperature: float) -> Tensor:
    """The loss, a scalar.

    Args:
        queries: (n, d).
        passages: (n + k, d): the n positives in the queries' order, then the hard negatives.
        temperature: above 0.
    """
    cosines = functional.normalize(queries, dim=-1) @ functional.normalize(passages, dim=-1).T
    relevant = torch.arange(len(queries), device=queries.device)
    return functional.cross_entropy(cosines / temperature, relevant)


class InfoNCE(CachedLossMixin, nn.Module):
    """:func:`info_nce` of a batch's texts, as the trainer of sentence-transformers calls it."""

    def __init__(self, model: Any, temperature: float, cache_batch: int = 0) -> None:
        """Take ``model`` for the texts.

        Args:
            model: gives ``sentence_embedding`` for the features of a batch of texts.
            temperature: above 0.
            cache_batch: texts encoded at once under gradient caching (Gao et al. 2021, arXiv
                2101.06983); 0, or no fewer than a batch's: all at once, without caching.
        """
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.mini_batch_size = cache_batch
        self.uses_gradient_cache = cache_batch > 0
        self._packing: Packing | None = None

    def forward(self, features: Iterable[dict[str, Tensor]], labels: Tensor | None) -> Tensor:
        """The loss of one batch: ``features`` of the queries, then of the passages."""
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
        queries, passages = vectors
        return info_nce(queries, passages, self.temperature)

    def calculate_loss(
        self, reps: Sequence[Sequence[Tensor]], labels: Any = None, *, with_backward: bool = False
    ) -> Tensor:
        """The loss from the vectors of the chunks, optionally with gradients."""
        queries, passages = (torch.cat(list(parts)) for parts in reps)
        loss = info_nce(queries, passages, self.temperature)
        if with_backward:
            loss.backward()
            loss = loss.detach()
        return loss

    def get_config_dict(self) -> dict[str, Any]:
        """For model cards."""
        return {"temperature": self.temperature, "cache_batch": self.mini_batch_size}


def _texts(column: dict[str, Tensor]) -> int:
    return next(len(x) for x in column.values() if isinstance(x, Tensor))
