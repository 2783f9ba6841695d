"""A bilingual lexicon from sentences and their translations, by IBM's Model 1.

Model 1 (Brown et al. 1993, The Mathematics of Statistical Machine Translation, section 4.1) gives
the probability t(f|e) that the word e is translated by f, by expectation maximisation over all
sentence pairs, whatever the order of the words. It is run in both directions, and only pairs that
are each other's best are kept: the usual intersection. What is rare in one direction is a guess.

Each word of a sentence counts once; words are casefolded, and returned in their most frequent form.
Languages written without spaces have no words here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.base.languages import without_spaces
from harness.data.documents import decode, json_row
from harness.data.file_names import pair_of
from harness.data.lexicon import words
from harness.data.readers.segments import segment
from harness.errors import UsageError
from harness.training.pairs import raw_lines

ROUNDS = 5
"""Rounds of expectation maximisation; Model 1's estimates hardly change after these."""
LONGEST = 40
"""Words of a sentence; longer ones say little about single words."""
TOGETHER = 2
"""Minimum number of sentences in which a pair of words co-occurs."""
LEAST = 0.1
"""Least t(f|e) times t(e|f): ours. Of what is just above it, most is right in el, tr and de."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Entry(NamedTuple):
    """A word, its translation, and t(f|e) t(e|f)."""

    word: str
    translation: str
    score: float


def sentences(file: Path, pair: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Sentence pairs of a file: tab-separated text, or JSON lines of language -> text.

    A tab-separated file has the two languages in its name, in that order, in its last two columns.
    Of JSON lines, those with both languages are used.

    Raises:
        DataError: the file is missing or malformed.
        UsageError: it contains other languages.
    """
    if ".jsonl" in file.name:
        for number, raw in enumerate(raw_lines(file), 1):
            document = decode(file, raw, first_line=number)
            texts = segment(document, json_row(document, number, document.text))
            if pair[0] in texts and pair[1] in texts:
                yield texts[pair[0]], texts[pair[1]]
        return
    in_file = pair_of(file)
    if set(in_file) != set(pair):
        raise UsageError(
            f"{file}: is in {' and '.join(in_file)}, but the lexicon is for {' and '.join(pair)}"
        )
    for number, raw in enumerate(raw_lines(file), 1):
        document = decode(file, raw.rstrip(b"\r\n"), first_line=number)
        columns = document.text.split("\t")
        if len(columns) not in (2, 3):
            raise document.error(f"line {number}", f"must have two texts, not {len(columns)}")
        a, b = columns[-2:]
        yield (a, b) if in_file == pair else (b, a)


def induce(files: Sequence[Path], pair: tuple[str, str]) -> list[Entry]:
    """The lexicon of ``pair`` from all ``files``, by word.

    Args:
        files: see :func:`sentences`; equal pairs count once.
        pair: the two languages.

    Raises:
        DataError: a file is missing or malformed.
        UsageError: no file, a language without spaces, or a file of other languages.
    """
    for language in pair:
        if without_spaces(language):
            raise UsageError(
                f"{language} is written without spaces, so it cannot be split into words here; "
                f"bring a lexicon, as MUSE's {pair[0]}-{pair[1]}.txt"
            )
    if not files:
        raise UsageError(f"no file of sentences is in {pair[0]} and {pair[1]}")
    read = dict.fromkeys(x for file in files for x in sentences(file, pair))
    one, other = _Side(), _Side()
    for a, b in read:
        first, second = one.of(a), other.of(b)
        if 0 < len(first) <= LONGEST and 0 < len(second) <= LONGEST:
            one.add(first)
            other.add(second)
    if not one.lengths:
        raise UsageError(
            f"{', '.join(x.name for x in files)}: no sentence pair of {pair[0]} and {pair[1]}"
        )
    return _entries(one, other)


def _entries(one: _Side, other: _Side) -> list[Entry]:
    rows, columns = _together(one, other)
    keys, at, counts = np.unique(
        rows * len(other.ids) + columns, return_inverse=True, return_counts=True
    )
    e, f = np.divmod(keys, len(other.ids))
    forward = _model_one(at, e, _groups(one, other, of_second=True))
    backward = _model_one(at, f, _groups(one, other, of_second=False))
    best_f, best_e = _best(forward, e), _best(backward, f)
    score = forward * backward
    kept = best_f & best_e & (counts >= TOGETHER) & (score >= LEAST)
    names, others = one.written(), other.written()
    found = [
        Entry(names[a], others[b], float(s))
        for a, b, s in zip(e[kept], f[kept], score[kept], strict=True)
        if names[a].casefold() != others[b].casefold()  # an unchanged word is not a translation
    ]
    return sorted(found)


