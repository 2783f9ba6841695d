"""Encoders as mteb wants them, for tests: the word bag of :mod:`tiny` behind mteb's protocol."""

from __future__ import annotations

from typing import Any

import numpy as np
from mteb.models import ModelMeta
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ScoringFunction
from tiny import WordBag


class WordBagInMteb(AbsEncoder):
    """mteb's ``EncoderProtocol`` over :class:`tiny.WordBag`; counts what it is given."""

    def __init__(self, similarity: str = "cosine") -> None:
        self.bag = WordBag()
        self.mteb_model_meta = ModelMeta.create_empty(
            {
                "name": "tests/word-bag",
                "revision": "1",
                "similarity_fn_name": ScoringFunction(similarity),
            }
        )

    def encode(self, inputs: Any, **_: Any) -> np.ndarray:
        texts = [text for batch in inputs for text in batch["text"]]
        return self.bag.encode(texts, role="query", language="en")

    @property
    def encoded(self) -> int:
        """Texts it was given so far."""
        return len(self.bag.requested)
