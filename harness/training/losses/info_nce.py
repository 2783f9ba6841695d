"""InfoNCE over in-batch and hard negatives, with gradient caching for large batches.

For a batch of n pairs and k hard negatives, with s(q, p) the cosine of the two vectors and t the
temperature (arXiv 2408.10536; van den Oord et al. 2018, arXiv 1807.03748):

    L = -1/n * sum_i log( exp(s(q_i, p_i)/t) / sum_j exp(s(q_i, p_j)/t) ),  j over all n + k

Without hard negatives, or with as many for every pair, this is sentence-transformers'
MultipleNegativesRankingLoss at scale 1/t; here a batch may have any number of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from harness.training.losses.batch_loss import BatchLoss


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


class InfoNCE(BatchLoss):
    """:func:`info_nce` of a batch's texts."""

    def __init__(self, model: Any, temperature: float, cache_batch: int = 0) -> None:
        """``temperature`` is above 0; see :class:`BatchLoss` for the others."""
        super().__init__(model, cache_batch)
        self.temperature = temperature

    def of(self, vectors: Sequence[Tensor], labels: Tensor | None) -> Tensor:
        """The loss from the vectors of queries and passages."""
        queries, passages = vectors
        return info_nce(queries, passages, self.temperature)

    def get_config_dict(self) -> dict[str, Any]:
        """For model cards."""
        return {"temperature": self.temperature, "cache_batch": self.mini_batch_size}
