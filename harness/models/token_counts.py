"""Encoding speed in tokens, which does not depend on the length of texts."""

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
"""Maximum batches computed at once: Python's lock allows hardly more threads to issue work."""


@dataclass
class Work:
    """The work a model has done; the difference of two is the work in between."""

    texts: int = 0
    tokens: int = 0
    """Tokens of the texts, special ones included."""
    padding: int = 0
    """Padding tokens, which make batches rectangular."""
    seconds: float = 0.0
    """Seconds from the first text to the last vector."""

    @classmethod
    def stored(cls, counts: Mapping[str, int], seconds: float) -> Work:
        """What a shard's manifest says; earlier versions counted more than there is a field for."""
        known = cls.__dataclass_fields__.keys() & counts.keys()
        return cls(**{x: counts[x] for x in known}, seconds=seconds)

    def copy(self) -> Work:
        """A snapshot of the work so far."""
        return Work(**vars(self))

    def __sub__(self, earlier: Work) -> Work:
        return Work(**{k: v - getattr(earlier, k) for k, v in vars(self).items()})

    def __add__(self, other: Work) -> Work:
        return Work(**{k: v + getattr(other, k) for k, v in vars(self).items()})

    @property
    def padding_share(self) -> float | None:
        """Share of padding in all computed tokens; ``None`` if none were counted."""
        computed = self.tokens + self.padding
        return self.padding / computed if computed else None

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens of texts per second, without padding; ``None`` if none were counted."""
        return self.tokens / self.seconds if self.tokens and self.seconds else None

    def facts(self) -> dict[str, Any]:
        """The speed for the record: empty for models that do not count tokens."""
        if not self.tokens:
            return {}
        return {
            "tokens": self.tokens,
            "tokens_per_second": self.tokens_per_second,
            "padding_share": self.padding_share,
        }
