"""Trainings on two CPU processes each: undisturbed, stopped at a checkpoint, gone on with.

    python two_processes.py BASE DATA OUTPUT

Writes OUTPUT/{whole,stopped}: the models, and OUTPUT/{whole,stopped,resumed}.{0,1}.json: the rows
that each process has trained on, batch by batch. Then two steps of each rival recipe, without
dropout, from the base in OUTPUT/still: OUTPUT/{xlco,lakda,mimo} and their rows. The libraries are
imported once, before the processes are forked and before torch has started a thread.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import transformers  # noqa: F401 (imported here to be there in every process)

from harness.training import batches, trainer
from harness.training.settings import Settings
from harness.training.train import Overlaps, train

RIVALS = ("xlco", "lakda", "mimo")


def rival(settings: Settings, name: str, output: Path) -> Settings:
    """Two steps of a rival, from the base without dropout; the two stages of mimo, a step each."""
    teacher = {"teacher": "python:tiny:factory"} if name == "mimo" else {}
    own = {"recipe": name, "base": str(output / "still"), "steps": 2, "warmup": 0.0, **teacher}
    return replace(settings, **own)


def one(rank: int, port: int, name: str, base: str, data: str, output: Path) -> None:
    """One process of one training."""
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    drawn: list[list[int]] = []
    collate = batches.PairCollator.__call__

    def remembered(self: Any, pairs: Any) -> Any:
        drawn.append([int(x.query.rpartition(" n")[2]) for x in pairs])
        return collate(self, pairs)

    batches.PairCollator.__call__ = remembered
    log = output / f"{name}.{rank}.json"
    if name == "stopped":
        saved = trainer.Checkpoints.on_save

        def ended(self: Any, args: Any, state: Any, control: Any, **given: Any) -> None:
            saved(self, args, state, control, **given)
            import torch

            torch.distributed.barrier()  # neither process ends before the checkpoint is whole
            log.write_text(json.dumps(drawn))
            os._exit(0)

        trainer.Checkpoints.on_save = ended
    settings = Settings(
        base=base, data=(data,), batch_size=8, epochs=2.0, evaluate_every=7, holdout=0.0,
        patience=0, learning_rate=1e-3, log_every=1, query_prompt="", passage_prompt="",
    )  # fmt: skip
    if name in RIVALS:
        settings = rival(settings, name, output)
    folder = output / ("stopped" if name == "resumed" else name)
    train(settings, folder, device="cpu", offline=True, overlaps=Overlaps(tasks=()))
    log.write_text(json.dumps(drawn))


if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")
    for phase in ("whole", "stopped", "resumed", *RIVALS):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = free.getsockname()[1]
        both = [
            fork.Process(target=one, args=(i, address, phase, *sys.argv[1:3], Path(sys.argv[3])))
            for i in range(2)
        ]
        for process in both:
            process.start()
        for process in both:
            process.join(120)
        if [process.exitcode for process in both] != [0, 0]:
            sys.exit(f"{phase}: ended with {[process.exitcode for process in both]}")
