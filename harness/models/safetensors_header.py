"""Number of weights of a model folder, from file headers only.

A safetensors file starts with the length of its header (8 bytes, little-endian), then the header:
JSON that maps each tensor's name to its dtype, shape and place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path

_FLOATS = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})
_LONGEST = 100_000_000


def count_weights(folder: Path, files: Iterable[str]) -> int | None:
    """Floating-point numbers in all safetensors of ``files``; ``None`` if there are other weights.

    Position ids and other integers are not counted, nor are unreadable headers.
    """
    names = list(files)
    weights = [name for name in names if name.endswith(".safetensors")]
    if not weights or any(name.endswith(".bin") for name in names):
        return None
    total = 0
    for name in weights:
        try:
            with (folder / name).open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if length > _LONGEST:
                    return None
                header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            total += sum(math.prod(x["shape"]) for x in header.values() if x["dtype"] in _FLOATS)
        except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            return None
    return total