class _Side:
    """The words of one language: their numbers, sentences and surface forms."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self.lengths: list[int] = []
        self._tokens: list[int] = []
        self._forms: dict[int, Counter[str]] = {}

    def of(self, text: str) -> dict[str, str]:
        """Casefolded word -> as it is written, of one sentence."""
        found: dict[str, str] = {}
        for match in words(text):
            # The first word has a capital whatever it is: a later one says how it is written.
            found[match.group().casefold()] = match.group()
        return found

    def add(self, sentence: dict[str, str]) -> None:
        """One more sentence."""
        for at, (word, written) in enumerate(sentence.items()):
            number = self.ids.setdefault(word, len(self.ids))
            self._tokens.append(number)
            # The first position counts little, but it may be the only one.
            self._forms.setdefault(number, Counter())[written] += 1 if at == 0 else 100
        self.lengths.append(len(sentence))

    @property
    def tokens(self) -> Ints:
        """(words of all sentences,) numbers of words, sentence after sentence."""
        return np.array(self._tokens, np.int64)

    def written(self) -> list[str]:
        """Number -> the form that most sentences have."""
        return [
            max(self._forms[i].items(), key=lambda x: (x[1], x[0]))[0] for i in range(len(self))
        ]

    def __len__(self) -> int:
        return len(self.ids)


def _together(one: _Side, other: _Side) -> tuple[Ints, Ints]:
    """(pairs of words of each sentence,): for each word of the second side all of the first."""
    rows, columns = [], []
    a, b = one.tokens, other.tokens
    ends_a, ends_b = np.cumsum(one.lengths), np.cumsum(other.lengths)
    for end_a, n, end_b, m in zip(ends_a, one.lengths, ends_b, other.lengths, strict=True):
        rows.append(np.tile(a[end_a - n : end_a], m))
        columns.append(np.repeat(b[end_b - m : end_b], n))
    return np.concatenate(rows), np.concatenate(columns)


def _groups(one: _Side, other: _Side, *, of_second: bool) -> Ints:
    """Number of the (sentence, word that is translated to) that each pair of words belongs to."""
    n, m = np.array(one.lengths), np.array(other.lengths)
    if of_second:  # each word of the second side, n pairs
        return np.repeat(np.arange(m.sum()), np.repeat(n, m))
    starts = np.concatenate([[0], np.cumsum(n)[:-1]])
    return np.concatenate(
        [np.tile(np.arange(s, s + x), y) for s, x, y in zip(starts, n, m, strict=True)]
    )


def _model_one(at: Ints, given: Ints, group: Ints) -> Floats:
    """(distinct pairs of words,) t(word | given word) after the rounds.

    Every sentence also has the empty word, the source of words that translate nothing. Its t is
    fixed at one over the number of words: it is not learnt.

    Args:
        at: (pairs of words,) number of the distinct pair.
        given: (distinct pairs,) the word that is translated.
        group: (pairs of words,) the occurrence that is explained.
    """
    size = int(given.max()) + 1
    # Uniform at first: any co-occurring word may be the translation.
    t = 1.0 / np.bincount(given, minlength=size)[given]
    empty = 1.0 / len(np.unique(given))
    for _ in range(ROUNDS):
        weight = t[at]
        whole = np.bincount(group, weight) + empty
        expected = np.bincount(at, weight / whole[group], minlength=len(given))
        t = expected / np.bincount(given, expected, minlength=size)[given]
    return t


def _best(score: Floats, of: Ints) -> NDArray[np.bool_]:
    """Whether each pair has the highest score of its word, alone: two at once are no answer."""
    highest = np.zeros(int(of.max()) + 1)
    np.maximum.at(highest, of, score)
    top: NDArray[np.bool_] = score >= highest[of]
    alone: NDArray[np.bool_] = top & (np.bincount(of[top], minlength=len(highest))[of] == 1)
    return alone
