"""Normalise texts for comparison: afterwards only the wording differs, not the typing.

A text is put in NFKC, folded to lower case and cut into words; punctuation, spaces, control and
format characters fall away, letters, marks, digits and symbols stay. Where a script is written
without spaces each character counts as a word, so that a space there, which some tools insert,
changes nothing. The rule looks at characters, never at language codes, which data often has wrong.

Words are never Python objects: a batch is one array of code points, and whatever is compared, a
whole text, a run of words or a few characters, is a span of it with a 64-bit hash.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint32]
Positions = NDArray[np.int64]
Hashes = NDArray[np.uint64]

_SPACE = 32
_LETTER, _APART, _DROPPED, _UNSPACED = range(4)
# Thai, Lao, Myanmar, Khmer; kana; Han with its extensions. (Korean has spaces.)
_UNSPACED_RANGES = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x31F0, 0x31FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip

# Alphabets among them: one letter says less than one character of Han or one kana.
_LETTERS_WITHOUT_SPACES = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF))
LETTERS_OF_A_WORD = 4

# Odd, so that it has an inverse modulo 2^64: a hash can be moved from one place to another.
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 2**64)


@cache
def _classes() -> NDArray[np.uint8]:
    """The class of each code point: part of a word, between words, dropped, or a word by itself."""
    found = np.full(sys.maxunicode + 1, _LETTER, np.uint8)
    for start, end in _UNSPACED_RANGES:
        found[start : end + 1] = _UNSPACED
    for code in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        if category == "Cf":
            found[code] = _DROPPED
        elif category[0] in "PZ" or category in ("Cc", "Cs"):
            found[code] = _APART
    return found


class Batch:
    """Texts in normal form, one after the other.

    Attributes:
        codes: (c,) code points; within a text, words with one space between.
        starts: (n + 1,) where each text begins in ``codes``; a text of punctuation alone is empty.
        owner: (c,) the number of the text that each code point belongs to.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.codes, self.owner = _normalised(texts)
        self.starts: Positions = np.searchsorted(self.owner, np.arange(len(texts) + 1))
        mixed = spread(self.codes.astype(np.uint64) + np.uint64(1))
        sums = np.zeros(len(mixed) + 1, np.uint64)
        np.cumsum(mixed * _powers(_BASE, len(mixed)), out=sums[1:])
        self._sums = sums

    def __len__(self) -> int:
        return len(self.starts) - 1

    def text(self, number: int) -> str:
        """One text in normal form."""
        return self.span(int(self.starts[number]), int(self.starts[number + 1]))

    def span(self, start: int, end: int) -> str:
        """The code points from ``start`` to ``end`` as a string."""
        return self.codes[start:end].astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")

    def hashes(self, starts: Positions, ends: Positions | int) -> Hashes:
        """Hashes of the spans from each start to its end; equal spans have equal hashes.

        A polynomial in the code points modulo 2^64, mixed. Unequal spans collide only by chance (1
        in 2^64), unless crafted to collide.
        """
        inverses = _powers(_INVERSE, len(self.codes) + 1)
        # Not self._sums[a:b]: starts are positions, in any order.
        return spread((self._sums[ends] - self._sums[starts]) * inverses[starts])

    def wholes(self) -> Hashes:
        """(n,) a hash for each text."""
        return self.hashes(self.starts[:-1], self.starts[1:])

    def windows(self, width: int) -> tuple[Positions, Hashes]:
        """Every run of ``width`` characters within a text: its text's number, and its hash."""
        inside = max(len(self.codes) - width + 1, 0)
        same = self.owner[:inside] == self.owner[width - 1 :][:inside]
        at = np.flatnonzero(same)
        return self.owner[at], self.hashes(at, at + width)

    def grams(self, words: int) -> tuple[Positions, Positions, Positions]:
        """Runs of ``words`` words within a text, one from each word that has enough after it.

        A character of a script without spaces is a word, but a letter of Thai, Lao, Khmer or
        Myanmar is a quarter of one: 13 Thai letters are three words, which many texts share.

        Returns:
            Of each run its text's number, its start and its end.
        """
        solid = self.codes != _SPACE
        # A word starts at a letter after a space or at the start of a text.
        fresh = np.ones(len(solid), bool)
        fresh[1:] = ~solid[:-1] | (self.owner[1:] != self.owner[:-1])
        stop = np.ones(len(solid), bool)
        stop[:-1] = fresh[1:] | ~solid[1:]
        starts, ends = np.flatnonzero(solid & fresh), np.flatnonzero(solid & stop) + 1
        owners = self.owner[starts]
        letters = _in_ranges(self.codes[starts], _LETTERS_WITHOUT_SPACES)
        if not letters.any():
            last = np.arange(words - 1, len(starts) + words - 1)
        else:
            weight = np.cumsum(np.where(letters, 1, LETTERS_OF_A_WORD))
            before = np.concatenate([np.zeros(1, np.int64), weight[:-1]])
            last = np.searchsorted(weight, before + words * LETTERS_OF_A_WORD)
        at = np.flatnonzero(last < len(starts))
        at = at[owners[at] == owners[last[at]]]
        return owners[at], starts[at], ends[last[at]]


def normal(text: str) -> str:
    """``text`` in normal form; empty if it is only punctuation."""
    return Batch([text]).text(0)


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _normalised(texts: Sequence[str]) -> tuple[Codes, Positions]:
    folded = [_folded(x) for x in texts]
    raw = "".join(folded).encode("utf-32-le", "surrogatepass")
    codes: Codes = np.frombuffer(raw, "<u4").astype(np.uint32)
    owner: Positions = np.repeat(np.arange(len(texts)), [len(x) for x in folded])
    classes = _classes()[codes]
    kept = classes != _DROPPED
    if not kept.all():
        codes, owner, classes = codes[kept], owner[kept], classes[kept]
    codes[classes == _APART] = _SPACE
    alone = classes == _UNSPACED
    if alone.any():
        size = np.where(alone, 3, 1)
        wide = np.full(int(size.sum()), _SPACE, np.uint32)
        wide[np.cumsum(size) - size + alone] = codes
        codes, owner = wide, np.repeat(owner, size)
    # Of several spaces one stays, of those before and after a text none.
    solid = codes != _SPACE
    kept = solid.copy()
    same = owner[1:] == owner[:-1]
    kept[1:] |= solid[:-1] & same
    codes, owner = codes[kept], owner[kept]
    if len(codes):
        last = np.ones(len(owner), bool)
        last[:-1] = owner[1:] != owner[:-1]
        kept = ~((codes == _SPACE) & last)
        codes, owner = codes[kept], owner[kept]
    return codes, owner


def _in_ranges(codes: Codes, ranges: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    inside = np.zeros(len(codes), bool)
    for start, end in ranges:
        inside |= (codes >= start) & (codes <= end)
    return inside


def spread(values: Hashes) -> Hashes:
    """Spread every bit over all (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_tables: dict[int, Hashes] = {}


def _powers(base: int, count: int) -> Hashes:
    """``base`` to the power of 0 to ``count`` - 1, modulo 2^64, cached for all batches."""
    known = _tables.get(base)
    if known is None or len(known) < count:
        factors = np.full(max(count, 1 << 16), base, np.uint64)
        factors[0] = 1
        known = _tables[base] = np.cumprod(factors, dtype=np.uint64)
    return known[:count]
