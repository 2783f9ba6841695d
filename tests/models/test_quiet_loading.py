"""Models of every class are loaded without the bars of transformers: the harness draws its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import random_models

from harness.models import load
from harness.models.base import ModelOptions
from harness.models.reranker import load_reranker
from harness.models.translation.engine import EngineOptions
from harness.models.translation.open_engine import open_engine
from harness.training.base_model import load_base
from harness.training.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
BAR = "Loading weights"


def bert(folder: Path) -> Path:
    return random_models.bert(folder, "BertModel")


def encode(folder: Path) -> None:
    load(str(folder)).encode(["moon"], role="query", language="en")


def encode_parts(folder: Path) -> None:
    model: Any = load(str(folder))
    model.encode_parts(["moon"], role="query", language="en")


def rerank(folder: Path) -> None:
    load_reranker(str(folder), ModelOptions()).scores([("moon", "salt")])


def translate(folder: Path) -> None:
    options = EngineOptions(max_length=12, device="cpu")
    open_engine(f"transformers:{folder}", options).translate(["moon"], "en", "de")


def train(folder: Path) -> None:
    load_base(Settings(recipe="mono", base=str(folder)), device="cpu", offline=True)


@pytest.mark.parametrize(
    ("make", "use"),
    [
        (bert, encode),
        (bert, train),
        (random_models.sparse, encode_parts),
        (random_models.multi_vector, encode_parts),
        (random_models.cross_encoder, rerank),
        (random_models.marian, translate),
    ],
    ids=lambda x: x.__name__,
)
def test_no_bars_are_drawn(
    make: Callable[[Path], Path],
    use: Callable[[Path], None],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = make(tmp_path / "model")
    capfd.readouterr()
    use(folder)
    assert BAR not in capfd.readouterr().err


def test_the_library_draws_them_by_itself(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Else the test above could not fail; after a quiet loading it does so again."""
    from transformers import AutoModel

    folder = bert(tmp_path / "model")
    encode(folder)
    capfd.readouterr()
    AutoModel.from_pretrained(folder)
    assert BAR in capfd.readouterr().err
