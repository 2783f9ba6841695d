"""What encoding took, in tokens: the measure that does not depend on how long texts are."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Stream: TypeAlias = Generator[tuple[NDArray[np.intp], NDArray[np.float32]], None, None]
"""Positions of texts and their vectors (n, d), batch by batch."""

CHUNK = 1024
"""Texts that are tokenised together, and among which batches are made."""

WORKERS = 16
"""Most batches computed at once: Python's lock lets hardly more threads issue operations."""


@dataclass
class Work:
    """What a model has computed; the difference of two says what it computed in between."""

    texts: int = 0
    tokens: int = 0
    """Tokens of the texts, special ones included."""
    padding: int = 0
    """Tokens computed beside them, to make batches rectangular."""
    seconds: float = 0.0
    """From the first text handed over to the last vector given back."""

    @classmethod
    def stored(cls, counts: Mapping[str, int], seconds: float) -> Work:
        """What a shard's manifest says; earlier versions counted more than there is a field for."""
        known = cls.__dataclass_fields__.keys() & counts.keys()
        return cls(**{x: counts[x] for x in known}, seconds=seconds)

    def copy(self) -> Work:
        """What was computed until now; it does not change any more."""
        return Work(**vars(self))

    def __sub__(self, earlier: Work) -> Work:
        return Work(**{k: v - getattr(earlier, k) for k, v in vars(self).items()})

    def __add__(self, other: Work) -> Work:
        return Work(**{k: v + getattr(other, k) for k, v in vars(self).items()})

    @property
    def padding_share(self) -> float | None:
        """Of all tokens that were computed; ``None`` where none were counted."""
        computed = self.tokens + self.padding
        return self.padding / computed if computed else None

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens of texts, padding left out; ``None`` where none were counted."""
        return self.tokens / self.seconds if self.tokens and self.seconds else None

    def facts(self) -> dict[str, Any]:
        """What a record says of speed: empty for models that do not count tokens."""
        if not self.tokens:
            return {}
        return {
            "tokens": self.tokens,
            "tokens_per_second": self.tokens_per_second,
            "padding_share": self.padding_share,
        }
