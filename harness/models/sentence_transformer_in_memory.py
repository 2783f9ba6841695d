"""A ``SentenceTransformer`` in memory, for notebooks and training."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.task import Role
from harness.errors import ModelError
from harness.models.base import ModelOptions, Similarity
from harness.models.fingerprint import fingerprint, library_versions
from harness.models.sentence_transformer import (
    LIBRARIES,
    MODALITIES,
    gathered,
    pipeline_for,
    prompts_of,
    similarity_of,
    stream_with,
)
from harness.models.token_counts import Stream, Work


class SentenceTransformerInstance:
    """A ``SentenceTransformer`` in memory, for notebooks and training.

    Its weights are digested in their current state: after further training, wrap it again. One with
    custom modules has no fingerprint, because their code cannot be digested.
    """

    languages: frozenset[str] | None = None
    modalities = MODALITIES

    def __init__(self, model: Any, options: ModelOptions) -> None:
        """Wrap ``model`` without changing it.

        Raises:
            ModelError: an option requires another dtype or device than the model's.
        """
        self._options = options
        self.pipeline = pipeline_for(model, options)
        dtype = str(next((p.dtype for p in model.parameters()), "float32")).removeprefix("torch.")
        if options.dtype not in ("float32", dtype):
            raise ModelError(
                f"--dtype {options.dtype}: the model in memory is {dtype}; convert it first"
            )
        # A device without a number is any of its kind.
        if options.device not in (None, str(model.device), model.device.type):
            raise ModelError(f"--device {options.device}: the model in memory is on {model.device}")
        if options.backend not in ("torch", model.get_backend()):
            raise ModelError(
                f"--backend {options.backend}: the model in memory runs on {model.get_backend()}"
            )
        if options.compile:
            raise ModelError(
                "--compile: does not apply to a model in memory; compile it before passing it"
            )
        card = getattr(model, "model_card_data", None)
        base = getattr(card, "model_id", None) or getattr(card, "base_model", None)
        self.name: str = base if isinstance(base, str) else type(model).__name__
        self.similarity: Similarity = similarity_of(model.similarity_fn_name, self.name)
        self.prompts: Mapping[Role, str] = prompts_of(model.prompts, options, self.name)
        self.parameters: int | None = sum(p.numel() for p in model.parameters())
        packages = {type(module).__module__.split(".")[0] for module in model.modules()}
        foreign = sorted(packages - {"torch", "transformers", "sentence_transformers"})
        self.facts: Mapping[str, Any] = {
            "adapter": "sentence-transformers instance",
            "modules": repr(model),
            "configuration": [_configuration(module) for module in model],
            "weights": _weights_digest(model),
            "own_code": foreign,
            "prompts": dict(self.prompts),
            "similarity": self.similarity,
            "max_length": options.max_length or _bounded(model.max_seq_length),
            "truncate_dim": model.truncate_dim,
            "dtype": dtype,
            "backend": model.get_backend(),
            "libraries": library_versions(*LIBRARIES),
        }
        known = not foreign and all("tokenizer" in x for x in self.facts["configuration"][:1])
        self.fingerprint: str | None = fingerprint(self.facts) if known else None

    @property
    def device(self) -> str:
        """Where it computes."""
        return str(self.pipeline.model.device)

    @property
    def work(self) -> Work:
        """What was computed so far."""
        return self.pipeline.work.copy()

    def stream(self, texts: Sequence[str], *, role: Role, language: str) -> Stream:
        """As :meth:`SentenceTransformerEncoder.stream`; the model's settings are restored."""
        model, length = self.pipeline.model, self._options.max_length
        before = model.max_seq_length
        # A model in training would draw dropout, and its vectors would be stored under its weights.
        modes = [(module, module.training) for module in model.modules()]
        model.eval()
        if length is not None:
            model.max_seq_length = length
        prompt = self.prompts[role]
        try:
            yield from stream_with(self.pipeline, texts, role=role, prompt=prompt, name=self.name)
        finally:
            for module, training in modes:
                module.training = training
            if length is not None:
                model.max_seq_length = before

    def encode(self, texts: Sequence[str], *, role: Role, language: str) -> NDArray[np.float32]:
        """Vectors of shape (number of texts, width); the model's settings are restored."""
        return gathered(self.stream(texts, role=role, language=language), len(texts))


def _bounded(length: float | None) -> float | None:
    """A model's maximum length; ``None`` if it reads texts of any length."""
    return None if length is None or math.isinf(length) else length


def _weights_digest(model: Any) -> str:
    """SHA-256 over names, types, shapes and bytes of all parameters and buffers."""
    import hashlib

    import torch

    sha = hashlib.sha256()
    for key, tensor in model.state_dict().items():
        plain = tensor.detach().cpu().contiguous()
        sha.update(f"{key} {plain.dtype} {tuple(plain.shape)}\n".encode())
        sha.update(plain.flatten().view(torch.uint8).numpy().data)
    return sha.hexdigest()


def _configuration(module: Any) -> dict[str, Any]:
    """A module's settings and its tokenizer's full state, if any."""
    found: dict[str, Any] = {"type": type(module).__qualname__}
    if callable(getattr(module, "get_config_dict", None)):
        found["config"] = json.loads(json.dumps(module.get_config_dict(), default=str))
    tokenizer = getattr(module, "tokenizer", None)
    # A fast tokenizer wraps a Rust one in ``backend_tokenizer``; static embeddings have it bare.
    to_str = getattr(getattr(tokenizer, "backend_tokenizer", tokenizer), "to_str", None)
    if callable(to_str):
        state = json.loads(to_str())
        # Set at each call; they say nothing about the model.
        state.pop("padding", None)
        state.pop("truncation", None)
        found["tokenizer"] = fingerprint(state)
    return found
