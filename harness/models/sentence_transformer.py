"""Models in the folders of sentence-transformers or transformers, local or from the hub."""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from harness.base.environment import release_memory
from harness.base.reading import read_object
from harness.data.images import Image, are_images
from harness.data.task import Role
from harness.errors import HarnessError, HarnessWarning, ModelError, first_line, quoted
from harness.models import peft_adapter
from harness.models.base import Backend, ModelOptions, Similarity
from harness.models.fingerprint import digest_folder, fingerprint, library_versions
from harness.models.quiet_loading import quiet_loading
from harness.models.random_weights import no_random_weights
from harness.models.safetensors_header import count_weights
from harness.models.token_counts import CHUNK, Stream, Work
from harness.models.token_pipeline import Pipeline, longest_first
from harness.models.trained_folder import is_use_m3, training_facts
from harness.models.use_m3.encoder import IMPLEMENTATION, LANGUAGES
from harness.models.wrapped import as_float32

LIBRARIES = ("torch", "transformers", "sentence-transformers", "tokenizers")
_BACKEND_LIBRARIES: dict[Backend, tuple[str, ...]] = {
    "torch": (),
    "onnx": ("optimum", "optimum-onnx", "onnxruntime", "onnxruntime-gpu"),
    "openvino": ("optimum", "optimum-intel", "openvino"),
}
# Names under which models keep a role's prompt, the library's own order first.
_PROMPT_NAMES: dict[Role, tuple[str, ...]] = {
    "query": ("query",),
    "passage": ("document", "passage", "corpus"),
}
_BATCH_SIZE = 32
IMAGES = 8
"""Images of a batch where the user sets no size."""
MODALITIES = ("text", "image")
"""What models of this library may take; whether one does is known once it is loaded."""


