"""The kinds of batches that a row of the training data can be in.

A *cell* is a kind of batch: one language (``mono``), any language of the row's own on both
sides (``mixed``), or two languages (``cross``: many pairs of them in one batch, or one ordered
pair). Rows that can be in the same cells have the same *signature*. A *stratum* is a set of rows of
one data set that are batched together: those that fit one cell alone, or those with a choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.training.pairs import DataSet, Example
from harness.training.settings import RecipeName, Settings

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class PairRows:
    """N rows of several data sets as arrays; L languages."""

    languages: tuple[str, ...]
    data_set: Ints
    """(N,) number of the data set that each row is from."""
    names: tuple[str, ...]
    """Names of the data sets."""
    query: Bools
    """(N, L) whether the row has a query in the language."""
    passage: Bools
    group: Ints
    """(N,) rows of the same group never meet in a batch."""

    def __len__(self) -> int:
        return len(self.data_set)

    def take(self, rows: Ints) -> PairRows:
        """Only ``rows``, in that order."""
        return PairRows(
            self.languages,
            self.data_set[rows],
            self.names,
            self.query[rows],
            self.passage[rows],
            self.group[rows],
        )


def rows_of(
    sets: Sequence[DataSet], languages: Sequence[str] = ()
) -> tuple[PairRows, list[Example]]:
    """The rows of ``sets`` one after the other, and their examples; ``languages`` restricts.

    With ``languages``, rows that have none of them on one of the sides are left out.
    """
    known = tuple(dict.fromkeys(x for s in sets for x in s.languages))
    if languages:
        known = tuple(x for x in known if x in languages)
    examples = [x for s in sets for x in s.examples]
    data_set = np.repeat(np.arange(len(sets)), [len(s) for s in sets])
    query = np.array([[x in e.query for x in known] for e in examples], bool)
    passage = np.array([[x in e.passage for x in known] for e in examples], bool)
    shape = (len(examples), len(known))
    query, passage = query.reshape(shape), passage.reshape(shape)
    rows = PairRows(
        known, data_set, tuple(s.name for s in sets), query, passage, groups_of(examples)
    )
    if not languages:
        return rows, examples
    kept = np.flatnonzero(query.any(1) & passage.any(1))
    return rows.take(kept), [examples[i] for i in kept]


def groups_of(examples: Sequence[Example]) -> Ints:
    """(N,) number of each row's group: rows that share a parallel id or a passage, in chains.

    A row without ``passage_id`` has its passage's texts for one: no other row with one of them
    meets it, whether that has a ``passage_id`` or not.
    """
    parent = list(range(len(examples)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    loose = {text for x in examples if x.passage_id is None for text in x.passage.values()}
    first: dict[tuple[str, str], int] = {}
    for i, example in enumerate(examples):
        keys = [("id", example.id)]
        if example.passage_id is not None:
            keys.append(("passage_id", example.passage_id))
        keys += [("text", text) for text in example.passage.values() if text in loose]
        for key in keys:
            parent[root(i)] = root(first.setdefault(key, i))
    return np.unique([root(i) for i in range(len(examples))], return_inverse=True)[1]


class RecipeCells:
    """The cells of a recipe, by number, and which of them a row can be in.

    0 to L-1: mono in that language; L: mixed; L+1: cross, many pairs; then the L x L ordered pairs;
    last, languages drawn apart.
    """

    def __init__(self, recipe: RecipeName, languages: Sequence[str], *, single: bool) -> None:
        self.recipe, self.languages, self.single = recipe, tuple(languages), single
        n = len(self.languages)
        self.count = n + 2 + n * n + 1
        self.is_mono = np.arange(self.count) <= n

    def allowed(self, query: Bools, passage: Bools) -> Bools:
        """(N, cells) from (N, L) masks of the rows' queries and passages."""
        n = len(self.languages)
        found = np.zeros((len(query), self.count), bool)
        both = query & passage
        if self.recipe in ("hybrid", "mono"):
            found[:, :n] = both
        elif self.recipe == "english":
            for at, code in enumerate(self.languages):
                found[:, at] = both[:, at] & (code == "en")
        elif self.recipe == "mixed":
            found[:, n] = both.any(1)
        if self.recipe in ("hybrid", "cross"):
            pairs = query[:, :, None] & passage[:, None, :] & ~np.eye(n, dtype=bool)
            if self.single:
                found[:, n + 2 : self.apart] = pairs.reshape(len(query), n * n)
            else:
                found[:, n + 1] = pairs.any((1, 2))
        elif self.recipe in ("xlco", "lakda", "mimo"):
            able = query.any(1) & passage.any(1)
            if self.recipe == "lakda":
                able &= query.sum(1) > 1
            if self.recipe == "mimo":
                english = np.array([x == "en" for x in self.languages], bool)
                able &= both[:, english].any(1)
            found[:, self.apart] = able
        return found

    @property
    def apart(self) -> int:
        """The cell of queries and passages in languages drawn apart."""
        return self.count - 1

    def weights(self, of_language: NDArray[np.float64]) -> NDArray[np.float64]:
        """(cells,) how likely each is to be drawn among those of its mode."""
        n = len(self.languages)
        pairs = np.outer(of_language, of_language) * (1 - np.eye(n))
        return np.concatenate([of_language, [1.0, 1.0], pairs.ravel(), [1.0]])

    def name(self, cell: int) -> str:
        """``mono/de``, ``mixed``, ``cross``, ``cross/de-en``."""
        n = len(self.languages)
        if cell < n:
            return f"mono/{self.languages[cell]}"
        if cell < n + 2:
            return ("mixed", "cross")[cell - n]
        if cell == self.apart:
            return "apart"
        a, b = divmod(cell - n - 2, n)
        return f"cross/{self.languages[a]}-{self.languages[b]}"


