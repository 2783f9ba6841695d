"""Models in mteb's registry, with mteb's prompts, instructions and revision for them.

A model is loaded by ``mteb.get_model``'s own machinery. One that mteb runs through plain
sentence-transformers (its ``SentenceTransformerEncoderWrapper``) is encoded by the harness's path
for such models: the same weights, the same prompts, digests of the weights for the store. Any other
is called through mteb's encoder protocol, and its vectors are stored only if the revision pins its
weights. mteb itself refuses local folders; ``mteb:./FOLDER`` loads one in the same way.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from harness.base.files import home_expanded
from harness.base.languages import short_code, with_script
from harness.data.task import Role, TaskSpec
from harness.errors import ModelError, did_you_mean, first_line
from harness.models.base import Model, ModelOptions, Similarity
from harness.models.fingerprint import fingerprint, library_versions
from harness.models.hub_snapshot import NAME, snapshot
from harness.models.sentence_transformer_in_memory import SentenceTransformerInstance
from harness.models.wrapped import as_float32

PREFIX = "mteb:"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_BATCH_SIZE = 32
# Loaders of mteb that accept a folder as the name.
_LOAD_FOLDERS = ("SentenceTransformerEncoderWrapper", "InstructSentenceTransformerModel")

GENERIC_TASK = "HarnessRetrieval"
"""The task name given to mteb's models if no task of mteb corresponds."""

MTEB_TASKS: Mapping[str, str] = {
    "belebele": "BelebeleRetrieval",
    "miracl": "MIRACLRetrieval",
    "miracl-hard-negatives": "MIRACLRetrievalHardNegatives",
    "mlqa": "MLQARetrieval",
    "mlqa-dev": "MLQARetrieval",
    "mmarco": "MMarcoRetrievalMultilingual",
    "neuclir-2022": "NeuCLIR2022Retrieval",
    "neuclir-2022-hard-negatives": "NeuCLIR2022RetrievalHardNegatives",
    "neuclir-2023": "NeuCLIR2023Retrieval",
    "neuclir-2023-hard-negatives": "NeuCLIR2023RetrievalHardNegatives",
    "xquad": "XQuADRetrieval",
}
"""Our task -> mteb's task over the same data, whose prompts its models have."""


def registered(name: str) -> bool:
    """Whether mteb's registry has ``name`` (importing mteb takes seconds)."""
    if importlib.util.find_spec("mteb") is None:
        return False
    return name in _registry()


def refuse_own_code(name: str) -> None:
    """Raise :class:`ModelError` for a model that mteb would load by running its repository's code.

    A bare name does not imply consent to that; ``mteb:NAME`` does.
    """
    if _registry()[name].loader_kwargs.get("trust_remote_code"):
        raise ModelError(
            f"{name}: mteb loads it by running code from the model's repository; "
            f"if you trust that code, say so with --model {PREFIX}{name}"
        )


