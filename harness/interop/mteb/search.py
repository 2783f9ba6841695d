"""Search for plain mteb: each text of a task is encoded once, however many subsets contain it.

    mteb.evaluate(EncodeOnce(mteb.get_model(NAME)), tasks=[...])

mteb calls an encoder again for every subset's corpus. :class:`EncodeOnce` is a layer in between: it
caches the vector of each text by task, role, text and options of encoding, and searches exactly, in
the order that trec_eval evaluates by (score descending, then passage id descending). An encoder
that reads ``hf_subset`` gets the first one that contains a text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.pool import Pool, RelevantPassages
from harness.data.trec import tie_order
from harness.errors import ModelError
from harness.models.base import Similarity
from harness.models.wrapped import as_float32
from harness.search.exact import normalised
from harness.search.in_memory import DenseScores
from harness.search.tiles import rank

_NO_ACCOUNT = ("batch_size", "show_progress_bar")
"""Options of encoding that change no vector."""


def scoring_of(model: Any) -> Similarity:
    """How a model of mteb's compares vectors.

    Raises:
        ModelError: neither by cosine nor by inner product.
    """
    stated = getattr(getattr(model, "mteb_model_meta", None), "similarity_fn_name", None)
    inner = getattr(getattr(model, "model", None), "similarity_fn_name", None)
    value = getattr(stated, "value", stated) or inner or "cosine"
    if value == "cosine":
        return "cosine"
    if value == "dot":
        return "dot"
    raise ModelError(f"the model compares by {value}; exact search here is by cosine or dot")


class TopPassages:
    """mteb's search protocol for rankings that exist already."""

    def __init__(self, model: Any, rankings: Mapping[str, Mapping[str, float]]) -> None:
        """``rankings``: query id -> passage id -> score."""
        self.mteb_model_meta = getattr(model, "mteb_model_meta", None)
        self._rankings = rankings

    def index(self, corpus: Any, **given: Any) -> None:
        """Do nothing: the rankings exist already."""

    def search(self, queries: Any, **given: Any) -> dict[str, Mapping[str, float]]:
        """The rankings of ``queries``."""
        return {query: self._rankings[query] for query in queries["id"]}


class EncodeOnce:
    """An mteb encoder behind mteb's search protocol; encodes each text once."""

    def __init__(self, encoder: Any) -> None:
        """Wrap ``encoder``, an object of mteb's ``EncoderProtocol``.

        Raises:
            ModelError: it compares vectors in another way than by cosine or inner product.
        """
        self.encoder = encoder
        self.mteb_model_meta = encoder.mteb_model_meta
        self._similarity = scoring_of(encoder)
        self._known: dict[bytes, NDArray[np.float32]] = {}
        self.encoded = 0
        """Number of texts given to the encoder."""
        self._corpus: Any = None

    def index(self, corpus: Any, **given: Any) -> None:
        """Keep the corpus; it is encoded with the first queries."""
        self._corpus = corpus

    def search(
        self,
        queries: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        top_k: int,
        encode_kwargs: Mapping[str, Any],
        top_ranked: Any = None,
        num_proc: int | None = None,
        **given: Any,
    ) -> dict[str, dict[str, float]]:
        """Query id -> passage id -> score, the best ``top_k``.

        Raises:
            ModelError: the task is a reranking task or not one of texts alone, or the encoder gives
                no vectors.
        """
        from mteb.types import PromptType

        if top_ranked is not None:
            raise ModelError(f"{task_metadata.name} reranks given passages; EncodeOnce searches")
        kinds = {*task_metadata.get_modalities(PromptType.query)}
        kinds |= {*task_metadata.get_modalities(PromptType.document)}
        if kinds != {"text"}:
            raise ModelError(
                f"{task_metadata.name} has {', '.join(sorted(kinds - {'text'}))}; EncodeOnce knows "
                "texts apart, nothing else: evaluate the encoder without it"
            )
        about = {"task_metadata": task_metadata, "hf_split": hf_split, "hf_subset": hf_subset}
        query_vectors = self._vectors(queries, PromptType.query, about, encode_kwargs, num_proc)
        passage_vectors = self._vectors(
            self._corpus, PromptType.document, about, encode_kwargs, num_proc
        )
        ids = np.array(self._corpus["id"], dtype=object)
        order = np.asarray(tie_order(list(ids)), np.int64)
        pool = Pool(
            ids=ids[order],
            languages=("",),
            starts=np.array([0, len(ids)], np.int64),
            rows=order,
        )
        names = tuple(queries["id"])
        empty = np.zeros(0, np.int64)
        nothing = RelevantPassages(names, np.zeros(len(names) + 1, np.int64), empty, empty)
        scores = DenseScores(np.ascontiguousarray(passage_vectors[order]))
        found = rank(scores.of(query_vectors), "", nothing, pool, top=top_k, scored=True)
        return {
            name: dict(
                zip(pool.ids[found.top_k[i]].tolist(), found.top_k_scores[i].tolist(), strict=True)
            )
            for i, name in enumerate(names)
        }

    def _vectors(
        self, rows: Any, kind: Any, about: Any, encode_kwargs: Any, num_proc: int | None
    ) -> NDArray[np.float32]:
        """(n, d) float32 vectors of ``rows``, normalised for cosine; only new texts are encoded."""
        from mteb._create_dataloaders import create_dataloader

        columns = [x for x in ("title", "text", "instruction") if x in rows.column_names]
        how = sorted((k, repr(v)) for k, v in encode_kwargs.items() if k not in _NO_ACCOUNT)
        prefix = f"{about['task_metadata'].name}\0{kind.value}\0{how}".encode()
        keys = [
            hashlib.sha256(b"\0".join((prefix, *(repr(x).encode() for x in row)))).digest()
            for row in zip(*(rows[c] for c in columns), strict=True)
        ]
        new = {key: i for i, key in reversed(list(enumerate(keys))) if key not in self._known}
        if new:
            order = sorted(new.values())
            loader = create_dataloader(
                rows.select(order),
                task_metadata=about["task_metadata"],
                prompt_type=kind,
                num_proc=num_proc,
                batch_size=encode_kwargs.get("batch_size", 32),
            )
            made = self.encoder.encode(loader, prompt_type=kind, **about, **encode_kwargs)
            vectors = as_float32(made, type(self.encoder).__name__)
            if self._similarity == "cosine":
                # A vector of zeros stays one, as mteb has it: its cosine with any other is 0.
                there = np.asarray(vectors.any(axis=1))[:, None]
                vectors = normalised(np.where(there, vectors, 1)) * there
            self._known.update((keys[i], vectors[n]) for n, i in enumerate(order))
            self.encoded += len(order)
        return np.stack([self._known[key] for key in keys])