@dataclass(frozen=True)
class Stratum:
    """Rows of one data set that are batched together."""

    data_set: int
    rows: Ints
    signature: Ints
    """(rows,) index into ``allowed``."""
    allowed: Bools
    """(signatures, cells)"""
    home: Ints
    """Cells that together can take every row; as few as a greedy search finds."""
    crowd: int
    """Size of the largest group: rows that need as many batches."""

    @cached_property
    def cells(self) -> Ints:
        """Cells that some row can be in."""
        return np.flatnonzero(self.allowed.any(0))


def strata_of(rows: PairRows, cells: RecipeCells, batch_size: int) -> tuple[list[Stratum], Ints]:
    """The strata, in order of data sets, and the rows that fit no cell.

    Rows without a choice that would not fill a batch join those of their data set with a choice.
    """
    masks = np.concatenate([rows.query, rows.passage], axis=1)
    kinds, signature = np.unique(masks, axis=0, return_inverse=True)
    signature = signature.ravel()
    n = len(rows.languages)
    # By kind of row, not by row: there are few kinds, and the table has a column for every cell.
    allowed = cells.allowed(kinds[:, :n], kinds[:, n:])
    able: Bools = np.asarray(allowed.any(1))
    unusable = np.flatnonzero(~able[signature])
    mono, cross = allowed[:, cells.is_mono].any(1), allowed[:, ~cells.is_mono].any(1)
    # One stratum for each cell of rows without a choice; one for those that choose among cells of
    # one mode, and one for those that choose between modes.
    forced = allowed.sum(1) == 1
    label = np.where(forced, allowed.argmax(1), cells.count + 2 * mono + cross)
    usable = able[signature]
    found = []
    for number in range(len(rows.names)):
        members = np.flatnonzero((rows.data_set == number) & usable)
        labels = label[signature[members]]
        values, sizes = np.unique(labels, return_counts=True)
        if (values >= cells.count).any():
            few = values[(values < cells.count) & (sizes < batch_size)]
            labels[np.isin(labels, few)] = values.max()
        for value in np.unique(labels):
            here = members[labels == value]
            found.append(_stratum(rows, number, here, signature[here], allowed))
    return found, unusable


def _stratum(
    rows: PairRows, number: int, members: Ints, signature: Ints, allowed: Bools
) -> Stratum:
    # Rows that differ in languages may still fit the same cells.
    kinds, own = np.unique(allowed[signature], axis=0, return_inverse=True)
    own = own.ravel()
    left, home = np.ones(len(kinds), bool), []
    sizes = np.bincount(own, minlength=len(kinds))
    while left.any():
        best = int((kinds[left] * sizes[left][:, None]).sum(0).argmax())
        home.append(best)
        left &= ~kinds[:, best]
    crowd = int(np.bincount(rows.group[members]).max())
    return Stratum(number, members, own, kinds, np.array(home, np.int64), crowd)


def language_weights(rows: PairRows, settings: Settings) -> NDArray[np.float64]:
    """(L,) weights by which languages are drawn; a language's size is its number of passages."""
    sizes: NDArray[np.float64] = (rows.query | rows.passage).sum(0).astype(np.float64)
    powers = {"uniform": 0.0, "size": 1.0, "temperature": 1.0 / settings.language_temperature}
    weights: NDArray[np.float64] = np.where(sizes > 0, sizes ** powers[settings.language_draw], 0.0)
    return weights


def check_usable(rows: PairRows, examples: Sequence[Example], unusable: Ints, recipe: str) -> None:
    """Raise for rows that the recipe cannot use.

    Raises:
        UsageError: the message says how many, names one, and what would be right.
    """
    if not len(unusable):
        return
    example = examples[unusable[0]]
    needs = {
        "cross": "a query and a passage in different languages",
        "english": "a query and a passage in English",
        "hybrid": "a query and a passage",
        "xlco": "a query and a passage",
        "lakda": "a query in two languages and a passage",
        "mimo": "a query and a passage in English, for the teacher",
    }.get(recipe, "a query and a passage in the same language")
    raise UsageError(
        f"{rows.names[rows.data_set[unusable[0]]]}: {len(unusable):,} of {len(rows):,} rows cannot "
        f"be used by --recipe {recipe}, which needs {needs}, as {example.id!r} with queries in "
        f"{', '.join(example.query)} and passages in {', '.join(example.passage)}; "
        "--skip-unusable leaves them out"
    )
