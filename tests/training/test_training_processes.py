"""One training on two processes: the batches of one plan, shared out, whatever wraps them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_training import pairs, write_base, write_rows
from two_processes import RIVALS, rival

from harness.training.epoch_plan import Plan
from harness.training.pairs import read_examples
from harness.training.settings import Settings
from harness.training.strata import rows_of
from harness.training.train import Overlaps, train

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
    shutil.copytree(base, folder / "still")
    config = folder / "still" / "config.json"
    silent = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config.write_text(json.dumps(json.loads(config.read_text()) | silent))
    script = Path(__file__).parents[1] / "support" / "two_processes.py"
    done = subprocess.run(
        [sys.executable, str(script), str(base), str(data), str(folder)],
        # The teacher's module; a safe path has no folder of the script.
        env=os.environ | {"PYTHONPATH": str(script.parent)},
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


@pytest.mark.parametrize("name", RIVALS)
def test_two_processes_make_the_steps_of_one_that_adds_up_their_batches(
    output: Path, tmp_path: Path, name: str
) -> None:
    """Each has its own negatives, and they share gradients: also those of mimo's projection."""
    common = Settings(
        data=(str(output / "pairs.jsonl"),), batch_size=8, epochs=2.0, evaluate_every=7,
        holdout=0.0, patience=0, learning_rate=1e-3, log_every=1, query_prompt="",
        passage_prompt="", accumulation=2,
    )  # fmt: skip
    train(rival(common, name, output), tmp_path / "one", device="cpu", overlaps=Overlaps(()))
    files = ["model.safetensors"] + ["training.projection.npy"] * (name == "mimo")
    for file in files:
        mine, theirs = (_numbers(x / file) for x in (output / name, tmp_path / "one"))
        assert mine.keys() == theirs.keys()
        for key, value in mine.items():
            np.testing.assert_allclose(value, theirs[key], atol=1e-4, err_msg=f"{file} {key}")
    before = _numbers(output / "still" / files[0])
    after = _numbers(output / name / files[0])
    moved = max(float(np.abs(after[x] - before[x]).max()) for x in before if x in after)
    assert moved > 1e-3
    first, second = ({*map(str, x[:2])} for x in drawn(output, name))
    assert len(first) == len(second) == 2 and not first & second


def _numbers(path: Path) -> dict[str, np.ndarray]:
    return {"": np.load(path)} if path.suffix == ".npy" else dict(load_file(path))
