"""The loss of a recipe."""

from __future__ import annotations

from typing import Any

from harness.training.losses.batch_loss import BatchLoss
from harness.training.losses.info_nce import InfoNCE
from harness.training.losses.lakda import LaKDA
from harness.training.losses.mimo import MIMO
from harness.training.settings import Settings
from harness.training.teacher import Teacher


def loss_of(settings: Settings, model: Any, teacher: Teacher | None) -> BatchLoss:
    """The loss for a training with ``settings``; ``teacher`` is that of mimo."""
    temperature, weight, cache = settings.temperature, settings.distillation, settings.cache_batch
    if settings.recipe == "lakda":
        return LaKDA(model, temperature, weight, cache)
    if teacher is not None:
        width = model.get_embedding_dimension()
        return MIMO(model, temperature, weight, (width, teacher.width), cache)
    return InfoNCE(model, temperature, cache)
