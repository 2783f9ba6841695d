"""Options as people write them: ``2G``, ``0/8``, ``en,de``.

The command line and Python take the same forms, so both read them here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from harness.base.languages import is_language
from harness.errors import UsageError, did_you_mean

_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?) *([KMGT]?)(?:i?B)?", re.IGNORECASE)
_PART = re.compile(r"([0-9]{1,18})/([0-9]{1,18})")
_WHOLE = re.compile(r"\s*[0-9]{1,18}\s*")
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def words(value: str | Iterable[str]) -> tuple[str, ...]:
    """Words with commas between, or a sequence of them, each once."""
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(dict.fromkeys(x.strip() for x in parts))


def size(value: str | int) -> int:
    """``2G``, ``500M``, ``1.5G`` or a number of bytes as bytes, in powers of 1024.

    Raises:
        UsageError: it is written in another way.
    """
    match = _SIZE.fullmatch(str(value).strip())
    found = int(float(match[1]) * 1024 ** _POWERS[match[2].upper()]) if match else 0
    if found < 1:
        raise UsageError(f"{value!r} is not a size; write it as 2G or 500M")
    return found


def part(value: str | Sequence[int]) -> tuple[int, int]:
    """``3/8``, or (3, 8), as numbers: part 3 of 8, from 0.

    Raises:
        UsageError: it is written in another way, or there is no such part.
    """
    text = value if isinstance(value, str) else "/".join(map(str, value))
    match = _PART.fullmatch(text.strip())
    if match is None or not int(match[1]) < int(match[2]):
        raise UsageError(f"{text!r} is not a part; the parts of 8 are 0/8 to 7/8")
    return int(match[1]), int(match[2])


def whole_numbers(value: str) -> tuple[int, ...]:
    """``768,256``.

    Raises:
        UsageError: one of them is not a whole number of 0 or more.
    """
    found = value.split(",")
    if not all(_WHOLE.fullmatch(x) for x in found):
        raise UsageError(
            f"{value!r} is not a list of whole numbers; write them with commas between, as in "
            "768,256"
        )
    return tuple(int(x) for x in found)


def numbers(value: str | Iterable[float]) -> tuple[float, ...]:
    """``0,0.5,1``, or a sequence of numbers.

    Raises:
        UsageError: a word is not a number.
    """
    try:
        return tuple(float(x) for x in (value.split(",") if isinstance(value, str) else value))
    except ValueError:
        raise UsageError(
            f"{value!r} is not a list of numbers; write them with commas between, as in 0,0.5,1"
        ) from None


def languages(value: str | Iterable[str]) -> tuple[str, ...]:
    """Language codes: ``en,de``, or a sequence.

    Raises:
        UsageError: a word is not a language code.
    """
    found = words(value)
    for word in found:
        if not is_language(word):
            raise UsageError(
                f"{word!r} is not a language code; write codes with commas between, as in en,de"
            )
    return found


def some_of(value: str | Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """Words of which each is one of those ``known``.

    Raises:
        UsageError: one is not.
    """
    found = words(value)
    for word in found:
        if word not in known:
            raise UsageError(
                f"{word!r} is not one of {', '.join(known)}{did_you_mean(word, list(known))}"
            )
    return found