def _registry() -> Mapping[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about optional packages that some models need
        from mteb.models.get_model_meta import MODEL_REGISTRY
    found: Mapping[str, Any] = MODEL_REGISTRY
    return found


def load_mteb(name: str, options: ModelOptions) -> Model:
    """The model ``mteb:NAME``, ``mteb:NAME@REVISION`` or ``mteb:./FOLDER``, without the prefix.

    Raises:
        ModelError: mteb is not installed or does not know the name, or an option cannot be passed
            on.
    """
    if importlib.util.find_spec("mteb") is None:
        raise ModelError(f"{PREFIX}{name} needs the package mteb: pip install mteb")
    given = options.query_prompt, options.passage_prompt
    if given != (None, None):
        raise ModelError(
            f"{PREFIX}{name} uses mteb's own prompts: leave --query-prompt and --passage-prompt "
            f"out, or name the model without mteb (hub:ORG/NAME, ./FOLDER)"
        )
    path = home_expanded(name)
    if path.is_dir():
        found = MtebEncoder(path.resolve().name, _meta_of_folder(path), options)
        return cast("Model", found)
    match = NAME.fullmatch(name)
    repo, revision = (match["repo"], match["revision"]) if match else (name, None)
    known = _registry()
    if repo not in known:
        raise ModelError(
            f"{PREFIX}{name}: mteb's registry has no model {repo!r}{did_you_mean(repo, known)}"
        )
    meta = known[repo]
    if revision is not None:
        meta = meta.model_copy(update={"revision": revision})
    # Its attributes are computed when they are read, which the protocol does not foresee.
    return cast("Model", MtebEncoder(repo, meta, options))


def _meta_of_folder(folder: Path) -> Any:
    from mteb.models import ModelMeta, SentenceTransformerEncoderWrapper

    # Absolute: a relative folder of two parts, models/mine, would look like a name on the hub.
    return ModelMeta.create_empty(
        {
            "name": str(folder.resolve()),
            "loader": SentenceTransformerEncoderWrapper,
            "revision": None,
        }
    )


@cache
def _generic_task() -> Any:
    """A retrieval task without its own prompt.

    A class, not only metadata: mteb looks up the fallback prompt on the task's class.
    """
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    class HarnessRetrieval(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name=GENERIC_TASK,
            description="Passages that answer a question.",
            type="Retrieval",
            category="t2t",
            dataset={"path": "harness", "revision": "none"},
            main_score="ndcg_at_10",
            eval_langs=["eng-Latn"],
        )

    return HarnessRetrieval


class MtebEncoder:
    """A model in mteb's registry, loaded when its vectors or facts about them are first needed."""

    def __init__(
        self, name: str, meta: Any, options: ModelOptions, *, task: str = GENERIC_TASK
    ) -> None:
        """Take mteb's ``ModelMeta``; nothing is loaded yet.

        Raises:
            ModelError: the model gives no dense text vectors compared by cosine or inner product.
        """
        self.name, self._meta, self._options, self._task = name, meta, options, task
        kinds = [str(x) for x in meta.model_type]
        if kinds != ["dense"] or "text" not in meta.modalities:
            raise ModelError(
                f"{PREFIX}{name} is of type {', '.join(kinds)} over {', '.join(meta.modalities)}; "
                "the harness supports mteb's dense text models"
            )
        stated = getattr(meta.similarity_fn_name, "value", meta.similarity_fn_name)
        if stated not in (None, "cosine", "dot"):
            raise ModelError(
                f"{PREFIX}{name} compares by {stated}; the harness ranks by cosine or dot"
            )
        codes = meta.languages
        self.languages: frozenset[str] | None = (
            None if not codes else frozenset(short_code(x) for x in codes)
        )
        self._stated: Similarity | None = stated

    def for_task(self, spec: TaskSpec) -> MtebEncoder:
        """The same model with mteb's prompts for this task."""
        task = MTEB_TASKS.get(spec.name, GENERIC_TASK)
        if task == self._task:
            return self
        other = MtebEncoder(self.name, self._meta, self._options, task=task)
        other.__dict__["_loaded"] = self._loaded  # one copy of the weights
        return other

    @property
    def parameters(self) -> int | None:
        """Number of weights: mteb's figure, else that of the loaded model."""
        return self._meta.n_parameters or getattr(self._inner, "parameters", None)

    @property
    def similarity(self) -> Similarity:
        """``cosine`` unless mteb, or the model, says otherwise."""
        if self._stated is None and self._inner is not None:
            return self._inner.similarity
        return self._stated or "cosine"

    @cached_property
    def _metadata(self) -> Any:
        """The metadata of the task in mteb: that of its own task, or of a plain retrieval task."""
        if self._task == GENERIC_TASK:
            return _generic_task().metadata
        import mteb

        return mteb.get_task(self._task).metadata

    @cached_property
    def _loaded(self) -> Any:
        """The object that mteb's loader returns."""
        options = self._options
        meta, arguments = self._meta, dict[str, Any]()
        if options.device is not None:
            arguments["device"] = options.device
        if options.dtype != "float32":
            import torch

            arguments["model_kwargs"] = {"dtype": getattr(torch, options.dtype)}
        if meta.loader.__name__ in _LOAD_FOLDERS and NAME.fullmatch(meta.name):
            # From a snapshot of its files: hub errors become one sentence, and --offline is
            # respected.
            folder = snapshot(meta.name, meta.revision, offline=options.offline)
            meta = meta.model_copy(update={"name": str(folder)})
        try:
            # Progress bars, and the hint that a model without prompts could have some.
            with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
                warnings.simplefilter("ignore")
                return meta.load_model(**arguments)
        except Exception as error:  # loaders are code of a hundred authors
            flags = ", ".join(
                x
                for x, used in (
                    (f"--device {options.device}", options.device is not None),
                    (f"--dtype {options.dtype}", options.dtype != "float32"),
                )
                if used
            )
            given = f" with {flags}" if flags else ""
            offline = " (--offline forbids network access)" if options.offline else ""
            raise ModelError(
                f"{PREFIX}{self.name}: mteb cannot load it{given}: {first_line(error)}{offline}"
            ) from error

    @cached_property
    def _inner(self) -> SentenceTransformerInstance | None:
        """The harness's own path, if mteb's does nothing else."""
        from mteb.models import SentenceTransformerEncoderWrapper

        loaded = self._loaded
        if type(loaded) is not SentenceTransformerEncoderWrapper:
            if self._options.max_length is not None:
                raise ModelError(
                    f"--max-length {self._options.max_length}: {PREFIX}{self.name} sets its own "
                    "length; leave the flag out"
                )
            return None
        prompts = self._prompts()
        options = replace(
            self._options,
            dtype="float32",  # it is loaded in the requested one
            device=None,
            query_prompt=prompts["query"],
            passage_prompt=prompts["passage"],
        )
        return SentenceTransformerInstance(loaded.model, options)

    def _prompts(self) -> dict[Role, str]:
        """Prompts for queries and passages, by mteb's rules of precedence."""
        from mteb.types import PromptType

        found: dict[Role, str] = {}
        roles: tuple[tuple[Role, Any], ...] = (
            ("query", PromptType.query),
            ("passage", PromptType.document),
        )
        for role, kind in roles:
            model, text = self._loaded, ""
            named = getattr(model, "model_prompts", None)
            if named:
                text = named.get(model.get_prompt_name(self._metadata, kind)) or ""
            elif getattr(model, "instruction_template", None):
                applied = role == "query" or getattr(model, "apply_instruction_to_passages", True)
                text = model.get_task_instruction(self._metadata, kind) if applied else ""
            found[role] = text
        return found

    @cached_property
    def prompts(self) -> Mapping[Role, str]:
        """As mteb resolves them; empty if a model does not expose them."""
        return self._prompts()

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """Name, revision and loader in mteb, and everything else that vectors depend on."""
        inner = self._inner
        said = self._meta
        return {
            "adapter": "mteb",
            "mteb_name": said.name if inner is None else self.name,
            "revision": said.revision,
            "loader": getattr(said.loader, "__qualname__", str(said.loader)),
            "loader_arguments": _readable(said.loader_kwargs),
            "task": self._task,
            "prompts": dict(self.prompts),
            "dtype": self._options.dtype,
            "max_length": self._options.max_length,
            "libraries": library_versions("mteb", "sentence-transformers", "transformers", "torch"),
            "model": None if inner is None else dict(inner.facts),
        }

    @cached_property
    def fingerprint(self) -> str | None:
        """``None`` if nothing pins the weights: then no vector is stored."""
        inner = self._inner
        if inner is not None:
            return None if inner.fingerprint is None else fingerprint(self.facts)
        pinned = _COMMIT.fullmatch(self._meta.revision or "") is not None
        return fingerprint(self.facts) if pinned or self._meta.n_parameters == 0 else None

    def encode(self, texts: Sequence[str], *, role: Role, language: str) -> NDArray[np.float32]:
        """Vectors of shape (number of texts, width).

        Raises:
            ModelError: mteb cannot load the model, or it fails on the texts.
        """
        if self._inner is not None:
            return self._inner.encode(texts, role=role, language=language)
        size = self._options.batch_size or _BATCH_SIZE
        return encode_with_mteb(
            self._loaded,
            texts,
            metadata=self._metadata,
            subset=language,
            role=role,
            name=f"{PREFIX}{self.name}",
            batch_size=size,
            show_progress_bar=False,
        )


def encode_with_mteb(
    model: Any,
    texts: Sequence[str],
    *,
    metadata: Any,
    subset: str,
    role: Role,
    name: str,
    **encode_kwargs: Any,
) -> NDArray[np.float32]:
    """Vectors (n, d) of an object of mteb's encoder protocol; ``subset`` is a language.

    Raises:
        ModelError: it fails on the texts.
    """
    from datasets import Dataset
    from mteb.types import PromptType
    from torch.utils.data import DataLoader

    rows = Dataset.from_dict({"text": list(texts)})
    try:
        # Some wrappers always draw progress bars; the harness draws its own.
        with contextlib.redirect_stderr(io.StringIO()):
            vectors = model.encode(
                DataLoader(rows, batch_size=encode_kwargs.get("batch_size", _BATCH_SIZE)),
                task_metadata=metadata,
                hf_split="test",
                hf_subset=with_script(subset),
                prompt_type=PromptType.query if role == "query" else PromptType.document,
                **encode_kwargs,
            )
    except Exception as error:  # wrappers are code of a hundred authors
        raise ModelError(
            f"{name}: failed to encode {len(texts)} {role} texts: {first_line(error)}"
        ) from error
    return as_float32(vectors, name)


def _readable(value: Any) -> Any:
    """Loader arguments as JSON: functions by name, other objects by their text."""
    if isinstance(value, Mapping):
        return {str(k): _readable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(x) for x in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return getattr(value, "__qualname__", None) or str(value)
