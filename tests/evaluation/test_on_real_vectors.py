"""Post-processing and the recipes' losses on vectors of a real encoder, each from its definition.

use-m3's vectors of the demo task, in three languages. Nothing here shares code with what it checks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import harness
from harness.data.loading import load as load_data
from harness.data.task import find_task
from harness.models import load as load_model
from harness.training.losses.info_nce import InfoNCE
from harness.training.losses.lakda import LaKDA
from harness.training.losses.mimo import MIMO

LANGUAGES = ("de", "en", "zh")
QUESTIONS = 12
Vectors = dict[tuple[str, str], np.ndarray]


def unit(rows: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


@pytest.fixture(scope="module")
def data() -> Any:
    return load_data(find_task("demo"), languages=LANGUAGES, limit=QUESTIONS)


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model("use-m3")


@pytest.fixture(scope="module")
def vectors(data: Any, model: Any) -> Vectors:
    """Of queries and passages, length 1, in float64; the demo's passages are translations."""
    return {
        (role, x): unit(model.encode(side[x].texts, role=role, language=x).astype(np.float64))
        for role, side in (("query", data.queries), ("passage", data.passages))
        for x in LANGUAGES
    }


@pytest.fixture(scope="module")
def parallel(data: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's passages as parallel texts."""
    sides = {x: data.passages[x].texts for x in LANGUAGES}
    path = tmp_path_factory.mktemp("parallel") / "passages.jsonl"
    rows = [dict(zip(LANGUAGES, row, strict=True)) for row in zip(*sides.values(), strict=True)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def processed(kind: str, vectors: Vectors, role: str, x: str, sides: Vectors) -> np.ndarray:
    """The vectors of a role and language after ``kind``; ``sides`` are the parallel texts'."""
    z, own = vectors[role, x], sides[role, x]
    if kind == "offset":
        return unit(z - own.mean(0) + np.mean([sides[role, y].mean(0) for y in LANGUAGES], 0))
    return z - 0.5 * (own - sides[role, "en"]).mean(0) if role == "passage" else z


@pytest.mark.parametrize("kind", ["offset", "shift"])
def test_rankings_are_those_of_the_definition(
    kind: str, data: Any, model: Any, vectors: Vectors, parallel: Path
) -> None:
    """The rank of every question's first relevant passage in the pool of all languages."""
    number = "@0.5" if kind == "shift" else ""
    record = harness.evaluate(
        model,
        tasks=["demo"],
        languages=LANGUAGES,
        settings=("multi",),
        limit=QUESTIONS,
        measures=("mrr",),
        treatments=[f"{kind}:{parallel}{number}"],
        resamples=0,
        bias=False,
    )
    found = record.per_query("demo").set_index(["setting", "question"])["mrr"]
    # The parallel texts are the passages, and this encoder has one vector for both roles.
    sides = {(r, x): vectors["passage", x] for r in ("query", "passage") for x in LANGUAGES}
    moved = {(r, x): processed(kind, vectors, r, x, sides) for r, x in vectors}
    ids = [f"{x}:{i}" for x in LANGUAGES for i in data.passages[x].ids]
    pool = np.concatenate([moved["passage", x] for x in LANGUAGES])
    plain = set()
    for x in LANGUAGES:
        for row, question in enumerate(data.queries[x].ids):
            scores = pool @ moved["query", x][row]
            before = np.concatenate([vectors["passage", y] for y in LANGUAGES])
            order = np.argsort(-scores)
            relevant = {p for p, grade in data.qrels[question].items() if grade > 0}
            rank = 1 + next(i for i, at in enumerate(order) if ids[at] in relevant)
            assert found[f"multi/{x}", question] == pytest.approx(1 / rank), (x, question)
            first = np.argsort(-(before @ vectors["query", x][row]))
            plain.add(1 + next(i for i, at in enumerate(first) if ids[at] in relevant) != rank)
    assert True in plain, "nothing was moved"


class Turned(nn.Module):
    """A layer to train on vectors that are there already."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(width, dtype=torch.float64))

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"sentence_embedding": features["input_ids"] @ self.weight}


def defined(recipe: str, q: Any, p: Any, b: Any, w: Any, t: Any) -> Any:
    """The loss of each recipe in sums over its batch; tau .05, weights .5 (LaKDA), .8 (MIMO)."""

    def cos(x: Any, y: Any) -> Any:
        return (x / x.norm(dim=1, keepdim=True)) @ (y / y.norm(dim=1, keepdim=True)).T

    s = cos(q, p) / 0.05
    contrast = sum(s[i].exp().sum().log() - s[i, i] for i in range(len(q))) / len(q)
    if recipe == "lakda":
        one, other = cos(q, p).softmax(1), cos(b, p).softmax(1)
        return 0.5 * contrast + 0.5 * (other * (other / one).log()).sum() / len(q)
    if recipe.startswith("mimo"):
        far = sum(1 - cos(x @ w.T, t[:, i]).diagonal() for i, x in enumerate((q, p)))
        far = far.sum() / (2 * len(q))
        return far if recipe == "mimo 1" else 0.2 * contrast + 0.8 * far
    return contrast


@pytest.mark.parametrize("recipe", ["mono", "cross", "xlco", "lakda", "mimo 1", "mimo 2"])
def test_losses_and_gradients_are_those_of_the_definition(
    recipe: str, data: Any, vectors: Vectors
) -> None:
    """Questions and their passages; the teacher of mimo is the encoder's English side."""
    at = {x: {i: n for n, i in enumerate(data.passages[x].ids)} for x in LANGUAGES}
    answer = {
        (q, x): at[x][p.partition(":")[2]]
        for q, judged in data.qrels.items()
        for p in judged
        if (x := p.partition(":")[0]) in LANGUAGES
    }
    questions = data.queries["en"].ids
    rng = np.random.default_rng(4)
    drawn = {
        "mono": [("de", "de")] * len(questions),
        "cross": [("de", "zh")] * len(questions),
    }.get(recipe) or [tuple(rng.choice(LANGUAGES, 2)) for _ in questions]

    def rows(role: str, languages: list[str]) -> torch.Tensor:
        found = [
            vectors[role, x][n if role == "query" else answer[questions[n], x]]
            for n, x in enumerate(languages)
        ]
        return torch.tensor(np.stack(found))

    q, p = rows("query", [a for a, _ in drawn]), rows("passage", [b for _, b in drawn])
    second = rows("query", [LANGUAGES[(LANGUAGES.index(a) + 1) % 3] for a, _ in drawn])
    english = ["en"] * len(questions)
    teacher = torch.stack([rows("query", english), rows("passage", english)], 1)
    model, oracle = Turned(q.shape[1]), Turned(q.shape[1])
    columns = [q, p, second] if recipe == "lakda" else [q, p]
    loss: Any = InfoNCE(model, 0.05)
    if recipe == "lakda":
        loss = LaKDA(model, 0.05, 0.5)
    if recipe.startswith("mimo"):
        loss = MIMO(model, 0.05, 0.8, (q.shape[1], teacher.shape[2])).double()
        loss.aligning = recipe == "mimo 1"
    w = getattr(loss, "projection", nn.Linear(1, 1)).weight.detach()
    made = loss.of(
        [model({"input_ids": x})["sentence_embedding"] for x in columns],
        teacher if recipe.startswith("mimo") else None,
    )
    expected = defined(recipe, *(x @ oracle.weight for x in (q, p, second)), w, teacher)
    assert made.item() == pytest.approx(expected.item(), rel=1e-9)
    made.backward()
    expected.backward()
    torch.testing.assert_close(model.weight.grad, oracle.weight.grad, rtol=1e-6, atol=1e-9)
