"""LaKDA (Yang et al., MRL 2024): one question in two languages should rank passages alike.

With q_a and q_b the same question in two languages and P the passages of the batch, all of length
1, a the weight of the second term, and cosines unscaled within it:

    L = (1 - a) InfoNCE(q_a, P) + a KL( softmax(q_b Pᵀ) || softmax(q_a Pᵀ) )

Gradients go through both arguments of the divergence, whose mean is taken over the questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional

from harness.training.losses.batch_loss import BatchLoss
from harness.training.losses.info_nce import info_nce


def divergence(first: Tensor, second: Tensor, passages: Tensor) -> Tensor:
    """KL(softmax(second Pᵀ) || softmax(first Pᵀ)), the mean over n questions.

    Args:
        first: (n, d) the questions in one language.
        second: (n, d) the same questions in another.
        passages: (m, d).
    """
    texts = functional.normalize(passages, dim=-1)
    one, other = (
        functional.log_softmax(functional.normalize(x, dim=-1) @ texts.T, dim=-1)
        for x in (first, second)
    )
    return functional.kl_div(one, other, reduction="batchmean", log_target=True)


class LaKDA(BatchLoss):
    """The loss of queries, passages and the queries in a second language."""

    def __init__(self, model: Any, temperature: float, weight: float, cache_batch: int = 0) -> None:
        """``weight`` is that of the divergence, a; see :class:`BatchLoss` for the others."""
        super().__init__(model, cache_batch)
        self.temperature, self.weight = temperature, weight

    def of(self, vectors: Sequence[Tensor], labels: Tensor | None) -> Tensor:
        """See the module; InfoNCE alone where there are no queries in a second language."""
        queries, passages, *second = vectors
        contrast = info_nce(queries, passages, self.temperature)
        if not second:
            return contrast
        return (1 - self.weight) * contrast + self.weight * divergence(queries, second[0], passages)

    def get_config_dict(self) -> dict[str, Any]:
        """For model cards."""
        return {"temperature": self.temperature, "distillation": self.weight}
