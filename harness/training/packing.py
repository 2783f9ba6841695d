"""A batch's texts without padding, all of their tokens in one row, for training on a processor.

Padding to the longest text of a batch half fills a matrix with nothing, and a short multiplication
is slow: so queries and passages go through the model together, token after token, longest text
first. Everything but attention treats tokens alike; attention sees one text at a time, texts of
equal length together. Loss and gradients are those of the padded batch (to rounding), dropout
excepted, whose random numbers fall on other places.

transformers and sentence-transformers read such rows (*flattened inputs*) from the models that run
with FlashAttention; :func:`attention` makes the same possible where there is none. A model that
does not give the same vectors either way keeps its padding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

NAME = "harness_packed"
"""Of :func:`attention` among the attention functions of transformers."""
TOLERANCE = 1e-4
"""Greatest difference between a packed and a padded vector, relative to the vector's length."""
_BOUNDS = "cu_seq_lens_q"
_TENSORS = {"input_ids", "attention_mask", "token_type_ids"}


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **given: Any,
) -> tuple[Tensor, None]:
    """Attention inside each text of a packed row, in the form that transformers calls.

    Args:
        module: the layer.
        query: (1, heads, tokens, width), as ``key`` and ``value``.
        key: see ``query``.
        value: see ``query``.
        attention_mask: none; a text sees itself.
        dropout: share of the weights that are dropped.
        scaling: of the products; ``None``: one over the root of the width.
        given: ``cu_seq_lens_q``, where each text begins, and the end: int (texts + 1).

    Returns:
        (1, tokens, heads, width), and no weights.

    Raises:
        ValueError: attention of a kind that is not here: causal, in windows, fewer keys than
            queries.
    """
    unknown = [
        x for x in ("sliding_window", "softcap", "position_bias") if given.get(x) is not None
    ]
    if unknown or attention_mask is not None or getattr(module, "is_causal", False):
        raise ValueError(f"no packed attention with {unknown or 'a mask'}")
    if query.shape != key.shape:
        raise ValueError("no packed attention with fewer keys than queries")
    bounds = given[_BOUNDS].tolist()
    lengths = [b - a for a, b in pairwise(bounds)]
    groups = [(length, len(list(x))) for length, x in groupby(lengths)]
    sizes = [length * texts for length, texts in groups]
    # Split, not sliced: the gradient of a slice is a row of zeros for every text that is not in it.
    parts = zip(*(x[0].transpose(0, 1).split(sizes) for x in (query, key, value)), strict=True)
    found = []
    for (length, texts), part in zip(groups, parts, strict=True):
        q, k, v = (x.unflatten(0, (texts, length)).transpose(1, 2) for x in part)
        seen = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scaling)
        found.append(seen.transpose(1, 2).flatten(0, 1))
    return torch.cat(found)[None], None


class Packing:
    """Vectors of several columns of texts in one packed pass, where a model can take it.

    Args:
        model: a ``SentenceTransformer``, or what wraps it for several processes.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._offset: int | None = None
        """What positions begin with; ``None``: the model takes no packed rows."""
        self._asked = False

    def vectors(self, columns: Sequence[Mapping[str, Any]]) -> list[Tensor] | None:
        """Vectors (texts, width) of each column; ``None`` if the texts have to be padded."""
        if not all(map(_packable, columns)) or not self._fits(columns):
            return None
        assert self._offset is not None
        return _packed(self.model, columns, self._offset)

    def _fits(self, columns: Sequence[Mapping[str, Any]]) -> bool:
        """Whether the model gives the same vectors either way, found out with the first texts."""
        if not self._asked:
            self._asked = True
            own = getattr(self.model, "module", self.model)
            with contextlib.suppress(Exception):  # whatever stands against it: padding works
                self._offset = _offset(own, [_first(x, 4) for x in columns])
        return self._offset is not None


def _packable(column: Mapping[str, Any]) -> bool:
    """Whether it is tokens of texts and nothing else, on a processor, padded at the end."""
    tensors = {k: v for k, v in column.items() if isinstance(v, Tensor)}
    if not {"input_ids", "attention_mask"} <= tensors.keys() <= _TENSORS:
        return False
    mask = tensors["attention_mask"]
    if mask.device.type != "cpu" or mask.ndim != 2:
        return False
    types = tensors.get("token_type_ids")
    ordered = bool((mask[:, :-1] >= mask[:, 1:]).all()) and bool(mask[:, 0].all())
    return ordered and (types is None or not bool(types.any()))


def _packed(model: Any, columns: Sequence[Mapping[str, Any]], offset: int) -> list[Tensor]:
    texts = [
        ids[:length]
        for x in columns
        for ids, length in zip(x["input_ids"], x["attention_mask"].sum(1).tolist(), strict=True)
    ]
    lengths = torch.tensor([len(x) for x in texts])
    order = torch.argsort(lengths, descending=True, stable=True)
    lengths = lengths[order]
    ends = lengths.cumsum(0)
    row = {k: v for k, v in columns[0].items() if not isinstance(v, Tensor)} | {
        "input_ids": torch.cat([texts[i] for i in order.tolist()])[None],
        "position_ids": torch.cat([torch.arange(n) + offset for n in lengths.tolist()])[None],
        _BOUNDS: functional.pad(ends, (1, 0)),
    }
    with _attending(getattr(model, "module", model)):
        sorted_vectors = model(row)["sentence_embedding"]
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order))
    return list(sorted_vectors[back].split([len(x["input_ids"]) for x in columns]))


@contextlib.contextmanager
def _attending(model: Any) -> Iterator[None]:
    """``model`` attends as packed rows need it."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attention)
    first = model[0]
    if first.model_forward_params is not None:
        first.model_forward_params |= {_BOUNDS}
    config = first.auto_model.config
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def _offset(model: Any, columns: Sequence[dict[str, Any]]) -> int | None:
    """The offset of positions with which packed vectors are the padded ones."""
    if model[0].auto_model.config._attn_implementation != "sdpa":
        return None
    # RoBERTa and its kin count positions from after the padding's number.
    padding = model.tokenizer.pad_token_id or 0
    was = model.training
    model.eval()
    try:
        with torch.no_grad():
            padded = torch.cat([model(dict(x))["sentence_embedding"] for x in columns])
            for offset in (0, padding + 1):
                packed = torch.cat(_packed(model, columns, offset))
                apart = (packed - padded).norm(dim=1) / padded.norm(dim=1)
                if bool((apart <= TOLERANCE).all()):
                    return offset
    finally:
        model.train(was)
    return None


def _first(column: Mapping[str, Any], texts: int) -> dict[str, Any]:
    return {k: v[:texts] if isinstance(v, Tensor) else v for k, v in column.items()}
