"""How many digits of a value a board shows."""

from __future__ import annotations


def decimals(measure: str) -> int:
    """Four, as papers print them; rank distances count passages and get one."""
    return 1 if measure == "rank_distance" else 4


def shown(measure: str, value: float) -> str:
    """A value with the digits that boards show."""
    return f"{value:.{decimals(measure)}f}"
