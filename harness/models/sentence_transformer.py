"""Models in the folders of sentence-transformers or transformers, local or from the hub."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ModelError
from harness.models.base import ModelOptions, Similarity
from harness.models.coverage import warn_untrained
from harness.models.fingerprint import digest_folder, fingerprint, library_versions
from harness.models.safetensors_header import count_weights
from harness.models.trained import is_use_m3, training_facts
from harness.models.use_m3 import IMPLEMENTATION, LANGUAGES
from harness.models.wrapped import as_float32
from harness.task import Role

_LIBRARIES = ("torch", "transformers", "sentence-transformers", "tokenizers")
# Names under which models keep a role's prompt, the library's own order first.
_PROMPT_NAMES: dict[Role, tuple[str, ...]] = {
    "query": ("query",),
    "passage": ("document", "passage", "corpus"),
}
_BATCH_SIZE = 32


class SentenceTransformerEncoder:
    """A model folder, loaded through sentence-transformers at the first :meth:`encode`.

    A folder without ``modules.json`` is a plain transformers model and gets the library's default
    pooling (the mean over tokens; the last token for causal language models). Custom code in a
    model's repository is never run. A folder that `harness train` wrote also says how it was
    trained.
    """

    languages: frozenset[str] | None = None

    def __init__(
        self, folder: Path, options: ModelOptions, *, name: str, revision: str | None = None
    ) -> None:
        """Read the folder's configuration and take its fingerprint; no weights are loaded.

        Args:
            folder: a folder with ``modules.json`` or ``config.json``.
            options: what the user set.
            name: as boards show it.
            revision: commit of a hub model, for the record.

        Raises:
            ModelError: the folder or its configuration cannot be used.
        """
        self._folder, self._options, self.name = folder, options, name
        config = read_config(folder / "config_sentence_transformers.json")
        self.similarity: Similarity = _similarity(config.get("similarity_fn_name"), name)
        self.prompts: Mapping[Role, str] = _prompts(config.get("prompts"), options, name)
        self._check_length()
        files = digest_folder(folder)
        if not files:
            raise ModelError(f"{folder}: holds no model files")
        self.parameters: int | None = count_weights(folder, files)
        pooled = "modules.json" in files
        self._built_in = pooled and is_use_m3(folder)
        self.training: Mapping[str, Any] | None = training_facts(folder)
        if self._built_in:
            self.languages = LANGUAGES | set((self.training or {}).get("languages", ()))
        self.facts: Mapping[str, Any] = {
            "adapter": "sentence-transformers",
            "files": files,
            "revision": revision,
            "prompts": dict(self.prompts),
            "similarity": self.similarity,
            "max_length": options.max_length,
            "truncation": "right, to the maximum length",
            "pooling": "modules.json" if pooled else "library default (mean, last token if causal)",
            "normalisation": "modules.json" if pooled else "none",
            "dtype": options.dtype,
            "backend": "torch",
            "libraries": library_versions(*_LIBRARIES),
        }
        if self._built_in:
            self.facts = {**self.facts, "implementation": IMPLEMENTATION}
        self.fingerprint: str | None = fingerprint(self.facts)
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The loaded ``SentenceTransformer``."""
        if self._model is None:
            self._model = self._load()
        return self._model

    def encode(self, texts: Sequence[str], *, role: Role, language: str) -> NDArray[np.float32]:
        """Vectors of shape (number of texts, width), as the model gives them.

        Raises:
            ModelError: the model cannot be loaded or fails on the texts.
        """
        return encode_with(
            self.model,
            texts,
            role=role,
            prompt=self.prompts[role],
            batch_size=self._options.batch_size,
            name=self.name,
        )

    def _check_length(self) -> None:
        """Refuse a maximum length that the model has no positions for."""
        wanted = self._options.max_length
        positions = read_config(self._folder / "config.json").get("max_position_embeddings")
        if wanted is not None and isinstance(positions, int) and wanted > positions:
            raise ModelError(f"--max-length {wanted}: {self.name} has {positions} positions")

    def _load(self) -> Any:
        try:
            import torch
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ModelError(
                f"{self.name} needs the package {error.name}, which is not installed: "
                "pip install sentence-transformers"
            ) from error
        dtype = getattr(torch, self._options.dtype)
        try:
            with _quiet_loading():
                if self._built_in:
                    from harness.models.use_m3_module import load_folder

                    model = load_folder(self._folder, device=self._options.device, prompts={})
                else:
                    model = SentenceTransformer(
                        str(self._folder),
                        device=self._options.device,
                        trust_remote_code=False,
                        local_files_only=True,
                        model_kwargs={"dtype": dtype},
                    )
            # Not every module type honours the argument (static embeddings do not).
            model = model.to(dtype=dtype)
        except Exception as error:
            raise ModelError(
                f"{self.name}: cannot be loaded from {self._folder}: {first_line(error)}"
            ) from error
        if self._options.max_length is not None:
            model.max_seq_length = self._options.max_length
        if self.parameters is None:
            self.parameters = sum(p.numel() for p in model.parameters())
        return model


