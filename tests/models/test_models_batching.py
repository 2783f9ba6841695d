"""Batches by tokens: everything once, within the budget, little of it padding."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.models.token_batches import PADDING, token_batches

LENGTHS = st.lists(st.integers(1, 300), max_size=200)


@given(LENGTHS, st.integers(1, 2000), st.one_of(st.none(), st.integers(1, 40)))
def test_every_text_is_in_one_batch_that_keeps_the_bounds(
    lengths: list[int], budget: int, most: int | None
) -> None:
    batches = token_batches(lengths, budget, most_texts=most)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        widths = [lengths[i] for i in batch]
        assert widths == sorted(widths, reverse=True)
        assert len(batch) == 1 or widths[0] * len(batch) <= budget
        assert most is None or len(batch) <= most
        # All but the last text came in while there was room for padding, or too little to care.
        full = widths[0] * (len(batch) - 1) >= budget // 16
        if full and len(batch) > 1:
            assert sum(widths) >= (1 - PADDING) * widths[0] * len(batch)


def test_a_window_of_passages_is_padded_by_less_than_five_percent() -> None:
    """Lengths spread as those of Wikipedia passages: log-normal around 150 tokens, cut at 256."""
    rng = np.random.default_rng(0)
    lengths = np.minimum(256, rng.lognormal(5, 0.6, 1024)).astype(int).tolist()
    for budget in (1024, 16384):
        batches = token_batches(lengths, budget)
        computed = sum(lengths[batch[0]] * len(batch) for batch in batches)
        assert 1 - sum(lengths) / computed < 0.05
        assert computed / len(batches) > budget / 3  # and not because batches are tiny


def test_by_hand() -> None:
    # 20 and 19 are 40 with 1 of padding; a third would be 60. 12 is a sixteenth of 40 and more, so
    # 3, which would bring 9 of padding to 24, is left out.
    assert token_batches([12, 20, 19, 3], 40) == [[1, 2], [0], [3]]
    # 12 is less than a sixteenth of 208, and not of 207.
    assert token_batches([12, 3], 207) == [[0], [1]]
    assert token_batches([12, 3], 208) == [[0, 1]]
