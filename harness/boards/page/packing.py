"""Numbers as short text, so that a page of 50 models by 132 settings is under a megabyte.

A number is a whole number of steps of 10^-e, written with a fixed count of digits to the base 64:
two to five characters where JSON takes eight to twenty. Formatted with the decimals that boards
show, the unpacked number has the same digits as the original, ties included.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LETTERS = np.frombuffer(ALPHABET.encode(), np.uint8)
_WIDEST = 8
"""Characters of a number: a browser counts as far."""
_NEAR = 1e-6
"""Fraction of a last digit: closer to a tie than this, float64 rounding is not trusted."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def pack(values: FloatArray, decimals: int, guard: int) -> dict[str, Any]:
    """``values`` as JSON values that ``unpack`` in ``data.js`` reads.

    Args:
        values: of any shape, rows first; NaN where undefined. Rows without any number are left out.
        decimals: digits after the point that will be shown.
        guard: extra digits to keep, for means of the numbers.

    Returns:
        ``rows`` (positions of the rows present), ``e`` (the step is 10^-e), ``low`` (in
        steps), ``width`` (characters a number) and ``text``. The last code means undefined.
    """
    table = values.reshape(len(values), -1)
    rows = np.flatnonzero(~np.isnan(table).all(axis=1))
    flat = table[rows].ravel()
    known = ~np.isnan(flat)
    unit = 10.0 ** (decimals + guard)
    spread, most = (np.ptp(flat[known]), np.abs(flat[known]).max()) if known.any() else (0, 0)
    if spread * unit >= 64.0**_WIDEST - 2 or most * unit >= 2.0**53:
        # Of so large a number nobody reads the last digits.
        return pack(values, decimals if guard else decimals - 1, max(guard - 1, 0))
    steps = np.zeros(len(flat), np.int64)
    steps[known] = _steps(flat[known], decimals, guard)
    low = int(steps[known].min()) if known.any() else 0
    reach = int(steps[known].max()) - low if known.any() else 0
    width = next(w for w in range(1, _WIDEST + 1) if reach < 64**w - 1 or w == _WIDEST)
    codes = np.where(known, steps - low, 64**width - 1)
    places = 64 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    text = _LETTERS[(codes[:, None] // places) % 64].tobytes().decode()
    return {"rows": rows.tolist(), "e": decimals + guard, "low": low, "width": width, "text": text}


def pack_ends(cells: FloatArray, decimals: int) -> dict[str, Any]:
    """Ends of intervals as displayed: the distance of each from its value in last digits.

    Args:
        cells: ``(rows, ..., 3)``: value, low, high; NaN where undefined.
        decimals: digits after the point that will be shown.

    Returns:
        As :func:`pack`, of ``(value - low, high - value)`` in displayed digits.
    """
    flat = cells.reshape(-1, 3)
    known = ~np.isnan(flat).any(axis=1)
    off = np.full((len(flat), 2), np.nan)
    shown = _shown(flat[known].ravel(), decimals).reshape(-1, 3)
    off[known] = np.stack([shown[:, 0] - shown[:, 1], shown[:, 2] - shown[:, 0]], axis=1)
    return pack(off.reshape(len(cells), -1), 0, 0)


def _shown(values: FloatArray, decimals: int) -> IntArray:
    """``values`` in units of the last digit that Python displays."""
    scaled = values * 10.0**decimals
    found = np.round(scaled).astype(np.int64)
    for i in np.flatnonzero(np.abs(np.abs(scaled) % 1 - 0.5) <= _NEAR):
        found[i] = int(f"{values[i]:.{decimals}f}".replace(".", ""))
    return found


def _steps(values: FloatArray, decimals: int, guard: int) -> IntArray:
    """``values`` in steps of 10^-(decimals + guard), such that a browser shows what Python shows.

    Rounding twice can cross a tie, and of two equally near decimals Python takes the even one, a
    browser's ``toFixed`` the one farther from zero. The number of steps is changed by one where
    that would be visible.
    """
    if not guard:
        return _shown(values, decimals)
    e = decimals + guard
    steps = np.round(values * 10.0**e).astype(np.int64)
    part = np.abs(values) * 10.0**decimals % 1
    for i in np.flatnonzero(np.abs(part - 0.5) <= 0.5 * 10.0**-guard + _NEAR):
        printed = f"{values[i]:.{decimals}f}"
        for move in (0, -1, 1):
            if shown_by_browser((int(steps[i]) + move) / 10**e, decimals) == printed:
                steps[i] += move
                break
    return steps


def shown_by_browser(value: float, decimals: int) -> str:
    """The result of ``value.toFixed(decimals)`` in JavaScript (ECMA-262, 21.1.3.3)."""
    near = Decimal(value).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    return f"{near:f}"
