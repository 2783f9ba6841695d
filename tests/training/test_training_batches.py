"""From rows to the texts of a batch: languages, prompts, hard negatives; what stays frozen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny_training import pairs, write_base, write_rows

from harness.training.batches import HybridBatchSampler, Pair, PairCollator, PairDataset
from harness.training.pairs import Example
from harness.training.settings import Settings
from harness.training.train import Overlaps, train
from harness.training.training_set import read_data


def as_texts(texts: Sequence[str], prompt: str | None = None) -> dict[str, Any]:
    """A tokenizer that leaves texts as they are."""
    return {"input_ids": [f"{prompt}{text}" for text in texts]}


def test_an_index_is_a_row_and_its_two_languages() -> None:
    rows = [
        Example("a", {"en": "ask", "de": "frag"}, {"en": "say", "de": "sag"}),
        Example("b", {"de": "frag b"}, {"en": "say b"}, negatives={"en": ("no b",)}),
    ]
    found = PairDataset(rows, ("en", "de"))
    assert found[0 * 4 + 0 * 2 + 1] == Pair("ask", "sag", (), english=("ask", "say"))
    assert found[1 * 4 + 1 * 2 + 0] == Pair("frag b", "say b", ("no b",))


def test_texts_get_their_prompts_and_positives_come_first() -> None:
    collate = PairCollator(as_texts, Settings(hard_negatives=1))
    found = collate([Pair("q1", "p1", ("n1", "n1b")), Pair("q2", "p2", ())])
    assert found == {
        "query_input_ids": ["Query: q1", "Query: q2"],
        "passage_input_ids": ["Passage: p1", "Passage: p2", "Passage: n1"],
    }


def test_a_hard_negative_that_is_a_positive_of_the_batch_is_dropped() -> None:
    batch = [Pair("q1", "p1", ("p2", "n1", "n2")), Pair("q2", "p2", ("p1", "n1"))]
    found = PairCollator(as_texts, Settings(hard_negatives=2, passage_prompt=""))(batch)
    # Of q1: p2 is q2's relevant passage, n1 and n2 stay; of q2: p1 is q1's relevant passage, n1 is
    # there already.
    assert found["passage_input_ids"] == ["p1", "p2", "n1", "n2"]
    none = PairCollator(as_texts, Settings(hard_negatives=0, passage_prompt=""))(batch)
    assert none["passage_input_ids"] == ["p1", "p2"]


def test_validation_passages_are_in_no_training_batch(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "pairs.jsonl", pairs(80))
    found = read_data(Settings(data=(str(data),), batch_size=8, holdout=0.2))
    assert found.validation is not None
    sides = [
        {x.passage_id for x in side.pairs.examples} for side in (found.train, found.validation)
    ]
    assert len(found.validation.pairs) == 16 and len(found.train.pairs) == 64
    assert not sides[0] & sides[1]
    # The validation batches are the same each time.
    sampler = HybridBatchSampler(found.validation.plan)
    assert list(sampler) == list(sampler)


def test_validation_may_be_of_another_kind_than_the_recipe(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "pairs.jsonl", pairs(40))
    english = [{"id": f"v{i}", "language": "en", "query": "w1", "passage": f"w{i}"} for i in (2, 3)]
    held = write_rows(tmp_path / "shifts.jsonl", english)
    settings = Settings(recipe="cross", data=(str(data),), validation=(str(held),), batch_size=8)
    found = read_data(settings)
    assert len(found.train.pairs) == 40
    assert found.validation is not None
    names = {found.validation.plan.cells.name(b.cell) for b in found.validation.plan.epoch(0)}
    assert names == {"mono/en"}


@pytest.mark.parametrize("pattern", ["embeddings", "*embeddings*"])
def test_frozen_weights_stay_and_others_move(tmp_path: Path, pattern: str) -> None:
    from safetensors.numpy import load_file

    base = write_base(tmp_path / "base")
    data = write_rows(tmp_path / "pairs.jsonl", pairs(40))
    settings = Settings(
        base=str(base), data=(str(data),), batch_size=8, steps=2, holdout=0.0, learning_rate=1e-2,
        freeze=(pattern,),
    )  # fmt: skip
    done = train(settings, tmp_path / "out", device="cpu", overlaps=Overlaps(tasks=()))
    before, after = (load_file(x / "model.safetensors") for x in (base, tmp_path / "out"))
    moved = {name for name in before if (before[name] != after[name]).any()}
    assert moved and not any("embeddings" in name for name in moved)
    facts = done.manifest["base"]
    assert 0 < facts["trained_parameters"] < facts["parameters"]
    assert all("embeddings" in name for name in facts["frozen"]) and facts["frozen"]
