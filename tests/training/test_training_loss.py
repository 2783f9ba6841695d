"""The loss: the paper's equation, worked by hand, and the library's where both say the same."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from harness.training.losses.info_nce import InfoNCE, info_nce

# Two pairs and one hard negative, temperature 1/2, unit vectors in the plane. Cosines by hand:
#   q1 = (1, 0): p1 = (1, 0) 1,    p2 = (0, 1) 0,  n = (-1, 0) -1
#   q2 = (0, 1): p1           0,    p2          1,  n            0
QUERIES = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
PASSAGES = torch.tensor([[1.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])
E2 = math.exp(2)
BY_HAND = (
    -(math.log(E2 / (E2 + 1 + 1 / E2)) + math.log(E2 / (E2 + 1 + 1))) / 2
)  # (0.1429 + 0.2395) / 2


class Given(nn.Module):
    """A model whose texts are vectors already, with a weight to train."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = nn.Linear(2, 2, bias=False)
        nn.init.eye_(self.turn.weight)

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"sentence_embedding": self.turn(features["input_ids"])}


def features(*columns: torch.Tensor) -> list[dict[str, torch.Tensor]]:
    return [{"input_ids": x, "attention_mask": torch.ones(len(x), 1)} for x in columns]


def test_the_equation_on_a_batch_worked_by_hand() -> None:
    assert pytest.approx(0.1912, abs=5e-5) == BY_HAND
    assert float(info_nce(QUERIES, PASSAGES, 0.5)) == pytest.approx(BY_HAND, abs=1e-6)
    loss = InfoNCE(Given(), temperature=0.5)(features(QUERIES, PASSAGES), None)
    assert loss.item() == pytest.approx(BY_HAND, abs=1e-6)


def test_without_negatives_only_the_batch_counts() -> None:
    # ln(1 + e^-2) for both queries.
    assert float(info_nce(QUERIES, PASSAGES[:2], 0.5)) == pytest.approx(
        math.log(1 + 1 / E2), abs=1e-6
    )


@pytest.mark.parametrize("negatives", [0, 1])
def test_it_is_the_librarys_multiple_negatives_ranking_loss(negatives: int) -> None:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    generator = torch.Generator().manual_seed(1)
    queries, relevant, hard = torch.randn(3, 8, 2, generator=generator)
    columns = [queries, relevant, hard][: 2 + negatives]
    theirs = MultipleNegativesRankingLoss(Given(), scale=20.0)(features(*columns), None)
    passages = torch.cat(columns[1:])
    ours = InfoNCE(Given(), temperature=0.05)(features(queries, passages), None)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)


def test_gradient_caching_changes_neither_loss_nor_gradients() -> None:
    generator = torch.Generator().manual_seed(2)
    queries = torch.randn(7, 2, generator=generator)
    passages = torch.randn(10, 2, generator=generator)
    found = []
    for cache in (0, 3):
        model = Given()
        loss = InfoNCE(model, 0.1, cache_batch=cache)(features(queries, passages), None)
        loss.backward()
        found.append((loss.item(), model.turn.weight.grad))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    assert found[0][1].abs().max() > 0.01
    torch.testing.assert_close(found[0][1], found[1][1])
