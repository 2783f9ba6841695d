"""One training on two processes: the batches of one plan, shared out, whatever wraps them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_training import pairs, write_base, write_rows

from harness.training.epoch_plan import Plan
from harness.training.pairs import read_examples
from harness.training.settings import Settings
from harness.training.strata import rows_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``two_processes.py`` leaves: see there."""
    folder = tmp_path_factory.mktemp("two")
    base = write_base(folder / "base")
    rows = pairs(90)
    for number, row in enumerate(rows):  # so that a batch's rows can be told from its texts
        row["query"] = {x: f"{text} n{number}" for x, text in row["query"].items()}
    data = write_rows(folder / "pairs.jsonl", rows)
    script = Path(__file__).parents[1] / "support" / "two_processes.py"
    done = subprocess.run(
        [sys.executable, str(script), str(base), str(data), str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def drawn(output: Path, phase: str) -> list[list[list[int]]]:
    """Process -> batch -> rows."""
    return [json.loads((output / f"{phase}.{rank}.json").read_text()) for rank in (0, 1)]


def test_two_processes_share_out_the_batches_of_every_epoch(output: Path) -> None:
    rows, _ = rows_of([read_examples(output / "pairs.jsonl")])
    plan = Plan(rows, Settings(batch_size=8), processes=2)
    assert len(plan) == 12
    first, second = drawn(output, "whole")
    assert len(first) == len(second) == 12
    for epoch in (0, 1):
        planned = [b.rows.tolist() for b in plan.epoch(epoch)]
        assert first[6 * epoch : 6 * epoch + 6] == planned[0::2]
        assert second[6 * epoch : 6 * epoch + 6] == planned[1::2]
    assert first[:6] != first[6:]


def test_stopped_in_the_second_epoch_and_resumed_is_undisturbed(output: Path) -> None:
    whole, stopped, resumed = (drawn(output, x) for x in ("whole", "stopped", "resumed"))
    for rank in (0, 1):
        # Seven steps were trained on; a loader may have prepared one batch more.
        assert stopped[rank][:7] == whole[rank][:7]
        assert resumed[rank] == whole[rank][7:]
    models = [(output / x / "model.safetensors").read_bytes() for x in ("whole", "stopped")]
    assert models[0] == models[1]
