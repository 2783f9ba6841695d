"""Which of a board's values are best."""

from __future__ import annotations

from collections.abc import Sequence

from harness.console import numbers


def leaders(
    measure: str, values: Sequence[float | None], better: str | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Positions of the best and second best values as displayed; none if no direction is better."""
    if better is None:
        return (), ()
    known = {i: numbers.value(measure, x) for i, x in enumerate(values) if x is not None}
    distinct = sorted({float(x) for x in known.values()}, reverse=better == "higher")
    places = [tuple(i for i, x in known.items() if float(x) == value) for value in distinct[:2]]
    return (places[0] if places else ()), (places[1] if len(places) > 1 else ())
