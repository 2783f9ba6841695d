"""MIMO (arXiv 2605.31171): towards an English teacher.

With T the teacher, frozen, W a linear projection that exists in training only, x_l a text in
language l, x_en the same in English, and the distance

    D(x) = 1 - cos(W f(x_l), T(x_en))

stage 1 minimises the mean of D over texts, stage 2

    L = lam InfoNCE + (1 - lam) mean of D over queries and passages

where queries and passages are in languages drawn apart (XLCO).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.training.losses.batch_loss import BatchLoss
from harness.training.losses.info_nce import info_nce


def distance(vectors: Tensor, teacher: Tensor) -> Tensor:
    """The mean of 1 - cos over (n, d) ``vectors`` and the ``teacher``'s (n, d)."""
    return (1 - functional.cosine_similarity(vectors, teacher, dim=-1)).mean()


class MIMO(BatchLoss):
    """The loss of queries and passages, with the teacher's vectors as labels."""

    def __init__(
        self,
        model: Any,
        temperature: float,
        weight: float,
        widths: tuple[int, int],
        cache_batch: int = 0,
    ) -> None:
        """Take the weight of the distance, 1 - lam, and the widths of model and teacher."""
        super().__init__(model, cache_batch)
        self.temperature, self.weight = temperature, weight
        self.projection = nn.Linear(*widths, bias=False)
        self.aligning = False
        """Whether training is in stage 1."""
        self.projection.weight.register_hook(_mean_over_processes)

    def of(self, vectors: Sequence[Tensor], labels: Tensor | None) -> Tensor:
        """See the module.

        Args:
            vectors: (n, d) of queries, (n + k, d) of passages, the n positives first.
            labels: (n, 2, t) the teacher's vectors of the queries and passages in English. Without
                them (validation pairs that have no English) the loss is InfoNCE alone.
        """
        queries, passages = vectors
        contrast = info_nce(queries, passages, self.temperature)
        if labels is None:
            return contrast
        # Under gradient caching W gets its gradient here and the model its own later, scaled by
        # what accumulation and mixed precision scale with. AdamW's steps do not depend on a scale.
        apart = [
            distance(self.projection(x), labels[:, i].to(x.dtype))
            for i, x in enumerate((queries, passages[: len(queries)]))
        ]
        far = (apart[0] + apart[1]) / 2
        # Validation is always by the loss of stage 2: its values have to compare.
        if self.aligning and self.training:
            return far
        return (1 - self.weight) * contrast + self.weight * far

    def get_config_dict(self) -> dict[str, Any]:
        """For model cards."""
        return {"temperature": self.temperature, "distillation": self.weight}


def _mean_over_processes(gradient: Tensor) -> Tensor:
    """The mean gradient of W over the processes: what is not the model's is not shared for us."""
    import torch.distributed as processes

    if not (processes.is_available() and processes.is_initialized()):
        return gradient
    shared = gradient.clone()
    processes.all_reduce(shared)
    return shared / torch.tensor(processes.get_world_size(), dtype=shared.dtype)