class SentenceTransformerInstance:
    """A ``SentenceTransformer`` the caller has in memory, for notebooks and training.

    Its weights are digested as they are now: train on, and wrap it again. One with modules of the
    user's own has no fingerprint, because what their code computes cannot be digested.
    """

    languages: frozenset[str] | None = None

    def __init__(self, model: Any, options: ModelOptions) -> None:
        """Wrap ``model``; it is left as it is.

        Raises:
            ModelError: an option would need another dtype or device than the model is in.
        """
        self._model, self._options = model, options
        dtype = str(next((p.dtype for p in model.parameters()), "float32")).removeprefix("torch.")
        if options.dtype not in ("float32", dtype):
            raise ModelError(
                f"--dtype {options.dtype}: the model in memory is {dtype}; convert it first"
            )
        if options.device is not None and str(model.device) != options.device:
            raise ModelError(f"--device {options.device}: the model in memory is on {model.device}")
        card = getattr(model, "model_card_data", None)
        base = getattr(card, "model_id", None) or getattr(card, "base_model", None)
        self.name: str = base if isinstance(base, str) else type(model).__name__
        self.similarity: Similarity = _similarity(model.similarity_fn_name, self.name)
        self.prompts: Mapping[Role, str] = _prompts(model.prompts, options, self.name)
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
            "max_length": options.max_length or model.max_seq_length,
            "truncate_dim": model.truncate_dim,
            "dtype": dtype,
            "backend": model.get_backend(),
            "libraries": library_versions(*_LIBRARIES),
        }
        known = not foreign and all("tokenizer" in x for x in self.facts["configuration"][:1])
        self.fingerprint: str | None = fingerprint(self.facts) if known else None

    def encode(self, texts: Sequence[str], *, role: Role, language: str) -> NDArray[np.float32]:
        """Vectors of shape (number of texts, width); the model's settings are put back after."""
        warn_untrained(self, [language])
        before = self._model.max_seq_length
        if self._options.max_length is not None:
            self._model.max_seq_length = self._options.max_length
        try:
            return encode_with(
                self._model,
                texts,
                role=role,
                prompt=self.prompts[role],
                batch_size=self._options.batch_size,
                name=self.name,
            )
        finally:
            if self._options.max_length is not None:
                self._model.max_seq_length = before


def encode_with(
    model: Any,
    texts: Sequence[str],
    *,
    role: Role,
    prompt: str,
    batch_size: int | None,
    name: str,
) -> NDArray[np.float32]:
    """Encode with a loaded ``SentenceTransformer``, which sorts by length and makes the batches.

    The library's query and document methods are used, so that models with a part for each role
    take the right one; the prompt is always given, so that no default of the model adds another.
    """
    encode = model.encode_query if role == "query" else model.encode_document
    try:
        vectors = encode(
            list(texts),
            prompt=prompt,
            batch_size=batch_size or _BATCH_SIZE,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise ModelError(
            f"{name}: failed to encode {len(texts)} {role} texts: {first_line(error)}"
        ) from error
    return as_float32(vectors, name)


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object from a model folder; empty if there is no such file.

    Raises:
        ModelError: the file is not a JSON object.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path}: must hold a JSON object")
    return found


def _similarity(value: object, name: str) -> Similarity:
    if value in (None, "cosine"):
        return "cosine"
    if value == "dot":
        return "dot"
    raise ModelError(f"{name}: compares by {value!r}; the harness ranks by 'cosine' or 'dot'")


def _prompts(own: object, options: ModelOptions, name: str) -> dict[Role, str]:
    """What the user set, else the model's own prompt for the role, else none."""
    own = {} if own is None else own
    if not isinstance(own, Mapping) or not all(isinstance(x, str | None) for x in own.values()):
        raise ModelError(f"{name}: its prompts must map names to texts")
    given: dict[Role, str | None] = {
        "query": options.query_prompt,
        "passage": options.passage_prompt,
    }
    chosen: dict[Role, str] = {}
    for role, names in _PROMPT_NAMES.items():
        set_by_user = given[role]
        model_own = next((own[x] for x in names if own.get(x)), "")
        chosen[role] = model_own if set_by_user is None else set_by_user
    return chosen


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
    """A module's settings and its tokenizer's whole state, where it has them."""
    found: dict[str, Any] = {"type": type(module).__qualname__}
    if callable(getattr(module, "get_config_dict", None)):
        found["config"] = json.loads(json.dumps(module.get_config_dict(), default=str))
    tokenizer = getattr(module, "tokenizer", None)
    # A fast tokenizer holds a Rust one in ``backend_tokenizer``; static embeddings hold it bare.
    to_str = getattr(getattr(tokenizer, "backend_tokenizer", tokenizer), "to_str", None)
    if callable(to_str):
        state = json.loads(to_str())
        # Set anew at each call; they say nothing about the model.
        state.pop("padding", None)
        state.pop("truncation", None)
        found["tokenizer"] = fingerprint(state)
    return found


@contextlib.contextmanager
def _quiet_loading() -> Iterator[None]:
    """Hold back the bars transformers draws while it loads; the harness draws its own."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def first_line(error: Exception) -> str:
    """The first line of an error's message, with its type where the message says nothing."""
    return str(error).strip().split("\n")[0] or type(error).__name__
