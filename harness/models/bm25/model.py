"""The lexical model: BM25 over words and character n-grams, through bm25s.

The baseline every board should show. Each pool has its own index (document frequencies and average
length), as a search engine over that pool would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ModelError
from harness.models.base import ModelOptions
from harness.models.bm25.tokens import DESCRIPTION, tokens
from harness.models.fingerprint import library_versions

# Lucene's method and its defaults (Robertson's k1 = 1.2, b = 0.75), not tuned on any task here.
METHOD, K1, B = "lucene", 1.2, 0.75


class Bm25Model:
    """``bm25``: no training, no weights, and no link between languages but shared words."""

    name = "bm25"

    def __init__(self, options: ModelOptions) -> None:
        """Refuse options that have no meaning for word counts."""
        for flag, value in (
            ("--query-prompt", options.query_prompt),
            ("--passage-prompt", options.passage_prompt),
            ("--max-length", options.max_length),
        ):
            if value is not None:
                raise ModelError(
                    f"{flag} does not apply to bm25: it has no prompts and no length limit"
                )
        self.facts: Mapping[str, Any] = {
            "adapter": "bm25",
            "method": METHOD,
            "k1": K1,
            "b": B,
            "tokens": DESCRIPTION,
            "libraries": library_versions("bm25s"),
        }
        self._vocabulary = _Vocabulary()

    def index(self, passages: Sequence[str], *, languages: Sequence[str]) -> Bm25Index:
        """Index one pool.

        Args:
            passages: the pool's texts; at least one.
            languages: not used: tokens go by script.

        Raises:
            ModelError: no passage of the pool has a token.
        """
        return Bm25Index(passages, self._vocabulary)


class _Vocabulary:
    """Terms by number, in order of appearance; a text is tokenised once for all pools."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._texts: dict[str, NDArray[np.int32]] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def terms(self, text: str) -> NDArray[np.int32]:
        """Numbers of a text's tokens, in order, int32."""
        found = self._texts.get(text)
        if found is None:
            numbers = self._numbers
            found = np.array([numbers.setdefault(t, len(numbers)) for t in tokens(text)], np.int32)
            self._texts[text] = found
        return found


class Bm25Index:
    """BM25 weights of one pool, as sparse columns: one list of postings per term."""

    def __init__(self, passages: Sequence[str], vocabulary: _Vocabulary) -> None:
        """Weigh the terms of ``passages`` with bm25s."""
        import bm25s

        self._size = len(passages)
        self._vocabulary = vocabulary
        texts = [vocabulary.terms(text) for text in passages]
        # The pool's own numbers for its terms, without gaps; -1 for terms not in it.
        present = np.unique(np.concatenate(texts)) if texts else np.empty(0, np.int32)
        if not len(present):
            raise ModelError(f"bm25: none of the {self._size} passages of a pool contains a word")
        self._own = np.full(len(vocabulary), -1, dtype=np.int64)
        self._own[present] = np.arange(len(present))
        numbered = [self._own[text].tolist() for text in texts]
        retriever = bm25s.BM25(method=METHOD, k1=K1, b=B, backend="numpy")
        names = {str(term): term for term in range(len(present))}
        retriever.index((numbered, names), create_empty_token=False, show_progress=False)
        weights = retriever.scores
        self._data: NDArray[np.float32] = np.asarray(weights["data"], dtype=np.float32)
        self._indices: NDArray[np.int32] = np.asarray(weights["indices"], dtype=np.int32)
        self._indptr: NDArray[np.int64] = np.asarray(weights["indptr"], dtype=np.int64)

    def score(self, queries: Sequence[str], *, language: str) -> NDArray[np.float32]:
        """Scores of shape (queries, passages), float32; repeated query terms count repeatedly."""
        from harness.models.bm25.postings import add_postings

        query_terms = [self._vocabulary.terms(query) for query in queries]
        terms = np.concatenate([np.empty(0, np.int32), *query_terms])
        # Queries may have terms that were numbered after this pool was indexed.
        own = np.where(terms < len(self._own), self._own[np.minimum(terms, len(self._own) - 1)], -1)
        present = own >= 0
        query_of = np.repeat(np.arange(len(query_terms)), [len(x) for x in query_terms])[present]
        starts = np.zeros(len(query_terms) + 1, dtype=np.int64)
        np.cumsum(np.bincount(query_of, minlength=len(query_terms)), out=starts[1:])
        scores = np.zeros((len(queries), self._size), dtype=np.float32)
        add_postings(starts, own[present], self._data, self._indices, self._indptr, scores)
        return scores
