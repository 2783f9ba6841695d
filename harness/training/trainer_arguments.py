"""Our settings as the trainer's arguments, and its output silenced."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.training.settings import Settings


def arguments(
    settings: Settings,
    model: Any,
    work: Path,
    steps: int,
    *,
    validated: bool,
    processes: int,
    device: str | None,
) -> Any:
    """``SentenceTransformerTrainingArguments`` to train ``model`` with ``settings``."""
    import torch
    from sentence_transformers import SentenceTransformerTrainingArguments

    every = min(settings.evaluate_every, steps)
    cpu = device == "cpu" or (device is None and not torch.cuda.is_available())
    return SentenceTransformerTrainingArguments(
        output_dir=str(work),
        max_steps=steps,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=round(settings.warmup * steps),
        lr_scheduler_type=settings.schedule,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch_fused" if cpu and trains_words(model) else "adamw_torch",
        bf16=settings.precision == "bfloat16",
        fp16=settings.precision == "float16",
        seed=settings.seed,
        data_seed=settings.seed,
        use_cpu=cpu,
        ddp_backend="gloo" if cpu and processes > 1 else None,
        dataloader_pin_memory=not cpu,
        logging_strategy="steps",
        logging_steps=settings.log_every,
        # A loss that is not a number is an error, not a point to leave out.
        logging_nan_inf_filter=False,
        eval_strategy="steps" if validated else "no",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=validated and settings.patience > 0,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        restore_callback_states_from_checkpoint=True,
        disable_tqdm=True,
        report_to="none",
    )


def trains_words(model: Any) -> bool:
    """Whether the word table of ``model``, its largest embedding, is trained.

    AdamW moves every row of it at each step, since moments and weight decay reach rows that no text
    of the batch uses; torch's fused form does so in one pass over memory instead of a dozen, and
    differs in rounding alone. Other trainings keep the form, and so the bits, that they had.
    """
    from torch import nn

    tables = [x.weight for x in model.modules() if isinstance(x, nn.Embedding | nn.EmbeddingBag)]
    return bool(tables) and max(tables, key=lambda x: x.numel()).requires_grad


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """The libraries' notes for developers stay off the terminal."""
    from transformers.utils import logging as theirs

    level, bars = theirs.get_verbosity(), theirs.is_progress_bar_enabled()
    own = logging.getLogger("sentence_transformers")
    before = own.level
    theirs.set_verbosity_error()
    theirs.disable_progress_bar()
    own.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Parts of the trainer warn of parts of torch; nothing here for a user to act on.
            warnings.simplefilter("ignore")
            yield
    finally:
        own.setLevel(before)
        theirs.set_verbosity(level)
        if bars:
            theirs.enable_progress_bar()
