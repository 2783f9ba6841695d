"""How a board shows values: their digits, and which are best."""

from __future__ import annotations

from collections.abc import Sequence


def decimals(measure: str) -> int:
    """Four, as papers print them; rank distances count passages and get one."""
    return 1 if measure == "rank_distance" else 4


def shown(measure: str, value: float) -> str:
    """A value with the digits that boards show."""
    return f"{value:.{decimals(measure)}f}"


def leaders(
    measure: str, values: Sequence[float | None], better: str | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Positions of the best and of the second best value, as they are shown; none if no end is."""
    if better is None:
        return (), ()
    known = {i: shown(measure, x) for i, x in enumerate(values) if x is not None}
    distinct = sorted({float(x) for x in known.values()}, reverse=better == "higher")
    places = [tuple(i for i, x in known.items() if float(x) == value) for value in distinct[:2]]
    return (places[0] if places else ()), (places[1] if len(places) > 1 else ())
