"""Any object with an ``encode`` method, brought into the harness's form."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from harness.data.images import are_images
from harness.data.task import Role
from harness.errors import ModelError
from harness.models.base import ModelOptions, Similarity
from harness.models.fingerprint import fingerprint
from harness.models.language_coverage import warn_untrained

_EXTRAS = ("prompt", "batch_size", "max_length", "dtype", "device")


class WrappedEncoder:
    """A user's encoder. What its ``encode`` does not take by name is not passed to it.

    ``role`` and ``language`` also go to an ``encode`` with ``**kwargs``; the extras (``prompt``,
    ``batch_size``, ``max_length``, ``dtype``, ``device``) only to one that names them, because a
    prompt that vanishes in ``**kwargs`` would be lost. Where ``encode`` takes no ``prompt`` it is
    put before each text.
    """

    def __init__(self, encoder: Any, options: ModelOptions, *, name: str | None = None) -> None:
        """Wrap ``encoder``; ``name`` is used where it has none of its own.

        Raises:
            ModelError: an attribute has the wrong type, or an option cannot be passed on.
        """
        self._encoder = encoder
        self._options = options
        kind = type(encoder)
        own_name = getattr(encoder, "name", None)
        self.name: str = (
            own_name if isinstance(own_name, str) and own_name else name or kind.__name__
        )
        takes, self._takes_any = _parameters(encoder.encode, self.name)
        self._takes = takes
        for flag, value, extra in (
            ("--max-length", options.max_length, "max_length"),
            ("--device", options.device, "device"),
            ("--dtype", None if options.dtype == "float32" else options.dtype, "dtype"),
        ):
            if value is not None and extra not in takes:
                raise ModelError(
                    f"{flag} {value}: encode of {self.name} takes no {extra!r}; "
                    "leave the flag out or give encode such an argument"
                )
        self.modalities = _modalities(encoder, self.name)
        self.similarity: Similarity = _similarity(encoder, self.name)
        self.languages: frozenset[str] | None = _languages(encoder, self.name)
        parameters = getattr(encoder, "parameters", None)
        self.parameters: int | None = parameters if isinstance(parameters, int) else None
        self.prompts: Mapping[Role, str] = {
            "query": options.query_prompt or "",
            "passage": options.passage_prompt or "",
        }
        given = getattr(encoder, "fingerprint", None)
        if given is not None and (not isinstance(given, str) or not given):
            raise ModelError(
                f"{self.name}: its fingerprint must be a non-empty str that changes with "
                f"everything that changes a vector, not {type(given).__name__}"
            )
        self.facts: Mapping[str, Any] = {
            "adapter": "encoder",
            "class": f"{kind.__module__}.{kind.__qualname__}",
            "fingerprint": given,
            "prompts": dict(self.prompts),
            "prompt_by": "argument" if "prompt" in takes else "prefix",
            "max_length": options.max_length,
            "dtype": options.dtype if "dtype" in takes else None,
        }
        self.fingerprint: str | None = None if given is None else fingerprint(self.facts)

    def use_weights_of(self, other: WrappedEncoder) -> None:
        """Encode with the object that ``other`` wraps, the same encoder with other prompts."""
        self._encoder = other._encoder

    def encode(self, texts: Sequence[str], *, role: Role, language: str) -> NDArray[np.float32]:
        """Vectors as the encoder gives them, as a C-contiguous float32 array.

        Raises:
            ModelError: the encoder returned something that is not an array of numbers.
        """
        warn_untrained(self, [language])
        arguments: dict[str, Any] = {}
        for key, value in (("role", role), ("language", language)):
            if self._takes_any or key in self._takes:
                arguments[key] = value
        prompt = self.prompts[role]
        extras: dict[str, Any] = {
            "prompt": prompt,
            "batch_size": self._options.batch_size,
            "max_length": self._options.max_length,
            "dtype": self._options.dtype,
            "device": self._options.device,
        }
        for key in _EXTRAS:
            # None, and an empty prompt, leave the encoder's own choice in force.
            if key in self._takes and extras[key] not in (None, ""):
                arguments[key] = extras[key]
        given = list(texts)
        if prompt and "prompt" not in self._takes:
            if are_images(given):
                raise ModelError(
                    f"--passage-prompt: cannot be put before an image, and encode of {self.name} "
                    "takes no 'prompt'; leave it out"
                )
            given = [prompt + text for text in given]
        return as_float32(self._encoder.encode(given, **arguments), self.name)


def as_float32(
    vectors: Any,
    name: str,
    method: str = "encode",
    shape: str = "(number of texts, width)",
) -> NDArray[np.float32]:
    """Turn arrays, nested sequences or torch tensors into a C-contiguous float32 array.

    ``method`` of ``name`` returned them, and should have returned a ``shape``.

    Raises:
        ModelError: it is none, or one of packed bits or of codes of eight bits.
    """
    if isinstance(vectors, (list, tuple)):
        vectors = [_to_numpy(v) for v in vectors]
    else:
        vectors = _to_numpy(vectors)
    one = vectors[0] if isinstance(vectors, list) and vectors else vectors
    refuse_codes(getattr(one, "dtype", None), f"{name}: {method}")
    try:
        if vectors is None:  # numpy would make it a NaN
            raise TypeError("nothing was returned")
        return np.ascontiguousarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{name}: {method} must return a float array of shape {shape}, "
            f"not {type(vectors).__name__} ({error})"
        ) from error


def refuse_codes(dtype: Any, whose: str) -> None:
    """Raise :class:`ModelError` for vectors of eight-bit integers or truth values.

    Their numbers are no coordinates: eight signs packed into a byte, or steps of a scale per
    dimension (sentence-transformers' ``precision``). Scored as they are, they rank, but wrongly.
    """
    if dtype in (np.dtype(np.int8), np.dtype(np.uint8), np.dtype(np.bool_)):
        raise ModelError(
            f"{whose}: vectors of {dtype} are codes, not coordinates: give floats; packed bits "
            "become signs by 2.0 * np.unpackbits(x.view(np.uint8), axis=1) - 1 (of precision "
            "'binary' after adding 128)"
        )


def _to_numpy(value: Any) -> Any:
    """A torch tensor as an array (bfloat16 has no numpy form, so through float32); else as is."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        return value.float().numpy() if value.dtype.is_floating_point else value.numpy()
    return value


def _parameters(encode: Callable[..., Any], name: str) -> tuple[frozenset[str], bool]:
    """Names of the parameters that can be passed by keyword, and whether ``**kwargs`` is taken."""
    try:
        found = inspect.signature(encode).parameters.values()
    except (TypeError, ValueError):
        # Compiled code without a signature: trust it to follow the protocol.
        return frozenset({"role", "language"}), False
    named = [p.name for p in found if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    positional = [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not positional and not any(p.kind is p.VAR_POSITIONAL for p in found):
        raise ModelError(
            f"{name}: encode must take the texts first: encode(texts, *, role, language)"
        )
    # The first positional parameter is the texts, whatever its name.
    first = positional[0].name if positional else ""
    return frozenset(named) - {first}, any(p.kind is p.VAR_KEYWORD for p in found)


def _similarity(encoder: Any, name: str) -> Similarity:
    value = getattr(encoder, "similarity", "cosine")
    if callable(value):  # sentence-transformers calls a method so; it says nothing about the kind
        return "cosine"
    if value not in get_args(Similarity):
        raise ModelError(f"{name}: similarity must be 'cosine' or 'dot', not {value!r}")
    return "dot" if value == "dot" else "cosine"


def _modalities(encoder: Any, name: str) -> tuple[str, ...]:
    value = getattr(encoder, "modalities", ("text",))
    if isinstance(value, str) or not all(isinstance(x, str) for x in value):
        raise ModelError(f"{name}: modalities must be a collection such as ('text', 'image')")
    return tuple(value)


def _languages(encoder: Any, name: str) -> frozenset[str] | None:
    value = getattr(encoder, "languages", None)
    if value is None:
        return None
    if isinstance(value, str) or not all(isinstance(x, str) for x in value):
        raise ModelError(f"{name}: languages must be a collection of codes such as {{'de', 'en'}}")
    return frozenset(value)
