"""``use-m3`` as a module of sentence-transformers, to train further, save and load.

The folder of such a model is a sentence-transformers folder with one module and the vocabulary next
to its weights. ``SentenceTransformer(folder, trust_remote_code=True)`` loads it where the harness
is installed: the library requires that option for every module that is not its own, though no code
from the folder is run. ``harness run --model folder`` does not need it.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Module
from torch import Tensor

from harness.errors import ModelError
from harness.models.fingerprint import digest_file, library_versions
from harness.models.use_m3.encoder import (
    CPU_TOKENS,
    GPU_TOKENS,
    IMPLEMENTATION,
    batches_by_length,
    resource,
    token_ids,
    tokenizer,
)
from harness.models.use_m3.network import UseM3Network, load_network
from harness.models.use_m3.shared_trunk import LEAST, STEP, Ids, Memory, Shared, Spaces, padded

VOCABULARY = "sp.model"
TYPE = "harness.models.use_m3_module.UseM3Module"


_HEAD = re.compile(r"(head_|out)")


@contextlib.contextmanager
def shared_trunk() -> Iterator[None]:
    """Within the block, modules with a frozen trunk compute each text's trunk once.

    For several models that differ only in their heads; see
    :mod:`harness.models.use_m3.shared_trunk`.
    """
    before, UseM3Module.shared = UseM3Module.shared, Shared()
    try:
        yield
    finally:
        UseM3Module.shared = before


def _by_length(part: Callable[..., Tensor], ids: Tensor, lengths: Tensor) -> Tensor:
    """``part`` applied to batches of texts of similar length, in the order of ``ids``."""
    budget = CPU_TOKENS if ids.device.type == "cpu" else GPU_TOKENS
    order, parts = [], []
    for batch in batches_by_length(lengths.cpu().numpy(), budget, None):
        rows = torch.from_numpy(batch).to(ids.device)
        taken = lengths[rows]
        parts.append(part(ids[rows, : int(taken.max())], taken))
        order.append(rows)
    return torch.cat(parts)[torch.argsort(torch.cat(order))]


class UseM3Module(Module):
    """Texts to unit vectors of 512 dimensions."""

    # Written into modules.json by `save`, and present in folders of models trained before.
    __module__ = "harness.models.use_m3_module"

    config_keys: ClassVar[list[str]] = ["max_seq_length"]
    save_in_root = True
    shared: ClassVar[Shared | None] = None

    def __init__(
        self,
        network: UseM3Network | None = None,
        vocabulary: Path | None = None,
        max_seq_length: int | None = None,
    ) -> None:
        """Wrap ``network``; by default an untrained one and the package's vocabulary."""
        super().__init__()
        self.network = UseM3Network() if network is None else network
        self.max_seq_length = max_seq_length
        self._vocabulary = resource(VOCABULARY) if vocabulary is None else vocabulary
        self.tokenizer = tokenizer(self._vocabulary)
        self._digested: tuple[tuple[int, ...], bytes] | None = None
        self._words: str | None = None

    @classmethod
    def pretrained(cls) -> UseM3Module:
        """The weights of the package.

        Raises:
            ModelError: a package is missing, or contains other weights.
        """
        weights = resource("weights.npz")
        try:
            return cls(load_network(weights))
        except (KeyError, ValueError, OSError) as error:
            raise ModelError(f"{weights}: not the weights of use-m3 ({error})") from error

    def preprocess(
        self, inputs: Sequence[str], prompt: str | None = None, **kwargs: Any
    ) -> dict[str, Tensor]:
        """Token ids padded with 0, and a mask of where they are: int64 (texts, longest)."""
        texts = [prompt + text for text in inputs] if prompt else inputs
        token_ids, lengths = padded(self._ids(texts))
        return {
            "input_ids": token_ids,
            "attention_mask": (torch.arange(token_ids.shape[1]) < lengths[:, None]).long(),
        }

    def _ids(self, texts: Sequence[str]) -> list[Ids]:
        if UseM3Module.shared is None:
            return [np.array(x) for x in token_ids(self.tokenizer, texts, self.max_seq_length)]
        if self._words is None:
            self._words = digest_file(self._vocabulary)
        return UseM3Module.shared.tokens(self.tokenizer, self._words, texts, self.max_seq_length)

    def forward(self, features: dict[str, Tensor], **kwargs: Any) -> dict[str, Tensor]:
        """Add ``sentence_embedding``, (texts, 512).

        Texts are sorted by length, so that a long one does not pad all the others.
        """
        ids, lengths = features["input_ids"], features["attention_mask"].sum(1)
        memory = self._memory()
        if memory is None:
            vectors = _by_length(self.network, ids, lengths)
        else:
            vectors = self.network.head(memory.recall(self.network.trunk, ids, lengths))
        features["sentence_embedding"] = vectors
        return features

    def _memory(self) -> Memory | None:
        """The cache for outputs of a frozen trunk, if any."""
        trunk = [p for name, p in self.network.named_parameters() if not _HEAD.match(name)]
        if UseM3Module.shared is None or (
            torch.is_grad_enabled() and any(p.requires_grad for p in trunk)
        ):
            return None
        # torch counts in-place changes of a tensor, so the digest is known to be current.
        state = tuple(0 if p.is_inference() else p._version for p in trunk)
        if self._digested is None or self._digested[0] != state:
            sha = hashlib.sha256()
            for parameter in trunk:
                sha.update(parameter.detach().cpu().numpy().data)
            self._digested = (state, sha.digest())
        return UseM3Module.shared.memory(self._digested[1])

    def prime(
        self,
        texts: Sequence[str],
        store: Spaces,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Precompute the trunk's outputs for ``texts``, if trunks are shared and this one is.

        For texts that many models will encode; they must include prompts.

        Raises:
            StoreError: ``store`` cannot be written.
        """
        memory = self._memory()
        on_cpu = self.network.pool.weight.device.type == "cpu"
        if memory is None or self._digested is None or not on_cpu:
            return
        facts = {
            "adapter": "use-m3 trunk",
            "trunk": self._digested[1].hex(),
            "implementation": [IMPLEMENTATION, STEP, LEAST],
            "libraries": library_versions("torch"),
        }
        ids = self._ids(texts)
        memory.fill(self.network.trunk, ids, store.space(facts), progress)

    def get_embedding_dimension(self) -> int:
        """512."""
        return int(self.network.out.out_features)

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **_: Any) -> None:
        """Write weights, configuration and vocabulary."""
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)
        target = Path(output_path) / VOCABULARY
        if target.resolve() != self._vocabulary.resolve():
            shutil.copyfile(self._vocabulary, target)

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **kwargs: Any) -> UseM3Module:
        """Read what :meth:`save` wrote, from a folder."""
        hub = {
            k: v
            for k, v in kwargs.items()
            if k in ("token", "cache_folder", "revision", "local_files_only")
        }
        config: Mapping[str, Any] = cls.load_config(model_name_or_path, subfolder=subfolder, **hub)
        vocabulary = cls.load_file_path(
            model_name_or_path, filename=VOCABULARY, subfolder=subfolder, **hub
        )
        if vocabulary is None:
            raise ValueError(f"{model_name_or_path} contains no {VOCABULARY}")
        # Without storage: no random weights are drawn only to be overwritten.
        with torch.device("meta"):
            network = UseM3Network()
        weights = cls.load_torch_weights(model_name_or_path, subfolder=subfolder, **hub)
        named = {name.removeprefix("network."): value for name, value in weights.items()}
        network.load_state_dict(named, assign=True)
        network.requires_grad_(True)
        return cls(network, Path(vocabulary), config.get("max_seq_length"))


def load_folder(folder: Path, *, device: str | None = None, prompts: Mapping[str, str]) -> Any:
    """The ``SentenceTransformer`` in a folder whose one module is :class:`UseM3Module`."""
    return SentenceTransformer(
        modules=[UseM3Module.load(str(folder))],
        device=device,
        prompts=dict(prompts),
        similarity_fn_name="cosine",
    )