class LoadedEncoder(ABC):
    """A ``SentenceTransformer`` that is loaded at the first :meth:`encode`."""

    prompts: Mapping[Role, str]
    similarity: Similarity

    def __init__(self, options: ModelOptions, name: str) -> None:
        """Of a model called ``name`` with what the user set."""
        self._options, self.name = options, name
        # Models that differ in prompts alone share one list.
        self._loaded: list[Pipeline] = []

    @abstractmethod
    def _load(self) -> Any:
        """The ``SentenceTransformer``, ready to encode.

        Raises:
            ModelError: it cannot be loaded.
        """

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline that encodes with the loaded model."""
        if not self._loaded:
            self._loaded.append(pipeline_for(self._load(), self._options))
            release_memory()  # what loading needed in passing: 80 MB for me5-small
        return self._loaded[0]

    def use_weights_of(self, other: LoadedEncoder) -> None:
        """Load no weights of its own: those of ``other``, the same model with other prompts."""
        self._loaded = other._loaded

    @property
    def model(self) -> Any:
        """The loaded ``SentenceTransformer``."""
        return self.pipeline.model

    @property
    def device(self) -> str | None:
        """Its device; ``None`` before it is loaded."""
        return str(self._loaded[0].model.device) if self._loaded else None

    @property
    def work(self) -> Work:
        """The work done so far."""
        return self._loaded[0].work.copy() if self._loaded else Work()

    def stream(self, texts: Sequence[str], *, role: Role, language: str) -> Stream:
        """Positions in ``texts`` and their vectors as they are computed, longest texts first.

        Raises:
            ModelError: the model cannot be loaded or fails on the texts.
        """
        prompt = self.prompts[role]
        return stream_with(self.pipeline, texts, role=role, prompt=prompt, name=self.name)

    def encode(self, texts: Sequence[str], *, role: Role, language: str) -> NDArray[np.float32]:
        """Vectors of shape (number of texts, width), as the model returns them.

        Raises:
            ModelError: the model cannot be loaded or fails on the texts.
        """
        return gathered(self.stream(texts, role=role, language=language), len(texts))

    def prepared(self, model: Any) -> Any:
        """``model``, compiled or its linear layers packed, as the options and the device allow."""
        if self._options.compile:
            compile_model(model)
        elif model.device.type == "cpu":
            from harness.models.packed_linear import pack

            pack(model)
        return model


class SentenceTransformerEncoder(LoadedEncoder):
    """A model folder, loaded through sentence-transformers at the first :meth:`encode`.

    A folder without ``modules.json`` is a plain transformers model and gets the library's default
    pooling (the mean over tokens; the last token for causal language models). Custom code in a
    model's repository is never run. A folder that `harness train` wrote also says how it was
    trained.
    """

    languages: frozenset[str] | None = None
    modalities = MODALITIES

    def __init__(
        self, folder: Path, options: ModelOptions, *, name: str, revision: str | None = None
    ) -> None:
        """Read the folder's configuration and compute its fingerprint; no weights are loaded.

        Args:
            folder: a folder with ``modules.json``, ``config.json`` or ``adapter_config.json``.
            options: the user's settings.
            name: the name on boards.
            revision: commit of a hub model, for the record.

        Raises:
            ModelError: the folder or its configuration cannot be used.
        """
        super().__init__(options, name)
        self._folder = folder
        config = read_config(folder / "config_sentence_transformers.json")
        self.similarity = similarity_of(config.get("similarity_fn_name"), name)
        self.prompts = prompts_of(config.get("prompts"), options, name)
        self._check_length()
        files = digest_folder(folder, options.backend)
        if not files:
            raise ModelError(f"{folder}: contains no model files")
        base = peft_adapter.base_facts(folder, name=name, offline=options.offline)
        # An adapter's base is counted once both are loaded.
        self.parameters: int | None = count_weights(folder, files) if base is None else None
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
            "backend": options.backend,
            "libraries": library_versions(*LIBRARIES, *_BACKEND_LIBRARIES[options.backend]),
        }
        if self._built_in:
            self.facts = {**self.facts, "implementation": IMPLEMENTATION}
        if base is not None:
            versions = library_versions(*LIBRARIES, "peft")
            self.facts = {**self.facts, "base": base, "libraries": versions}
        if options.backend_file is not None:
            self.facts = {**self.facts, "backend_file": options.backend_file}
        if options.compile:
            self.facts = {**self.facts, "compiled": True}
        self.fingerprint: str | None = fingerprint(self.facts)

    def _check_length(self) -> None:
        """Refuse a maximum length beyond the model's positions."""
        most = self._options.max_length
        positions = read_config(self._folder / "config.json").get("max_position_embeddings")
        if most is not None and isinstance(positions, int) and most > positions:
            raise ModelError(f"--max-length {most}: {self.name} has {positions} positions")

    def _load(self) -> Any:
        try:
            import torch
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ModelError(
                f"{self.name} needs the package {error.name}, which is not installed: "
                "pip install sentence-transformers"
            ) from error
        check_tokenizer(self._folder, self.facts["files"], self.name)
        dtype = getattr(torch, self._options.dtype)
        on_torch = self._options.backend == "torch"
        try:
            with quiet_loading(), no_random_weights():
                if self._built_in:
                    from harness.models.use_m3.module import load_folder

                    model = load_folder(self._folder, device=self._options.device, prompts={})
                else:
                    model = SentenceTransformer(
                        str(self._folder),
                        device=self._options.device,
                        trust_remote_code=False,
                        local_files_only=True,
                        backend=self._options.backend,
                        model_kwargs={"dtype": dtype}
                        if on_torch
                        else _export_settings(self._options),
                    )
            if on_torch:
                # Not every module type respects the argument (static embeddings do not).
                model = model.to(dtype=dtype)
        except Exception as error:
            raise ModelError(
                f"{self.name}: cannot be loaded from {self._folder}: {first_line(error)}"
            ) from error
        peft_adapter.check_loaded(model, self._folder, self.name)
        if self._options.max_length is not None:
            model.max_seq_length = self._options.max_length
        if self.parameters is None and on_torch:
            self.parameters = sum(p.numel() for p in model.parameters())
        if not on_torch or (self._built_in and not self._options.compile):
            # The built-in network accesses its weights directly, which packing does not allow.
            return model
        return self.prepared(model)


_TOKENIZERS = (
    "tokenizer.json", "tokenizer_config.json", "*vocab*", "merges.txt", "*.model", "*.spm",
    "*.tiktoken", "whitespacetokenizer_config.json", "bag_of_words.json", "processor_config.json",
    "preprocessor_config.json",
)  # fmt: skip


def check_tokenizer(folder: Path, files: Iterable[str], name: str) -> None:
    """Refuse a folder without a tokenizer: the library would give it an arbitrary one, or none.

    An adapter without one uses that of its base.

    Raises:
        ModelError: none of ``files`` is a tokenizer's.
    """
    if (folder / peft_adapter.CONFIGURATION).is_file():
        return
    if not any(fnmatch(Path(x).name, pattern) for x in files for pattern in _TOKENIZERS):
        raise ModelError(
            f"{name}: {folder} contains no tokenizer (tokenizer.json, vocab.txt or a sentencepiece "
            ".model); save the tokenizer with the model"
        )


def pipeline_for(model: Any, options: ModelOptions) -> Pipeline:
    """The pipeline for a loaded model, with the user's batch settings."""
    return Pipeline(model, options.batch_tokens, options.batch_size)


