"""sentence-transformers' trainer with our batches, and progress reports."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformerTrainer
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback

from harness.base.files import write_atomically
from harness.base.progress import Progress
from harness.errors import ModelError
from harness.training.batches import HybridBatchSampler

PROJECTION = "projection.pt"
"""In a checkpoint: what a loss trains beside the model."""
WHOLE = "whole.json"
"""Written last into a checkpoint: the checkpoint is complete once it exists."""
_LOSSES = {"loss": "loss", "eval_loss": "validation loss", "train_loss": "mean loss"}
"""In the trainer's logs -> in messages."""


class RecipeTrainer(SentenceTransformerTrainer):
    """Trains on the batches of a :class:`HybridBatchSampler`.

    The library's own trainer builds its samplers itself, from its own data sets; both loaders are
    therefore made here. Model cards are ours too, so the library's are left out.
    """

    def __init__(
        self,
        *,
        train_sampler: HybridBatchSampler,
        eval_sampler: HybridBatchSampler | None,
        **given: Any,
    ) -> None:
        self._train_sampler, self._eval_sampler = train_sampler, eval_sampler
        super().__init__(**given)
        # Prints every log as a dictionary where bars are off.
        self.remove_callback(PrinterCallback)
        # accelerate shards a batch sampler, and skips batches of it on resume, by wrapping it; the
        # trainer's own set_epoch reaches through one wrapper, not through two.
        self.add_callback(_Epochs(train_sampler))

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """None: see :mod:`harness.training.model_card`."""

    def preprocess_dataset(self, dataset: Any = None, dataset_name: str | None = None) -> Any:
        """Our data sets are taken as they are."""
        return dataset

    def get_train_dataloader(self) -> DataLoader:
        """Batches of the sampler; only those of this process if there are several."""
        return self._loader(self.train_dataset, self._train_sampler)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        """The validation batches, the same ones each time."""
        assert self._eval_sampler is not None
        return self._loader(self.eval_dataset, self._eval_sampler)

    def _loader(self, pairs: Any, sampler: HybridBatchSampler) -> DataLoader:
        # Batches differ in size, which accelerate refuses to even out; their number is a multiple
        # of the number of processes, so nothing has to be.
        self.accelerator.even_batches = False
        loader = DataLoader(
            pairs,
            batch_sampler=sampler,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return self.accelerator.prepare(loader)

    def _run_epoch(self, **given: Any) -> None:
        # The library looks whether training has ended after a step: resumed from the checkpoint of
        # the last one, it would make another.
        if self.state.global_step >= self.state.max_steps or self._stopped_early():
            self.control.should_training_stop = True
            return
        super()._run_epoch(**given)

    def _stopped_early(self) -> bool:
        return any(
            x.early_stopping_patience_counter >= x.early_stopping_patience
            for x in self.callback_handler.callbacks
            if isinstance(x, EarlyStoppingCallback)
        )

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        target = Path(output_dir or self.args.output_dir)
        target.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(str(target), create_model_card=False)
        if (projection := getattr(self.loss, "projection", None)) is not None:
            torch.save(projection.state_dict(), target / PROJECTION)
        torch.save(self.args, target / "training_args.bin")

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:
        super()._load_from_checkpoint(checkpoint_path)
        if (projection := getattr(self.loss, "projection", None)) is not None:
            path = Path(checkpoint_path) / PROJECTION
            projection.load_state_dict(torch.load(path, weights_only=True))


class _Epochs(TrainerCallback):
    """Passes the epoch on to the sampler, whatever wraps it."""

    def __init__(self, sampler: HybridBatchSampler) -> None:
        self._sampler = sampler

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # A whole number at the start of an epoch, a fraction where training is resumed within one.
        self._sampler.set_epoch(int((state.epoch or 0) + 1e-9))


class Stages(TrainerCallback):
    """Switches a loss of two stages; a resumed training is in the stage of its step."""

    def __init__(self, loss: Any, first: int) -> None:
        """``first`` steps are stage 1."""
        self._loss, self._first = loss, first

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A step of the optimiser begins."""
        self._loss.aligning = state.global_step < self._first


class ProgressCallback(TrainerCallback):
    """Reports the trainer's steps, validates the last one, stops at a loss that is not a number."""

    def __init__(self, progress: Progress, steps: int, *, validated: bool) -> None:
        self._progress, self._steps, self._validated = progress, steps, validated

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The bar starts where the training does."""
        if state.is_world_process_zero:
            self._progress.start("train", state.max_steps, "steps")
            self._progress.advance(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One step further; the last step's weights are validated as well."""
        if state.is_world_process_zero:
            self._progress.advance(1)
        if state.global_step >= self._steps and self._validated:
            control.should_evaluate = True

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Stop: training cannot recover from a loss that is not a number.

        Steps after the last logged one are in the mean of all, which is logged at the end.
        """
        for name, what in _LOSSES.items():
            loss = (logs or {}).get(name)
            if loss is not None and not math.isfinite(loss):
                raise ModelError(
                    f"the {what} is {loss} at step {state.global_step}; give a lower "
                    "--learning-rate, a higher --temperature or --precision float32"
                )

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The bar is full."""
        if state.is_world_process_zero:
            self._progress.finish()


class Checkpoints(TrainerCallback):
    """Marks a checkpoint as complete once all of it is on disk."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The trainer has written a checkpoint."""
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            for path in folder.rglob("*"):
                if path.is_file():
                    with path.open("rb") as file:
                        os.fsync(file.fileno())
            write_atomically(folder / WHOLE, json.dumps({"step": state.global_step}).encode())


def last_whole(folder: Path) -> Path | None:
    """The latest complete checkpoint below ``folder``."""
    found = [path.parent for path in folder.glob(f"checkpoint-*/{WHOLE}")]
    return max(found, key=lambda path: int(path.name.split("-")[1]), default=None)
