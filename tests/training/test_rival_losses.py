"""LaKDA's and MIMO's losses: worked by hand, and against definitions written out for autograd."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from harness.training.losses.info_nce import info_nce
from harness.training.losses.lakda import LaKDA, divergence
from harness.training.losses.mimo import MIMO, distance


class Given(nn.Module):
    """A model whose texts are vectors already, with a weight to train."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = nn.Linear(3, 3, bias=False)
        with torch.no_grad():
            self.turn.weight.copy_(torch.eye(3) + 0.1 * torch.arange(9.0).reshape(3, 3))

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"sentence_embedding": self.turn(features["input_ids"])}


def features(*columns: torch.Tensor) -> list[dict[str, torch.Tensor]]:
    return [{"input_ids": x, "attention_mask": torch.ones(len(x), 1)} for x in columns]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def unit(x: torch.Tensor) -> torch.Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def test_the_divergence_by_hand() -> None:
    """q_a = (1, 0) and q_b = (0, 1) against p_1 = (1, 0) and p_2 = (0, 1), any lengths.

    softmax(q_a P) = (s, 1 - s) with s = e / (e + 1), softmax(q_b P) the reverse, so that
    KL = (1 - s) ln((1 - s) / s) + s ln(s / (1 - s)) = (2 s - 1) ln(s / (1 - s)) = 2 s - 1.
    """
    s = math.e / (math.e + 1)
    first, second = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]])
    passages = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    assert float(divergence(first, second, passages)) == pytest.approx(2 * s - 1, abs=1e-6)
    assert float(divergence(first, first, passages)) == pytest.approx(0, abs=1e-7)


def test_the_distance_by_hand() -> None:
    """Cosines 1 and 0: the mean of 1 - cos is .5, whatever the lengths."""
    vectors, teacher = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0], [7.0, 0]])
    assert float(distance(vectors, teacher)) == pytest.approx(0.5, abs=1e-7)


def lakda(model: Given, q: Any, p: Any, other: Any, weight: float) -> torch.Tensor:
    """The definition, with sums instead of library losses."""
    a, texts, b = (unit(model.turn(x)) for x in (q, p, other))
    scores = a @ texts.T / 0.05
    contrast = -torch.stack(
        [scores[i, i] - scores[i].exp().sum().log() for i in range(len(q))]
    ).mean()
    from_b, from_a = torch.softmax(b @ texts.T, 1), torch.softmax(a @ texts.T, 1)
    kl = (from_b * (from_b / from_a).log()).sum(1).mean()
    return (1 - weight) * contrast + weight * kl


@pytest.mark.parametrize("cache", [0, 2])
def test_lakda_and_its_gradients(cache: int) -> None:
    q, p, other = random(5, 3), random(7, 3, seed=1), random(5, 3, seed=2)
    model, oracle = Given(), Given()
    loss = LaKDA(model, 0.05, 0.3, cache)(features(q, p, other), None)
    loss.backward()
    expected = lakda(oracle, q, p, other, 0.3)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(
        model.turn.weight.grad, oracle.turn.weight.grad, rtol=1e-4, atol=1e-5
    )


def test_lakda_without_a_second_language_is_info_nce() -> None:
    q, p = random(4, 3), random(4, 3, seed=1)
    found = LaKDA(Given(), 0.1, 0.5)(features(q, p), None)
    model = Given()
    assert found.item() == pytest.approx(info_nce(model.turn(q), model.turn(p), 0.1).item())


def mimo(model: Given, w: torch.Tensor, q: Any, p: Any, labels: Any, weight: float) -> Any:
    a, texts = model.turn(q), model.turn(p)
    far = [
        1 - (unit(x[i] @ w.T) * unit(labels[i, side])).sum()
        for side, x in enumerate((a, texts))
        for i in range(len(q))
    ]
    stage_1 = torch.stack(far).mean()
    return stage_1, (1 - weight) * info_nce(a, texts, 0.05) + weight * stage_1


@pytest.mark.parametrize("cache", [0, 2])
@pytest.mark.parametrize("stage", [1, 2])
def test_mimo_and_its_gradients(cache: int, stage: int) -> None:
    q, p, labels = random(5, 3), random(8, 3, seed=1), random(5, 2, 4, seed=2)
    model, oracle = Given(), Given()
    loss = MIMO(model, 0.05, 0.8, (3, 4), cache)
    loss.aligning = stage == 1
    w = loss.projection.weight.detach().clone().requires_grad_()
    found = loss(features(q, p), labels)
    found.backward()
    expected = mimo(oracle, w, q, p, labels, 0.8)[stage - 1]
    expected.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(
        model.turn.weight.grad, oracle.turn.weight.grad, rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(loss.projection.weight.grad, w.grad, rtol=1e-4, atol=1e-5)


def test_validation_of_mimo_is_by_the_loss_of_stage_2() -> None:
    q, p, labels = random(5, 3), random(5, 3, seed=1), random(5, 2, 4, seed=2)
    loss = MIMO(Given(), 0.05, 0.8, (3, 4)).eval()
    later = loss(features(q, p), labels).item()
    loss.aligning = True
    assert loss(features(q, p), labels).item() == later
    assert loss(features(q, p), None).item() != later
