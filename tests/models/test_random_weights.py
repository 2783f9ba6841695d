"""Models whose files lack weights: refused, unless nothing needs them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import random_models
import tiny
from click.testing import CliRunner, Result
from safetensors.torch import load_file, save_file

from harness.cli import main
from harness.errors import ModelError
from harness.models.random_weights import no_random_weights


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    task = tiny.write_task(tmp_path / "task")

    def call(*arguments: str) -> Result:
        options = ["--task", str(task), "--resamples", "0", "--output", str(tmp_path / "out")]
        return CliRunner().invoke(main, ["run", *options, *arguments])

    return call


def without(folder: Path, part: str) -> Path:
    """The model in ``folder`` without the weights whose names have ``part`` in them."""
    file = folder / "model.safetensors"
    weights = load_file(file)
    kept = {k: v for k, v in weights.items() if part not in k}
    assert len(kept) < len(weights)
    save_file(kept, file, metadata={"format": "pt"})
    return folder


def test_a_model_that_lacks_weights_is_refused(run: Callable[..., Result], tmp_path: Path) -> None:
    folder = without(random_models.bert(tmp_path / "model", "BertModel"), "layer.1.output.dense")
    found = run("--model", str(folder))
    assert found.exit_code == 2
    assert "its files lack weights that it needs: encoder.layer.1.output.dense." in found.output
    assert "and 1 more" in found.output and "REPORT" not in found.output


def test_a_pooler_that_nothing_uses_is_not_missed(
    run: Callable[..., Result], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = without(random_models.bert(tmp_path / "model", "BertModel"), "pooler")
    with caplog.at_level(logging.WARNING):
        found = run("--model", str(folder))
    assert found.exit_code == 0, found.output
    assert "REPORT" not in found.output + caplog.text
    assert "not sharded" not in found.output + caplog.text


def test_an_encoder_is_no_reranker(run: Callable[..., Result], tmp_path: Path) -> None:
    folder = random_models.bert(tmp_path / "model", "BertModel", num_labels=1)
    found = run("--model", "bm25", "--rerank", str(folder), "--rerank-top", "2")
    assert found.exit_code == 2
    assert "its files lack weights that it needs: classifier." in found.output


def test_what_transformers_4_says_is_understood() -> None:
    logger = logging.getLogger("transformers.modeling_utils")
    said = (
        "Some weights of BertModel were not initialized from the model checkpoint at X and are "
        "newly initialized: ['encoder.layer.1.output.dense.bias', 'pooler.dense.bias']\nYou should"
    )
    with (
        pytest.raises(ModelError, match=r"needs: encoder\.layer\.1\.output\.dense\.bias$"),
        no_random_weights(),
    ):
        logger.warning(said)