def stream_with(
    pipeline: Pipeline, texts: Sequence[str], *, role: Role, prompt: str, name: str
) -> Stream:
    """Positions and vectors batch by batch, or by chunks if only the library can tokenise.

    In that case the library's query and document methods are used, so that models with a part per
    role use the right one; the prompt is always passed, so that no default of the model is added.
    """
    if not texts:
        return
    try:
        if are_images(texts):
            yield from _stream_images(pipeline, texts, prompt=prompt, name=name)
            return
        if pipeline.fits(role, prompt):
            yield from pipeline.stream(texts, role=role, prompt=prompt)
            return
        model = pipeline.model
        encode = model.encode_query if role == "query" else model.encode_document
        order = longest_first(texts)
        for start in range(0, len(order), CHUNK):
            rows = order[start : start + CHUNK]
            begun = time.perf_counter()
            vectors = encode(
                [texts[i] for i in rows],
                prompt=prompt,
                batch_size=pipeline.most_texts or _BATCH_SIZE,
                show_progress_bar=False,
                convert_to_numpy=True,
            )
            pipeline.work += Work(texts=len(rows), seconds=time.perf_counter() - begun)
            yield rows, as_float32(vectors, name)
    except (HarnessError, MemoryError):
        raise
    except Exception as error:  # of torch, tokenizers, ONNX Runtime, OpenVINO, a module's author
        usual = isinstance(error, RuntimeError | ValueError | IndexError | TypeError)
        kind = "" if usual else f"{type(error).__name__}: "
        raise ModelError(
            f"{name}: failed to encode {len(texts)} {role} texts: {kind}{first_line(error)}"
        ) from error


def _stream_images(pipeline: Pipeline, images: Sequence[str], *, prompt: str, name: str) -> Stream:
    """Positions and vectors of passages that are images, a batch of them open at a time.

    Raises:
        ModelError: the model takes no images.
    """
    model = pipeline.model
    if not model.supports("image"):
        raise ModelError(
            f"{name} takes {' and '.join(map(str, model.modalities))}, and these passages are "
            "images: name a model that takes images, or search the pages' texts with --text"
        )
    size = pipeline.most_texts or IMAGES
    for start in range(0, len(images), size):
        rows = np.arange(start, min(start + size, len(images)))
        opened = [cast("Image", x).open() for x in images[start : start + size]]
        begun = time.perf_counter()
        vectors = model.encode_document(
            opened,
            prompt=prompt,
            batch_size=size,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        pipeline.work += Work(texts=len(rows), seconds=time.perf_counter() - begun)
        yield rows, as_float32(vectors, name)


def gathered(stream: Stream, texts: int) -> NDArray[np.float32]:
    """The vectors of a whole stream, (texts, d), in the order of the texts."""
    out = np.empty((0, 0), np.float32)
    for rows, vectors in stream:
        if not out.size:
            out = np.empty((texts, vectors.shape[1]), np.float32)
        out[rows] = vectors
    return out


def compile_model(model: Any) -> None:
    """Compile everything from tokens to token embeddings with torch, once for all shapes."""
    # Frozen weights may be packed and folded: nothing trains them here.
    for module in model:
        inner = getattr(module, "auto_model", None)
        if inner is not None:
            inner.compile(dynamic=True, options={"freezing": True})


def _export_settings(options: ModelOptions) -> dict[str, Any]:
    """Loader arguments for the user's export and dtype.

    OpenVINO would choose bfloat16 by itself if the CPU supports it; that is the user's choice.
    """
    settings: dict[str, Any] = {}
    if options.backend_file is not None:
        settings["file_name"] = options.backend_file
    if options.backend == "openvino":
        hint = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}[options.dtype]
        settings["ov_config"] = {"INFERENCE_PRECISION_HINT": hint}
    return settings


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object from a model folder; empty if there is no such file.

    Raises:
        ModelError: the file is not a JSON object.
    """
    return read_object(path, ModelError) if path.exists() else {}


def similarity_of(value: object, name: str) -> Similarity:
    """A model's similarity, translated to the harness's name."""
    if value in (None, "cosine"):
        return "cosine"
    if value == "dot":
        return "dot"
    raise ModelError(f"{name}: compares by {value!r}; the harness ranks by 'cosine' or 'dot'")


def prompts_of(own: object, options: ModelOptions, name: str) -> dict[Role, str]:
    """The user's prompt for the role, else the model's own, else none.

    Warns of a model whose prompts are all for something else, or called otherwise.
    """
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
    named = [x for x, text in own.items() if text]
    known = {x for names in _PROMPT_NAMES.values() for x in names}
    if named and known.isdisjoint(named) and set(given.values()) == {None}:
        # The names are no convention: which of them is for queries is not to be guessed.
        warnings.warn(
            f"{name} has prompts of its own, {', '.join(map(quoted, named[:6]))}"
            f"{', ...' if len(named) > 6 else ''}, and none is called 'query' or 'document', so "
            "none is used: give their texts by --query-prompt and --passage-prompt ('' for none)",
            HarnessWarning,
            stacklevel=2,
        )
    return chosen
