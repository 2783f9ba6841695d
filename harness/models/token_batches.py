"""Texts to batches by a token budget, similar lengths together, so that there is little padding."""

from __future__ import annotations

from collections.abc import Sequence

PADDING = 0.04
"""Maximum share of padding in a batch that uses at least a sixteenth of its budget."""


def token_batches(
    lengths: Sequence[int], budget: int, *, most_texts: int | None = None
) -> list[list[int]]:
    """Positions of ``lengths`` in batches, longest first.

    A batch's width is its longest text's; ``width * texts`` stays within ``budget`` tokens, and a
    text longer than that is a batch of its own. A batch that uses a sixteenth of the budget takes
    no text that would raise its padding above :data:`PADDING`; a smaller one takes any, because
    many tiny batches cost more than padding. The result depends on ``lengths`` alone; equal ones
    keep their order.

    Args:
        lengths: tokens of each text.
        budget: tokens of a batch, padding included.
        most_texts: texts of a batch; ``None``: any number.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    batches: list[list[int]] = []
    width = tokens = 0
    for i in order:
        texts = len(batches[-1]) + 1 if batches else 0
        area = width * texts
        if (
            not batches
            or area > budget
            or (most_texts is not None and texts > most_texts)
            or (area - width >= budget // 16 and tokens + lengths[i] < (1 - PADDING) * area)
        ):
            batches.append([])
            width, tokens = lengths[i], 0
        batches[-1].append(i)
        tokens += lengths[i]
    return batches
